//! `-x`: which online address is replayed to which target.

use tcpcopy_core::engine::{Mapping, OnlineAddress};
use tcpcopy_core::net::{EthernetTarget, MacAddress};
use tcpcopy_core::runtime::mapping_name;
use tcpcopy_core::wire::Endpoint;

use crate::endpoint_flag::{endpoint, port};

/// An entry of `-x`, with the link-layer addresses it may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkedMapping {
    pub(crate) mapping: Mapping,
    /// Who frames to the target come from.
    source: Option<MacAddress>,
    /// Who is next on the way to the target.
    next_hop: Option<MacAddress>,
}

impl LinkedMapping {
    /// Whether it names any link-layer address.
    pub(crate) fn is_linked(&self) -> bool {
        self.source.is_some() || self.next_hop.is_some()
    }

    /// The target, for frames.
    pub(crate) fn ethernet_target(&self) -> EthernetTarget {
        EthernetTarget { addr: self.mapping.target.addr, source: self.source, next_hop: self.next_hop }
    }

    /// It, the way `-x` takes it.
    pub(crate) fn argument(&self) -> String {
        let at = |mac: Option<MacAddress>| mac.map(|mac| format!("@{mac}")).unwrap_or_default();
        let Mapping { target, .. } = self.mapping;
        format!("{}{}-{target}{}", mapping_name(&self.mapping), at(self.source), at(self.next_hop))
    }
}

/// Parses `[ADDRESS:]PORT[@MAC]-ADDRESS:PORT[@MAC]`.
///
/// # Errors
/// The half sentence that says what is wrong and what is allowed.
pub(crate) fn linked_mapping(text: &str) -> Result<LinkedMapping, String> {
    parse(text.trim()).map_err(|wrong| {
        format!("{wrong}; it takes PORT-TARGET:PORT or ADDRESS:PORT-TARGET:PORT, as in 80-10.10.3.2:8080")
    })
}

/// An entry without link-layer addresses.
#[cfg(test)]
pub(crate) fn mapping(text: &str) -> Result<Mapping, String> {
    linked_mapping(text).map(|linked| linked.mapping)
}

/// A mapping the way `-x` takes it.
pub(crate) fn argument(mapping: &Mapping) -> String {
    format!("{}-{}", mapping_name(mapping), mapping.target)
}

fn parse(text: &str) -> Result<LinkedMapping, String> {
    let Some((online, target)) = text.split_once('-') else {
        return Err("there is no \"-\" between online address and target".to_owned());
    };
    let ((online, source), (target, next_hop)) = (with_mac(online)?, with_mac(target)?);
    let online = self::online(online)?;
    let target = endpoint(target, "the target")?;
    if online.addr == Some(target.addr) && online.port == target.port {
        return Err("online address and target are the same".to_owned());
    }
    Ok(LinkedMapping { mapping: Mapping { online, target }, source, next_hop })
}

/// One side of a mapping, and the link-layer address behind its `@`.
fn with_mac(side: &str) -> Result<(&str, Option<MacAddress>), String> {
    match side.split_once('@') {
        Some((side, mac)) => Ok((side, Some(mac.parse()?))),
        None => Ok((side, None)),
    }
}

/// Parses the online side of a mapping: `PORT` or `ADDRESS:PORT`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn online(text: &str) -> Result<OnlineAddress, String> {
    let what = "the online address";
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(OnlineAddress { addr: None, port: port(text, what)? });
    }
    // What the C tools wrote for "any address".
    if let Some(digits) = text.strip_prefix("0.0.0.0:").or_else(|| text.strip_prefix("[::]:")) {
        return Ok(OnlineAddress { addr: None, port: port(digits, what)? });
    }
    let Endpoint { addr, port } = endpoint(text, what)?;
    Ok(OnlineAddress { addr: Some(addr), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_layer_addresses_stand_behind_an_at() {
        for text in [
            "80@02:00:00:00:00:01-10.10.3.2:8080@02:00:00:00:00:02",
            "[fd00::1]:80-[fd00::2]:80@02:00:00:00:00:02",
            "10.0.0.1:80@02:00:00:00:00:01-10.10.3.2:80",
        ] {
            let linked = linked_mapping(text).unwrap();
            assert!(linked.is_linked() && linked.argument() == text, "{text}");
        }
        let linked = linked_mapping("80@2:0:0:0:0:1-10.10.3.2:8080@02-00-00-00-00-02").unwrap();
        assert_eq!(linked.argument(), "80@02:00:00:00:00:01-10.10.3.2:8080@02:00:00:00:00:02");
        let wrong = linked_mapping("80-10.10.3.2:8080@ff:ff:ff:ff:ff:ff").unwrap_err();
        assert!(wrong.starts_with("ff:ff:ff:ff:ff:ff is not the link-layer address of one host; it takes"));
        assert!(linked_mapping("80@-10.10.3.2:8080").unwrap_err().contains("is no link-layer address"));
    }

    #[test]
    fn every_form_comes_back_as_it_was_given() {
        for text in [
            "80-10.10.3.2:8080",
            "10.0.0.1:80-10.10.3.2:8080",
            "[fd00::1]:80-[fd00::2]:8080",
            "80-[fd00::2]:8080",
            "127.0.0.1:80-127.0.0.1:8080",
        ] {
            assert_eq!(argument(&mapping(text).unwrap()), text);
        }
    }

    #[test]
    fn the_unspecified_address_means_any() {
        assert_eq!(mapping("0.0.0.0:80-10.10.3.2:8080"), mapping("80-10.10.3.2:8080"));
        assert_eq!(mapping("[::]:80-10.10.3.2:8080"), mapping("80-10.10.3.2:8080"));
    }

    #[test]
    fn what_is_wrong_with_a_mapping_is_said() {
        let cases = [
            ("", "there is no \"-\" between online address and target"),
            ("80", "there is no \"-\" between online address and target"),
            ("80-", "the target is missing"),
            ("-10.10.3.2:8080", "the online address is missing"),
            (
                "0-10.10.3.2:8080",
                "the online address has the port \"0\", which is not a number from 1 to 65535",
            ),
            ("80-10.10.3.2", "the target 10.10.3.2 has no port"),
            ("80-8080", "the target 8080 has no port"),
            ("10.0.0.1-10.10.3.2:8080", "the online address 10.0.0.1 has no port"),
            (
                "80-10.10.3.2:8080-10.10.3.3:80",
                "the target has \"10.10.3.2:8080-10.10.3.3\" where an IP address must be",
            ),
            ("10.0.0.1:80-10.0.0.1:80", "online address and target are the same"),
        ];
        let allowed = "; it takes PORT-TARGET:PORT or ADDRESS:PORT-TARGET:PORT, as in 80-10.10.3.2:8080";
        for (text, expected) in cases {
            assert_eq!(mapping(text).unwrap_err(), format!("{expected}{allowed}"), "{text}");
        }
    }
}
