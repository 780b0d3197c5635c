//! What the kernel says about its devices.

use std::net::IpAddr;

use tcpcopy_net::{Device, devices, devices_for};

use crate::namespace::{self, sh, try_sh};
use crate::veth;

fn by_name<'a>(devices: &'a [Device], name: &str) -> &'a Device {
    devices.iter().find(|device| device.name == name).unwrap()
}

#[test]
fn names_addresses_and_states_are_those_of_this_namespace() {
    namespace::run("devices::names_addresses_and_states_are_those_of_this_namespace", || {
        veth::lay();
        sh("ip link add bare type veth peer name down");
        let devices = devices().unwrap();
        assert_eq!(devices.len(), 5);
        let lo = by_name(&devices, "lo");
        assert!(lo.is_loopback && lo.is_up && lo.addresses.contains(&IpAddr::from([127, 0, 0, 1])));
        let near = by_name(&devices, "near");
        assert!(near.is_up && !near.is_loopback && !near.is_port);
        let expected: [IpAddr; 2] = ["10.9.0.1".parse().unwrap(), "fd00:9::1".parse().unwrap()];
        assert!(expected.iter().all(|address| near.addresses.contains(address)), "{near:?}");
        assert!(!by_name(&devices, "down").is_up && by_name(&devices, "bare").addresses.is_empty());
    });
}

#[test]
fn a_port_of_a_bridge_is_left_out_for_the_bridge() {
    namespace::run("devices::a_port_of_a_bridge_is_left_out_for_the_bridge", || {
        veth::lay();
        sh("ip link add bridge0 type bridge");
        sh("ip link set far master bridge0");
        sh("ip addr add 10.7.0.1/24 dev bridge0");
        sh("ip link set bridge0 up");
        sh("ip addr add 10.6.0.1/24 dev far");
        let devices = devices().unwrap();
        assert!(by_name(&devices, "far").is_port && !by_name(&devices, "bridge0").is_port);
        let chosen = devices_for(&devices, &[None]).unwrap();
        let names: Vec<_> = chosen.iter().map(|device| device.name.as_str()).collect();
        assert!(names.contains(&"bridge0") && names.contains(&"near") && names.contains(&"lo"), "{names:?}");
        assert!(!names.contains(&"far"), "{names:?}");
    });
}

#[test]
fn a_vlan_device_knows_the_one_below() {
    namespace::run("devices::a_vlan_device_knows_the_one_below", || {
        veth::lay();
        if !try_sh("ip link add link near name near.9 type vlan id 9") {
            return eprintln!("SKIPPED: this kernel has no VLAN devices");
        }
        let devices = devices().unwrap();
        let below = by_name(&devices, "near").index;
        assert_eq!(by_name(&devices, "near.9").vlan_of, Some(below));
    });
}
