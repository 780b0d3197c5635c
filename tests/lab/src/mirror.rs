//! Sends a copy of every packet that comes in on a device elsewhere, in a tunnel, as the mirrors of clouds and switches do.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use pcap::{Capture, Direction};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

const VXLAN_PORT: u16 = 4789;
const GENEVE_PORT: u16 = 6081;
const PROTOCOL_GRE: i32 = 47;
/// No frame is longer: of IPv4, with an Ethernet header and two VLAN tags.
const LONGEST_FRAME: i32 = 65_535 + 22;
/// In immediate mode every frame takes as much of it as the longest: room for a thousand, while others have the processor.
const BUFFER: i32 = 64 << 20;
/// Names the mirror among several.
const SESSION: u16 = 7;

/// What the copies are wrapped into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Tunnel {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
    /// Type II over GRE with sequence numbers (draft-foschiano-erspan-03 §4.2).
    Erspan,
}

impl Tunnel {
    /// The name that tcpcopy has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::Erspan => "erspan",
        }
    }

    /// What it is sent with, and where to. Not connected: that nobody listens there is no error for a mirror.
    fn way(self, to: IpAddr) -> Result<(Socket, SockAddr)> {
        let (kind, protocol, port) = match self {
            Self::Vxlan => (Type::DGRAM, Protocol::UDP, VXLAN_PORT),
            Self::Geneve => (Type::DGRAM, Protocol::UDP, GENEVE_PORT),
            Self::Erspan => (Type::RAW, Protocol::from(PROTOCOL_GRE), 0),
        };
        let to = SocketAddr::new(to, port);
        Ok((Socket::new(Domain::for_address(to), kind, Some(protocol))?, to.into()))
    }

    /// What stands before the frame in the packet of that number.
    fn header(self, number: u32) -> Vec<u8> {
        let session = u32::from(SESSION) << 8;
        match self {
            // Flag I: the network identifier is valid.
            Self::Vxlan => [0x0800_0000_u32, session].map(u32::to_be_bytes).concat(),
            // No options; an Ethernet frame is inside.
            Self::Geneve => [0x0000_6558_u32, session].map(u32::to_be_bytes).concat(),
            // GRE: a sequence number, and the type of ERSPAN. ERSPAN: version 1, the session, no VLAN.
            Self::Erspan => {
                [0x1000_88be, number, 0x1000_0000 | u32::from(SESSION), 0].map(u32::to_be_bytes).concat()
            }
        }
    }
}

/// Mirrors what comes in on `device` and `filter` lets through, until it is killed; `ready` is called when it has begun.
///
/// # Errors
/// When the device cannot be captured on, or a copy cannot be sent, because it is too long for the way among others.
pub fn run(tunnel: Tunnel, device: &str, filter: &str, to: IpAddr, ready: impl FnOnce()) -> Result<()> {
    let capture =
        Capture::from_device(device)?.snaplen(LONGEST_FRAME).buffer_size(BUFFER).immediate_mode(true);
    let mut capture = capture.open().with_context(|| format!("cannot capture on {device}"))?;
    capture.direction(Direction::In)?;
    capture.filter(filter, true)?;
    let (socket, to) = tunnel.way(to).with_context(|| format!("cannot send to {to}"))?;
    ready();
    let mut number = 0;
    loop {
        let packet = match capture.next_packet() {
            Ok(packet) => packet,
            // Nothing came in for a while.
            Err(pcap::Error::TimeoutExpired) => continue,
            Err(error) => return Err(error).context("capturing failed"),
        };
        let copy = [tunnel.header(number), packet.data.to_vec()].concat();
        number += 1;
        socket
            .send_to(&copy, &to)
            .with_context(|| format!("a packet of {} bytes was not sent", copy.len()))?;
    }
}
