//! Rows with IPv6, all the way or on one side only.

use std::net::IpAddr;

use super::plans::{KIB, from_addresses, keepalive, row, short, uploads_of};
use crate::scenario::{Mapping, Scenario, Tcpcopy};
use crate::traffic::{AddressRange, Ports, Sources, UsersPlan};
use crate::world::plan::{FIRST_USER_V6, ONLINE, ONLINE_V6, PORT, TARGET, TARGET_V6};

pub(super) fn families() -> Vec<Scenario> {
    let v4 = from_addresses;
    let crossing = |online: IpAddr, target: IpAddr| Mapping {
        online: (online, PORT).into(),
        target: (target, PORT).into(),
        module: None,
    };
    let to_v6 = crossing(ONLINE.into(), TARGET_V6.into());
    let to_v4 = crossing(ONLINE_V6.into(), TARGET.into());
    let extra = |name, about, mapping, users, options| Scenario {
        mappings: vec![mapping],
        users,
        tcpcopies: vec![Tcpcopy { options, ..Tcpcopy::default() }],
        ..row(name, about, None, 1.0, UsersPlan::default())
    };
    vec![
        Scenario { quick: true, ..extra("ipv6", "IPv6 all the way", Mapping::v6(PORT), everyone(v6), &[]) },
        extra(
            "ipv6-sources",
            "IPv6, clients at addresses of a -c prefix",
            Mapping::v6(PORT),
            everyone(v6),
            &["-c", "fd00:30::/112"],
        ),
        Scenario {
            quick: true,
            ..extra(
                "ipv4-to-ipv6",
                "users over IPv4, target over IPv6",
                to_v6,
                everyone(v4),
                &["-c", "fd00:30::/112"],
            )
        },
        Scenario {
            quick: true,
            ..extra(
                "ipv6-to-ipv4",
                "users over IPv6, target over IPv4",
                to_v4,
                everyone(v6),
                &["-c", "10.30.0.x"],
            )
        },
        Scenario {
            copies: 2,
            ..extra(
                "ipv4-to-ipv6-copies",
                "users over IPv4, twice over IPv6",
                to_v6,
                everyone(v4),
                &["-n", "2", "-c", "fd00:30::/112"],
            )
        },
    ]
}

/// Keepalive and short connections, and uploads in segments as large as can be.
fn everyone(from: fn(u32) -> Sources) -> Vec<UsersPlan> {
    vec![
        UsersPlan { sources: from(50), ..keepalive(50, 500, 4) },
        UsersPlan { sources: from(50), first_user: 1000, ..short(200, 4) },
        UsersPlan { sources: from(10), first_user: 500_000, ..uploads_of(64 * KIB, 10, 20) },
    ]
}

/// Users at IPv6 addresses of their own.
pub(super) fn v6(count: u32) -> Sources {
    Sources {
        addresses: vec![AddressRange { first: IpAddr::V6(FIRST_USER_V6), count }],
        ports: Ports::Ephemeral,
    }
}
