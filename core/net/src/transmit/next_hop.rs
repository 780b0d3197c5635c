//! Who is next on the way to a target over one device, and what its link-layer address is: the kernel's routes and
//! neighbours (rtnetlink(7); RFC 826, RFC 4861).
//!
//! Nothing is sent from here. An address that the kernel does not know, or has not heard of for long, it finds out by
//! itself when it is told that somebody wants to use it (`ip neigh … use`).

use std::io;
use std::net::IpAddr;

use crate::mac_address::MacAddress;
use crate::netlink::{Netlink, attribute, attributes, ip, ip_bytes, u16_at, u32_at};

const RTMSG_LEN: usize = 12;
const NDMSG_LEN: usize = 12;
/// Attribute in `RTA_METRICS` (linux/rtnetlink.h).
const RTAX_MTU: u16 = 2;
/// Answer with the entry of the table, not with what follows from it (linux/rtnetlink.h, since Linux 4.13).
const RTM_F_FIB_MATCH: u32 = 0x2000;
/// More flags of a neighbour, and of these: the kernel keeps the entry fresh by itself (linux/neighbour.h).
const NDA_FLAGS_EXT: u16 = 15;
const NTF_EXT_MANAGED: u32 = 1;

/// What the kernel would do with packets to a target on one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Who they go to on the link: a gateway, or the target itself.
    pub(super) next_hop: IpAddr,
    /// The longest packet that the way takes, where it is less than the device's.
    pub(super) mtu: Option<u32>,
}

/// The route to `target` over the device of that number.
///
/// # Errors
/// There is none, or it leads to this machine itself, or to nowhere.
pub(super) fn route(netlink: &mut Netlink, device: u32, target: IpAddr) -> io::Result<Route> {
    if target.is_ipv4() {
        // Where no route leads over the device, IPv4 takes everybody for a neighbour on it; the table itself does not.
        netlink.ask(libc::RTM_GETROUTE, 0, &route_body(device, target, RTM_F_FIB_MATCH), &mut |_, _| {})?;
    }
    let mut found = Err(io::ErrorKind::HostUnreachable.into());
    netlink.ask(libc::RTM_GETROUTE, 0, &route_body(device, target, 0), &mut |kind, body| {
        if kind == libc::RTM_NEWROUTE {
            found = read_route(body, device, target);
        }
    })?;
    found
}

/// `struct rtmsg`, the target and the device.
fn route_body(device: u32, target: IpAddr, flags: u32) -> Vec<u8> {
    let prefix_len = if target.is_ipv4() { 32 } else { 128 };
    let head = [&[family(target), prefix_len, 0, 0, 0, 0, 0, 0][..], &flags.to_ne_bytes()].concat();
    let (to, over) =
        (attribute(libc::RTA_DST, &ip_bytes(target)), attribute(libc::RTA_OIF, &device.to_ne_bytes()));
    [head, to, over].concat()
}

/// A route from an RTM_NEWROUTE body: `struct rtmsg` and attributes.
fn read_route(body: &[u8], device: u32, target: IpAddr) -> io::Result<Route> {
    let kind = *body.get(7).ok_or(io::ErrorKind::InvalidData)?;
    let mut route = Route { next_hop: target, mtu: None };
    let mut over = None;
    for (attribute, value) in attributes(body.get(RTMSG_LEN..).unwrap_or_default()) {
        match attribute {
            libc::RTA_GATEWAY => route.next_hop = ip(value).unwrap_or(target),
            // An IPv4 target behind an IPv6 gateway: its family, then its address (RFC 8950).
            libc::RTA_VIA => route.next_hop = value.get(2..).and_then(ip).unwrap_or(target),
            libc::RTA_OIF => over = u32_at(value, 0),
            libc::RTA_METRICS => {
                let mut metrics = attributes(value);
                route.mtu = metrics.find(|(kind, _)| *kind == RTAX_MTU).and_then(|(_, mtu)| u32_at(mtu, 0));
            }
            _ => {}
        }
    }
    match kind {
        libc::RTN_UNICAST if over == Some(device) => Ok(route),
        libc::RTN_LOCAL => Err(io::Error::other("it is an address of this machine")),
        _ => Err(io::ErrorKind::HostUnreachable.into()),
    }
}

/// What the kernel knows of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// Its address; `None` while it is asked for, or if it does not answer.
    pub(super) mac: Option<MacAddress>,
    /// It was asked, and does not answer.
    pub(super) has_failed: bool,
    /// The kernel finds out more about it only if it is told to: see [`provoke`].
    pub(super) is_idle: bool,
}

impl Neighbour {
    /// One that the kernel has never heard of.
    const UNHEARD: Self = Self { mac: None, has_failed: false, is_idle: true };
}

/// What the kernel knows of the neighbour with that address on the device of that number.
pub(super) fn neighbour(netlink: &mut Netlink, device: u32, addr: IpAddr) -> io::Result<Neighbour> {
    let body = neighbour_body(device, addr, 0);
    let mut found = Neighbour::UNHEARD;
    let asked = netlink.ask(libc::RTM_GETNEIGH, 0, &body, &mut |kind, body| {
        if kind == libc::RTM_NEWNEIGH
            && let Some(neighbour) = read_neighbour(body)
        {
            found = neighbour;
        }
    });
    match asked {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
        _ => Ok(found),
    }
}

/// A neighbour from an RTM_NEWNEIGH body: `struct ndmsg` and attributes.
fn read_neighbour(body: &[u8]) -> Option<Neighbour> {
    let state = u16_at(body, 8)?;
    let flags = *body.get(10)?;
    let (mut mac, mut more_flags) = (None, 0);
    for (attribute, value) in attributes(body.get(NDMSG_LEN..)?) {
        match attribute {
            libc::NDA_LLADDR => mac = value.try_into().ok().and_then(MacAddress::new),
            NDA_FLAGS_EXT => more_flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    // To tell the kernel of a use would take these marks away from an entry.
    let is_kept_by_others = state & (libc::NUD_PERMANENT | libc::NUD_NOARP) != 0
        || flags & libc::NTF_EXT_LEARNED != 0
        || more_flags & NTF_EXT_MANAGED != 0;
    let is_looked_for =
        state & (libc::NUD_INCOMPLETE | libc::NUD_REACHABLE | libc::NUD_DELAY | libc::NUD_PROBE) != 0;
    let has_failed = state & libc::NUD_FAILED != 0;
    let is_known = !has_failed && state & !(libc::NUD_INCOMPLETE | libc::NUD_FAILED) != 0;
    Some(Neighbour {
        mac: mac.filter(|_| is_known),
        has_failed,
        is_idle: !is_kept_by_others && !is_looked_for,
    })
}

/// Has the kernel find out, or confirm, the link-layer address of that neighbour; what comes of it is seen later.
///
/// # Errors
/// The kernel refuses: it takes `CAP_NET_ADMIN`.
pub(super) fn provoke(netlink: &mut Netlink, device: u32, addr: IpAddr) -> io::Result<()> {
    let body = neighbour_body(device, addr, libc::NTF_USE);
    netlink.ask(libc::RTM_NEWNEIGH, libc::NLM_F_CREATE, &body, &mut |_, _| {})
}

/// `struct ndmsg` and the neighbour's address.
fn neighbour_body(device: u32, addr: IpAddr, flags: u8) -> Vec<u8> {
    let head = [&[family(addr), 0, 0, 0][..], &device.to_ne_bytes(), &[0, 0, flags, 0]].concat();
    [head, attribute(libc::NDA_DST, &ip_bytes(addr))].concat()
}

const fn family(addr: IpAddr) -> u8 {
    (if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> IpAddr {
        IpAddr::from([10, 0, 0, 9])
    }

    fn answer(kind: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
        [&[2, 32, 0, 0, 0, 0, 0, kind, 0, 0, 0, 0][..], &attributes.concat()].concat()
    }

    fn over(device: u32) -> Vec<u8> {
        attribute(libc::RTA_OIF, &device.to_ne_bytes())
    }

    #[test]
    fn the_next_hop_is_the_gateway_or_else_the_target() {
        let of = |attributes: &[Vec<u8>]| {
            read_route(&answer(libc::RTN_UNICAST, attributes), 3, target()).unwrap().next_hop
        };
        assert_eq!(of(&[over(3)]), target());
        let gateway = attribute(libc::RTA_GATEWAY, &[10, 1, 0, 1]);
        assert_eq!(of(&[over(3), gateway]), IpAddr::from([10, 1, 0, 1]));
        let address: IpAddr = "fe80::1".parse().unwrap();
        let via = [&(libc::AF_INET6 as u16).to_ne_bytes()[..], &ip_bytes(address)].concat();
        assert_eq!(of(&[over(3), attribute(libc::RTA_VIA, &via)]), address);
    }

    #[test]
    fn a_way_may_take_less_than_the_device() {
        let metrics = attribute(libc::RTA_METRICS, &attribute(RTAX_MTU, &1400_u32.to_ne_bytes()));
        let route = read_route(&answer(libc::RTN_UNICAST, &[over(3), metrics]), 3, target()).unwrap();
        assert_eq!(route.mtu, Some(1400));
    }

    #[test]
    fn what_leads_elsewhere_is_no_way() {
        for (kind, device) in [(libc::RTN_LOCAL, 3), (libc::RTN_UNREACHABLE, 3), (libc::RTN_UNICAST, 4)] {
            assert!(read_route(&answer(kind, &[over(device)]), 3, target()).is_err(), "{kind}");
        }
    }

    fn neighbour_of(state: u16, flags: u8, mac: [u8; 6]) -> Neighbour {
        let head = [&[2, 0, 0, 0, 3, 0, 0, 0][..], &state.to_ne_bytes(), &[flags, 0]].concat();
        read_neighbour(&[head, attribute(libc::NDA_LLADDR, &mac)].concat()).unwrap()
    }

    #[test]
    fn an_address_counts_until_it_is_known_to_be_wrong() {
        let mac = [2, 0, 0, 0, 0, 1];
        for (state, is_known, has_failed, is_idle) in [
            (libc::NUD_PERMANENT, true, false, false),
            (libc::NUD_NOARP, true, false, false),
            (libc::NUD_REACHABLE, true, false, false),
            (libc::NUD_STALE, true, false, true),
            (libc::NUD_DELAY, true, false, false),
            (libc::NUD_PROBE, true, false, false),
            (libc::NUD_INCOMPLETE, false, false, false),
            (libc::NUD_FAILED, false, true, true),
            (libc::NUD_NONE, false, false, true),
        ] {
            let mac = MacAddress::new(mac).filter(|_| is_known);
            assert_eq!(
                neighbour_of(state, 0, [2, 0, 0, 0, 0, 1]),
                Neighbour { mac, has_failed, is_idle },
                "{state}"
            );
        }
    }

    #[test]
    fn a_group_is_nobodys_address() {
        assert_eq!(neighbour_of(libc::NUD_PERMANENT, 0, [0xff; 6]).mac, None);
    }

    #[test]
    fn entries_that_others_keep_are_left_alone() {
        let mac = [2, 0, 0, 0, 0, 1];
        assert!(!neighbour_of(libc::NUD_STALE, libc::NTF_EXT_LEARNED, mac).is_idle);
        assert!(neighbour_of(libc::NUD_STALE, 0, mac).is_idle);
    }

    #[test]
    fn cut_bodies_do_no_harm() {
        let body = answer(libc::RTN_UNICAST, &[over(3), attribute(libc::RTA_VIA, &[10, 0])]);
        for len in 0..body.len() {
            let _ = (read_route(&body[..len], 3, target()), read_neighbour(&body[..len]));
        }
    }
}
