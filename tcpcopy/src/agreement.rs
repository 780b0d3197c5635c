//! Whether values that are right one by one can go together: every sentence in here would otherwise be a run that
//! replays nothing, or that copies its own copies.

use std::net::{IpAddr, SocketAddr};

use tcpcopy_core::engine::{Mapping, SourcePool};
use tcpcopy_core::wire::Endpoint;

use crate::mapping_flag::argument;

/// What has to go together.
pub(crate) struct Agreement<'a> {
    pub(crate) mappings: &'a [Mapping],
    pub(crate) intercepts: &'a [SocketAddr],
    pub(crate) sources: Option<&'a SourcePool>,
    pub(crate) loopback_source: Option<IpAddr>,
    /// The addresses of this machine.
    pub(crate) local: &'a [IpAddr],
}

impl Agreement<'_> {
    /// # Errors
    /// A sentence about the first thing that does not go together.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (index, mapping) in self.mappings.iter().enumerate() {
            let others = self.mappings.iter().enumerate().filter(|(other, _)| *other != index);
            for (_, other) in others {
                among_mappings(mapping, other)?;
            }
            self.not_onto_itself(mapping)?;
            self.not_intercept(mapping)?;
            self.has_a_source(mapping)?;
        }
        Ok(())
    }

    /// Without an address, `-x 80-…` also means this machine's own port 80.
    fn not_onto_itself(&self, mapping: &Mapping) -> Result<(), String> {
        let Endpoint { addr, port } = mapping.target;
        let is_own = addr.is_loopback() || self.local.contains(&addr);
        if mapping.online.addr.is_none() && mapping.online.port == port && is_own {
            return Err(format!(
                "-x/--mapping {}: the target is this machine's own port {port}, which is also the online one; \
                 give the online address if they are two servers",
                argument(mapping)
            ));
        }
        Ok(())
    }

    fn not_intercept(&self, mapping: &Mapping) -> Result<(), String> {
        for intercept in self.intercepts {
            let end = Endpoint::from(*intercept);
            let online = Some(end.addr) == mapping.online.addr && end.port == mapping.online.port;
            if mapping.target == end || online {
                let role = if online { "online address" } else { "target" };
                return Err(format!(
                    "-x/--mapping {}: the {role} is where intercept listens (-s {intercept}); give one of them another port",
                    argument(mapping)
                ));
            }
        }
        Ok(())
    }

    /// A copied client speaks from an address of the target's family that the target can answer to.
    fn has_a_source(&self, mapping: &Mapping) -> Result<(), String> {
        let target = mapping.target.addr;
        let family = |addr: IpAddr| if addr.is_ipv4() { "IPv4" } else { "IPv6" };
        if let Some(pool) = self.sources {
            if pool.size(target) == 0 {
                return Err(format!(
                    "-c/--source has no {} address, but the target {} needs one",
                    family(target),
                    mapping.target
                ));
            }
            let loopback = pool.ranges().iter().find(|(first, _)| first.is_loopback());
            if let Some((first, _)) = loopback.filter(|_| !target.is_loopback()) {
                return Err(format!(
                    "-c/--source has the loopback address {first}, from which nobody can speak to the target {}",
                    mapping.target
                ));
            }
            return Ok(());
        }
        let Some(online) = mapping.online.addr else { return Ok(()) };
        if online.is_loopback() && !target.is_loopback() {
            let stands_in = self.loopback_source.is_some_and(|addr| addr.is_ipv4() == target.is_ipv4());
            return if stands_in {
                Ok(())
            } else {
                Err(format!(
                    "-x/--mapping {}: users of a loopback address cannot speak to the target from theirs; \
                     give an {} address for them with -H, or several with -c",
                    argument(mapping),
                    family(target)
                ))
            };
        }
        if online.is_ipv4() != target.is_ipv4() {
            return Err(format!(
                "-x/--mapping {}: {} users cannot speak to an {} target from their own addresses; give {} ones with -c",
                argument(mapping),
                family(online),
                family(target),
                family(target)
            ));
        }
        Ok(())
    }
}

fn among_mappings(mapping: &Mapping, other: &Mapping) -> Result<(), String> {
    if mapping.online == other.online {
        return Err(format!(
            "-x/--mapping sends the same users to {} and to {}; start a second tcpcopy for the other target",
            mapping.target, other.target
        ));
    }
    if other.online.addr == Some(mapping.target.addr) && other.online.port == mapping.target.port {
        return Err(format!(
            "-x/--mapping {} sends copies to what {} takes for an online server: they would be copied again",
            argument(mapping),
            argument(other)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping_flag::mapping;
    use crate::sources_flag::{pool, source_range};

    struct Given<'a> {
        mappings: &'a [&'a str],
        sources: &'a [&'a str],
        loopback_source: Option<&'a str>,
    }

    const NOTHING: Given<'static> = Given { mappings: &[], sources: &[], loopback_source: None };

    fn checked(given: &Given<'_>) -> Result<(), String> {
        let mappings: Vec<_> = given.mappings.iter().map(|text| mapping(text).unwrap()).collect();
        let ranges: Vec<_> = given.sources.iter().map(|text| source_range(text).unwrap()).collect();
        Agreement {
            mappings: &mappings,
            intercepts: &["10.10.3.3:36524".parse().unwrap()],
            sources: pool(&ranges, &[]).as_ref(),
            loopback_source: given.loopback_source.map(|text| text.parse().unwrap()),
            local: &["10.0.0.1".parse().unwrap()],
        }
        .check()
    }

    fn wrong(mappings: &[&str]) -> String {
        checked(&Given { mappings, ..NOTHING }).unwrap_err()
    }

    #[test]
    fn usual_commands_pass() {
        for mappings in [
            &["80-10.10.3.2:8080"][..],
            &["80-10.10.3.2:80"],
            &["80-127.0.0.1:8080"],
            &["127.0.0.1:80-127.0.0.1:8080"],
            &["10.0.0.1:80-10.0.0.1:8080"],
            &["10.0.0.1:80-10.10.3.2:80", "10.0.0.2:80-10.10.3.2:80", "[fd00::1]:80-[fd00::2]:80"],
        ] {
            assert_eq!(checked(&Given { mappings, ..NOTHING }), Ok(()), "{mappings:?}");
        }
    }

    #[test]
    fn a_target_that_is_the_online_server_is_refused() {
        assert_eq!(
            wrong(&["80-10.0.0.1:80"]),
            "-x/--mapping 80-10.0.0.1:80: the target is this machine's own port 80, which is also the online one; \
             give the online address if they are two servers"
        );
        assert!(wrong(&["80-127.0.0.1:80"]).contains("this machine's own port 80"));
    }

    #[test]
    fn mappings_that_contradict_each_other_are_refused() {
        assert_eq!(
            wrong(&["80-10.10.3.2:80", "80-10.10.3.4:80"]),
            "-x/--mapping sends the same users to 10.10.3.2:80 and to 10.10.3.4:80; \
             start a second tcpcopy for the other target"
        );
        assert_eq!(
            wrong(&["10.0.0.1:80-10.0.0.2:80", "10.0.0.2:80-10.0.0.1:80"]),
            "-x/--mapping 10.0.0.1:80-10.0.0.2:80 sends copies to what 10.0.0.2:80-10.0.0.1:80 takes for an online \
             server: they would be copied again"
        );
    }

    #[test]
    fn intercepts_are_neither_online_nor_target() {
        assert_eq!(
            wrong(&["80-10.10.3.3:36524"]),
            "-x/--mapping 80-10.10.3.3:36524: the target is where intercept listens (-s 10.10.3.3:36524); \
             give one of them another port"
        );
        assert!(
            wrong(&["10.10.3.3:36524-10.10.3.2:80"])
                .contains("the online address is where intercept listens")
        );
    }

    #[test]
    fn sources_fit_their_targets() {
        let with_sources = |sources, mappings| checked(&Given { mappings, sources, ..NOTHING });
        assert_eq!(
            with_sources(&["10.20.0.x"], &["80-[fd00::2]:80"]).unwrap_err(),
            "-c/--source has no IPv6 address, but the target [fd00::2]:80 needs one"
        );
        assert_eq!(
            with_sources(&["127.0.0.x"], &["80-10.10.3.2:80"]).unwrap_err(),
            "-c/--source has the loopback address 127.0.0.1, from which nobody can speak to the target 10.10.3.2:80"
        );
        assert_eq!(with_sources(&["127.0.0.x"], &["80-127.0.0.1:81"]), Ok(()));
        assert_eq!(with_sources(&["fd00:20::/64"], &["10.0.0.1:80-[fd00::2]:80"]), Ok(()));
        assert_eq!(
            wrong(&["10.0.0.1:80-[fd00::2]:80"]),
            "-x/--mapping 10.0.0.1:80-[fd00::2]:80: IPv4 users cannot speak to an IPv6 target from their own addresses; \
             give IPv6 ones with -c"
        );
    }

    #[test]
    fn users_of_a_loopback_address_need_a_stand_in() {
        let mappings = &["127.0.0.1:80-10.10.3.2:80"][..];
        assert_eq!(
            wrong(mappings),
            "-x/--mapping 127.0.0.1:80-10.10.3.2:80: users of a loopback address cannot speak to the target from theirs; \
             give an IPv4 address for them with -H, or several with -c"
        );
        let with = |addr| checked(&Given { mappings, loopback_source: Some(addr), ..NOTHING });
        assert_eq!(with("10.0.0.9"), Ok(()));
        assert!(with("fd00::9").is_err());
        assert_eq!(checked(&Given { mappings, sources: &["10.20.0.x"], ..NOTHING }), Ok(()));
    }
}
