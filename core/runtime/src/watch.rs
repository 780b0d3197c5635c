//! Watches all devices of this host for packets of a few flows: what the doctor of tcpcopy finds out about hosts.

use tcpcopy_feed::Sighting;
use tcpcopy_net::{
    CaptureDirection, CaptureError, CaptureOptions, CaptureSource, Device, LiveCapture, devices,
};
use tcpcopy_wire::{Flow, Segment, parse_frame};

/// Devices that are watched at most, in the kernel's order.
const MOST_DEVICES: usize = 32;
/// Few packets are waited for: the least that a capture can have.
const RING_BYTES: usize = 1 << 20;
const HEADERS: u32 = 256;
/// Frames looked at at once.
const BATCH: usize = 256;
/// Different sightings that are remembered.
const MOST_SIGHTINGS: usize = 128;

/// Captures on all devices, and what was seen on them.
pub(crate) struct Watch {
    flows: Vec<Flow>,
    captures: Vec<LiveCapture>,
    sightings: Vec<Sighting>,
}

impl Watch {
    /// From now on.
    ///
    /// # Errors
    /// [`CaptureError`] when there is no device on which it is possible.
    pub(crate) fn begin(flows: Vec<Flow>) -> Result<Self, CaptureError> {
        let filter = filter(&flows);
        let known = devices().unwrap_or_default();
        let up = known.into_iter().filter(|device| device.is_up).take(MOST_DEVICES);
        let opened: Vec<_> = up.map(|device| LiveCapture::open(&options(device, &filter))).collect();
        let (captures, failed): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
        if captures.is_empty()
            && let Some(Err(error)) = failed.into_iter().next()
        {
            return Err(error);
        }
        Ok(Self { flows, captures: captures.into_iter().flatten().collect(), sightings: Vec::new() })
    }

    /// Takes in what has been captured meanwhile.
    pub(crate) fn look(&mut self) {
        let Self { flows, captures, sightings } = self;
        // A device that is gone shows nothing more.
        captures.retain_mut(|capture| {
            let (link, device) = (capture.link_type(), capture.device().to_owned());
            let looked = capture.dispatch(BATCH, |frame| {
                if let Ok(segment) = parse_frame(link, frame.bytes, frame.wire_len) {
                    note(sightings, flows, &device, &segment);
                }
            });
            looked.is_ok()
        });
    }

    /// What was seen so far.
    pub(crate) fn sightings(&self) -> &[Sighting] {
        &self.sightings
    }
}

fn options(device: Device, filter: &str) -> CaptureOptions {
    CaptureOptions {
        device: device.name,
        filter: filter.to_owned(),
        match_vlan_tagged: true,
        snaplen: HEADERS,
        buffer_bytes: RING_BYTES,
        direction: CaptureDirection::Both,
        promiscuous: false,
    }
}

fn filter(flows: &[Flow]) -> String {
    let of = |Flow { client, server }: &Flow| {
        format!(
            "(host {} and host {} and port {} and port {})",
            client.addr, server.addr, client.port, server.port
        )
    };
    format!("tcp and ({})", flows.iter().map(of).collect::<Vec<_>>().join(" or "))
}

/// Adds a packet to the sightings that it is one of.
fn note(sightings: &mut Vec<Sighting>, flows: &[Flow], device: &str, segment: &Segment<'_>) {
    let is = |flow: &Flow| (flow.client, flow.server);
    let found = flows.iter().enumerate().find_map(|(index, flow)| match is(flow) {
        ends if ends == (segment.source, segment.destination) => Some((index, false)),
        ends if ends == (segment.destination, segment.source) => Some((index, true)),
        _ => None,
    });
    let Some((flow, is_response)) = found else { return };
    let known = sightings.iter_mut().find(|known| {
        (known.flow, known.is_response, known.ttl) == (flow, is_response, segment.ttl)
            && known.device == device
    });
    if let Some(known) = known {
        known.count = known.count.saturating_add(1);
        known.flags = known.flags | segment.flags;
    } else if sightings.len() < MOST_SIGHTINGS {
        let (device, ttl, flags) = (device.to_owned(), segment.ttl, segment.flags);
        sightings.push(Sighting { flow, is_response, device, ttl, flags, count: 1 });
    }
}

#[cfg(test)]
mod tests {
    use tcpcopy_wire::{Endpoint, Flags};

    use super::*;

    fn flow() -> Flow {
        let end = |text: &str| Endpoint::from(text.parse::<std::net::SocketAddr>().unwrap());
        Flow { client: end("10.30.0.1:50000"), server: end("10.10.3.2:8080") }
    }

    #[test]
    fn packets_of_one_flow_device_and_distance_are_one_sighting() {
        let mut sightings = Vec::new();
        let Flow { client, server } = flow();
        let response =
            Segment { source: server, destination: client, flags: Flags::SYN, ttl: 64, ..Segment::default() };
        let forwarded = Segment { ttl: 63, ..response };
        let other = Segment { source: client, destination: client, ..response };
        for (device, segment) in [("a", response), ("a", response), ("b", forwarded), ("a", other)] {
            note(&mut sightings, &[flow()], device, &segment);
        }
        let seen: Vec<_> = sightings
            .iter()
            .map(|seen| (seen.device.as_str(), seen.ttl, seen.count, seen.is_response))
            .collect();
        assert_eq!(seen, [("a", 64, 2, true), ("b", 63, 1, true)]);
    }

    #[test]
    fn the_filter_names_both_ends() {
        let expected = "tcp and ((host 10.30.0.1 and host 10.10.3.2 and port 50000 and port 8080))";
        assert_eq!(filter(&[flow()]), expected);
    }
}
