//! Asks the kernel for devices and addresses over rtnetlink (RFC 3549; rtnetlink(7)).
//!
//! Not `/sys/class/net`, which shows the namespace it was mounted in, and not `getifaddrs`, which knows nothing
//! of bridges and VLANs.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use socket2::{Domain, Protocol, Socket, Type};

use super::Device;

const HEADER_LEN: usize = 16;
const IFINFOMSG_LEN: usize = 16;
const IFADDRMSG_LEN: usize = 8;
/// Attribute types carry flags in their two upper bits.
const ATTRIBUTE_TYPE: u16 = 0x3fff;
/// The kernel's messages of a dump are at most this long (`NLMSG_GOODSIZE` allows less).
const REPLY_LEN: usize = 64 << 10;

/// The devices of this network namespace with their addresses.
pub(super) fn devices() -> io::Result<Vec<Device>> {
    let socket =
        Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(Protocol::from(libc::NETLINK_ROUTE)))?;
    let mut devices = Vec::new();
    dump(&socket, libc::RTM_GETLINK, &mut |kind, body| {
        if kind == libc::RTM_NEWLINK {
            devices.extend(link(body));
        }
    })?;
    dump(&socket, libc::RTM_GETADDR, &mut |kind, body| {
        if kind == libc::RTM_NEWADDR
            && let Some((index, address)) = address(body)
            && let Some(device) = devices.iter_mut().find(|device| device.index == index)
        {
            device.addresses.push(address);
        }
    })?;
    Ok(devices)
}

/// Requests a dump and calls `on_message` with the type and body of each message of the answer.
fn dump(socket: &Socket, request: u16, on_message: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
    const LEN: usize = HEADER_LEN + IFINFOMSG_LEN;
    let mut message = [0_u8; LEN];
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    message[0..4].copy_from_slice(&(LEN as u32).to_ne_bytes());
    message[4..6].copy_from_slice(&request.to_ne_bytes());
    message[6..8].copy_from_slice(&flags.to_ne_bytes());
    socket.send(&message)?;
    let mut reply = vec![0_u8; REPLY_LEN];
    loop {
        let len = io::Read::read(&mut &*socket, &mut reply)?;
        if messages(&reply[..len], on_message)? {
            return Ok(());
        }
    }
}

/// Walks the messages of one datagram; true when the dump is complete.
fn messages(mut rest: &[u8], on_message: &mut dyn FnMut(u16, &[u8])) -> io::Result<bool> {
    while let Some(len) = u32_at(rest, 0) {
        let kind = u16_at(rest, 4).unwrap_or_default();
        let body = rest.get(HEADER_LEN..len as usize).ok_or(io::ErrorKind::InvalidData)?;
        match i32::from(kind) {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => {
                let errno = u32_at(body, 0).unwrap_or_default().cast_signed();
                return Err(io::Error::from_raw_os_error(errno.saturating_neg()));
            }
            _ => on_message(kind, body),
        }
        rest = rest.get(aligned(len as usize)..).unwrap_or_default();
    }
    Ok(false)
}

/// A device from an RTM_NEWLINK body: `struct ifinfomsg` and attributes.
fn link(body: &[u8]) -> Option<Device> {
    let index = u32_at(body, 4)?;
    let flags = u32_at(body, 8)?.cast_signed();
    let mut device = Device {
        index,
        is_up: flags & libc::IFF_UP != 0,
        is_loopback: flags & libc::IFF_LOOPBACK != 0,
        ..Device::default()
    };
    let (mut below, mut below_is_elsewhere, mut has_master) = (None, false, false);
    let (mut kind, mut port_kind) = (None, None);
    for (attribute, value) in attributes(body.get(IFINFOMSG_LEN..)?) {
        match attribute {
            libc::IFLA_IFNAME => device.name = text(value),
            libc::IFLA_LINK => below = u32_at(value, 0),
            libc::IFLA_LINK_NETNSID => below_is_elsewhere = true,
            libc::IFLA_MASTER => has_master = true,
            libc::IFLA_LINKINFO => {
                for (attribute, value) in attributes(value) {
                    match attribute {
                        libc::IFLA_INFO_KIND => kind = Some(text(value)),
                        libc::IFLA_INFO_SLAVE_KIND => port_kind = Some(text(value)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    // A device in a VRF has a master too, but keeps its own addresses.
    device.is_port = has_master && port_kind.as_deref() != Some("vrf");
    device.vlan_of = below.filter(|_| kind.as_deref() == Some("vlan") && !below_is_elsewhere);
    Some(device)
}

/// Device number and own address from an RTM_NEWADDR body: `struct ifaddrmsg` and attributes.
fn address(body: &[u8]) -> Option<(u32, IpAddr)> {
    let index = u32_at(body, 4)?;
    let (mut local, mut address) = (None, None);
    for (attribute, value) in attributes(body.get(IFADDRMSG_LEN..)?) {
        match attribute {
            libc::IFA_LOCAL => local = ip(value),
            libc::IFA_ADDRESS => address = ip(value),
            _ => {}
        }
    }
    // On point-to-point links IFA_ADDRESS is the peer and IFA_LOCAL our side; IPv6 often has only the former.
    Some((index, local.or(address)?))
}

fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & ATTRIBUTE_TYPE;
        let value = rest.get(4..len)?;
        rest = rest.get(aligned(len)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into()),
        _ => None,
    }
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

/// Messages and attributes are padded to four bytes.
const fn aligned(len: usize) -> usize {
    len.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let len = (4 + value.len()) as u16;
        let mut bytes = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    fn link_body(index: u32, flags: i32, attributes: &[Vec<u8>]) -> Vec<u8> {
        [&[0; 4][..], &index.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 4], &attributes.concat()].concat()
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let len = (HEADER_LEN + body.len()) as u32;
        let mut bytes = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], body].concat();
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    fn stacked(kind: &str, attributes: &[Vec<u8>]) -> Device {
        let info = attribute(libc::IFLA_LINKINFO, &attribute(libc::IFLA_INFO_KIND, kind.as_bytes()));
        link(&link_body(7, libc::IFF_UP, &[&[info], attributes].concat())).unwrap()
    }

    #[test]
    fn reads_name_and_flags() {
        let name = attribute(libc::IFLA_IFNAME, b"lo\0");
        let device = link(&link_body(1, libc::IFF_UP | libc::IFF_LOOPBACK, &[name])).unwrap();
        let expected =
            Device { index: 1, name: "lo".to_owned(), is_up: true, is_loopback: true, ..Device::default() };
        assert_eq!(device, expected);
    }

    #[test]
    fn a_port_of_a_bridge_is_one_and_a_member_of_a_vrf_is_not() {
        let master = attribute(libc::IFLA_MASTER, &9_u32.to_ne_bytes());
        for (kind, is_port) in [("bridge", true), ("bond", true), ("vrf", false)] {
            let info =
                attribute(libc::IFLA_LINKINFO, &attribute(libc::IFLA_INFO_SLAVE_KIND, kind.as_bytes()));
            let device = link(&link_body(3, 0, &[master.clone(), info])).unwrap();
            assert_eq!(device.is_port, is_port, "{kind}");
        }
    }

    #[test]
    fn only_a_vlan_device_of_this_namespace_has_one_below() {
        let below = attribute(libc::IFLA_LINK, &2_u32.to_ne_bytes());
        let elsewhere = attribute(libc::IFLA_LINK_NETNSID, &0_u32.to_ne_bytes());
        assert_eq!(stacked("vlan", std::slice::from_ref(&below)).vlan_of, Some(2));
        assert_eq!(stacked("vlan", &[below.clone(), elsewhere]).vlan_of, None);
        assert_eq!(stacked("veth", &[below]).vlan_of, None);
    }

    #[test]
    fn our_side_of_a_point_to_point_link_is_the_address() {
        let attributes =
            [attribute(libc::IFA_ADDRESS, &[10, 0, 0, 2]), attribute(libc::IFA_LOCAL, &[10, 0, 0, 1])]
                .concat();
        let body = [&[0; 4][..], &4_u32.to_ne_bytes(), &attributes].concat();
        assert_eq!(address(&body), Some((4, "10.0.0.1".parse().unwrap())));
        let body = [&[0; 4][..], &4_u32.to_ne_bytes(), &attribute(libc::IFA_ADDRESS, &[0; 16])].concat();
        assert_eq!(address(&body), Some((4, "::".parse().unwrap())));
    }

    #[test]
    fn an_error_of_the_kernel_is_an_error() {
        let answer = message(libc::NLMSG_ERROR as u16, &(-libc::EPERM).to_ne_bytes());
        let error = messages(&answer, &mut |_, _| panic!("no message in it")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn the_end_of_the_dump_is_found_behind_messages() {
        let name = attribute(libc::IFLA_IFNAME, b"eth0");
        let link = message(libc::RTM_NEWLINK, &link_body(1, 0, &[name]));
        let mut count = 0;
        assert!(!messages(&link, &mut |_, _| count += 1).unwrap());
        let done = message(libc::NLMSG_DONE as u16, &[0; 4]);
        assert!(messages(&[link.clone(), link, done].concat(), &mut |_, _| count += 1).unwrap());
        assert_eq!(count, 3);
    }

    #[test]
    fn cut_messages_do_no_harm() {
        let info = attribute(libc::IFLA_LINKINFO, &attribute(libc::IFLA_INFO_KIND, b"vlan"));
        let body = link_body(1, 0, &[attribute(libc::IFLA_IFNAME, b"eth0"), info]);
        let whole = message(libc::RTM_NEWLINK, &body);
        for len in 0..whole.len() {
            let _ = messages(&whole[..len], &mut |_, body| drop(link(body)));
            let _ = (link(&body[..len.min(body.len())]), address(&body[..len.min(body.len())]));
        }
    }
}
