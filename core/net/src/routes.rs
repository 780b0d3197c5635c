//! Which way the kernel sends a packet (rtnetlink(7): RTM_GETROUTE).

use std::io;
use std::net::IpAddr;

use crate::netlink::{Netlink, attribute, attributes, family, ip, ip_bytes, u32_at};

const RTMSG_LEN: usize = 12;
/// Attribute in `RTA_METRICS` (linux/rtnetlink.h).
const RTAX_MTU: u16 = 2;
/// Answer with the entry of the table, not with what follows from it (linux/rtnetlink.h, since Linux 4.13).
const RTM_F_FIB_MATCH: u32 = 0x2000;

/// The way to an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The number of the device it leads out on.
    pub device: u32,
    /// The router it goes to; `None` where the address is on the device's own segment.
    pub gateway: Option<IpAddr>,
    /// The address that our own packets come from on that way.
    pub source: Option<IpAddr>,
    /// The address is this machine's own.
    pub is_local: bool,
    /// The longest packet the way takes, in bytes, where that is known to be less than the device's.
    pub mtu: Option<u32>,
}

/// The way to `addr`; `None` when there is none.
///
/// # Errors
/// What the kernel answered when it could not be asked.
pub fn route_to(addr: IpAddr) -> io::Result<Option<Route>> {
    ask(&mut Netlink::open()?, &request(addr, None, 0))
}

/// The way to `addr` over the device of that number; `None` when there is none over this device, or to another machine.
///
/// # Errors
/// What the kernel answered when it could not be asked.
pub(crate) fn route_over(netlink: &mut Netlink, device: u32, addr: IpAddr) -> io::Result<Option<Route>> {
    // Where no route leads over the device, IPv4 takes everybody for a neighbour on it; the table itself does not.
    if addr.is_ipv4() && ask(netlink, &request(addr, Some(device), RTM_F_FIB_MATCH))?.is_none() {
        return Ok(None);
    }
    let route = ask(netlink, &request(addr, Some(device), 0))?;
    Ok(route.filter(|route| route.device == device && !route.is_local))
}

fn ask(netlink: &mut Netlink, request: &[u8]) -> io::Result<Option<Route>> {
    let mut found = None;
    let asked = netlink.ask(libc::RTM_GETROUTE, 0, request, &mut |kind, body| {
        if kind == libc::RTM_NEWROUTE {
            found = route(body);
        }
    });
    match asked {
        Ok(()) => Ok(found),
        Err(error) => match error.raw_os_error() {
            // The kinds of routes that lead nowhere, and none at all.
            Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EINVAL | libc::EACCES) => Ok(None),
            _ => Err(error),
        },
    }
}

/// `struct rtmsg`, the address and the device.
fn request(addr: IpAddr, device: Option<u32>, flags: u32) -> Vec<u8> {
    let prefix_len = if addr.is_ipv4() { 32 } else { 128 };
    let head = [&[family(addr), prefix_len, 0, 0, 0, 0, 0, 0][..], &flags.to_ne_bytes()].concat();
    let over = device.map(|device| attribute(libc::RTA_OIF, &device.to_ne_bytes()));
    [head, attribute(libc::RTA_DST, &ip_bytes(addr)), over.unwrap_or_default()].concat()
}

/// A route from an RTM_NEWROUTE body: `struct rtmsg` and attributes; `None` for one that leads nowhere.
fn route(body: &[u8]) -> Option<Route> {
    let is_local = match *body.get(7)? {
        libc::RTN_LOCAL => true,
        libc::RTN_UNICAST => false,
        _ => return None,
    };
    let mut route = Route { is_local, ..Route::default() };
    for (attribute, value) in attributes(body.get(RTMSG_LEN..)?) {
        match attribute {
            libc::RTA_OIF => route.device = u32_at(value, 0)?,
            libc::RTA_GATEWAY => route.gateway = ip(value),
            // `struct rtvia`: a router of the other family.
            libc::RTA_VIA => route.gateway = ip(value.get(2..)?),
            libc::RTA_PREFSRC => route.source = ip(value),
            libc::RTA_METRICS => {
                let mut metrics = attributes(value);
                route.mtu = metrics.find(|(kind, _)| *kind == RTAX_MTU).and_then(|(_, mtu)| u32_at(mtu, 0));
            }
            _ => {}
        }
    }
    Some(route)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_read_with_its_router_and_source() {
        let mut body = vec![0; RTMSG_LEN];
        body[7] = libc::RTN_UNICAST;
        body.extend(attribute(libc::RTA_OIF, &3_u32.to_ne_bytes()));
        body.extend(attribute(libc::RTA_GATEWAY, &[10, 0, 0, 254]));
        body.extend(attribute(libc::RTA_PREFSRC, &[10, 0, 0, 1]));
        let expected = Route {
            device: 3,
            gateway: Some("10.0.0.254".parse().unwrap()),
            source: Some("10.0.0.1".parse().unwrap()),
            is_local: false,
            mtu: None,
        };
        assert_eq!(route(&body), Some(expected));
        body.extend(attribute(libc::RTA_VIA, &[&[10, 0][..], &[0xfe; 16]].concat()));
        assert!(route(&body).unwrap().gateway.unwrap().is_ipv6());
    }

    #[test]
    fn a_way_may_take_less_than_the_device() {
        let mut body = vec![0; RTMSG_LEN];
        body[7] = libc::RTN_UNICAST;
        body.extend(attribute(libc::RTA_METRICS, &attribute(RTAX_MTU, &1400_u32.to_ne_bytes())));
        assert_eq!(route(&body).unwrap().mtu, Some(1400));
    }

    #[test]
    fn what_leads_nowhere_is_no_route() {
        for kind in [libc::RTN_UNREACHABLE, libc::RTN_PROHIBIT, libc::RTN_BLACKHOLE] {
            let mut body = vec![0; RTMSG_LEN];
            body[7] = kind;
            assert_eq!(route(&body), None);
        }
    }

    #[test]
    fn cut_bodies_do_no_harm() {
        let mut whole = vec![0; RTMSG_LEN];
        whole[7] = libc::RTN_UNICAST;
        whole.extend(attribute(libc::RTA_VIA, &attribute(libc::RTA_METRICS, &[10, 0, 1])));
        for len in 0..whole.len() {
            let _ = route(&whole[..len]);
        }
    }
}
