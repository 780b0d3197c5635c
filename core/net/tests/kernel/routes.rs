//! Which way the kernel sends packets, and what it knows of neighbours.

use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use tcpcopy_net::{
    Capabilities, Neighbour, capabilities, devices, forwards, neighbour, online_users, route_to,
};

use crate::namespace::{self, sh};
use crate::veth::{self, CLIENT_V4, TARGET_V4, TARGET_V6};

fn near() -> u32 {
    devices().unwrap().iter().find(|device| device.name == "near").unwrap().index
}

#[test]
fn routes_are_those_of_this_namespace() {
    namespace::run("routes::routes_are_those_of_this_namespace", || {
        veth::lay();
        sh("ip route add 203.0.113.0/24 via 10.9.0.2");
        let route = |addr: &str| route_to(addr.parse().unwrap()).unwrap();
        let to_target = route(TARGET_V4).unwrap();
        assert_eq!((to_target.device, to_target.gateway), (near(), None));
        assert_eq!(to_target.source, Some("10.9.0.1".parse().unwrap()));
        assert_eq!(route(TARGET_V6).unwrap().device, near());
        assert_eq!(route(CLIENT_V4).unwrap().gateway, Some(TARGET_V4.parse().unwrap()));
        assert!(route("10.9.0.1").unwrap().is_local && !to_target.is_local);
        assert_eq!(route("198.51.100.1"), None);
        sh("ip route add blackhole 198.51.100.0/24");
        assert_eq!(route("198.51.100.1"), None);
    });
}

#[test]
fn a_neighbour_that_does_not_answer_is_told_from_one_that_is_known() {
    namespace::run("routes::a_neighbour_that_does_not_answer_is_told_from_one_that_is_known", || {
        veth::lay();
        let state = |addr: &str| neighbour(near(), addr.parse().unwrap()).unwrap();
        assert_eq!((state(TARGET_V4), state(TARGET_V6)), (Neighbour::Known, Neighbour::Known));
        assert_eq!(state("10.9.0.3"), Neighbour::Unknown);
        UdpSocket::bind("10.9.0.1:0").unwrap().send_to(b"x", "10.9.0.3:9").unwrap();
        assert_eq!(state("10.9.0.3"), Neighbour::Silent);
    });
}

#[test]
fn forwarding_on_any_device_counts() {
    namespace::run("routes::forwarding_on_any_device_counts", || {
        veth::lay();
        sh("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0");
        assert_eq!([forwards(true), forwards(false)], [Some(false); 2]);
        sh("sysctl -qw net.ipv4.conf.far.forwarding=1");
        assert_eq!([forwards(true), forwards(false)], [Some(true), Some(false)]);
    });
}

#[test]
fn rights_are_those_of_this_process() {
    namespace::run_powerless("routes::rights_are_those_of_this_process", || {
        assert_eq!(capabilities(), Capabilities::default());
    });
}

#[test]
fn users_are_those_of_this_namespace() {
    namespace::run("routes::users_are_those_of_this_namespace", || {
        veth::lay();
        let server = std::net::TcpListener::bind("10.9.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let user = TcpStream::connect_timeout(&address, Duration::from_secs(1)).unwrap();
        let users = online_users(address.port());
        assert_eq!(users, [user.local_addr().unwrap().into()]);
    });
}
