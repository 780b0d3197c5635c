//! A cable in one namespace: what is sent to [`TARGET_V4`] or [`TARGET_V6`] leaves on `near` and arrives on `far`.

use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};
use tcpcopy_net::{
    CaptureDirection, CaptureOptions, CaptureSource, DEFAULT_SNAPLEN, Frame, LiveCapture, Sink, TransmitError,
};

use crate::namespace::sh;

pub(crate) const TARGET_V4: &str = "10.9.0.2";
pub(crate) const TARGET_V6: &str = "fd00:9::2";
/// Clients whose addresses this machine does not have.
pub(crate) const CLIENT_V4: &str = "203.0.113.7";
pub(crate) const CLIENT_V6: &str = "2001:db8::7";
pub(crate) const ETHERNET_HEADER: usize = 14;

/// Makes the cable. Nobody answers on the far side.
pub(crate) fn lay() {
    sh("ip link set lo up");
    sh("ip link add near type veth peer name far");
    sh("ip addr add 10.9.0.1/24 dev near");
    sh("ip -6 addr add fd00:9::1/64 dev near nodad");
    sh("ip link set near up");
    sh("ip link set far up");
    let mac = sh("ip -o link show far");
    let (_, mac) = mac.split_once("link/ether ").unwrap();
    let mac = mac.split(' ').next().unwrap();
    for target in [TARGET_V4, TARGET_V6] {
        sh(&format!("ip neigh add {target} lladdr {mac} dev near nud permanent"));
    }
}

/// Everything that arrives on `device` and passes `filter`, with a small buffer.
pub(crate) fn options(device: &str, filter: &str) -> CaptureOptions {
    CaptureOptions {
        device: device.to_owned(),
        filter: filter.to_owned(),
        match_vlan_tagged: false,
        snaplen: DEFAULT_SNAPLEN,
        buffer_bytes: 8 << 20,
        direction: CaptureDirection::Inbound,
        promiscuous: true,
    }
}

/// Sends one packet now; what became of it.
pub(crate) fn send(sink: &mut impl Sink, packet: &[u8]) -> Result<(), TransmitError> {
    sink.send(packet)?;
    let mut answer = Ok(());
    sink.flush(&mut |lost, error| {
        assert_eq!(lost, packet);
        answer = Err(error);
    });
    answer
}

/// Sends packets, none of which may be lost.
pub(crate) fn send_all(sink: &mut impl Sink, packets: &[Vec<u8>]) {
    packets.iter().for_each(|packet| sink.send(packet).unwrap());
    sink.flush(&mut |packet, error| panic!("{error}: {packet:02x?}"));
}

/// Reads until `count` frames came or nothing more came for a while; the frames' bytes.
pub(crate) fn read(capture: &mut LiveCapture, count: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    read_with(capture, count, |frame| frames.push(frame.bytes.to_vec()));
    frames
}

/// Like [`read`], handing out the frames themselves.
pub(crate) fn read_with(capture: &mut LiveCapture, count: usize, mut on_frame: impl FnMut(Frame<'_>)) {
    let patience = Duration::from_millis(400);
    let (mut seen, mut last) = (0, Instant::now());
    while seen < count && last.elapsed() < patience {
        match capture.dispatch(count - seen, &mut on_frame).unwrap() {
            0 => thread::sleep(Duration::from_millis(1)),
            more => (seen, last) = (seen + more, Instant::now()),
        }
    }
}

/// Sends an Ethernet frame as it is.
pub(crate) fn inject(device: &str, frame: &[u8]) {
    Injector::on(device).send(frame);
}

/// Sends Ethernet frames as they are. Closing its socket takes the kernel milliseconds.
pub(crate) struct Injector {
    socket: Socket,
    address: SockAddr,
}

impl Injector {
    pub(crate) fn on(device: &str) -> Self {
        let all = i32::from(u16::to_be(libc::ETH_P_ALL as u16));
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0))).unwrap();
        let known = tcpcopy_net::devices().unwrap();
        let index = known.iter().find(|known| known.name == device).unwrap().index;
        let mut address = SockAddrStorage::zeroed();
        // SAFETY: `sockaddr_ll` is a socket address and fits the storage made for any of them.
        let link: &mut libc::sockaddr_ll = unsafe { address.view_as() };
        link.sll_family = libc::AF_PACKET as u16;
        link.sll_protocol = all as u16;
        link.sll_ifindex = index as i32;
        // SAFETY: the storage was filled in just above, with the length of what was filled in.
        let address = unsafe { SockAddr::new(address, size_of::<libc::sockaddr_ll>() as u32) };
        Self { socket, address }
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        assert_eq!(self.socket.send_to(frame, &self.address).unwrap(), frame.len());
    }
}
