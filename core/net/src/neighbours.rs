//! What the kernel knows of neighbours, the machines on the segment of a device (rtnetlink(7): RTM_GETNEIGH; RFC 826,
//! RFC 4861).
//!
//! Nothing is sent from here. A link-layer address that the kernel does not know, or has not heard of for long, it finds out
//! by itself when it is told that somebody wants to use it (`ip neigh … use`).

use std::io;
use std::net::IpAddr;

use crate::mac_address::MacAddress;
use crate::netlink::{Netlink, attribute, attributes, family, ip_bytes, u16_at, u32_at};

const NDMSG_LEN: usize = 12;
/// More flags of a neighbour, and of these: the kernel keeps the entry fresh by itself (linux/neighbour.h).
const NDA_FLAGS_EXT: u16 = 15;
const NTF_EXT_MANAGED: u32 = 1;

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

/// What is known of the host with `addr` on the segment of the device with that number.
///
/// # Errors
/// What the kernel answered when it could not be asked.
pub fn neighbour(device: u32, addr: IpAddr) -> io::Result<Neighbour> {
    let entry = entry(&mut Netlink::open()?, device, addr)?;
    Ok(match entry {
        Entry { has_failed: true, .. } | Entry { is_asked: true, .. } => Neighbour::Silent,
        Entry { mac: None, is_idle: true, .. } => Neighbour::Unknown,
        // On some devices nobody has an address (NUD_NOARP).
        Entry { .. } => Neighbour::Known,
    })
}

/// An entry of the kernel's table of neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its address; `None` while it is asked for, or if it does not answer.
    pub(crate) mac: Option<MacAddress>,
    /// It is being asked, and has not answered yet.
    is_asked: bool,
    /// It was asked, and does not answer.
    pub(crate) has_failed: bool,
    /// The kernel finds out more about it only if it is told to: see [`provoke`].
    pub(crate) is_idle: bool,
}

impl Entry {
    /// One that the kernel has never heard of.
    const UNHEARD: Self = Self { mac: None, is_asked: false, has_failed: false, is_idle: true };
}

/// The entry of the neighbour with that address on the device of that number.
pub(crate) fn entry(netlink: &mut Netlink, device: u32, addr: IpAddr) -> io::Result<Entry> {
    let body = request(device, addr, 0);
    let mut found = Entry::UNHEARD;
    let asked = netlink.ask(libc::RTM_GETNEIGH, 0, &body, &mut |kind, body| {
        if kind == libc::RTM_NEWNEIGH
            && let Some(entry) = read_entry(body)
        {
            found = entry;
        }
    });
    match asked {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
        _ => Ok(found),
    }
}

/// An entry from an RTM_NEWNEIGH body: `struct ndmsg` and attributes.
fn read_entry(body: &[u8]) -> Option<Entry> {
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
    Some(Entry {
        mac: mac.filter(|_| is_known),
        is_asked: state & libc::NUD_INCOMPLETE != 0,
        has_failed,
        is_idle: !is_kept_by_others && !is_looked_for,
    })
}

/// Has the kernel find out, or confirm, the link-layer address of that neighbour; what comes of it is seen later.
///
/// # Errors
/// The kernel refuses: it takes `CAP_NET_ADMIN`.
pub(crate) fn provoke(netlink: &mut Netlink, device: u32, addr: IpAddr) -> io::Result<()> {
    let body = request(device, addr, libc::NTF_USE);
    netlink.ask(libc::RTM_NEWNEIGH, libc::NLM_F_CREATE, &body, &mut |_, _| {})
}

/// `struct ndmsg` and the neighbour's address.
fn request(device: u32, addr: IpAddr, flags: u8) -> Vec<u8> {
    let head = [&[family(addr), 0, 0, 0][..], &device.to_ne_bytes(), &[0, 0, flags, 0]].concat();
    [head, attribute(libc::NDA_DST, &ip_bytes(addr))].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_of(state: u16, flags: u8, mac: [u8; 6]) -> Entry {
        let head = [&[2, 0, 0, 0, 3, 0, 0, 0][..], &state.to_ne_bytes(), &[flags, 0]].concat();
        read_entry(&[head, attribute(libc::NDA_LLADDR, &mac)].concat()).unwrap()
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
                entry_of(state, 0, [2, 0, 0, 0, 0, 1]),
                Entry { mac, is_asked: state == libc::NUD_INCOMPLETE, has_failed, is_idle },
                "{state}"
            );
        }
    }

    #[test]
    fn a_group_is_nobodys_address() {
        assert_eq!(entry_of(libc::NUD_PERMANENT, 0, [0xff; 6]).mac, None);
    }

    #[test]
    fn entries_that_others_keep_are_left_alone() {
        let mac = [2, 0, 0, 0, 0, 1];
        assert!(!entry_of(libc::NUD_STALE, libc::NTF_EXT_LEARNED, mac).is_idle);
        assert!(entry_of(libc::NUD_STALE, 0, mac).is_idle);
    }

    #[test]
    fn cut_bodies_do_no_harm() {
        let head = [&[2, 0, 0, 0, 3, 0, 0, 0][..], &libc::NUD_STALE.to_ne_bytes(), &[0, 0]].concat();
        let whole = [head, attribute(libc::NDA_LLADDR, &[2; 6]), attribute(NDA_FLAGS_EXT, &[0; 4])].concat();
        for len in 0..whole.len() {
            let _ = read_entry(&whole[..len]);
        }
    }
}
