//! `-s`: where intercepts listen.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use crate::endpoint_flag::{not_a_host, port};

/// An intercept as it was named; `port` only if it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InterceptName {
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(String),
}

/// Parses `HOST`, `HOST:PORT`, `[v6]`, `[v6]:PORT` or an IPv6 address alone.
///
/// # Errors
/// The half sentence that says what is wrong and what is allowed.
pub(crate) fn intercept(text: &str) -> Result<InterceptName, String> {
    parse(text.trim()).map_err(|wrong| {
        format!("{wrong}; it takes an address or a name, with or without a port, as in 10.10.3.3:36524")
    })
}

fn parse(text: &str) -> Result<InterceptName, String> {
    let what = "the intercept";
    if let Ok(addr) = text.parse::<Ipv6Addr>() {
        return named(Host::Address(addr.into()), None);
    }
    if let Some((addr, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let addr = addr.parse::<Ipv6Addr>().map_err(|_| format!("\"{addr}\" is not an IPv6 address"))?;
        let port = match rest.strip_prefix(':') {
            Some(digits) => Some(port(digits, what)?),
            None if rest.is_empty() => None,
            None => return Err(format!("\"{rest}\" follows the address")),
        };
        return named(Host::Address(addr.into()), port);
    }
    if text.starts_with('[') {
        return Err(format!("the bracket of \"{text}\" is not closed"));
    }
    let (host, digits) = match text.split_once(':') {
        Some((host, digits)) => (host, Some(digits)),
        None => (text, None),
    };
    let port = digits.map(|digits| port(digits, what)).transpose()?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() || !host.bytes().all(is_name) {
        return Err(format!("\"{host}\" is neither an address nor a host name"));
    }
    // A name of digits and dots alone is an address with a mistake in it.
    let is_number = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match host.parse::<IpAddr>() {
        Ok(addr) => named(Host::Address(addr), port),
        Err(_) if is_number => Err(format!("\"{host}\" is not an IP address")),
        Err(_) => named(Host::Name(host.to_owned()), port),
    }
}

fn named(host: Host, port: Option<u16>) -> Result<InterceptName, String> {
    let host = match host {
        Host::Address(addr) => Host::Address(addr.to_canonical()),
        name @ Host::Name(_) => name,
    };
    if let Host::Address(addr) = host
        && let Some(why) = not_a_host(addr)
    {
        return Err(format!("{addr} is {why}"));
    }
    Ok(InterceptName { host, port })
}

impl InterceptName {
    /// Where it listens; a name is looked up, and of several addresses an IPv4 one is preferred, since intercept
    /// listens on those unless told otherwise.
    ///
    /// # Errors
    /// A sentence about the name that could not be looked up.
    pub(crate) fn resolve(&self, default_port: u16) -> Result<SocketAddr, String> {
        let port = self.port.unwrap_or(default_port);
        let name = match &self.host {
            Host::Address(addr) => return Ok(SocketAddr::new(*addr, port)),
            Host::Name(name) => name,
        };
        let wrong = |why: String| format!("cannot find intercept {name} (-s): {why}; name it by its address");
        let found: Vec<SocketAddr> =
            (name.as_str(), port).to_socket_addrs().map_err(|error| wrong(error.to_string()))?.collect();
        let preferred = found.iter().find(|found| found.is_ipv4()).or(found.first());
        preferred.copied().ok_or_else(|| wrong("the name has no address".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> String {
        intercept(text).unwrap().resolve(36_524).unwrap().to_string()
    }

    #[test]
    fn the_port_is_the_usual_one_unless_given() {
        assert_eq!(resolved("10.10.3.3"), "10.10.3.3:36524");
        assert_eq!(resolved(" 10.10.3.3:7000"), "10.10.3.3:7000");
        assert_eq!(resolved("fd00::3"), "[fd00::3]:36524");
        assert_eq!(resolved("[fd00::3]"), "[fd00::3]:36524");
        assert_eq!(resolved("[fd00::3]:7000"), "[fd00::3]:7000");
    }

    #[test]
    fn names_are_looked_up_at_the_start() {
        assert_eq!(resolved("localhost:7000"), "127.0.0.1:7000");
        let nowhere = intercept("no-such-host.invalid").unwrap().resolve(1).unwrap_err();
        assert!(nowhere.starts_with("cannot find intercept no-such-host.invalid (-s): "), "{nowhere}");
        assert!(nowhere.ends_with("; name it by its address"), "{nowhere}");
    }

    #[test]
    fn what_is_wrong_with_an_intercept_is_said() {
        let cases = [
            ("", "\"\" is neither an address nor a host name"),
            (":7000", "\"\" is neither an address nor a host name"),
            ("10.10.3.3:0", "the intercept has the port \"0\", which is not a number from 1 to 65535"),
            ("10.10.3.3:", "the intercept has the port \"\", which is not a number from 1 to 65535"),
            ("10.10.3.333", "\"10.10.3.333\" is not an IP address"),
            ("0.0.0.0", "0.0.0.0 is not the address of a host"),
            ("[fd00::3", "the bracket of \"[fd00::3\" is not closed"),
            ("[fd00::3]7000", "\"7000\" follows the address"),
            ("[10.0.0.1]:7000", "\"10.0.0.1\" is not an IPv6 address"),
            ("http://host", "the intercept has the port \"//host\", which is not a number from 1 to 65535"),
        ];
        let allowed = "; it takes an address or a name, with or without a port, as in 10.10.3.3:36524";
        for (text, expected) in cases {
            assert_eq!(intercept(text).unwrap_err(), format!("{expected}{allowed}"), "{text}");
        }
    }
}
