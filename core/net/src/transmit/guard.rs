//! The last thing before the wire: nothing leaves for an address that is not a configured target.

use tcpcopy_wire::Endpoint;

use super::destination::{DatagramPart, FragmentedPacket, datagram_part, tcp_destination};
use super::{Sink, TransmitError};

/// A sink that sends to the configured targets only, whatever the code above does.
///
/// It reads the destination from the bytes themselves and refuses what it cannot read with certainty, so that a
/// fault upstream never puts a packet on a user's or on production's doorstep.
#[derive(Debug)]
pub struct TargetGuard<S> {
    sink: S,
    targets: Box<[Endpoint]>,
    allowed: Allowed,
    refused: u64,
}

/// What may be sent to a target.
#[derive(Debug)]
enum Allowed {
    /// TCP segments.
    Tcp,
    /// UDP datagrams. Later fragments of a packet name no port: they pass right behind the first one, which did.
    Udp { begun: Option<FragmentedPacket> },
}

impl<S: Sink> TargetGuard<S> {
    /// Guards `sink`, which is to send TCP segments; with no targets nothing is ever sent.
    #[must_use]
    pub fn new(sink: S, targets: impl IntoIterator<Item = Endpoint>) -> Self {
        Self::allowing(Allowed::Tcp, sink, targets)
    }

    /// The same of a sink that is to send UDP datagrams and nothing else.
    #[must_use]
    pub fn for_datagrams(sink: S, targets: impl IntoIterator<Item = Endpoint>) -> Self {
        Self::allowing(Allowed::Udp { begun: None }, sink, targets)
    }

    fn allowing(allowed: Allowed, sink: S, targets: impl IntoIterator<Item = Endpoint>) -> Self {
        let mut targets: Vec<Endpoint> = targets.into_iter().collect();
        targets.sort_unstable();
        targets.dedup();
        Self { sink, targets: targets.into_boxed_slice(), allowed, refused: 0 }
    }

    fn allows(&mut self, packet: &[u8]) -> bool {
        let is_target = |to: &Endpoint| self.targets.binary_search(to).is_ok();
        let Allowed::Udp { begun } = &mut self.allowed else {
            return tcp_destination(packet).is_some_and(|to| is_target(&to));
        };
        match datagram_part(packet) {
            Some(DatagramPart::Beginning(to, packet)) if is_target(&to) => {
                *begun = packet;
                true
            }
            Some(DatagramPart::Continuation(packet)) => *begun == Some(packet),
            _ => {
                *begun = None;
                false
            }
        }
    }

    /// How many packets were refused.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// The sink behind the guard, to look at.
    #[must_use]
    pub const fn sink(&self) -> &S {
        &self.sink
    }
}

impl<S: Sink> Sink for TargetGuard<S> {
    /// As the sink behind, but [`TransmitError::NotATarget`] for every packet that does not go to a target.
    fn send(&mut self, packet: &[u8]) -> Result<(), TransmitError> {
        if !self.allows(packet) {
            self.refused += 1;
            return Err(TransmitError::NotATarget);
        }
        self.sink.send(packet)
    }

    fn flush(&mut self, on_lost: &mut dyn FnMut(&[u8], TransmitError)) {
        self.sink.flush(on_lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers what it was given.
    #[derive(Debug, Default)]
    struct Wire {
        sent: Vec<Vec<u8>>,
        flushes: usize,
        refuses: Option<TransmitError>,
    }

    impl Sink for Wire {
        fn send(&mut self, packet: &[u8]) -> Result<(), TransmitError> {
            self.sent.push(packet.to_vec());
            self.refuses.map_or(Ok(()), Err)
        }

        fn flush(&mut self, on_lost: &mut dyn FnMut(&[u8], TransmitError)) {
            self.flushes += 1;
            for packet in self.sent.drain(..) {
                on_lost(&packet, TransmitError::Congested);
            }
        }
    }

    fn guard() -> TargetGuard<Wire> {
        let targets = ["10.10.3.2:8080", "10.10.3.3:80", "[fd00::2]:8080"];
        let targets = targets.map(|text| Endpoint::from(text.parse::<std::net::SocketAddr>().unwrap()));
        TargetGuard::new(Wire::default(), targets)
    }

    fn v4(to: [u8; 4], port: u16) -> Vec<u8> {
        let mut packet = vec![0; 44];
        packet[0] = 0x45;
        packet[9] = 6;
        packet[16..20].copy_from_slice(&to);
        // A source port that equals a target's, and payload: neither may count.
        packet[20..22].copy_from_slice(&8080_u16.to_be_bytes());
        packet[22..24].copy_from_slice(&port.to_be_bytes());
        packet
    }

    fn v6(to: &str, port: u16) -> Vec<u8> {
        let mut packet = vec![0; 64];
        packet[0] = 0x60;
        packet[6] = 6;
        packet[24..40].copy_from_slice(&to.parse::<std::net::Ipv6Addr>().unwrap().octets());
        packet[42..44].copy_from_slice(&port.to_be_bytes());
        packet
    }

    fn assert_refused(packet: &[u8]) {
        let mut guard = guard();
        assert_eq!(guard.send(packet), Err(TransmitError::NotATarget), "{packet:02x?}");
        assert_eq!(guard.refused(), 1);
        assert!(guard.sink().sent.is_empty());
    }

    #[test]
    fn targets_get_their_packets_unchanged() {
        let mut guard = guard();
        let packets =
            [v4([10, 10, 3, 2], 8080), v4([10, 10, 3, 3], 80), v6("fd00::2", 8080), v4([10, 10, 3, 2], 8080)];
        for packet in &packets {
            assert_eq!(guard.send(packet), Ok(()));
        }
        assert_eq!(guard.sink().sent, packets);
        assert_eq!(guard.refused(), 0);
    }

    #[test]
    fn other_addresses_and_ports_get_nothing() {
        for packet in [
            v4([10, 10, 3, 2], 80),
            v4([10, 10, 3, 3], 8080),
            v4([10, 10, 3, 4], 8080),
            v4([0, 0, 0, 0], 0),
            v4([255, 255, 255, 255], 8080),
            v6("fd00::2", 80),
            v6("fd00::3", 8080),
            v6("::", 0),
        ] {
            assert_refused(&packet);
        }
    }

    #[test]
    fn an_address_of_the_other_family_does_not_pass_for_a_target() {
        assert_refused(&v6("::ffff:10.10.3.2", 8080));
        assert_refused(&v6("::10.10.3.2", 8080));
    }

    #[test]
    fn no_single_bit_of_address_or_port_can_differ() {
        let good = v4([10, 10, 3, 2], 8080);
        for bit in (16 * 8..20 * 8).chain(22 * 8..24 * 8) {
            let mut packet = good.clone();
            packet[bit / 8] ^= 1 << (bit % 8);
            assert_refused(&packet);
        }
        let good = v6("fd00::2", 8080);
        for bit in (24 * 8..40 * 8).chain(42 * 8..44 * 8) {
            let mut packet = good.clone();
            packet[bit / 8] ^= 1 << (bit % 8);
            assert_refused(&packet);
        }
    }

    #[test]
    fn what_is_cut_before_the_port_is_refused() {
        for (good, needed) in [(v4([10, 10, 3, 2], 8080), 24), (v6("fd00::2", 8080), 44)] {
            for len in 0..needed {
                assert_refused(&good[..len]);
            }
            assert_eq!(guard().send(&good[..needed]), Ok(()));
        }
    }

    #[test]
    fn every_other_ip_version_is_refused() {
        for version in (0..16_u8).filter(|version| *version != 4) {
            let mut packet = v4([10, 10, 3, 2], 8080);
            packet[0] = version << 4 | 5;
            assert_refused(&packet);
        }
        for version in (0..16_u8).filter(|version| *version != 6) {
            let mut packet = v6("fd00::2", 8080);
            packet[0] = version << 4;
            assert_refused(&packet);
        }
    }

    #[test]
    fn a_source_route_cannot_lead_away_from_the_target() {
        for header_words in (0..16_u8).filter(|words| *words != 5) {
            let mut packet = v4([10, 10, 3, 2], 8080);
            packet[0] = 0x40 | header_words;
            assert_refused(&packet);
        }
        let mut routed = v6("fd00::2", 8080);
        routed[6] = 43;
        assert_refused(&routed);
    }

    #[test]
    fn only_tcp_passes() {
        for protocol in (0..=255).filter(|protocol| *protocol != 6) {
            let mut packet = v4([10, 10, 3, 2], 8080);
            packet[9] = protocol;
            assert_refused(&packet);
            let mut packet = v6("fd00::2", 8080);
            packet[6] = protocol;
            assert_refused(&packet);
        }
    }

    #[test]
    fn a_later_fragment_has_no_ports_and_is_refused() {
        let mut packet = v4([10, 10, 3, 2], 8080);
        packet[6..8].copy_from_slice(&0x0001_u16.to_be_bytes());
        assert_refused(&packet);
        packet[6..8].copy_from_slice(&0x1000_u16.to_be_bytes());
        assert_refused(&packet);
        // Don't-fragment is no offset.
        packet[6..8].copy_from_slice(&0x4000_u16.to_be_bytes());
        assert_eq!(guard().send(&packet), Ok(()));
    }

    /// The same for datagrams.
    fn udp_guard() -> TargetGuard<Wire> {
        let TargetGuard { sink, targets, .. } = guard();
        TargetGuard::for_datagrams(sink, targets)
    }

    fn udp(mut tcp: Vec<u8>) -> Vec<u8> {
        let at = if tcp[0] >> 4 == 4 { 9 } else { 6 };
        tcp[at] = 17;
        tcp
    }

    /// A fragment of packet `identification` at `offset` (in units of eight bytes), of either family.
    fn fragment(mut udp: Vec<u8>, identification: u8, offset: u16, has_more: bool) -> Vec<u8> {
        if udp[0] >> 4 == 4 {
            udp[5] = identification;
            udp[6..8].copy_from_slice(&(offset | u16::from(has_more) << 13).to_be_bytes());
        } else {
            udp[6] = 44;
            let [high, low] = (offset << 3 | u16::from(has_more)).to_be_bytes();
            udp.splice(40..40, [17, 0, high, low, 0, 0, 0, identification]);
        }
        udp
    }

    #[test]
    fn datagrams_to_targets_pass_and_all_else_is_refused_where_datagrams_are_sent() {
        let mut guard = udp_guard();
        let good = [v4([10, 10, 3, 2], 8080), v6("fd00::2", 8080)].map(udp);
        for packet in &good {
            assert_eq!(guard.send(packet), Ok(()));
        }
        let others = [v4([10, 10, 3, 2], 80), v4([10, 10, 3, 4], 8080), v6("fd00::2", 80)].map(udp);
        let mut routed = good[1].clone();
        routed[6] = 43;
        let mut optioned = good[0].clone();
        optioned[0] = 0x46;
        for packet in others.iter().chain([&routed, &optioned, &v4([10, 10, 3, 2], 8080)]) {
            assert_eq!(guard.send(packet), Err(TransmitError::NotATarget), "{packet:x?}");
        }
        for good in &good {
            assert_refused(good);
        }
        assert_eq!(guard.sink().sent, good);
    }

    #[test]
    fn later_fragments_pass_right_behind_a_first_one_that_named_a_target() {
        for (to, elsewhere) in [
            (udp(v4([10, 10, 3, 2], 8080)), udp(v4([10, 10, 3, 4], 8080))),
            (udp(v6("fd00::2", 8080)), udp(v6("fd00::3", 8080))),
        ] {
            let mut guard = udp_guard();
            let mut sends = |packet: &[u8]| guard.send(packet).is_ok();
            let first = fragment(to.clone(), 7, 0, true);
            let later = fragment(to.clone(), 7, 100, false);
            assert!(!sends(&later), "nothing came before it");
            assert!(sends(&first) && sends(&fragment(to.clone(), 7, 50, true)) && sends(&later));
            assert!(!sends(&fragment(to.clone(), 8, 100, false)), "of another packet");
            assert!(!sends(&fragment(elsewhere.clone(), 7, 100, false)), "to another host");
            assert!(sends(&to));
            assert!(!sends(&later), "a whole datagram came between");
            assert!(sends(&first) && !sends(&fragment(elsewhere.clone(), 7, 0, true)));
            assert!(!sends(&later), "one that was refused came between");
        }
    }

    #[test]
    fn without_targets_nothing_leaves() {
        let mut guard = TargetGuard::new(Wire::default(), []);
        for _ in 0..3 {
            assert_eq!(guard.send(&v4([10, 10, 3, 2], 8080)), Err(TransmitError::NotATarget));
        }
        assert_eq!(guard.refused(), 3);
        assert!(guard.sink().sent.is_empty());
    }

    #[test]
    fn a_refusal_of_the_sink_is_not_the_guards() {
        let mut guard = guard();
        guard.sink.refuses = Some(TransmitError::MessageTooLong);
        assert_eq!(guard.send(&v6("fd00::2", 8080)), Err(TransmitError::MessageTooLong));
        assert_eq!(guard.refused(), 0);
    }

    #[test]
    fn flushing_reaches_the_sink_and_its_losses_come_back() {
        let mut guard = guard();
        let packet = v4([10, 10, 3, 2], 8080);
        guard.send(&packet).unwrap();
        let mut lost = Vec::new();
        guard.flush(&mut |packet, error| lost.push((packet.to_vec(), error)));
        assert_eq!(lost, [(packet, TransmitError::Congested)]);
        assert_eq!(guard.sink().flushes, 1);
    }
}
