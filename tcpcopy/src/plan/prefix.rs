//! Routes for ranges of addresses: the prefixes that cover them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All addresses of one family whose first `length` bits are these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// The lowest of its addresses, as a number.
    bits: u128,
    length: u32,
    is_v4: bool,
}

impl Prefix {
    /// The fewest prefixes that hold all of `first` to `last` and none of `others`. Where it saves prefixes, they hold the two
    /// neighbours of the range too: a network's own and its broadcast address, which no host has.
    pub(crate) fn covering(first: IpAddr, last: IpAddr, others: &[IpAddr]) -> Vec<Self> {
        let is_v4 = first.is_ipv4();
        let others: Vec<u128> =
            others.iter().filter(|other| other.is_ipv4() == is_v4).map(|addr| number(*addr)).collect();
        let (first, last) = (number(first), number(last));
        let whole = Self::around(first, last, is_v4);
        let margins = (first - whole.bits).max(whole.last() - last);
        if margins <= 1 && !others.iter().any(|other| whole.holds(*other)) {
            return vec![whole];
        }
        let mut found = Vec::new();
        whole.collect(first, last, &others, &mut found);
        found
    }

    /// Whether it is of IPv4.
    pub(crate) const fn is_v4(&self) -> bool {
        self.is_v4
    }

    /// The longest prefix that holds both.
    fn around(first: u128, last: u128, is_v4: bool) -> Self {
        let width: u32 = if is_v4 { 32 } else { 128 };
        let differing = 128 - (first ^ last).leading_zeros();
        let bits = first & u128::MAX.checked_shl(differing).unwrap_or(0);
        Self { bits, length: width - differing, is_v4 }
    }

    fn collect(self, first: u128, last: u128, others: &[u128], found: &mut Vec<Self>) {
        if self.last() < first || self.bits > last {
            return;
        }
        let is_inside = first <= self.bits && self.last() <= last;
        if is_inside && !others.iter().any(|other| self.holds(*other)) {
            found.push(self);
            return;
        }
        let free = self.free_bits();
        if free > 0 {
            let half = Self { length: self.length + 1, ..self };
            half.collect(first, last, others, found);
            Self { bits: self.bits | 1 << (free - 1), ..half }.collect(first, last, others, found);
        }
    }

    fn holds(&self, number: u128) -> bool {
        (self.bits..=self.last()).contains(&number)
    }

    fn last(&self) -> u128 {
        self.bits | !u128::MAX.checked_shl(self.free_bits()).unwrap_or(0)
    }

    fn free_bits(&self) -> u32 {
        (if self.is_v4 { 32 } else { 128 }) - self.length
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_v4 {
            write!(f, "{}/{}", Ipv4Addr::from_bits(self.bits as u32), self.length)
        } else {
            write!(f, "{}/{}", Ipv6Addr::from_bits(self.bits), self.length)
        }
    }
}

fn number(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covering(first: &str, last: &str, others: &[&str]) -> Vec<String> {
        let addr = |text: &str| text.parse::<IpAddr>().unwrap();
        let others: Vec<IpAddr> = others.iter().map(|text| addr(text)).collect();
        let found = Prefix::covering(addr(first), addr(last), &others);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_network_is_one_prefix_with_or_without_its_ends() {
        assert_eq!(covering("10.30.0.1", "10.30.0.254", &[]), ["10.30.0.0/24"]);
        assert_eq!(covering("10.30.0.0", "10.30.255.255", &[]), ["10.30.0.0/16"]);
        assert_eq!(covering("10.30.0.7", "10.30.0.7", &[]), ["10.30.0.7/32"]);
        assert_eq!(covering("fd00:30::", "fd00:30::ffff:ffff:ffff:ffff", &[]), ["fd00:30::/64"]);
        assert_eq!(covering("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", &[]), ["::/0"]);
    }

    #[test]
    fn any_other_range_is_covered_exactly() {
        assert_eq!(covering("10.30.0.5", "10.30.0.9", &[]), ["10.30.0.5/32", "10.30.0.6/31", "10.30.0.8/31"]);
    }

    #[test]
    fn hosts_among_them_keep_their_own_routes() {
        let found = covering("10.10.3.1", "10.10.3.6", &["10.10.3.3", "fd00::1"]);
        assert_eq!(found, ["10.10.3.1/32", "10.10.3.2/32", "10.10.3.4/31", "10.10.3.6/32"]);
        assert_eq!(covering("10.10.3.3", "10.10.3.3", &["10.10.3.3"]), [] as [&str; 0]);
    }
}
