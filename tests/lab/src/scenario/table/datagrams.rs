//! Rows with UDP.

use std::net::IpAddr;
use std::time::Duration;

use super::plans::row;
use crate::datagrams::SendersPlan;
use crate::scenario::demand::Demand;
use crate::scenario::{Mapping, Scenario, Server, Tcpcopy};
use crate::traffic::{AddressRange, Ports, Sources, UsersPlan};
use crate::world::plan::{FIRST_USER, FIRST_USER_V6, ONLINE, PORT, TARGET_V6};

/// Nothing, little, what just fits into a packet over IPv4 or IPv6 and what just does not, and many fragments.
const SIZES: [u32; 14] = [0, 1, 7, 8, 100, 1_024, 1_452, 1_453, 1_472, 1_473, 2_000, 9_000, 30_000, 60_000];

pub(super) fn datagrams() -> Vec<Scenario> {
    let one = |options| vec![Tcpcopy { options, ..Tcpcopy::default() }];
    let to_v6 = Mapping { target: (TARGET_V6, PORT).into(), ..Mapping::v4(PORT) };
    vec![
        Scenario {
            quick: true,
            ..udp("udp", "datagrams of 0 to 60 000 bytes", from(FIRST_USER.into(), 20), 140)
        },
        Scenario {
            copies: 3,
            tcpcopies: one(&["-n", "3", "-c", "10.30.0.x"]),
            quick: true,
            ..udp("udp-copies", "datagrams, -n 3 from -c addresses", from(FIRST_USER.into(), 20), 56)
        },
        Scenario {
            mappings: vec![Mapping::v6(PORT)],
            ..udp("udp-ipv6", "datagrams over IPv6", from(FIRST_USER_V6.into(), 20), 140)
        },
        Scenario {
            mappings: vec![to_v6],
            tcpcopies: one(&["-c", "fd00:30::/112"]),
            ..udp(
                "udp-ipv4-to-ipv6",
                "datagrams over IPv4, target over IPv6",
                from(FIRST_USER.into(), 20),
                56,
            )
        },
        Scenario {
            tcpcopies: vec![
                Tcpcopy { options: &["--share", "1/2", "-c", "10.30.0.1"], ..Tcpcopy::default() },
                Tcpcopy { options: &["--share", "2/2", "-c", "10.30.0.1"], ..Tcpcopy::default() },
            ],
            ..udp(
                "udp-shared",
                "two tcpcopys copy half of the users' datagrams each",
                from(FIRST_USER.into(), 20),
                56,
            )
        },
        Scenario {
            is_recorded: true,
            drain: Duration::from_secs(60),
            tcpcopies: one(&["-a", "4"]),
            ..udp("udp-offline", "recorded datagrams, four times as fast", from(FIRST_USER.into(), 20), 56)
        },
        Scenario {
            tcpcopies: one(&["-M", "600"]),
            ..udp(
                "udp-small-mtu",
                "datagrams in packets of 600 bytes, -M 600",
                from(FIRST_USER.into(), 10),
                56,
            )
        },
    ]
}

/// A scenario in which 20 senders send so many datagrams each; all of them have to arrive.
fn udp(name: &'static str, about: &'static str, sources: Sources, each: u32) -> Scenario {
    let senders = SendersPlan {
        targets: vec![(ONLINE, PORT).into()],
        sources,
        senders: 20,
        each,
        sizes: SIZES.to_vec(),
        gap: Duration::from_millis(1),
    };
    Scenario {
        users: Vec::new(),
        senders: vec![senders],
        online: Server::Datagrams,
        target: Server::Datagrams,
        demands: &[Demand::DatagramsCounted],
        ..row(name, about, None, 1.0, UsersPlan::default())
    }
}

fn from(first: IpAddr, count: u32) -> Sources {
    Sources { addresses: vec![AddressRange { first, count }], ports: Ports::Fixed { first: 20_000, each: 1 } }
}
