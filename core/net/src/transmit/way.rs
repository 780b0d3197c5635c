//! The way to one target over a device: the header of its frames, and why there is none.

use std::io;
use std::net::IpAddr;

use thiserror::Error;

use super::ethernet::{ETHERNET_HEADER_LEN, EthernetHeader, EthernetTarget};
use super::{TransmitError, TransmitOpenError};
use crate::devices::Device;
use crate::mac_address::{MAC_LEN, MacAddress};
use crate::neighbours::{entry, provoke};
use crate::netlink::Netlink;
use crate::routes::route_over;

/// Why packets to a target have no way at the moment.
#[derive(Debug, Error)]
pub(super) enum NoWay {
    #[error("the device is gone")]
    NoDevice,
    #[error("there is no route to it over this device")]
    NoRoute,
    #[error("the kernel does not tell the way: {0}")]
    NotTold(io::Error),
    #[error("{0} is being asked for its link-layer address")]
    Asking(IpAddr),
    #[error("{0} does not tell its link-layer address")]
    NoAnswer(IpAddr),
    #[error("the link-layer address of {0} is not known, and it may not be asked for ({1})")]
    MayNotAsk(IpAddr, io::Error),
}

/// What frames with packets to a target look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    header: EthernetHeader,
    /// The longest packet it takes, in bytes.
    mtu: u32,
    /// Who is next, where the kernel was asked.
    next_hop: Option<IpAddr>,
}

impl Open {
    fn next_mac(&self) -> Option<MacAddress> {
        self.header.first_chunk().copied().and_then(MacAddress::new)
    }
}

/// The way to one target.
#[derive(Debug)]
pub(super) struct Way {
    given: EthernetTarget,
    state: Result<Open, NoWay>,
    /// What the log was told of it.
    told: Option<String>,
}

impl Way {
    pub(super) fn new(given: EthernetTarget) -> Self {
        Self { given, state: Err(NoWay::NoDevice), told: None }
    }

    pub(super) fn target(&self) -> IpAddr {
        self.given.addr
    }

    /// The header for the frame with `packet` in it.
    pub(super) fn header_for(&self, packet: &[u8]) -> Result<&EthernetHeader, TransmitError> {
        match &self.state {
            Ok(open) if packet.len() > open.mtu as usize => Err(TransmitError::MessageTooLong),
            Ok(open) => Ok(&open.header),
            Err(_) => Err(TransmitError::Unreachable),
        }
    }

    /// Finds out where packets to the target go on `device` now, and has the kernel find out what it does not know.
    pub(super) fn look(&mut self, netlink: &mut Netlink, device: &Device) {
        self.state = self.found(netlink, device);
    }

    /// There is no way until the next look.
    pub(super) fn close(&mut self, reason: NoWay) {
        self.state = Err(reason);
    }

    fn found(&self, netlink: &mut Netlink, device: &Device) -> Result<Open, NoWay> {
        let target = self.given.addr;
        let source = self.given.source.or(device.mac).ok_or(NoWay::NoDevice)?;
        let open = |mac, mtu, next_hop| Open { header: header(mac, source, target), mtu, next_hop };
        if let Some(mac) = self.given.next_hop {
            return Ok(open(mac, device.mtu, None));
        }
        let route =
            route_over(netlink, device.index, target).map_err(NoWay::NotTold)?.ok_or(NoWay::NoRoute)?;
        let next_hop = route.gateway.unwrap_or(target);
        let neighbour = entry(netlink, device.index, next_hop).map_err(NoWay::NotTold)?;
        let provoked = if neighbour.is_idle { provoke(netlink, device.index, next_hop) } else { Ok(()) };
        // An entry that the kernel makes anew says nothing against the address that was right before.
        let before = self.state.as_ref().ok().filter(|open| open.next_hop == Some(next_hop));
        let before = before.filter(|_| !neighbour.has_failed).and_then(Open::next_mac);
        match (neighbour.mac.or(before), provoked) {
            (Some(mac), _) => Ok(open(mac, route.mtu.unwrap_or(u32::MAX).min(device.mtu), Some(next_hop))),
            (None, Err(error)) => Err(NoWay::MayNotAsk(next_hop, error)),
            (None, Ok(())) if neighbour.has_failed => Err(NoWay::NoAnswer(next_hop)),
            (None, Ok(())) => Err(NoWay::Asking(next_hop)),
        }
    }

    /// Whether waiting may bring an answer: who has not answered before is asked once more.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(self.state, Err(NoWay::Asking(_) | NoWay::NoAnswer(_)))
    }

    /// The sentence about why there is no way over `device`, if somebody has to change something first.
    pub(super) fn take_error(&mut self, device: &str) -> Option<TransmitOpenError> {
        let (target, device) = (self.given.addr, device.to_owned());
        match std::mem::replace(&mut self.state, Err(NoWay::NoDevice)) {
            Err(NoWay::NoRoute) => Some(TransmitOpenError::NoRoute { target, device }),
            Err(NoWay::NotTold(reason)) => Some(TransmitOpenError::NotTold { target, device, reason }),
            Err(NoWay::MayNotAsk(next_hop, reason)) => {
                Some(TransmitOpenError::MayNotAsk { target, device, next_hop, reason })
            }
            state => {
                self.state = state;
                None
            }
        }
    }

    /// Tells the log where packets go, when that has changed.
    pub(super) fn tell(&mut self, device: &str) {
        let target = self.given.addr;
        let (level, now) = match &self.state {
            Ok(open) => {
                let mac = open.next_mac().map(|mac| mac.to_string()).unwrap_or_default();
                let hop = open.next_hop.map(|hop| format!("{hop} at ")).unwrap_or_default();
                (log::Level::Info, format!("packets to {target} go to {hop}{mac} on {device}"))
            }
            Err(reason) => (
                log::Level::Warn,
                format!(
                    "packets to {target} have no way on {device}: {reason}; they are counted, and sent again later"
                ),
            ),
        };
        if self.told.as_ref() != Some(&now) {
            log::log!(level, "{now}");
            self.told = Some(now);
        }
    }
}

/// The header of a frame with an IP packet of the family of `target`.
fn header(to: MacAddress, from: MacAddress, target: IpAddr) -> EthernetHeader {
    let mut header = [0; ETHERNET_HEADER_LEN];
    let protocol = if target.is_ipv4() { libc::ETH_P_IP } else { libc::ETH_P_IPV6 };
    header[..MAC_LEN].copy_from_slice(&to.octets());
    header[MAC_LEN..2 * MAC_LEN].copy_from_slice(&from.octets());
    header[2 * MAC_LEN..].copy_from_slice(&(protocol as u16).to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(text: &str) -> MacAddress {
        text.parse().unwrap()
    }

    #[test]
    fn a_frame_says_whom_it_is_for_and_what_is_inside() {
        let (to, from) = (mac("02:00:00:00:00:02"), mac("02:00:00:00:00:01"));
        let v4 = header(to, from, "10.0.0.1".parse().unwrap());
        assert_eq!(v4, [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00]);
        let v6 = header(to, from, "fd00::1".parse().unwrap());
        assert_eq!(v6[12..], [0x86, 0xdd]);
    }
}
