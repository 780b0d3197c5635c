//! Which way the kernel sends a packet, and whether it knows who takes it there (rtnetlink(7): RTM_GETROUTE, RTM_GETNEIGH).

use std::io;
use std::net::IpAddr;

use crate::netlink::{Netlink, attribute, attributes, ip, ip_bytes, u16_at, u32_at};

const RTMSG_LEN: usize = 12;
const NDMSG_LEN: usize = 12;

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
}

/// What the kernel knows of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbour {
    /// Its link-layer address is known.
    Known,
    /// It was asked for it and does not answer.
    Silent,
    /// Nobody has asked yet.
    Unknown,
}

/// The way to `addr`; `None` when there is none.
///
/// # Errors
/// What the kernel answered when it could not be asked.
pub fn route_to(addr: IpAddr) -> io::Result<Option<Route>> {
    let (family, length) = if addr.is_ipv4() { (libc::AF_INET, 32) } else { (libc::AF_INET6, 128) };
    let mut request = vec![0; RTMSG_LEN];
    request[0] = family as u8;
    request[1] = length;
    request.extend(attribute(libc::RTA_DST, &ip_bytes(addr)));
    let mut found = None;
    let asked = Netlink::open()?.ask(libc::RTM_GETROUTE, 0, &request, &mut |kind, body| {
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

/// What is known of the host with `addr` on the segment of the device with that number.
///
/// # Errors
/// What the kernel answered when it could not be asked.
pub fn neighbour(device: u32, addr: IpAddr) -> io::Result<Neighbour> {
    let mut known = Neighbour::Unknown;
    Netlink::open()?.dump(libc::RTM_GETNEIGH, &mut |kind, body| {
        if kind == libc::RTM_NEWNEIGH
            && let Some((index, found, state)) = neighbour_entry(body)
            && (index, found) == (device, addr)
        {
            known = state;
        }
    })?;
    Ok(known)
}

/// A route from an RTM_NEWROUTE body: `struct rtmsg` and attributes.
fn route(body: &[u8]) -> Option<Route> {
    let mut route = Route { is_local: *body.get(7)? == libc::RTN_LOCAL, ..Route::default() };
    for (attribute, value) in attributes(body.get(RTMSG_LEN..)?) {
        match attribute {
            libc::RTA_OIF => route.device = u32_at(value, 0)?,
            libc::RTA_GATEWAY => route.gateway = ip(value),
            // `struct rtvia`: a router of the other family.
            libc::RTA_VIA => route.gateway = ip(value.get(2..)?),
            libc::RTA_PREFSRC => route.source = ip(value),
            _ => {}
        }
    }
    Some(route)
}

/// Device, address and state from an RTM_NEWNEIGH body: `struct ndmsg` and attributes.
fn neighbour_entry(body: &[u8]) -> Option<(u32, IpAddr, Neighbour)> {
    let (index, state) = (u32_at(body, 4)?, u16_at(body, 8)?);
    let addr = attributes(body.get(NDMSG_LEN..)?).find(|(kind, _)| *kind == libc::NDA_DST)?;
    let neighbour = match state {
        libc::NUD_FAILED | libc::NUD_INCOMPLETE => Neighbour::Silent,
        libc::NUD_NONE => Neighbour::Unknown,
        _ => Neighbour::Known,
    };
    Some((index, ip(addr.1)?, neighbour))
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
        };
        assert_eq!(route(&body), Some(expected));
        body.extend(attribute(libc::RTA_VIA, &[&[10, 0][..], &[0xfe; 16]].concat()));
        assert!(route(&body).unwrap().gateway.unwrap().is_ipv6());
    }

    #[test]
    fn a_neighbour_that_does_not_answer_is_told_from_one_that_is_known() {
        let entry = |state: u16| {
            let mut body = vec![0; NDMSG_LEN];
            body[4..8].copy_from_slice(&2_u32.to_ne_bytes());
            body[8..10].copy_from_slice(&state.to_ne_bytes());
            body.extend(attribute(libc::NDA_DST, &[10, 0, 0, 2]));
            neighbour_entry(&body).unwrap().2
        };
        assert_eq!(entry(libc::NUD_FAILED), Neighbour::Silent);
        assert_eq!(entry(libc::NUD_INCOMPLETE), Neighbour::Silent);
        assert_eq!(entry(libc::NUD_PERMANENT), Neighbour::Known);
        assert_eq!(entry(libc::NUD_STALE), Neighbour::Known);
    }

    #[test]
    fn cut_bodies_do_no_harm() {
        let whole = [vec![0; RTMSG_LEN], attribute(libc::RTA_VIA, &[10, 0, 1])].concat();
        for len in 0..whole.len() {
            let _ = (route(&whole[..len]), neighbour_entry(&whole[..len]));
        }
    }
}
