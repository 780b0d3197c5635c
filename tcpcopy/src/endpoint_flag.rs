//! One end of a connection on the command line: `10.0.0.1:80`, `[fd00::1]:80`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tcpcopy_core::wire::Endpoint;

/// Parses an address with a port that something can listen on; `what` names the end in sentences.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn endpoint(text: &str, what: &str) -> Result<Endpoint, String> {
    if let Ok(socket) = text.parse::<SocketAddr>() {
        let socket = SocketAddr::new(socket.ip().to_canonical(), socket.port());
        return usable(socket, text, what);
    }
    if text.is_empty() {
        return Err(format!("{what} is missing"));
    }
    let unbracketed = text.parse::<Ipv6Addr>().is_ok();
    if unbracketed && !text.starts_with('[') {
        return Err(format!(
            "{what} {text} must have its IPv6 address in brackets and a port, as in [fd00::1]:80"
        ));
    }
    match text.rsplit_once(':') {
        None => Err(format!("{what} {text} has no port")),
        Some(_) if text.ends_with(']') => Err(format!("{what} {text} has no port")),
        Some((addr, port)) => {
            self::port(port, what)?;
            Err(format!("{what} has \"{addr}\" where an IP address must be"))
        }
    }
}

/// Parses a port that something can listen on; `what` names the end in sentences.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn port(text: &str, what: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("{what} has the port \"{text}\", which is not a number from 1 to 65535")),
    }
}

/// Parses the address of one host, IPv4 or IPv6, brackets or not.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn host_address(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let addr: IpAddr = bare.parse().map_err(|_| format!("\"{text}\" is not an IP address"))?;
    let addr = addr.to_canonical();
    match not_a_host(addr) {
        Some(why) => Err(format!("{addr} is {why}")),
        None => Ok(addr),
    }
}

fn usable(socket: SocketAddr, text: &str, what: &str) -> Result<Endpoint, String> {
    if socket.port() == 0 {
        return Err(format!("{what} has the port \"0\", which is not a number from 1 to 65535"));
    }
    match not_a_host(socket.ip()) {
        Some(why) => Err(format!("{what} {text} is {why}")),
        None => Ok(socket.into()),
    }
}

/// Why `addr` is not the address of one host, if it is not.
pub(crate) fn not_a_host(addr: IpAddr) -> Option<&'static str> {
    if addr.is_unspecified() || matches!(addr, IpAddr::V4(v4) if v4.octets()[0] == 0) {
        Some("not the address of a host")
    } else if addr.is_multicast() {
        Some("a multicast address, which no TCP connection can have")
    } else if matches!(addr, IpAddr::V4(v4) if v4 >= Ipv4Addr::new(240, 0, 0, 0)) {
        Some("a reserved or broadcast address, which no TCP connection can have")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_ends() {
        assert_eq!(endpoint("10.0.0.1:80", "the target").unwrap().to_string(), "10.0.0.1:80");
        assert_eq!(endpoint("[fd00::1]:80", "the target").unwrap().to_string(), "[fd00::1]:80");
        assert_eq!(endpoint("[::ffff:10.0.0.1]:80", "the target").unwrap().to_string(), "10.0.0.1:80");
    }

    #[test]
    fn what_is_wrong_with_an_end_is_said() {
        let cases = [
            ("", "the target is missing"),
            ("10.0.0.1", "the target 10.0.0.1 has no port"),
            ("[fd00::1]", "the target [fd00::1] has no port"),
            (
                "fd00::1",
                "the target fd00::1 must have its IPv6 address in brackets and a port, as in [fd00::1]:80",
            ),
            ("10.0.0.1:0", "the target has the port \"0\", which is not a number from 1 to 65535"),
            ("10.0.0.1:99999", "the target has the port \"99999\", which is not a number from 1 to 65535"),
            ("10.0.0.256:80", "the target has \"10.0.0.256\" where an IP address must be"),
            ("web.example:80", "the target has \"web.example\" where an IP address must be"),
            ("0.0.0.0:80", "the target 0.0.0.0:80 is not the address of a host"),
            ("[::]:80", "the target [::]:80 is not the address of a host"),
            (
                "224.0.0.1:80",
                "the target 224.0.0.1:80 is a multicast address, which no TCP connection can have",
            ),
            (
                "255.255.255.255:80",
                "the target 255.255.255.255:80 is a reserved or broadcast address, which no TCP connection can have",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(endpoint(text, "the target").unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn an_address_may_stand_in_brackets() {
        assert_eq!(host_address("[fd00::1]").unwrap(), host_address("fd00::1").unwrap());
        assert_eq!(host_address("10.0.0.").unwrap_err(), "\"10.0.0.\" is not an IP address");
        assert_eq!(host_address("0.0.0.0").unwrap_err(), "0.0.0.0 is not the address of a host");
    }
}
