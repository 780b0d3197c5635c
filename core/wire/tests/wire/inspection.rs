//! What must hold for every frame, whatever is in it: shared by the property tests, the corpus replay and the
//! fuzz target, so this file uses nothing but the crate itself.

use tcpcopy_wire::{
    CapturedDatagram, Ipv4Identification, LinkType, Options, Segment, emit, emit_datagram, header_len,
    parse_datagram_frame, parse_datagram_ip, parse_frame, parse_ip,
};

/// Parses the frame in `input` and panics if the outcome breaks a promise.
///
/// The first byte of `input` selects the link type, the next two say how many bytes the capture left out (big
/// endian), the rest is the frame.
pub(crate) fn inspect(input: &[u8]) {
    let Some(([selector, missing @ ..], frame)) = input.split_first_chunk::<3>() else {
        return;
    };
    let link = match selector % 5 {
        0 => LinkType::Ethernet,
        1 => LinkType::LinuxSll,
        2 => LinkType::LinuxSll2,
        3 => LinkType::RawIp,
        _ => LinkType::Null,
    };
    let wire_len = frame.len() + usize::from(u16::from_be_bytes(*missing));
    if let Ok(segment) = parse_frame(link, frame, wire_len) {
        assert_borrows_from(&segment, frame);
        assert_survives_rewriting(&segment);
    }
    if let Ok(captured) = parse_datagram_frame(link, frame, wire_len) {
        assert_is_sound(&captured, frame);
    }
}

/// The same of UDP.
fn assert_is_sound(captured: &CapturedDatagram<'_>, frame: &[u8]) {
    let (payload, payload_len) = match captured {
        CapturedDatagram::Whole(datagram) => (datagram.payload, datagram.payload_len),
        CapturedDatagram::Fragment(fragment) => (fragment.payload, fragment.payload_len),
    };
    let (inside, outside) = (payload.as_ptr_range(), frame.as_ptr_range());
    assert!(outside.start <= inside.start && inside.end <= outside.end);
    assert!(payload.len() <= payload_len as usize);
    let CapturedDatagram::Whole(datagram) = captured else { return };
    let mut packet = vec![0; 65_600];
    if let Ok((len, None)) = emit_datagram(datagram, 1, packet.len(), 0, &mut packet) {
        let Ok(CapturedDatagram::Whole(again)) = parse_datagram_ip(&packet[..len], len) else {
            return; // its port makes it look like a tunnel's
        };
        assert_eq!((again.source, again.destination), (datagram.source, datagram.destination));
        assert_eq!(again.payload, datagram.payload);
    }
}

/// The payload lies inside the frame, behind headers, and is not longer than it was on the wire.
fn assert_borrows_from(segment: &Segment<'_>, frame: &[u8]) {
    let (inside, outside) = (segment.payload.as_ptr_range(), frame.as_ptr_range());
    assert!(outside.start <= inside.start && inside.end <= outside.end);
    assert!(segment.payload.len() + 40 <= frame.len());
    assert!(segment.payload.len() <= segment.payload_len as usize);
    assert_eq!(segment.source.addr.is_ipv4(), segment.destination.addr.is_ipv4());
}

/// Written as a packet of our own and read again, the segment is the same but for SACK blocks that found no
/// room.
fn assert_survives_rewriting(segment: &Segment<'_>) {
    let mut packet = vec![0; header_len(segment) + segment.payload.len()];
    let identification = Ipv4Identification(0);
    let Ok(len) = emit(segment, identification, [segment.payload, &[]], &mut packet) else {
        assert!(packet.len() > usize::from(u16::MAX), "only its size can keep a segment from being written");
        return;
    };
    let again = parse_ip(&packet, len).expect("our own packet can be read");
    assert!(segment.options.sack.as_slice().starts_with(again.options.sack.as_slice()));
    let options = Options { sack: again.options.sack, ..segment.options };
    let payload_len = again.payload_len;
    assert!(again.is_whole());
    assert_eq!(again, Segment { options, payload_len, ..*segment });
}
