//! How a mapping is called wherever one is meant: by its online side, as `-x` takes it.

use tcpcopy_engine::Mapping;
use tcpcopy_wire::Endpoint;

/// The online side of `mapping`: `80`, `10.0.0.1:80`, `[fd00::1]:80`.
#[must_use]
pub fn mapping_name(mapping: &Mapping) -> String {
    match mapping.online.addr {
        Some(addr) => Endpoint::new(addr, mapping.online.port).to_string(),
        None => mapping.online.port.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use tcpcopy_engine::OnlineAddress;

    use super::*;

    #[test]
    fn a_name_is_the_online_side_as_it_is_typed() {
        let target = Endpoint::new("10.10.3.2".parse().unwrap(), 8080);
        let name = |addr: Option<&str>| {
            let online = OnlineAddress { addr: addr.map(|text| text.parse().unwrap()), port: 80 };
            mapping_name(&Mapping { online, target })
        };
        assert_eq!(name(None), "80");
        assert_eq!(name(Some("10.0.0.1")), "10.0.0.1:80");
        assert_eq!(name(Some("fd00::1")), "[fd00::1]:80");
    }
}
