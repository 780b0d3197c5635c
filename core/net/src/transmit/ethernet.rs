//! Sends Ethernet frames on one device (packet(7)), past the machine's routes, packet filters and connection tracking.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};
use tcpcopy_wire::Instant;

use super::batch::Batch;
use super::destination::destination_address;
use super::guard::is_for_one_station;
use super::way::{NoWay, Way};
use super::{Sink, TransmitError, TransmitOpenError};
use crate::devices::{Device, device_named, devices};
use crate::mac_address::MacAddress;
use crate::netlink::Netlink;
use crate::sockopt;

/// Destination, source, and what is inside (RFC 894, RFC 2464).
pub(super) const ETHERNET_HEADER_LEN: usize = 14;
pub(super) type EthernetHeader = [u8; ETHERNET_HEADER_LEN];

/// Hand frames to the device itself, past the queueing discipline (linux/if_packet.h, since Linux 3.14).
const PACKET_QDISC_BYPASS: i32 = 20;

/// How often it is looked whether the ways have changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a next hop may take to tell its address before it is begun without: so many steps of so long.
const FIRST_ANSWERS: (usize, Duration) = (100, Duration::from_millis(10));

/// Where frames go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EthernetOptions {
    /// The device's name.
    pub device: String,
    /// The targets, each once.
    pub targets: Vec<EthernetTarget>,
}

/// One target, and the link-layer addresses of frames with packets to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthernetTarget {
    /// Its address.
    pub addr: IpAddr,
    /// Who frames come from; `None`: the device.
    pub source: Option<MacAddress>,
    /// Who is next on the way; `None`: who the kernel's routes and neighbours say.
    pub next_hop: Option<MacAddress>,
}

/// Sends IP packets in Ethernet frames on one device, many with one system call.
///
/// About once a second ([`handle_time`](Sink::handle_time)) it looks whether device, routes and neighbours are still what
/// they were. A neighbour that the kernel does not know, or has not heard of for long, the kernel asks by itself: no packet
/// leaves from here but those to targets.
///
/// Non-blocking. A packet above the MTU of device or route is refused; one whose next hop does not tell its address is
/// [`TransmitError::Unreachable`].
pub struct EthernetSink {
    batch: Batch,
    netlink: Netlink,
    device: String,
    /// In the order of their targets' addresses.
    ways: Box<[Way]>,
    /// Where the socket is told to send frames with IPv4 and with IPv6 packets: to the device.
    addresses: [SockAddr; 2],
    look_at: Instant,
}

impl EthernetSink {
    /// Opens the device, and waits up to a second for next hops to tell their addresses.
    ///
    /// # Errors
    /// [`TransmitOpenError`]. A next hop that does not answer is none: the log tells of it.
    pub fn open(options: &EthernetOptions) -> Result<Self, TransmitOpenError> {
        let mut netlink = Netlink::open()?;
        let device = usable_device(&mut netlink, &options.device)?;
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
        socket.set_nonblocking(true)?;
        if let Err(error) = sockopt::set_int(socket.as_fd(), libc::SOL_PACKET, PACKET_QDISC_BYPASS, 1) {
            log::debug!("{}: frames pass the queueing discipline: {error}", device.name);
        }
        let mut ways: Vec<Way> = options.targets.iter().map(|target| Way::new(*target)).collect();
        ways.sort_unstable_by_key(Way::target);
        let mut sink = Self {
            batch: Batch::new(socket)?,
            netlink,
            addresses: addresses_of(&device),
            device: device.name,
            ways: ways.into(),
            look_at: Instant::ZERO,
        };
        sink.await_first_answers()?;
        Ok(sink)
    }

    fn await_first_answers(&mut self) -> Result<(), TransmitOpenError> {
        let (steps, step) = FIRST_ANSWERS;
        for _ in 0..steps {
            self.look();
            if let Some(error) = self.ways.iter_mut().find_map(|way| way.take_error(&self.device)) {
                return Err(error);
            }
            if !self.ways.iter().any(Way::is_awaited) {
                break;
            }
            thread::sleep(step);
        }
        self.ways.iter_mut().for_each(|way| way.tell(&self.device));
        Ok(())
    }

    /// Finds out where packets to each target go now.
    fn look(&mut self) {
        match device_named(&mut self.netlink, &self.device) {
            Ok(Some(device)) => {
                self.addresses = addresses_of(&device);
                self.ways.iter_mut().for_each(|way| way.look(&mut self.netlink, &device));
            }
            Ok(None) => self.ways.iter_mut().for_each(|way| way.close(NoWay::NoDevice)),
            // It was right a second ago.
            Err(error) => log::debug!("cannot look at {}: {error}", self.device),
        }
    }
}

impl Sink for EthernetSink {
    fn send(&mut self, packet: &[u8]) -> Result<(), TransmitError> {
        let target = destination_address(packet).ok_or(TransmitError::Malformed)?;
        let way = self.ways.binary_search_by_key(&target, Way::target);
        let way = way.ok().and_then(|at| self.ways.get(at)).ok_or(TransmitError::NotATarget)?;
        let header = way.header_for(packet)?;
        if !is_for_one_station(header) {
            return Err(TransmitError::NotATarget);
        }
        let [v4, v6] = &self.addresses;
        self.batch.send(header, packet, if target.is_ipv4() { v4 } else { v6 })
    }

    fn flush(&mut self, on_lost: &mut dyn FnMut(&[u8], TransmitError)) {
        self.batch.flush(on_lost);
    }

    fn handle_time(&mut self, now: Instant) {
        if now >= self.look_at {
            self.look_at = now + LOOK_INTERVAL;
            self.look();
            self.ways.iter_mut().for_each(|way| way.tell(&self.device));
        }
    }
}

fn usable_device(netlink: &mut Netlink, name: &str) -> Result<Device, TransmitOpenError> {
    let Some(device) = device_named(netlink, name)? else {
        let known = devices().unwrap_or_default().into_iter().map(|device| device.name).collect();
        return Err(TransmitOpenError::UnknownDevice { device: name.to_owned(), known });
    };
    if device.mac.is_none() {
        return Err(TransmitOpenError::NotEthernet(device.name));
    }
    if !device.is_up {
        return Err(TransmitOpenError::DeviceDown(device.name));
    }
    Ok(device)
}

fn addresses_of(device: &Device) -> [SockAddr; 2] {
    [libc::ETH_P_IP, libc::ETH_P_IPV6].map(|protocol| link_address(device.index, protocol as u16))
}

/// Where a packet socket sends to: a device, and what it is told to be inside.
fn link_address(device: u32, protocol: u16) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is a socket address and fits the storage made for any of them; all-zero bytes are a valid one.
    let link: &mut libc::sockaddr_ll = unsafe { storage.view_as() };
    link.sll_family = libc::AF_PACKET as u16;
    link.sll_protocol = protocol.to_be();
    link.sll_ifindex = device.cast_signed();
    // SAFETY: the storage holds the `sockaddr_ll` filled in just above, and the length is that of one.
    unsafe { SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as u32) }
}
