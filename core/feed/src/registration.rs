//! Which flows are whose, and how deep their responses shall be.

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
                let client = if flow.client.addr.is_ipv6() { CLIENT_V6 } else { 0 };
                let server = if flow.server.addr.is_ipv6() { SERVER_V6 } else { 0 };
                record.u8(ADD | client | server);
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
                let client = body.endpoint(kind & CLIENT_V6 != 0)?;
                let server = body.endpoint(kind & SERVER_V6 != 0)?;
                Ok(Self::Add { id, flow: Flow { client, server }, depth: body.varint32()? })
            }
            _ => Err(Malformed::UnknownRegistration(kind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

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
