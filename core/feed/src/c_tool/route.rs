//! What goes upstream: records of 14 bytes, all in network order. The first one names the version.

use std::net::{IpAddr, Ipv4Addr};

use tcpcopy_wire::{Endpoint, Flow};

use crate::VERSION;

/// The version of the C tools' protocol spoken here.
pub(crate) const C_VERSION: u16 = 6;

/// Client address and port, type, target address and port.
pub(crate) const ROUTE_BYTES: usize = 14;

/// A flow begins. A type for its end exists, but no C tcpcopy ever sends it.
const ADD: u16 = 1;

/// Where a C tcpcopy has zeros and a C intercept does not look: this is a tcpcopy of ours.
const OFFER: [u8; 4] = *b"TCPF";
/// The bit of an offer's last word that says that payload is expected.
const EXPECTS_PAYLOAD: u16 = 0x8000;

/// One record, as intercept reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Responses of this flow are wanted.
    Add(Flow),
    /// A type of no meaning here.
    Other(u16),
}

/// What a tcpcopy of ours offers with its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The version of the feed; 15 bits.
    pub(crate) version: u16,
    /// It has modules, which may want payload of the first responses.
    pub(crate) expects_payload: bool,
}

/// The first record a tcpcopy of ours sends: a C intercept takes it for that of a C tcpcopy, ours answers it with
/// its hello.
pub(crate) fn offer(expects_payload: bool) -> [u8; ROUTE_BYTES] {
    let word = if expects_payload { VERSION | EXPECTS_PAYLOAD } else { VERSION };
    record(Ipv4Addr::UNSPECIFIED, 0, C_VERSION, Ipv4Addr::from(OFFER), word)
}

/// What an opening record offers, if it is not that of a C tcpcopy.
pub(crate) fn parse_offer(record: [u8; ROUTE_BYTES]) -> Option<Offer> {
    let [.., a, b, c, d, high, low] = record;
    let word = u16::from_be_bytes([high, low]);
    let offer = Offer { version: word & !EXPECTS_PAYLOAD, expects_payload: word & EXPECTS_PAYLOAD != 0 };
    ([a, b, c, d] == OFFER).then_some(offer)
}

/// The record that registers `flow`; `None` if it is not of IPv4.
pub(crate) fn add_route(flow: &Flow) -> Option<[u8; ROUTE_BYTES]> {
    match (flow.client.addr, flow.server.addr) {
        (IpAddr::V4(client), IpAddr::V4(server)) => {
            Some(record(client, flow.client.port, ADD, server, flow.server.port))
        }
        _ => None,
    }
}

/// Reads a record that is not the first.
pub(crate) fn parse_route(record: [u8; ROUTE_BYTES]) -> Route {
    let [a, b, c, d, port @ .., e, f, g, h, high, low] = record;
    let [port_high, port_low, type_high, type_low] = port;
    let kind = u16::from_be_bytes([type_high, type_low]);
    if kind != ADD {
        return Route::Other(kind);
    }
    let client = Endpoint::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([port_high, port_low]));
    let server = Endpoint::new(Ipv4Addr::new(e, f, g, h).into(), u16::from_be_bytes([high, low]));
    Route::Add(Flow { client, server })
}

fn record(
    client: Ipv4Addr,
    client_port: u16,
    kind: u16,
    target: Ipv4Addr,
    target_port: u16,
) -> [u8; ROUTE_BYTES] {
    let [a, b, c, d] = client.octets();
    let [e, f, g, h] = target.octets();
    let ([p, q], [k, l], [r, s]) = (client_port.to_be_bytes(), kind.to_be_bytes(), target_port.to_be_bytes());
    [a, b, c, d, p, q, k, l, e, f, g, h, r, s]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn flows_of_ipv4_come_back(client: (Ipv4Addr, u16), server: (Ipv4Addr, u16)) {
            let endpoint = |(addr, port): (Ipv4Addr, u16)| Endpoint::new(addr.into(), port);
            let flow = Flow { client: endpoint(client), server: endpoint(server) };
            prop_assert_eq!(add_route(&flow).map(parse_route), Some(Route::Add(flow)));
        }

        #[test]
        fn any_record_can_be_read(record: [u8; ROUTE_BYTES]) {
            parse_route(record);
            parse_offer(record);
        }
    }

    #[test]
    fn flows_of_ipv6_cannot_be_said() {
        let v6 = Endpoint::new("fd00::1".parse().unwrap(), 1);
        assert_eq!(add_route(&Flow { client: v6, server: v6 }), None);
    }

    #[test]
    fn an_offer_is_told_from_the_record_of_a_c_tcpcopy() {
        for expects_payload in [false, true] {
            let offered = Offer { version: VERSION, expects_payload };
            assert_eq!(parse_offer(offer(expects_payload)), Some(offered));
        }
        assert_eq!(parse_offer([0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0]), None);
        // Up to the type, all that a C intercept looks at, they are the same.
        assert_eq!(offer(false)[..8], [0, 0, 0, 0, 0, 0, 0, 6]);
    }
}
