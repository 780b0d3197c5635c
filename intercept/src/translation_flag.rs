//! The value of `-D`.

use std::net::IpAddr;

use tcpcopy_core::feed::Translation;

/// Parses `NEW-ORIGINAL`.
///
/// # Errors
/// The half sentence that says what is allowed.
pub(crate) fn translation(text: &str) -> Result<Translation, String> {
    let allowed = || {
        "it takes the address that responses are sent to and the one tcpcopy speaks from, as in \
         172.17.0.1-10.10.1.1"
            .to_owned()
    };
    let (new, original) = text.trim().split_once('-').ok_or_else(allowed)?;
    let address = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| allowed());
    let (new, original) = (address(new)?, address(original)?);
    if new.is_ipv4() != original.is_ipv4() {
        return Err("both addresses must be of IPv4 or both of IPv6".to_owned());
    }
    Ok(Translation { new, original })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_addresses_are_of_one_family() {
        let expected =
            Translation { new: "172.17.0.1".parse().unwrap(), original: "10.0.0.1".parse().unwrap() };
        assert_eq!(translation("172.17.0.1-10.0.0.1"), Ok(expected));
        assert!(translation("fd00::1-fd00::2").is_ok());
        assert_eq!(
            translation("fd00::1-10.0.0.1").unwrap_err(),
            "both addresses must be of IPv4 or both of IPv6"
        );
        for wrong in ["", "10.0.0.1", "10.0.0.1-", "a-b"] {
            assert!(translation(wrong).unwrap_err().starts_with("it takes the address"), "{wrong}");
        }
    }
}
