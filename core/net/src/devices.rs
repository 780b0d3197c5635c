//! The machine's network devices, and which of them to capture on.

mod links;

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;

use thiserror::Error;

/// A network device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name, as `-i` takes it.
    pub name: String,
    /// Its own addresses.
    pub addresses: Vec<IpAddr>,
    /// Administratively up.
    pub is_up: bool,
    /// Loopback.
    pub is_loopback: bool,
    /// It is a port of a bridge, bond or team: what it receives is seen on that device too.
    pub is_port: bool,
    /// For a VLAN device, the number of the device below: what it receives is seen there too, tagged.
    pub vlan_of: Option<u32>,
}

/// Why there is no list of devices.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The kernel did not tell.
    #[error("cannot list the network devices: {0}; name the devices with -i")]
    List(#[from] io::Error),
    /// No device carries the address.
    #[error(
        "no network device that is up carries the online address {0}; name the devices to capture on with -i"
    )]
    NotCarried(IpAddr),
    /// No device carries any address.
    #[error("no network device that is up carries an address; name the devices to capture on with -i")]
    NoneUp,
}

/// The devices of this network namespace, in the kernel's order.
///
/// # Errors
/// [`DeviceError::List`] when the kernel cannot be asked.
pub fn devices() -> Result<Vec<Device>, DeviceError> {
    Ok(links::devices()?)
}

/// The devices on which packets to the online addresses are seen, each packet once: the devices that carry the
/// addresses and the loopback device, over which users on this machine reach any of them.
///
/// `None` stands for every address of this machine. Left out are devices that are down, ports of a bridge or bond
/// (their packets are seen on the device above) and VLAN devices above another chosen one (seen there with their
/// tag).
///
/// # Errors
/// [`DeviceError`] when an address is carried by none of them.
pub fn devices_for<'a>(
    devices: &'a [Device],
    online_addresses: &[Option<IpAddr>],
) -> Result<Vec<&'a Device>, DeviceError> {
    let usable = || devices.iter().filter(|device| device.is_up && !device.is_port);
    let mut chosen = HashSet::new();
    for address in online_addresses {
        let carriers = usable().filter(|device| match address {
            Some(address) => {
                device.addresses.contains(address) || (device.is_loopback && address.is_loopback())
            }
            None => !device.addresses.is_empty(),
        });
        let mut carriers = carriers.peekable();
        if carriers.peek().is_none() {
            return Err(address.map_or(DeviceError::NoneUp, DeviceError::NotCarried));
        }
        chosen.extend(carriers.map(|device| device.index));
    }
    if !chosen.is_empty() {
        chosen.extend(usable().filter(|device| device.is_loopback).map(|device| device.index));
    }
    let is_chosen = |device: &&Device| {
        let seen_below = device.vlan_of.is_some_and(|below| chosen.contains(&below));
        chosen.contains(&device.index) && !seen_below
    };
    Ok(devices.iter().filter(is_chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(index: u32, name: &str, addresses: &[&str]) -> Device {
        Device {
            index,
            name: name.to_owned(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            is_up: true,
            is_loopback: name == "lo",
            is_port: false,
            vlan_of: None,
        }
    }

    fn machine() -> Vec<Device> {
        vec![
            device(1, "lo", &["127.0.0.1", "::1"]),
            device(2, "eth0", &["10.0.0.1", "fd00::1"]),
            device(3, "eth1", &["10.1.0.1"]),
            device(4, "mirror", &[]),
            Device { is_up: false, ..device(5, "eth2", &["10.2.0.1"]) },
            Device { is_port: true, ..device(6, "veth7", &["fe80::7"]) },
            Device { vlan_of: Some(2), ..device(7, "eth0.9", &["10.9.0.1"]) },
        ]
    }

    fn names(online: &[Option<&str>]) -> Vec<String> {
        let online: Vec<_> = online.iter().map(|text| text.map(|text| text.parse().unwrap())).collect();
        let machine = machine();
        devices_for(&machine, &online).unwrap().into_iter().map(|device| device.name.clone()).collect()
    }

    #[test]
    fn an_address_means_its_device_and_loopback() {
        assert_eq!(names(&[Some("10.1.0.1")]), ["lo", "eth1"]);
        assert_eq!(names(&[Some("fd00::1"), Some("10.0.0.1")]), ["lo", "eth0"]);
    }

    #[test]
    fn a_loopback_address_means_loopback_alone() {
        assert_eq!(names(&[Some("127.0.0.1")]), ["lo"]);
        assert_eq!(names(&[Some("127.8.8.8")]), ["lo"]);
    }

    #[test]
    fn no_address_means_every_device_that_is_up_and_has_one() {
        assert_eq!(names(&[None]), ["lo", "eth0", "eth1"]);
    }

    #[test]
    fn a_vlan_device_counts_unless_its_parent_does() {
        assert_eq!(names(&[Some("10.9.0.1")]), ["lo", "eth0.9"]);
        assert_eq!(names(&[Some("10.9.0.1"), Some("10.0.0.1")]), ["lo", "eth0"]);
    }

    #[test]
    fn an_address_nobody_carries_is_an_error_that_says_what_to_do() {
        for address in ["192.0.2.1", "10.2.0.1", "fe80::7"] {
            let error = devices_for(&machine(), &[Some(address.parse().unwrap())]).unwrap_err().to_string();
            assert!(error.contains(address) && error.contains("-i"), "{error}");
        }
        assert!(matches!(devices_for(&[], &[None]), Err(DeviceError::NoneUp)));
    }

    #[test]
    fn no_mappings_mean_no_devices() {
        assert!(names(&[]).is_empty());
    }
}
