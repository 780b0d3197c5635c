//! `-x`: which online address is replayed to which target.

use tcpcopy_core::engine::{Mapping, OnlineAddress};
use tcpcopy_core::runtime::mapping_name;
use tcpcopy_core::wire::Endpoint;

use crate::endpoint_flag::{endpoint, port};

/// Parses `[ADDRESS:]PORT-ADDRESS:PORT`.
///
/// # Errors
/// The half sentence that says what is wrong and what is allowed.
pub(crate) fn mapping(text: &str) -> Result<Mapping, String> {
    parse(text.trim()).map_err(|wrong| {
        format!("{wrong}; it takes PORT-TARGET:PORT or ADDRESS:PORT-TARGET:PORT, as in 80-10.10.3.2:8080")
    })
}

/// A mapping the way `-x` takes it.
pub(crate) fn argument(mapping: &Mapping) -> String {
    format!("{}-{}", mapping_name(mapping), mapping.target)
}

fn parse(text: &str) -> Result<Mapping, String> {
    let Some((online, target)) = text.split_once('-') else {
        return Err("there is no \"-\" between online address and target".to_owned());
    };
    let online = self::online(online)?;
    let target = endpoint(target, "the target")?;
    if online.addr == Some(target.addr) && online.port == target.port {
        return Err("online address and target are the same".to_owned());
    }
    Ok(Mapping { online, target })
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
