//! The addresses and ports users come from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Where users come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sources {
    /// Addresses to bind to, user *n* taking the *n*-th, over and over; empty leaves the choice to the kernel.
    pub addresses: Vec<AddressRange>,
    /// The ports to bind to.
    pub ports: Ports,
}

impl Sources {
    /// Number of addresses; 0 when the kernel chooses.
    pub fn count(&self) -> u64 {
        self.addresses.iter().map(|range| u64::from(range.count)).sum()
    }

    /// What connection `connection` of user `user` binds to; port 0 lets the kernel choose at connect time.
    pub fn bind_address(&self, user: u32, connection: u32) -> Option<SocketAddr> {
        let count = self.count();
        let mut nth = u64::from(user).checked_rem(count)?;
        let round = u64::from(user) / count;
        let address = self.addresses.iter().find_map(|range| match range.nth(nth) {
            Some(address) => Some(address),
            None => {
                nth -= u64::from(range.count);
                None
            }
        })?;
        let port = match self.ports {
            Ports::Ephemeral => 0,
            Ports::Fixed { first, each } => {
                let each = u64::from(each.max(1));
                let offset = round * each + u64::from(connection) % each;
                // Past 65535 the ports start over at `first`: two users then share one, which bind() will tell.
                first + (offset % (u64::from(u16::MAX - first) + 1)) as u16
            }
        };
        Some(SocketAddr::new(address, port))
    }
}

/// `count` addresses, counting up from `first`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressRange {
    /// The lowest address.
    pub first: IpAddr,
    /// How many.
    pub count: u32,
}

impl AddressRange {
    fn nth(self, n: u64) -> Option<IpAddr> {
        if n >= u64::from(self.count) {
            return None;
        }
        Some(match self.first {
            IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits().wrapping_add(n as u32)).into(),
            IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits().wrapping_add(n.into())).into(),
        })
    }
}

/// The source ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ports {
    /// The kernel's choice, made at connect time (`IP_BIND_ADDRESS_NO_PORT`), so an address serves 28 000 or more
    /// connections per target.
    #[default]
    Ephemeral,
    /// Every user has `each` ports of its own and takes them in turn. With `each` = 1 a connection binds the port of
    /// the one before it, right after that ended. Users on different addresses have equal ports.
    ///
    /// The kernel refuses the port while the user's own side is in TIME_WAIT: use [`Ending::Reset`](super::Ending::Reset) or
    /// [`Ending::ServerCloses`](super::Ending::ServerCloses), or set `net.ipv4.tcp_tw_reuse` to 1 (it then takes one second).
    Fixed {
        /// Lowest port.
        first: u16,
        /// Ports per user.
        each: u16,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(first: u16, each: u16) -> Sources {
        Sources {
            addresses: vec![
                AddressRange { first: "10.0.0.254".parse().unwrap(), count: 3 },
                AddressRange { first: "10.9.0.1".parse().unwrap(), count: 1 },
            ],
            ports: Ports::Fixed { first, each },
        }
    }

    #[test]
    fn addresses_go_round_and_ports_advance_with_each_round() {
        let bound = |user, connection| sources(2000, 2).bind_address(user, connection).unwrap().to_string();
        assert_eq!(bound(0, 0), "10.0.0.254:2000");
        assert_eq!(bound(2, 1), "10.0.1.0:2001");
        assert_eq!(bound(3, 2), "10.9.0.1:2000");
        assert_eq!(bound(4, 0), "10.0.0.254:2002");
    }

    #[test]
    fn fixed_ports_never_leave_the_port_range() {
        let port = sources(65_535, 1).bind_address(9, 0).unwrap().port();
        assert_eq!(port, 65_535);
    }
}
