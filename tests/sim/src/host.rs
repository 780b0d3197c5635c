//! A host with an independent TCP: smoltcp on an IP device that is two queues of packets.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::wire::{HardwareAddress, IpCidr};
use tcpcopy_wire::{Endpoint, Instant};

thread_local! {
    /// smoltcp asks a plain function for TSval, so the time travels here; every poll sets it first.
    static TIMESTAMP: Cell<u32> = const { Cell::new(0) };
}

/// How a host's TCP is configured.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Largest IP packet in bytes.
    pub mtu: usize,
    /// Receive buffer of each connection in bytes.
    pub receive_buffer: usize,
    /// Timestamps option.
    pub timestamps: bool,
    /// Nagle's algorithm.
    pub nagle: bool,
    /// Acknowledgements wait this long for company.
    pub ack_delay: Option<Duration>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            mtu: 1500,
            receive_buffer: 64 << 10,
            timestamps: false,
            nagle: true,
            ack_delay: Some(Duration::from_millis(10)),
        }
    }
}

const SEND_BUFFER: usize = 64 << 10;

/// One host.
pub(crate) struct Host {
    pub(crate) addr: IpAddr,
    manner: Manner,
    interface: Interface,
    device: Queues,
    sockets: SocketSet<'static>,
}

impl Host {
    pub(crate) fn new(addr: IpAddr, manner: Manner, seed: u64, now: Instant) -> Self {
        let mut device = Queues { mtu: manner.mtu, received: VecDeque::new(), sent: VecDeque::new() };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut device, time(now));
        interface.update_ip_addrs(|addrs| {
            let _ = addrs.push(IpCidr::new(addr.into(), if addr.is_ipv4() { 8 } else { 64 }));
        });
        let routes = interface.routes_mut();
        let _ = match addr {
            IpAddr::V4(_) => routes.add_default_ipv4_route(Ipv4Addr::new(10, 255, 255, 254)),
            IpAddr::V6(_) => routes.add_default_ipv6_route(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
        };
        Self { addr, manner, interface, device, sockets: SocketSet::new(Vec::new()) }
    }

    /// A packet arrives; [`Self::poll`] looks at it.
    pub(crate) fn receive(&mut self, packet: Vec<u8>) {
        self.device.received.push_back(packet);
    }

    /// Lets TCP work: takes what arrived, sends what is due.
    pub(crate) fn poll(&mut self, now: Instant) {
        TIMESTAMP.set((now.micros() / 1000) as u32);
        self.interface.poll(time(now), &mut self.device, &mut self.sockets);
    }

    /// When [`Self::poll`] is due whether or not something arrives.
    pub(crate) fn poll_at(&mut self, now: Instant) -> Option<Instant> {
        let at = self.interface.poll_at(time(now), &self.sockets)?;
        Some(Instant::from_micros(at.total_micros().unsigned_abs()).max(now))
    }

    pub(crate) fn take_sent(&mut self) -> Option<Vec<u8>> {
        self.device.sent.pop_front()
    }

    pub(crate) fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    pub(crate) fn close_at_once(&mut self, handle: SocketHandle) {
        self.sockets.remove(handle);
    }

    /// A socket that waits for a connection to `port`.
    pub(crate) fn listen(&mut self, port: u16) -> SocketHandle {
        let mut socket = self.new_socket();
        socket.listen(port).expect("a new socket may listen");
        self.sockets.add(socket)
    }

    /// A socket that connects from `port` to `server`.
    pub(crate) fn connect(&mut self, port: u16, server: Endpoint) -> SocketHandle {
        let mut socket = self.new_socket();
        socket
            .connect(self.interface.context(), (server.addr, server.port), (self.addr, port))
            .expect("a new socket may connect");
        self.sockets.add(socket)
    }

    fn new_socket(&self) -> tcp::Socket<'static> {
        let receive_buffer = tcp::SocketBuffer::new(vec![0; self.manner.receive_buffer]);
        let mut socket = tcp::Socket::new(receive_buffer, tcp::SocketBuffer::new(vec![0; SEND_BUFFER]));
        socket.set_nagle_enabled(self.manner.nagle);
        socket.set_ack_delay(self.manner.ack_delay.map(Into::into));
        if self.manner.timestamps {
            socket.set_tsval_generator(Some(|| TIMESTAMP.get()));
        }
        socket
    }
}

fn time(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(now.micros().cast_signed())
}

/// A network device made of two queues.
struct Queues {
    mtu: usize,
    received: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
}

impl Device for Queues {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sending<'_>)> {
        let packet = self.received.pop_front()?;
        Some((Received(packet), Sending(&mut self.sent)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

struct Received(Vec<u8>);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Sending<'a>(&'a mut VecDeque<Vec<u8>>);

impl phy::TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push_back(packet);
        result
    }
}
