//! The link-layer address of one station (IEEE 802 §8.2).

use std::fmt;
use std::str::FromStr;

/// Bytes of an address.
pub(crate) const MAC_LEN: usize = 6;

/// A link-layer address that one station has: never a group's (broadcast is one), and never all zero. So no frame that is
/// made of these goes to more than one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MacAddress([u8; MAC_LEN]);

impl MacAddress {
    /// The address of these bytes; `None` if it is not that of one station.
    #[must_use]
    pub fn new(bytes: [u8; MAC_LEN]) -> Option<Self> {
        is_of_one_station(&bytes).then_some(Self(bytes))
    }

    /// Its bytes, in the order of the wire.
    #[must_use]
    pub const fn octets(self) -> [u8; MAC_LEN] {
        self.0
    }
}

/// Whether these bytes are the address of one station: the group bit, the lowest of the first byte, is not set.
pub(crate) fn is_of_one_station(bytes: &[u8; MAC_LEN]) -> bool {
    bytes[0] & 1 == 0 && *bytes != [0; MAC_LEN]
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Reads six bytes of one or two hexadecimal digits, with colons or with dashes between them.
impl FromStr for MacAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let separator = if text.contains(':') { ':' } else { '-' };
        let mut bytes = [0; MAC_LEN];
        let mut parts = text.split(separator);
        let is_digit = |digit: u8| digit.is_ascii_hexdigit();
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.bytes().all(is_digit));
            let value = part.and_then(|part| u8::from_str_radix(part, 16).ok());
            *byte =
                value.ok_or_else(|| format!("\"{text}\" is no link-layer address like 02:00:5e:10:00:01"))?;
        }
        if parts.next().is_some() {
            return Err(format!("\"{text}\" is no link-layer address like 02:00:5e:10:00:01"));
        }
        Self::new(bytes).ok_or_else(|| format!("{text} is not the link-layer address of one host"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_station_come_back_as_they_were_given() {
        for text in ["02:00:5e:10:00:01", "fc:ff:ff:ff:ff:ff"] {
            assert_eq!(text.parse::<MacAddress>().unwrap().to_string(), text);
        }
        assert_eq!("2-0-5E-10-0-1".parse(), "02:00:5e:10:00:01".parse::<MacAddress>());
    }

    #[test]
    fn a_group_or_nobody_is_no_station() {
        for text in ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01", "00:00:00:00:00:00"] {
            let wrong = text.parse::<MacAddress>().unwrap_err();
            assert_eq!(wrong, format!("{text} is not the link-layer address of one host"));
        }
        for first in 0..=255_u8 {
            assert_eq!(MacAddress::new([first, 0, 0, 0, 0, 1]).is_some(), first % 2 == 0);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "02",
            "02:00:5e:10:00",
            "02:00:5e:10:00:01:02",
            "02:00:5e:10:00:1001",
            "02:00:5e:10:00:+1",
            "02:00-5e:10:00:01",
        ] {
            assert!(text.parse::<MacAddress>().unwrap_err().contains("is no link-layer address"), "{text}");
        }
    }
}
