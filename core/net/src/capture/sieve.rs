//! What a ring lets through: the filter and the direction of a capture, as the kernel and libpcap take them.

use std::os::fd::AsFd;

use tcpcopy_wire::LinkType;

use super::ring::Ring;
use super::{CaptureDirection, CaptureOptions};
use crate::filter::also_inside_vlan_tags;
use crate::sockopt;

/// Filter and direction, ready to be set on the rings of one device.
pub(super) struct Sieve {
    /// What libpcap filters by. Only here can a filter be wrong.
    filter: String,
    /// What the kernel filters by, where it knows directions and libpcap does not.
    kernel_filter: Option<String>,
    inbound_only: bool,
}

impl Sieve {
    pub(super) fn new(options: &CaptureOptions, link: LinkType) -> Self {
        let tagged = |filter: String| match options.match_vlan_tagged {
            true => also_inside_vlan_tags(&filter, link),
            false => filter,
        };
        let filter = options.filter.as_str();
        let CaptureDirection::Apart { outbound } = &options.direction else {
            let inbound_only = options.direction == CaptureDirection::Inbound;
            return Self { filter: tagged(filter.to_owned()), kernel_filter: None, inbound_only };
        };
        let apart = tagged(format!("({}) or ({})", both("inbound", filter), both("outbound", outbound)));
        let is_cooked = matches!(link, LinkType::LinuxSll | LinkType::LinuxSll2);
        if is_cooked {
            // The direction stands in the frame's own header, where libpcap finds it as well.
            return Self { filter: apart, kernel_filter: None, inbound_only: false };
        }
        let either = match filter.is_empty() || outbound.is_empty() {
            true => String::new(),
            false => tagged(format!("({filter}) or ({outbound})")),
        };
        Self { filter: either, kernel_filter: Some(apart), inbound_only: false }
    }

    /// The filter as libpcap is given it.
    pub(super) fn filter(&self) -> &str {
        &self.filter
    }

    /// Whether the kernel may leave out what the device sends.
    pub(super) fn is_inbound_only(&self) -> bool {
        self.inbound_only
    }

    /// Sets the filter on `ring`.
    pub(super) fn set_filter(&self, ring: &mut Ring) -> Result<(), pcap::Error> {
        ring.set_filter(&self.filter)?;
        self.kernel_filter.as_ref().map_or(Ok(()), |filter| ring.set_kernel_filter(filter))
    }

    /// Sets the direction on `ring`.
    pub(super) fn set_direction(&self, ring: &mut Ring, device: &str) -> Result<(), pcap::Error> {
        if self.inbound_only { inbound_only(ring, device) } else { Ok(()) }
    }
}

/// `direction` and, unless it is empty, `filter`.
fn both(direction: &str, filter: &str) -> String {
    if filter.is_empty() { direction.to_owned() } else { format!("{direction} and ({filter})") }
}

/// libpcap drops outgoing frames in user space, after they took room in the ring; the kernel (since 4.20) can leave
/// them out. Older kernels refuse the option, which then only costs that room.
fn inbound_only(ring: &mut Ring, device: &str) -> Result<(), pcap::Error> {
    if let Err(error) = sockopt::set_int(ring.as_fd(), libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1) {
        log::debug!("{device}: the kernel cannot leave out outgoing frames ({error}); libpcap does");
    }
    ring.set_inbound()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sieve(direction: CaptureDirection, link: LinkType) -> Sieve {
        let options = CaptureOptions {
            device: "eth0".to_owned(),
            filter: "dst port 80".to_owned(),
            match_vlan_tagged: false,
            snaplen: 96,
            buffer_bytes: 1 << 20,
            direction,
            promiscuous: false,
        };
        Sieve::new(&options, link)
    }

    #[test]
    fn one_filter_for_all_directions_is_left_to_libpcap() {
        for (direction, inbound_only) in [(CaptureDirection::Inbound, true), (CaptureDirection::Both, false)]
        {
            let sieve = sieve(direction, LinkType::Ethernet);
            assert_eq!((sieve.filter(), sieve.is_inbound_only()), ("dst port 80", inbound_only));
            assert_eq!(sieve.kernel_filter, None);
        }
    }

    #[test]
    fn the_kernel_alone_tells_directions_apart_unless_they_stand_in_the_frame() {
        let apart = CaptureDirection::Apart { outbound: "src port 80".to_owned() };
        let strict = "(inbound and (dst port 80)) or (outbound and (src port 80))";
        let ethernet = sieve(apart.clone(), LinkType::Ethernet);
        assert_eq!(ethernet.filter(), "(dst port 80) or (src port 80)");
        assert_eq!(ethernet.kernel_filter.as_deref(), Some(strict));
        let cooked = sieve(apart, LinkType::LinuxSll);
        assert_eq!((cooked.filter(), cooked.kernel_filter.as_deref()), (strict, None));
    }

    #[test]
    fn an_empty_filter_lets_all_of_its_direction_through() {
        let apart = CaptureDirection::Apart { outbound: String::new() };
        let sieve = sieve(apart, LinkType::Ethernet);
        assert_eq!(sieve.filter(), "");
        assert_eq!(sieve.kernel_filter.as_deref(), Some("(inbound and (dst port 80)) or (outbound)"));
    }
}
