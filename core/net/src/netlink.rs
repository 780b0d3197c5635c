//! Questions to the kernel over rtnetlink (RFC 3549; netlink(7), rtnetlink(7)): messages and attributes, whatever they
//! are about.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

const HEADER_LEN: usize = 16;
/// As long as the longest request header, `struct ifinfomsg`; a kernel takes that for every dump.
const DUMP_BODY_LEN: usize = 16;
/// Attribute types carry flags in their two upper bits.
const ATTRIBUTE_TYPE: u16 = 0x3fff;
/// The kernel's messages of a dump are at most this long (`NLMSG_GOODSIZE` allows less).
const REPLY_LEN: usize = 64 << 10;
/// The kernel answers while it is asked; whoever waits longer would wait for ever.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket to the kernel of this network namespace.
pub(crate) struct Netlink {
    socket: Socket,
    reply: Vec<u8>,
    /// The number of the last request: answers bear it.
    sequence: u32,
}

impl Netlink {
    pub(crate) fn open() -> io::Result<Self> {
        let protocol = Some(Protocol::from(libc::NETLINK_ROUTE));
        let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, protocol)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, reply: vec![0; REPLY_LEN], sequence: 0 })
    }

    /// Requests everything of a kind and calls `on_message` with the type and body of each message of the answer.
    pub(crate) fn dump(&mut self, request: u16, on_message: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
        self.request(request, libc::NLM_F_DUMP, &[0; DUMP_BODY_LEN], on_message)
    }

    /// Makes one request, or asks for one thing. `flags` are added to the usual ones.
    pub(crate) fn ask(
        &mut self,
        request: u16,
        flags: i32,
        body: &[u8],
        on_message: &mut dyn FnMut(u16, &[u8]),
    ) -> io::Result<()> {
        self.request(request, libc::NLM_F_ACK | flags, body, on_message)
    }

    fn request(
        &mut self,
        request: u16,
        flags: i32,
        body: &[u8],
        on_message: &mut dyn FnMut(u16, &[u8]),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let flags = (libc::NLM_F_REQUEST | flags) as u16;
        self.socket.send(&message(request, flags, self.sequence, body))?;
        loop {
            let len = io::Read::read(&mut &self.socket, &mut self.reply)?;
            if messages(&self.reply[..len], self.sequence, on_message)? {
                return Ok(());
            }
        }
    }
}

/// A message as it is sent; its address, the sender's port, is filled in by the kernel.
fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let len = (HEADER_LEN + body.len()) as u32;
    let head = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &sequence.to_ne_bytes()];
    let mut bytes = [&head.concat()[..], &[0; 4], body].concat();
    bytes.resize(aligned(bytes.len()), 0);
    bytes
}

/// An attribute as it is sent.
pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = (4 + value.len()) as u16;
    let mut bytes = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    bytes.resize(aligned(bytes.len()), 0);
    bytes
}

/// An address as the value of an attribute.
pub(crate) fn ip_bytes(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(addr) => addr.octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    }
}

/// The address family of requests about that address.
pub(crate) const fn family(addr: IpAddr) -> u8 {
    (if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

/// Walks the messages of one datagram, of which those count that answer request `sequence`; true when the answer is
/// complete.
fn messages(mut rest: &[u8], sequence: u32, on_message: &mut dyn FnMut(u16, &[u8])) -> io::Result<bool> {
    while let Some(len) = u32_at(rest, 0) {
        let kind = u16_at(rest, 4).unwrap_or_default();
        let body = rest.get(HEADER_LEN..len as usize).ok_or(io::ErrorKind::InvalidData)?;
        if u32_at(rest, 8) == Some(sequence) {
            match i32::from(kind) {
                libc::NLMSG_DONE => return Ok(true),
                libc::NLMSG_ERROR => {
                    let errno = u32_at(body, 0).unwrap_or_default().cast_signed();
                    // Without an error it is the acknowledgement.
                    return if errno == 0 {
                        Ok(true)
                    } else {
                        Err(io::Error::from_raw_os_error(errno.saturating_neg()))
                    };
                }
                _ => on_message(kind, body),
            }
        }
        rest = rest.get(aligned(len as usize)..).unwrap_or_default();
    }
    Ok(false)
}

/// The attributes in `rest`, as type and value.
pub(crate) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & ATTRIBUTE_TYPE;
        let value = rest.get(4..len)?;
        rest = rest.get(aligned(len)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The address that is the value of an attribute.
pub(crate) fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into()),
        _ => None,
    }
}

/// The text that is the value of an attribute.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

/// Messages and attributes are padded to four bytes.
const fn aligned(len: usize) -> usize {
    len.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: i32, body: &[u8]) -> Vec<u8> {
        message(kind as u16, 0, 7, body)
    }

    #[test]
    fn an_error_of_the_kernel_is_an_error() {
        let answer = answer(libc::NLMSG_ERROR, &(-libc::EPERM).to_ne_bytes());
        let error = messages(&answer, 7, &mut |_, _| panic!("no message in it")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn an_acknowledgement_ends_the_answer() {
        let mut count = 0;
        let bytes = [answer(libc::RTM_NEWROUTE.into(), &[]), answer(libc::NLMSG_ERROR, &[0; 4])].concat();
        assert!(messages(&bytes, 7, &mut |_, _| count += 1).unwrap());
        assert_eq!(count, 1);
    }

    #[test]
    fn the_end_of_the_dump_is_found_behind_messages() {
        let link = answer(libc::RTM_NEWLINK.into(), &attribute(libc::IFLA_IFNAME, b"eth0"));
        let mut count = 0;
        assert!(!messages(&link, 7, &mut |_, _| count += 1).unwrap());
        let done = answer(libc::NLMSG_DONE, &[0; 4]);
        assert!(messages(&[link.clone(), link, done].concat(), 7, &mut |_, _| count += 1).unwrap());
        assert_eq!(count, 3);
    }

    #[test]
    fn what_answers_an_earlier_question_does_not_count() {
        let late = [answer(libc::RTM_NEWLINK.into(), &[]), answer(libc::NLMSG_ERROR, &[0xff; 4])].concat();
        assert!(!messages(&late, 8, &mut |_, _| panic!("it is not ours")).unwrap());
    }

    #[test]
    fn cut_messages_do_no_harm() {
        let whole = answer(libc::RTM_NEWLINK.into(), &attribute(libc::IFLA_IFNAME, b"eth0"));
        for len in 0..whole.len() {
            let _ = messages(&whole[..len], 7, &mut |_, body| attributes(body).for_each(|_| ()));
        }
    }
}
