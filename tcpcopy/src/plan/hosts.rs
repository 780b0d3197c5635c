//! The hosts of a replay, and the commands for each.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use tcpcopy_core::engine::{Mapping, SourcePool};
use tcpcopy_core::feed::DEFAULT_PORT;
use tcpcopy_core::runtime::{InterceptChoice, ReplayOptions, SightingChoice, TransmitChoice, WayBackChoice};

use super::prefix::Prefix;
use crate::configuration::without_repetitions;

/// A replay, as commands for its hosts.
pub(super) struct Hosts<'a> {
    pub(super) replay: &'a ReplayOptions,
    /// The options of the replay, as they were typed.
    pub(super) options: &'a str,
}

/// Who takes what the targets answer.
struct Taker {
    /// In a sentence.
    name: &'static str,
    /// Stand where an address of its belongs that the options do not tell.
    unknown_v4: &'static str,
    unknown_v6: &'static str,
}

const ASSISTANT: Taker =
    Taker { name: "the assistant", unknown_v4: "ASSISTANT_IPV4", unknown_v6: "ASSISTANT_IPV6" };
const TCPCOPY_HOST: Taker =
    Taker { name: "the host of tcpcopy", unknown_v4: "TCPCOPY_IPV4", unknown_v6: "TCPCOPY_IPV6" };

impl fmt::Display for Hosts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for target in without_repetitions(&self.targets().collect::<Vec<_>>()) {
            self.target(f, target)?;
        }
        match &self.replay.way_back {
            WayBackChoice::Intercepts(choice) => {
                choice.addresses.iter().try_for_each(|assistant| self.assistant(f, choice, *assistant))?;
                writeln!(
                    f,
                    "# On the online host: the right to capture and send, which root has without it; a check; the replay."
                )?;
            }
            WayBackChoice::Devices(choice) => self.own_host(f, choice)?,
            WayBackChoice::Nobody => {}
        }
        self.replay(f)
    }
}

impl Hosts<'_> {
    fn target(&self, f: &mut fmt::Formatter<'_>, target: IpAddr) -> fmt::Result {
        if target.is_loopback() {
            writeln!(f, "# The target {target} is on the host of tcpcopy: what it answers stays there.\n")?;
            return Ok(());
        }
        let (ip, via) = (ip(target.is_ipv4()), self.via(target.is_ipv4()));
        let taker = self.taker().name;
        writeln!(f, "# On the target {target}, as root: what it answers to copied users goes to {taker}.")?;
        if self.assistants().len() > 1 {
            writeln!(f, "# There are several assistants: its routes may divide the users among them.")?;
        }
        let users = self.users(target.is_ipv4());
        for prefix in &users {
            writeln!(f, "{ip} route replace {prefix} via {via}")?;
        }
        if self.replay.engine.sources.is_none() {
            writeln!(
                f,
                "# Users speak from their own addresses: all that is not on a segment of the target goes to {taker}."
            )?;
            writeln!(
                f,
                "# First give those who administer it a way of their own: {ip} route add NETWORK via ROUTER"
            )?;
            writeln!(f, "{ip} route replace default via {via}")?;
        }
        if target.is_ipv4() {
            writeln!(f, "# Unless copied users arrive on the device over which they are answered:")?;
            writeln!(f, "sysctl -w net.ipv4.conf.all.rp_filter=2")?;
        }
        writeln!(f)
    }

    fn assistant(
        &self,
        f: &mut fmt::Formatter<'_>,
        intercepts: &InterceptChoice,
        assistant: SocketAddr,
    ) -> fmt::Result {
        let host = assistant.ip();
        writeln!(
            f,
            "# On the assistant {host}, as root: it takes what the target answers, and passes nothing on."
        )?;
        self.no_forwarding(f)?;
        let (filter, options) = (self.filter(intercepts.dnat), intercept_options(intercepts, assistant));
        writeln!(f, "intercept -F '{filter}'{options}\n")
    }

    fn own_host(&self, f: &mut fmt::Formatter<'_>, choice: &SightingChoice) -> fmt::Result {
        let devices = choice.devices.join(", ");
        writeln!(
            f,
            "# On the host of tcpcopy, as root: it sees on {devices} what the target answers, and passes nothing on."
        )?;
        self.no_forwarding(f)?;
        writeln!(f, "# The right to capture and send, which root has without it; a check; the replay.")
    }

    fn no_forwarding(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for is_v4 in self.families() {
            let setting = if is_v4 { "net.ipv4.ip_forward=0" } else { "net.ipv6.conf.all.forwarding=0" };
            writeln!(f, "sysctl -w {setting}")?;
        }
        let users: Vec<Prefix> = self.families().flat_map(|is_v4| self.users(is_v4)).collect();
        if !users.is_empty() {
            writeln!(f, "# Or, where it must forward other packets:")?;
        }
        for prefix in &users {
            let iptables = if prefix.is_v4() { "iptables" } else { "ip6tables" };
            writeln!(f, "#   {iptables} -I FORWARD -d {prefix} -j DROP")?;
        }
        Ok(())
    }

    fn replay(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options;
        writeln!(f, "setcap {}+ep \"$(command -v tcpcopy)\"", self.capabilities())?;
        writeln!(f, "tcpcopy doctor {options}")?;
        writeln!(f, "tcpcopy {options}")
    }

    /// What the replay needs: to have the kernel ask for link-layer addresses takes more.
    fn capabilities(&self) -> &'static str {
        match &self.replay.transmit {
            TransmitChoice::Ethernet(options)
                if options.targets.iter().any(|target| target.next_hop.is_none()) =>
            {
                "cap_net_raw,cap_net_admin"
            }
            _ => "cap_net_raw",
        }
    }

    /// What intercept captures.
    fn filter(&self, dnat: bool) -> String {
        let end = |mapping: &Mapping| {
            let target = mapping.target;
            match dnat {
                true => format!("src port {}", target.port),
                false => format!("src host {} and src port {}", target.addr, target.port),
            }
        };
        let ends: Vec<String> = self.replay.mappings.as_slice().iter().map(end).collect();
        match without_repetitions(&ends).as_slice() {
            [one] => format!("tcp and {one}"),
            several => format!("tcp and (({}))", several.join(") or (")),
        }
    }

    /// The networks that copied users of a family are known to speak from.
    fn users(&self, is_v4: bool) -> Vec<Prefix> {
        let hosts: Vec<IpAddr> = self.targets().chain(self.assistants().iter().map(SocketAddr::ip)).collect();
        let engine = &self.replay.engine;
        let pool = engine.sources.iter().flat_map(SourcePool::ranges).copied();
        let stand_in = engine.loopback_source.map(|addr| (addr, addr)).filter(|_| engine.sources.is_none());
        let ranges =
            pool.chain(stand_in).filter(|(first, _)| first.is_ipv4() == is_v4 && !first.is_loopback());
        ranges.flat_map(|(first, last)| Prefix::covering(first, last, &hosts)).collect()
    }

    /// The address, as a router of that family, of who takes what the targets answer.
    fn via(&self, is_v4: bool) -> String {
        let known = self.assistants().iter().map(SocketAddr::ip).find(|addr| addr.is_ipv4() == is_v4);
        let Taker { unknown_v4, unknown_v6, .. } = self.taker();
        known.map_or_else(|| if is_v4 { unknown_v4 } else { unknown_v6 }.to_owned(), |addr| addr.to_string())
    }

    fn taker(&self) -> Taker {
        match &self.replay.way_back {
            WayBackChoice::Devices(_) => TCPCOPY_HOST,
            WayBackChoice::Intercepts(_) | WayBackChoice::Nobody => ASSISTANT,
        }
    }

    fn assistants(&self) -> &[SocketAddr] {
        match &self.replay.way_back {
            WayBackChoice::Intercepts(choice) => &choice.addresses,
            WayBackChoice::Devices(_) | WayBackChoice::Nobody => &[],
        }
    }

    fn targets(&self) -> impl Iterator<Item = IpAddr> {
        self.replay.mappings.as_slice().iter().map(|mapping| mapping.target.addr)
    }

    /// The families of the targets, IPv4 first.
    fn families(&self) -> impl Iterator<Item = bool> {
        [true, false].into_iter().filter(|is_v4| self.targets().any(|addr| addr.is_ipv4() == *is_v4))
    }
}

fn intercept_options(intercepts: &InterceptChoice, assistant: SocketAddr) -> String {
    let mut options = String::new();
    if assistant.port() != DEFAULT_PORT {
        options += &format!(" -p {}", assistant.port());
    }
    if assistant.is_ipv6() {
        options += " -b ::";
    }
    for (is_given, option) in [(intercepts.single, " --single"), (intercepts.dnat, " --dnat")] {
        options += if is_given { option } else { "" };
    }
    options
}

const fn ip(is_v4: bool) -> &'static str {
    if is_v4 { "ip" } else { "ip -6" }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::configuration;
    use crate::flags::Flags;

    fn planned(options: &str) -> String {
        let flags = Flags::try_parse_from(std::iter::once("tcpcopy").chain(options.split(' '))).unwrap();
        let replay = configuration::in_a_loop(&flags, "plan").unwrap();
        Hosts { replay: &replay, options }.to_string()
    }

    #[test]
    fn a_pool_of_sources_is_routed_to_the_assistant() {
        let expected = "\
# On the target 10.10.3.2, as root: what it answers to copied users goes to the assistant.
ip route replace 10.30.0.0/24 via 10.10.3.3
# Unless copied users arrive on the device over which they are answered:
sysctl -w net.ipv4.conf.all.rp_filter=2

# On the assistant 10.10.3.3, as root: it takes what the target answers, and passes nothing on.
sysctl -w net.ipv4.ip_forward=0
# Or, where it must forward other packets:
#   iptables -I FORWARD -d 10.30.0.0/24 -j DROP
intercept -F 'tcp and src host 10.10.3.2 and src port 8080'

# On the online host: the right to capture and send, which root has without it; a check; the replay.
setcap cap_net_raw+ep \"$(command -v tcpcopy)\"
tcpcopy doctor -x 80-10.10.3.2:8080 -s 10.10.3.3 -c 10.30.0.x
tcpcopy -x 80-10.10.3.2:8080 -s 10.10.3.3 -c 10.30.0.x
";
        assert_eq!(planned("-x 80-10.10.3.2:8080 -s 10.10.3.3 -c 10.30.0.x"), expected);
    }

    #[test]
    fn a_host_that_sees_the_answers_itself_is_the_router_and_there_is_no_intercept() {
        let expected = "\
# On the target 10.10.3.2, as root: what it answers to copied users goes to the host of tcpcopy.
ip route replace 10.30.0.0/24 via TCPCOPY_IPV4
# Unless copied users arrive on the device over which they are answered:
sysctl -w net.ipv4.conf.all.rp_filter=2

# On the host of tcpcopy, as root: it sees on eth1, eth2 what the target answers, and passes nothing on.
sysctl -w net.ipv4.ip_forward=0
# Or, where it must forward other packets:
#   iptables -I FORWARD -d 10.30.0.0/24 -j DROP
# The right to capture and send, which root has without it; a check; the replay.
setcap cap_net_raw+ep \"$(command -v tcpcopy)\"
tcpcopy doctor -x 80-10.10.3.2:8080 -c 10.30.0.x --intercept-on eth1,eth2
tcpcopy -x 80-10.10.3.2:8080 -c 10.30.0.x --intercept-on eth1,eth2
";
        assert_eq!(planned("-x 80-10.10.3.2:8080 -c 10.30.0.x --intercept-on eth1,eth2"), expected);
        let own = planned("-x 80-[fd00:99::2]:80 --intercept-on eth1");
        assert!(own.contains("goes to the host of tcpcopy.\n"), "{own}");
        assert!(own.contains("\nip -6 route replace default via TCPCOPY_IPV6\n"), "{own}");
    }

    #[test]
    fn frames_to_a_next_hop_that_is_asked_need_another_capability() {
        let of = |mapping: &str| planned(&format!("-x {mapping} -s 10.10.3.3 -c 10.30.0.x -o eth1"));
        assert!(of("80-10.10.3.2:80").contains("setcap cap_net_raw,cap_net_admin+ep "));
        assert!(of("80-10.10.3.2:80@02:00:5e:10:00:02").contains("setcap cap_net_raw+ep "));
    }

    #[test]
    fn users_of_their_own_addresses_need_the_default_route() {
        let text = planned("-x 80-10.10.3.2:8080 -s 10.10.3.3:7000 --single");
        assert!(text.contains("\nip route replace default via 10.10.3.3\n"), "{text}");
        assert!(text.contains("src port 8080' -p 7000 --single\n") && !text.contains("iptables"), "{text}");
    }

    #[test]
    fn ipv6_has_commands_of_its_own() {
        let text = planned("-x 80-[fd00:99::2]:80,81-[fd00:99::2]:81 -s [fd00:99::3] -c fd00:30::/64");
        for line in [
            "ip -6 route replace fd00:30::/64 via fd00:99::3",
            "sysctl -w net.ipv6.conf.all.forwarding=0",
            "#   ip6tables -I FORWARD -d fd00:30::/64 -j DROP",
            "intercept -F 'tcp and ((src host fd00:99::2 and src port 80) or (src host fd00:99::2 and src port 81))' -b ::",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
        assert!(!text.contains("rp_filter") && !text.contains("net.ipv4"), "{text}");
        let mixed = planned("-x 80-[fd00:99::2]:80 -s 10.10.3.3 -c fd00:30::/64");
        assert!(mixed.contains("via ASSISTANT_IPV6\n"), "{mixed}");
    }

    #[test]
    fn hosts_in_the_same_network_stay_reachable() {
        let text = planned("-x 80-10.10.3.2:8080 -s 10.10.3.3 -c 10.10.3.2-10.10.3.6");
        assert!(text.contains("ip route replace 10.10.3.4/31") && !text.contains("10.10.3.3/"), "{text}");
    }
}
