//! `-c`: the addresses copied clients speak from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcpcopy_core::engine::SourcePool;

use crate::endpoint_flag::{host_address, not_a_host};

/// Addresses from `first` to `last`, both included, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceRange {
    first: IpAddr,
    last: IpAddr,
}

/// Parses an address, `10.20.0.x`, a prefix (`10.20.0.0/16`, `fd00:20::/64`) or a range (`10.20.0.1-10.20.0.99`).
///
/// # Errors
/// The half sentence that says what is wrong and what is allowed.
pub(crate) fn source_range(text: &str) -> Result<SourceRange, String> {
    parse(text.trim()).and_then(of_hosts).map_err(|wrong| {
        format!("{wrong}; it takes addresses, 10.20.0.x (.1 to .254), prefixes as 10.20.0.0/16 and ranges as 10.20.0.5-10.20.0.9")
    })
}

/// The pool of all `ranges` without `targets`; `None` when nothing is left.
pub(crate) fn pool(ranges: &[SourceRange], targets: &[IpAddr]) -> Option<SourcePool> {
    let left = targets.iter().fold(ranges.to_vec(), |ranges, target| {
        ranges.into_iter().flat_map(|range| range.without(*target)).flatten().collect()
    });
    let ends: Vec<_> = left.iter().map(|range| (range.first, range.last)).collect();
    (!ends.is_empty()).then(|| SourcePool::new(ends))
}

impl SourceRange {
    /// What is left of the range below and above `addr`.
    fn without(self, addr: IpAddr) -> [Option<Self>; 2] {
        let is_inside = addr.is_ipv4() == self.first.is_ipv4() && self.first <= addr && addr <= self.last;
        if !is_inside {
            return [Some(self), None];
        }
        [
            (self.first < addr).then(|| Self { last: step(addr, Step::Down), ..self }),
            (addr < self.last).then(|| Self { first: step(addr, Step::Up), ..self }),
        ]
    }

    fn overlaps(self, first: IpAddr, last: IpAddr) -> bool {
        first.is_ipv4() == self.first.is_ipv4() && self.first <= last && first <= self.last
    }
}

fn parse(text: &str) -> Result<SourceRange, String> {
    if text.contains('*') {
        return Err("there is no \"*\"".to_owned());
    }
    if let Some(prefix) = text.strip_suffix(".x") {
        let end = |last: u8| format!("{prefix}.{last}").parse::<Ipv4Addr>();
        return match (end(1), end(254)) {
            (Ok(first), Ok(last)) => Ok(SourceRange { first: first.into(), last: last.into() }),
            _ => Err(format!("\"{prefix}\" are not the first three numbers of an IPv4 address")),
        };
    }
    if let Some((network, length)) = text.split_once('/') {
        return prefix(host_address(network)?, length);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (host_address(first.trim())?, host_address(last.trim())?);
    if first.is_ipv4() != last.is_ipv4() {
        return Err(format!("{first} and {last} are not of one family"));
    }
    if last < first {
        return Err(format!("{last} comes before {first}"));
    }
    Ok(SourceRange { first, last })
}

fn prefix(addr: IpAddr, length: &str) -> Result<SourceRange, String> {
    let (shortest, longest) = if addr.is_ipv4() { (8, 32) } else { (16, 128) };
    let wrong = || format!("the prefix length \"{length}\" is not a number from {shortest} to {longest}");
    let length = length
        .parse::<u32>()
        .ok()
        .filter(|length| (shortest..=longest).contains(length))
        .ok_or_else(wrong)?;
    Ok(match addr {
        IpAddr::V4(v4) => {
            let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
            let (first, last) = (v4.to_bits() & !hosts, v4.to_bits() | hosts);
            // The network's own and its broadcast address; RFC 3021: not in networks of two.
            let margin = u32::from(length <= 30);
            let end = |bits| IpAddr::V4(Ipv4Addr::from_bits(bits));
            SourceRange { first: end(first + margin), last: end(last - margin) }
        }
        IpAddr::V6(v6) => {
            let hosts = u128::MAX.checked_shr(length).unwrap_or(0);
            let end = |bits| IpAddr::V6(Ipv6Addr::from_bits(bits));
            SourceRange { first: end(v6.to_bits() & !hosts), last: end(v6.to_bits() | hosts) }
        }
    })
}

fn of_hosts(range: SourceRange) -> Result<SourceRange, String> {
    for end in [range.first, range.last] {
        if let Some(why) = not_a_host(end) {
            return Err(format!("{end} is {why}"));
        }
    }
    let loopback = (Ipv4Addr::new(127, 0, 0, 0).into(), Ipv4Addr::new(127, 255, 255, 255).into());
    let is_partly_loopback =
        range.overlaps(loopback.0, loopback.1) && !(range.first.is_loopback() && range.last.is_loopback());
    if is_partly_loopback {
        return Err(format!("{} to {} takes in loopback addresses", range.first, range.last));
    }
    Ok(range)
}

enum Step {
    Up,
    Down,
}

/// The address next to `addr`, which is inside a range: there is one.
fn step(addr: IpAddr, step: Step) -> IpAddr {
    match (addr, step) {
        (IpAddr::V4(v4), Step::Up) => Ipv4Addr::from_bits(v4.to_bits().saturating_add(1)).into(),
        (IpAddr::V4(v4), Step::Down) => Ipv4Addr::from_bits(v4.to_bits().saturating_sub(1)).into(),
        (IpAddr::V6(v6), Step::Up) => Ipv6Addr::from_bits(v6.to_bits().saturating_add(1)).into(),
        (IpAddr::V6(v6), Step::Down) => Ipv6Addr::from_bits(v6.to_bits().saturating_sub(1)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(text: &str) -> (String, String) {
        let range = source_range(text).unwrap();
        (range.first.to_string(), range.last.to_string())
    }

    fn pair(first: &str, last: &str) -> (String, String) {
        (first.to_owned(), last.to_owned())
    }

    #[test]
    fn every_form_is_a_range() {
        assert_eq!(ends("10.20.0.7"), pair("10.20.0.7", "10.20.0.7"));
        assert_eq!(ends("10.20.0.x"), pair("10.20.0.1", "10.20.0.254"));
        assert_eq!(ends("10.20.0.0/16"), pair("10.20.0.1", "10.20.255.254"));
        assert_eq!(ends("10.20.7.7/24"), pair("10.20.7.1", "10.20.7.254"));
        assert_eq!(ends("10.20.0.4/31"), pair("10.20.0.4", "10.20.0.5"));
        assert_eq!(ends("10.20.0.4/32"), pair("10.20.0.4", "10.20.0.4"));
        assert_eq!(ends("10.20.0.5-10.20.1.9"), pair("10.20.0.5", "10.20.1.9"));
        assert_eq!(ends("fd00:20::/120"), pair("fd00:20::", "fd00:20::ff"));
        assert_eq!(ends("fd00:20::5 - fd00:20::9"), pair("fd00:20::5", "fd00:20::9"));
        assert_eq!(ends("fd00:20::5/128"), pair("fd00:20::5", "fd00:20::5"));
        assert_eq!(ends("127.0.0.x"), pair("127.0.0.1", "127.0.0.254"));
    }

    #[test]
    fn what_is_wrong_with_a_source_is_said() {
        let cases = [
            ("", "\"\" is not an IP address"),
            ("10.20.0", "\"10.20.0\" is not an IP address"),
            ("10.20.0.*", "there is no \"*\""),
            ("10.20.x", "\"10.20\" are not the first three numbers of an IPv4 address"),
            ("10.x.x", "\"10.x\" are not the first three numbers of an IPv4 address"),
            ("10.20.0.0/33", "the prefix length \"33\" is not a number from 8 to 32"),
            ("10.20.0.0/", "the prefix length \"\" is not a number from 8 to 32"),
            ("fd00::/8", "the prefix length \"8\" is not a number from 16 to 128"),
            ("10.20.0.9-10.20.0.5", "10.20.0.5 comes before 10.20.0.9"),
            ("10.20.0.9-fd00::1", "10.20.0.9 and fd00::1 are not of one family"),
            ("0.0.0.0", "0.0.0.0 is not the address of a host"),
            ("224.0.0.0/24", "224.0.0.0 is a multicast address, which no TCP connection can have"),
            ("126.0.0.1-128.0.0.1", "126.0.0.1 to 128.0.0.1 takes in loopback addresses"),
            ("web.example", "\"web.example\" is not an IP address"),
        ];
        let allowed = "; it takes addresses, 10.20.0.x (.1 to .254), prefixes as 10.20.0.0/16 and ranges as 10.20.0.5-10.20.0.9";
        for (text, expected) in cases {
            assert_eq!(source_range(text).unwrap_err(), format!("{expected}{allowed}"), "{text}");
        }
    }

    #[test]
    fn targets_are_cut_out() {
        let ranges =
            ["10.20.0.1-10.20.0.4", "10.20.0.9", "fd00::/127"].map(|text| source_range(text).unwrap());
        let targets = ["10.20.0.2", "10.20.0.4", "10.20.0.9", "fd00::"].map(|text| text.parse().unwrap());
        let pool = pool(&ranges, &targets).unwrap();
        let ends: Vec<_> =
            pool.ranges().iter().map(|(first, last)| (first.to_string(), last.to_string())).collect();
        assert_eq!(
            ends,
            [pair("10.20.0.1", "10.20.0.1"), pair("10.20.0.3", "10.20.0.3"), pair("fd00::1", "fd00::1")]
        );
    }

    #[test]
    fn a_pool_of_targets_alone_is_none() {
        let only = source_range("10.20.0.2").unwrap();
        assert_eq!(pool(&[only], &["10.20.0.2".parse().unwrap()]), None);
    }
}
