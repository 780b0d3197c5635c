//! Which flows are whose, and how deep their responses shall be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcpcopy_wire::Flow;

use crate::Malformed;
use crate::bytes::{Reader, Writer};

/// One live session of one tcpcopy, as its responses are addressed.
///
/// Chosen by tcpcopy and unique among the live sessions of a feed connection; one that is not used again soon
/// keeps late responses apart from those of a later session. Small numbers travel in fewer bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

/// What tcpcopy tells intercept of its flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Responses of `flow` (as the target sees it) go to session `id`. The latest `Add` of a flow wins.
    Add {
        /// The session.
        id: FlowId,
        /// Client as the target sees it, and target.
        flow: Flow,
        /// Payload bytes wanted of each response segment; 0: headers only. Above [`crate::MAX_DEPTH`] is the
        /// same as [`crate::MAX_DEPTH`].
        depth: u32,
    },
    /// From now on another depth.
    Depth {
        /// The session.
        id: FlowId,
        /// As in [`Self::Add`].
        depth: u32,
    },
    /// The session is over.
    Remove {
        /// The session.
        id: FlowId,
    },
}

/// What tells flows apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keying {
    /// The server's address does not: what was sent to one is answered from another.
    pub(crate) dnat: bool,
}

impl Keying {
    /// The flow, without what does not tell it from others.
    pub(crate) fn key(self, mut flow: Flow) -> Flow {
        if self.dnat {
            flow.server.addr = match flow.server.addr {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
        }
        flow
    }
}

const ADD: u8 = 0;
const DEPTH: u8 = 1;
const REMOVE: u8 = 2;
const CLIENT_V6: u8 = 0x10;
const SERVER_V6: u8 = 0x20;

impl Registration {
    pub(crate) fn record(&self) -> Writer {
        let mut record = Writer::new();
        match *self {
            Self::Add { id, flow, depth } => {
                record.u8(ADD | families(&flow));
                record.varint(id.0);
                record.endpoint(flow.client);
                record.endpoint(flow.server);
                record.varint(depth.into());
            }
            Self::Depth { id, depth } => {
                record.u8(DEPTH);
                record.varint(id.0);
                record.varint(depth.into());
            }
            Self::Remove { id } => {
                record.u8(REMOVE);
                record.varint(id.0);
            }
        }
        record
    }

    pub(crate) fn parse(body: &mut Reader<'_>) -> Result<Self, Malformed> {
        let kind = body.u8()?;
        let id = FlowId(body.varint()?);
        match kind {
            DEPTH => Ok(Self::Depth { id, depth: body.varint32()? }),
            REMOVE => Ok(Self::Remove { id }),
            _ if kind & !(CLIENT_V6 | SERVER_V6) == ADD => {
                let flow = parse_endpoints(kind, body)?;
                Ok(Self::Add { id, flow, depth: body.varint32()? })
            }
            _ => Err(Malformed::UnknownRegistration(kind)),
        }
    }
}

/// A flow in front of a response to a session that is not registered.
pub(crate) fn flow_record(flow: &Flow) -> Writer {
    let mut record = Writer::new();
    record.u8(families(flow));
    record.endpoint(flow.client);
    record.endpoint(flow.server);
    record
}

/// Reads what [`flow_record`] wrote.
pub(crate) fn parse_flow(body: &mut Reader<'_>) -> Result<Flow, Malformed> {
    let families = body.u8()?;
    if families & !(CLIENT_V6 | SERVER_V6) != 0 {
        return Err(Malformed::Number);
    }
    parse_endpoints(families, body)
}

/// The bits that say of which families a flow's addresses are.
fn families(flow: &Flow) -> u8 {
    let client = if flow.client.addr.is_ipv6() { CLIENT_V6 } else { 0 };
    let server = if flow.server.addr.is_ipv6() { SERVER_V6 } else { 0 };
    client | server
}

fn parse_endpoints(families: u8, body: &mut Reader<'_>) -> Result<Flow, Malformed> {
    let client = body.endpoint(families & CLIENT_V6 != 0)?;
    let server = body.endpoint(families & SERVER_V6 != 0)?;
    Ok(Flow { client, server })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tcpcopy_wire::Endpoint;

    use super::*;

    fn any_endpoint() -> impl Strategy<Value = Endpoint> {
        (any::<IpAddr>(), any::<u16>()).prop_map(|(addr, port)| Endpoint::new(addr, port))
    }

    fn any_registration() -> impl Strategy<Value = Registration> {
        let id = any::<u64>().prop_map(FlowId);
        let flow = (any_endpoint(), any_endpoint()).prop_map(|(client, server)| Flow { client, server });
        prop_oneof![
            (id.clone(), flow, any::<u32>()).prop_map(|(id, flow, depth)| Registration::Add {
                id,
                flow,
                depth
            }),
            (id.clone(), any::<u32>()).prop_map(|(id, depth)| Registration::Depth { id, depth }),
            id.prop_map(|id| Registration::Remove { id }),
        ]
    }

    proptest! {
        #[test]
        fn registrations_come_back(registrations in prop::collection::vec(any_registration(), 0..20)) {
            let bytes: Vec<u8> = registrations.iter().flat_map(|one| one.record().as_slice().to_vec()).collect();
            let mut body = Reader::new(&bytes);
            for registration in registrations {
                prop_assert_eq!(Registration::parse(&mut body), Ok(registration));
            }
            prop_assert!(body.is_empty());
        }

        #[test]
        fn flows_come_back(client in any_endpoint(), server in any_endpoint()) {
            let flow = Flow { client, server };
            let record = flow_record(&flow);
            prop_assert_eq!(parse_flow(&mut Reader::new(record.as_slice())), Ok(flow));
        }

        #[test]
        fn arbitrary_bytes_are_registrations_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            let mut body = Reader::new(&bytes);
            while !body.is_empty() && Registration::parse(&mut body).is_ok() {}
        }
    }

    #[test]
    fn an_unknown_registration_is_refused() {
        for kind in [3, 0x11 | 0x40, 0x12, 0x80] {
            assert_eq!(
                Registration::parse(&mut Reader::new(&[kind, 1, 0])),
                Err(Malformed::UnknownRegistration(kind))
            );
        }
    }
}
