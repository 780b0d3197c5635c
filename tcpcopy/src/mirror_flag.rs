//! `--mirror`: what a mirror wraps the packets into that it sends here.

/// A kind of tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mirror {
    /// VXLAN, UDP port 4789.
    Vxlan,
    /// GENEVE, UDP port 6081.
    Geneve,
    /// GRE, and ERSPAN, which goes over it.
    Gre,
}

impl Mirror {
    /// What lets its packets through, in pcap's language. What is in them is looked at later.
    pub(crate) const fn filter(self) -> &'static str {
        match self {
            Self::Vxlan => "udp dst port 4789",
            Self::Geneve => "udp dst port 6081",
            Self::Gre => "ip proto 47 or ip6 proto 47",
        }
    }
}

/// Parses the name of a kind.
///
/// # Errors
/// The half sentence that says what is allowed.
pub(crate) fn mirror(text: &str) -> Result<Mirror, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "vxlan" => Ok(Mirror::Vxlan),
        "geneve" => Ok(Mirror::Geneve),
        "gre" | "erspan" => Ok(Mirror::Gre),
        _ => Err("it takes vxlan, geneve, gre or erspan, or several of them with commas".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_name() {
        assert_eq!((mirror("VXLAN"), mirror(" geneve")), (Ok(Mirror::Vxlan), Ok(Mirror::Geneve)));
        assert_eq!((mirror("gre"), mirror("erspan")), (Ok(Mirror::Gre), Ok(Mirror::Gre)));
        assert!(mirror("ipip").is_err());
    }
}
