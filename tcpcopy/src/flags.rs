//! The command line of tcpcopy: names, defaults and ranges. What the values mean together is decided in
//! `configuration`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tcpcopy_cli::{RunFlags, device_or_file, expression, number};
use tcpcopy_core::engine::Share;
use tcpcopy_core::feed::DEFAULT_PORT;
use tcpcopy_core::net::{DEFAULT_BUFFER_BYTES, DEFAULT_SNAPLEN};

use crate::endpoint_flag::host_address;
use crate::idle_flags::IdleFlags;
use crate::intercept_flag::{InterceptName, intercept};
use crate::mapping_flag::{LinkedMapping, linked_mapping};
use crate::mirror_flag::{Mirror, mirror};
use crate::module_flag::{ModuleFlag, module};
use crate::share_flag::share;
use crate::sources_flag::{SourceRange, source_range};
use crate::tempo_flag::{Rate, rate, span, times};
use crate::transmit_flags::TransmitFlags;

/// The longest time a time-out may be: a week.
const LONGEST_TIMEOUT: u64 = 7 * 24 * 3600;
/// The C tools shift ports by 2048 for each instance, which makes 32 of them.
pub(crate) const LAST_INSTANCE: u32 = 31;

/// Options that mean nothing where there are neither connections nor answers.
const OF_CONNECTIONS: [&str; 11] = [
    "only_whole",
    "top_speed",
    "response_timeout",
    "idle_timeout",
    "mss",
    "rtt",
    "overlap_turns",
    "module",
    "module_faults",
    "module_timeout",
    "admin",
];

/// What is replayed, to whom, and how: the options of replaying, and of the commands that are about a replay.
#[derive(Clone, Debug, Parser)]
#[command(name = "tcpcopy", version, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Flags {
    /// Replay what users say to PORT (of this ADDRESS) to TARGET:PORT; IPv6 addresses in brackets
    #[arg(
        short = 'x',
        long,
        required = true,
        value_name = "[ADDRESS:]PORT-TARGET:PORT,...",
        value_delimiter = ','
    )]
    #[arg(value_parser = linked_mapping, allow_hyphen_values = true, help_heading = "What is replayed, and to whom")]
    pub(crate) mapping: Vec<LinkedMapping>,

    /// Where intercept runs, by address or name; all of them are told of every connection
    #[arg(short = 's', long, value_name = "HOST[:PORT],...", value_delimiter = ',')]
    #[arg(value_parser = intercept, help_heading = "What is replayed, and to whom")]
    pub(crate) intercept: Vec<InterceptName>,

    /// Speak from these addresses instead of the users' own: addresses, 10.20.0.x (.1 to .254),
    /// prefixes, ranges (a-b); targets among them are skipped
    #[arg(short = 'c', long, value_name = "SOURCE,...", value_delimiter = ',')]
    #[arg(value_parser = source_range, help_heading = "What is replayed, and to whom")]
    pub(crate) source: Vec<SourceRange>,

    /// Speak from ADDRESS for users on this machine that come from a loopback address
    #[arg(short = 'H', long, value_name = "ADDRESS", value_parser = stand_in)]
    #[arg(help_heading = "What is replayed, and to whom")]
    pub(crate) loopback_source: Option<IpAddr>,

    /// Replay this share of the connections
    #[arg(short = 'r', long, value_name = "PERCENT", default_value = "100", value_parser = number(1_u8..=100, "per cent"))]
    #[arg(allow_negative_numbers = true, help_heading = "What is replayed, and to whom")]
    pub(crate) percent: u8,

    /// Replay more and more of the connections, from none at the start to all after 99 seconds
    #[arg(short = 'g', long, conflicts_with = "percent", help_heading = "What is replayed, and to whom")]
    pub(crate) gradual: bool,

    /// As -g, with all of them after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = number(1..=LONGEST_TIMEOUT, "seconds"))]
    #[arg(
        allow_negative_numbers = true,
        conflicts_with = "percent",
        help_heading = "What is replayed, and to whom"
    )]
    pub(crate) ramp: Option<u64>,

    /// Replay the I-th of N equal parts of the connections: N tcpcopys with one part each replay all of them
    #[arg(long, value_name = "I/N", value_parser = share, help_heading = "What is replayed, and to whom")]
    pub(crate) share: Option<Share>,

    /// Replay every connection so many times at once, each copy as a user of its own
    #[arg(short = 'n', long, value_name = "NUMBER", default_value = "1", value_parser = number(1_u16..=1023, "copies"))]
    #[arg(allow_negative_numbers = true, help_heading = "What is replayed, and to whom")]
    pub(crate) copies: u16,

    /// Speak from one of 32 parts of the ports, so that tcpcopys with different numbers never meet at a target
    #[arg(short = 'f', long, value_name = "NUMBER", value_parser = number(0..=LAST_INSTANCE, "the number of a tcpcopy"))]
    #[arg(allow_negative_numbers = true, help_heading = "What is replayed, and to whom")]
    pub(crate) instance: Option<u32>,

    /// Replay only connections whose beginning was captured
    #[arg(short = 'O', long, help_heading = "What is replayed, and to whom")]
    pub(crate) only_whole: bool,

    /// Replay UDP instead of TCP: datagrams, one by one. Nobody waits for answers, so -s is not needed; see
    /// that what targets answer does not reach users
    #[arg(long, conflicts_with_all = OF_CONNECTIONS, help_heading = "What is replayed, and to whom")]
    pub(crate) udp: bool,

    /// Capture on these devices [default: those that carry the online addresses, and loopback]; with
    /// --offline: replay these files, * and ? in their names as in a shell, - for standard input
    #[arg(short = 'i', long, value_name = "DEVICE,...", value_delimiter = ',', value_parser = device_or_file)]
    #[arg(help_heading = "Capture")]
    pub(crate) device: Vec<String>,

    /// Capture what this filter of pcap-filter(7) lets through [default: made from -x]
    #[arg(short = 'F', long, value_name = "EXPRESSION", value_parser = expression, help_heading = "Capture")]
    pub(crate) filter: Option<String>,

    /// Ring buffer of each device
    #[arg(short = 'B', long, value_name = "MB", default_value_t = DEFAULT_BUFFER_BYTES >> 20)]
    #[arg(value_parser = number(1_usize..=2047, "MB"), allow_negative_numbers = true, help_heading = "Capture")]
    pub(crate) buffer: usize,

    /// Keep this many bytes of each frame
    #[arg(short = 'S', long, value_name = "BYTES", default_value_t = DEFAULT_SNAPLEN)]
    #[arg(value_parser = number(128_u32..=262_144, "bytes"), allow_negative_numbers = true, help_heading = "Capture")]
    pub(crate) snaplen: u32,

    /// Also look for users in what mirrors wrap packets into: vxlan, geneve, gre, erspan (live, with -i)
    #[arg(long, value_name = "KIND,...", value_delimiter = ',', value_parser = mirror, conflicts_with = "filter")]
    #[arg(help_heading = "Capture")]
    pub(crate) mirror: Vec<Mirror>,

    /// For commands of the C tools: capturing is by pcap with or without it
    #[arg(long, help_heading = "Capture")]
    pub(crate) pcap_capture: bool,

    /// Replay the capture files of -i (pcap, pcapng, also gzip or zstd) instead of what users say now
    #[arg(long, help_heading = "Files")]
    pub(crate) offline: bool,

    /// Replay so many times as fast as it was recorded; also fractions [default: 1]
    #[arg(short = 'a', long, value_name = "TIMES", value_parser = times, allow_negative_numbers = true)]
    #[arg(group = "tempo", help_heading = "Files")]
    pub(crate) accelerate: Option<f64>,

    /// Replay so much a second, whenever it was recorded: turns, as in 500/s, or bits of users, as in 20mbit
    #[arg(long, value_name = "RATE", value_parser = rate, group = "tempo", help_heading = "Files")]
    pub(crate) rate: Option<Rate>,

    /// Replay as fast as the targets answer
    #[arg(long, group = "tempo", help_heading = "Files")]
    pub(crate) top_speed: bool,

    /// Shorten times in which nothing was recorded to so much
    #[arg(short = 'I', long, value_name = "MILLISECONDS", value_parser = number(1_u64..=604_800_000, "milliseconds"))]
    #[arg(allow_negative_numbers = true, conflicts_with_all = ["rate", "top_speed"], help_heading = "Files")]
    pub(crate) idle_cap: Option<u64>,

    /// Replay everything so many times [default: 1]
    #[arg(short = 'T', long, value_name = "TIMES", value_parser = number(1_u32..=1_000_000, "times"))]
    #[arg(allow_negative_numbers = true, help_heading = "Files")]
    pub(crate) laps: Option<u32>,

    /// Begin so far behind the first packet, in seconds or as in 1m30s
    #[arg(long, value_name = "OFFSET", value_parser = span, help_heading = "Files")]
    pub(crate) start: Option<Duration>,

    /// End so far behind the first packet
    #[arg(long, value_name = "OFFSET", value_parser = span, help_heading = "Files")]
    pub(crate) stop: Option<Duration>,

    /// Port of the intercepts named without one
    #[arg(short = 'p', long, value_name = "PORT", default_value_t = DEFAULT_PORT)]
    #[arg(value_parser = number(1_u16..=65_535, "a TCP port"), allow_negative_numbers = true)]
    #[arg(help_heading = "Way back (intercept)")]
    pub(crate) port: u16,

    /// Connections to each intercept
    #[arg(short = 'C', long, value_name = "NUMBER", default_value = "1", value_parser = number(1_usize..=64, "connections"))]
    #[arg(allow_negative_numbers = true, help_heading = "Way back (intercept)")]
    pub(crate) connections: usize,

    /// Start although no intercept is reachable, and wait for one
    #[arg(short = 'L', long, help_heading = "Way back (intercept)")]
    pub(crate) lonely: bool,

    /// Tell intercept of no connection, for one that serves this tcpcopy only (intercept --single)
    #[arg(long, help_heading = "Way back (intercept)")]
    pub(crate) single: bool,

    /// Tell sessions apart by the target's port alone where a C intercept (--dnat) or --single returns
    /// responses that are not marked
    #[arg(long, help_heading = "Way back (intercept)")]
    pub(crate) dnat: bool,

    /// End a session whose target says nothing for so long while an answer is due
    #[arg(short = 't', long, value_name = "SECONDS", default_value = "600")]
    #[arg(value_parser = number(1..=LONGEST_TIMEOUT, "seconds"), allow_negative_numbers = true, help_heading = "Sessions")]
    pub(crate) response_timeout: u64,

    /// End a session in which nobody says anything for so long [default: 120 more than -t]
    #[arg(short = 'k', long, value_name = "SECONDS", value_parser = number(1..=LONGEST_TIMEOUT, "seconds"))]
    #[arg(allow_negative_numbers = true, help_heading = "Sessions")]
    pub(crate) idle_timeout: Option<u64>,

    /// Largest IP packet sent to a target
    #[arg(short = 'M', long, value_name = "BYTES", default_value = "1500", value_parser = number(256_u16..=65_535, "bytes"))]
    #[arg(allow_negative_numbers = true, help_heading = "Sessions")]
    pub(crate) mtu: u16,

    /// Segment size offered in connections whose beginning was not captured
    #[arg(short = 'D', long, value_name = "BYTES", default_value = "1460", value_parser = number(88_u16..=65_495, "bytes"))]
    #[arg(allow_negative_numbers = true, help_heading = "Sessions")]
    pub(crate) mss: u16,

    /// Pace every session by this round-trip time; 0: no pacing [default: its user's own]
    #[arg(short = 'R', long, value_name = "MILLISECONDS", value_parser = number(0_u64..=60_000, "milliseconds"))]
    #[arg(allow_negative_numbers = true, help_heading = "Sessions")]
    pub(crate) rtt: Option<u64>,

    /// Say what the user said next without waiting for the target's answer
    #[arg(short = 'W', long, help_heading = "Sessions")]
    pub(crate) overlap_turns: bool,

    /// Memory for what users said and targets have not taken yet; above it whole sessions are given up
    #[arg(short = 'm', long, value_name = "MB", default_value = "2048", value_parser = number(1_usize..=1_048_576, "MB"))]
    #[arg(allow_negative_numbers = true, help_heading = "Sessions")]
    pub(crate) memory: usize,

    /// Have this module serve the mapping with this online side (as in 80=./libhttp_mod.so), without
    /// one: all that have none. CONFIG is a file, or the text itself if there is a = in it
    #[arg(long, value_name = "[MAPPING=]FILE[:CONFIG]", value_parser = module, help_heading = "Modules")]
    pub(crate) module: Vec<ModuleFlag>,

    /// Go back to an earlier module, which did not, after one broke in so many sessions
    #[arg(long, value_name = "NUMBER", default_value = "3", value_parser = number(1_u32..=1_000_000, "sessions"))]
    #[arg(allow_negative_numbers = true, help_heading = "Modules")]
    pub(crate) module_faults: u32,

    /// End with status 1 when a module has not returned from a call for so long: nothing else ends such
    /// a call. 0: never
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = number(0..=LONGEST_TIMEOUT, "seconds"))]
    #[arg(allow_negative_numbers = true, help_heading = "Modules")]
    pub(crate) module_timeout: u64,

    /// Be asked and steered by tcpcopy ctl at this socket; none: not at all [default: PID.sock in
    /// $RUNTIME_DIRECTORY of a service, /run/tcpcopy, $XDG_RUNTIME_DIR/tcpcopy, or /tmp/tcpcopy-UID]
    #[arg(long, value_name = "PATH", help_heading = "Modules")]
    pub(crate) admin: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) transmit: TransmitFlags,

    #[command(flatten)]
    pub(crate) idle: IdleFlags,

    #[command(flatten)]
    pub(crate) run: RunFlags,
}

impl Flags {
    /// One sentence for the log about options that have nothing to do for UDP and do no harm, if any was given.
    pub(crate) fn remark_on_udp(&self) -> Option<&'static str> {
        let is_about_answers = !(self.intercept.is_empty() && self.transmit.intercept_on.is_empty())
            || self.lonely
            || self.single
            || self.dnat;
        (self.udp && is_about_answers).then_some(
            "with --udp nothing comes back: -s, --intercept-on, -L, --single and --dnat are without effect",
        )
    }

    /// One sentence for the log about options that have nothing to do in a dry run, if any was given.
    pub(crate) fn remark_on_dry_run(&self) -> Option<&'static str> {
        (self.transmit.dry_run.is_some() && !self.intercept.is_empty() && !self.udp)
            .then_some("dry run: nothing is sent, and the intercepts of -s are not connected to")
    }

    /// One sentence for the log about answers to datagrams that would reach users, where nothing else keeps them away.
    pub(crate) fn warning_on_udp(&self) -> Option<&'static str> {
        (self.udp && self.source.is_empty() && self.transmit.dry_run.is_none()).then_some(
            "without -c copies come from the users' own addresses: see that what the targets answer does not reach the \
             users (on each target, a route to a device that swallows them)",
        )
    }
}

/// `-H`: an address that a target can answer to.
fn stand_in(text: &str) -> Result<IpAddr, String> {
    let allowed = "it takes an address that the targets route to intercept";
    let addr = host_address(text.trim()).map_err(|wrong| format!("{wrong}; {allowed}"))?;
    if addr.is_loopback() {
        return Err(format!("it is itself a loopback address; {allowed}"));
    }
    Ok(addr)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_put_together_right() {
        Flags::command().debug_assert();
    }

    #[test]
    fn a_command_of_the_c_tools_is_understood() {
        let flags = Flags::try_parse_from([
            "tcpcopy",
            "-x",
            "80-10.10.3.2:8080,443-10.10.3.2:8443",
            "-x",
            "81-10.10.3.2:81",
            "-s",
            "10.10.3.3,10.10.3.4:7000",
            "-c",
            "10.20.0.x,10.20.1.x",
            "-i",
            "eth0,eth1",
            "-C",
            "4",
            "-R",
            "0",
            "-LWO",
            "-r",
            "20",
            "--pcap-capture",
            "--single",
            "--dnat",
            "-U",
            "8",
            "--million",
            "--select",
            "--disable-combined",
        ])
        .unwrap();
        assert_eq!((flags.mapping.len(), flags.intercept.len(), flags.source.len()), (3, 2, 2));
        assert_eq!(flags.device, ["eth0", "eth1"]);
        assert_eq!((flags.connections, flags.rtt, flags.percent), (4, Some(0), 20));
        assert!(flags.lonely && flags.overlap_turns && flags.only_whole && flags.pcap_capture);
        assert!(flags.single && flags.dnat && flags.idle.remark().is_some());
    }

    #[test]
    fn a_dry_run_says_what_it_leaves_out() {
        let parsed = |arguments: &[&str]| {
            let dry = ["tcpcopy", "-x", "80-10.10.3.2:80", "--dry-run", "x.pcapng"];
            Flags::try_parse_from(dry.iter().chain(arguments)).unwrap()
        };
        assert_eq!(parsed(&[]).remark_on_dry_run(), None);
        assert!(parsed(&["-s", "10.10.3.3"]).remark_on_dry_run().is_some_and(|remark| remark.contains("-s")));
    }

    #[test]
    fn udp_needs_no_intercept_and_a_command_of_the_c_tools_names_one_nevertheless() {
        let parsed = |arguments: &[&str]| {
            let udp = ["tcpcopy", "-x", "53-10.10.3.2:53", "--udp"];
            Flags::try_parse_from(udp.iter().chain(arguments)).unwrap()
        };
        let usual = parsed(&["-n", "3", "-r", "20", "-H", "10.0.0.9"]);
        assert_eq!(usual.remark_on_udp(), None);
        assert_eq!(parsed(&["--dry-run", "x.pcapng"]).warning_on_udp(), None);
        assert!(usual.warning_on_udp().is_some_and(|warning| warning.starts_with("without -c")));
        assert_eq!(parsed(&["-c", "10.20.0.x"]).warning_on_udp(), None);
        assert_eq!(
            parsed(&["-s", "10.10.3.3"]).remark_on_udp(),
            Some(
                "with --udp nothing comes back: -s, --intercept-on, -L, --single and --dnat are without effect"
            )
        );
    }

    #[test]
    fn a_stand_in_is_no_loopback_address() {
        assert_eq!(stand_in("10.0.0.9"), Ok("10.0.0.9".parse().unwrap()));
        assert_eq!(
            stand_in("127.0.0.1").unwrap_err(),
            "it is itself a loopback address; it takes an address that the targets route to intercept"
        );
        assert_eq!(
            stand_in("x").unwrap_err(),
            "\"x\" is not an IP address; it takes an address that the targets route to intercept"
        );
    }
}
