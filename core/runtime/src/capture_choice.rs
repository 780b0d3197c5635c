//! Where and how tcpcopy captures: what users say, and on demand what they are answered.

use tcpcopy_engine::Mappings;
use tcpcopy_net::{
    CaptureDirection, CaptureOptions, answer_filter, capture_filter, datagram_filter, devices, devices_for,
};
use tcpcopy_wire::Endpoint;

use crate::{StartError, Transport};

/// Ring memory of all devices together when they are not named: a host may carry addresses on dozens of them.
pub const UNNAMED_RING_BYTES: usize = 256 << 20;

/// Shows each packet twice, as outbound and as inbound.
const LOOPBACK: &str = "lo";

/// Where and how to capture.
#[derive(Clone, Debug)]
pub struct CaptureChoice {
    /// Devices by name; empty: those that carry the online addresses, and loopback.
    pub devices: Vec<String>,
    /// A filter in pcap's language instead of the one made from the mappings.
    pub filter: Option<String>,
    /// What lets the packets of mirrors through that wrap what they send, in pcap's language; beside the filter made from
    /// the mappings.
    pub tunnels: Vec<String>,
    /// Bytes kept of each frame.
    pub snaplen: u32,
    /// Size of each device's ring in bytes. Devices that were not named share [`UNNAMED_RING_BYTES`] at the most.
    pub buffer_bytes: usize,
}

impl CaptureChoice {
    /// The captures of what users say.
    ///
    /// Without named devices only what those carrying the online addresses receive is wanted. A named device may be
    /// a mirror port, whose packets are for others, or the way out of a client's host: both directions, promiscuous.
    pub(crate) fn options(
        &self,
        transport: Transport,
        mappings: &Mappings,
    ) -> Result<Vec<CaptureOptions>, StartError> {
        let is_named = !self.devices.is_empty();
        let (online, targets) = ends(mappings);
        let names = if is_named {
            self.devices.clone()
        } else {
            let addresses: Vec<_> = online.iter().map(|(addr, _)| *addr).collect();
            devices_for(&devices()?, &addresses)?.into_iter().map(|device| device.name.clone()).collect()
        };
        let filter = self.filter.clone().unwrap_or_else(|| self.made_filter(transport, &online, &targets));
        let share = if is_named { usize::MAX } else { UNNAMED_RING_BYTES / names.len().max(1) };
        let open = |device: String| CaptureOptions {
            direction: if is_named && device != LOOPBACK {
                CaptureDirection::Both
            } else {
                CaptureDirection::Inbound
            },
            promiscuous: is_named,
            device,
            filter: filter.clone(),
            match_vlan_tagged: self.filter.is_none(),
            snaplen: self.snaplen,
            buffer_bytes: self.buffer_bytes.min(share),
        };
        Ok(names.into_iter().map(open).collect())
    }

    fn made_filter(
        &self,
        transport: Transport,
        online: &[(Option<std::net::IpAddr>, u16)],
        targets: &[Endpoint],
    ) -> String {
        let mut filter = match transport {
            Transport::Tcp => capture_filter(online, targets),
            Transport::Udp => datagram_filter(online, targets),
        };
        for tunnel in &self.tunnels {
            filter = format!("({filter}) or ({tunnel})");
        }
        filter
    }

    /// Tells the log what is captured from now on.
    pub(crate) fn tell_of_answers(&self) {
        log::info!("a module compares answers: what the online servers say is captured as well");
        if self.filter.is_some() {
            log::warn!("online answers are seen only if the filter of -F lets them through");
        }
    }

    /// The options with which the capture with `options` also shows what the online servers answer; `None` when it does
    /// so already, as far as a filter of the user's own (`-F`) lets it.
    ///
    /// What is outbound is wanted only where it is an answer: this machine may speak to other servers' ports, too.
    pub(crate) fn widened(&self, options: &CaptureOptions, mappings: &Mappings) -> Option<CaptureOptions> {
        let (online, targets) = ends(mappings);
        let answers = answer_filter(&online, &targets);
        let users = &options.filter;
        let is_apart = options.direction == CaptureDirection::Inbound && options.device != LOOPBACK;
        let apart =
            |outbound| CaptureOptions { direction: CaptureDirection::Apart { outbound }, ..options.clone() };
        match (is_apart, self.filter.is_some()) {
            (true, true) => Some(apart(format!("({users}) and ({answers})"))),
            (true, false) => Some(apart(answers)),
            (false, true) => None,
            (false, false) => {
                Some(CaptureOptions { filter: format!("({users}) or ({answers})"), ..options.clone() })
            }
        }
    }
}

type Ends = (Vec<(Option<std::net::IpAddr>, u16)>, Vec<Endpoint>);

/// The online ends and the targets of `mappings`.
fn ends(mappings: &Mappings) -> Ends {
    let mappings = mappings.as_slice();
    let online = mappings.iter().map(|mapping| (mapping.online.addr, mapping.online.port)).collect();
    (online, mappings.iter().map(|mapping| mapping.target).collect())
}

#[cfg(test)]
mod tests {
    use tcpcopy_engine::{Mapping, OnlineAddress};

    use super::*;

    fn mappings() -> Mappings {
        let online = OnlineAddress { addr: Some("10.0.0.1".parse().unwrap()), port: 80 };
        Mappings::new(vec![Mapping { online, target: Endpoint::new("10.10.3.2".parse().unwrap(), 8080) }])
    }

    fn widened(device: &str, named: bool, filter: Option<&str>) -> Option<(String, CaptureDirection)> {
        let choice = CaptureChoice {
            devices: if named { vec![device.to_owned()] } else { Vec::new() },
            filter: filter.map(str::to_owned),
            tunnels: Vec::new(),
            snaplen: 96,
            buffer_bytes: 1 << 20,
        };
        let direction =
            if named && device != "lo" { CaptureDirection::Both } else { CaptureDirection::Inbound };
        let options = CaptureOptions {
            device: device.to_owned(),
            filter: filter.unwrap_or("USERS").to_owned(),
            match_vlan_tagged: filter.is_none(),
            snaplen: 96,
            buffer_bytes: 1 << 20,
            direction,
            promiscuous: named,
        };
        choice.widened(&options, &mappings()).map(|wide| (wide.filter, wide.direction))
    }

    #[test]
    fn what_mirrors_wrap_is_let_through_beside_what_users_say() {
        let choice = CaptureChoice {
            devices: vec!["eth0".to_owned()],
            filter: None,
            tunnels: vec!["udp dst port 4789".to_owned(), "ip proto 47".to_owned()],
            snaplen: 96,
            buffer_bytes: 1 << 20,
        };
        let options = choice.options(Transport::Tcp, &mappings()).unwrap();
        let users = "(tcp and ((dst port 80 and dst host 10.0.0.1)))";
        assert_eq!(options[0].filter, format!("(({users}) or (udp dst port 4789)) or (ip proto 47)"));
    }

    const ANSWERS: &str = "(tcp and ((src port 80 and src host 10.0.0.1)))";

    #[test]
    fn a_device_that_was_only_listened_to_shows_its_answers_and_nothing_else_it_sends() {
        let outbound = ANSWERS.to_owned();
        let expected = ("USERS".to_owned(), CaptureDirection::Apart { outbound });
        assert_eq!(widened("eth0", false, None), Some(expected));
    }

    #[test]
    fn loopback_and_named_devices_keep_their_direction() {
        let filter = format!("(USERS) or ({ANSWERS})");
        assert_eq!(widened("lo", false, None), Some((filter.clone(), CaptureDirection::Inbound)));
        assert_eq!(widened("lo", true, None), Some((filter.clone(), CaptureDirection::Inbound)));
        assert_eq!(widened("mirror", true, None), Some((filter, CaptureDirection::Both)));
    }

    #[test]
    fn a_filter_of_the_users_own_is_respected() {
        assert_eq!(widened("mirror", true, Some("tcp")), None);
        assert_eq!(widened("lo", false, Some("tcp")), None);
        let outbound = format!("(tcp) and ({ANSWERS})");
        let expected = ("tcp".to_owned(), CaptureDirection::Apart { outbound });
        assert_eq!(widened("eth0", false, Some("tcp")), Some(expected));
    }
}
