//! Devices and their addresses as rtnetlink tells of them (rtnetlink(7): RTM_GETLINK, RTM_GETADDR).
//!
//! Not `/sys/class/net`, which shows the namespace it was mounted in, and not `getifaddrs`, which knows nothing
//! of bridges and VLANs.

use std::io;
use std::net::IpAddr;

use super::Device;
use crate::netlink::{Netlink, attributes, ip, text, u32_at};

const IFINFOMSG_LEN: usize = 16;
const IFADDRMSG_LEN: usize = 8;

/// The devices of this network namespace with their addresses.
pub(super) fn devices() -> io::Result<Vec<Device>> {
    let mut netlink = Netlink::open()?;
    let mut devices = Vec::new();
    netlink.dump(libc::RTM_GETLINK, &mut |kind, body| {
        if kind == libc::RTM_NEWLINK {
            devices.extend(link(body));
        }
    })?;
    netlink.dump(libc::RTM_GETADDR, &mut |kind, body| {
        if kind == libc::RTM_NEWADDR
            && let Some((index, address)) = address(body)
            && let Some(device) = devices.iter_mut().find(|device| device.index == index)
        {
            device.addresses.push(address);
        }
    })?;
    Ok(devices)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::attribute;

    fn link_body(index: u32, flags: i32, attributes: &[Vec<u8>]) -> Vec<u8> {
        [&[0; 4][..], &index.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 4], &attributes.concat()].concat()
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
    fn cut_bodies_do_no_harm() {
        let info = attribute(libc::IFLA_LINKINFO, &attribute(libc::IFLA_INFO_KIND, b"vlan"));
        let body = link_body(1, 0, &[attribute(libc::IFLA_IFNAME, b"eth0"), info]);
        for len in 0..body.len() {
            let _ = (link(&body[..len]), address(&body[..len]));
        }
    }
}
