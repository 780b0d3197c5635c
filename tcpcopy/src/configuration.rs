//! From the flags to what the runtime is told: defaults that depend on other flags, names looked up, and the check
//! that everything goes together.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tcpcopy_cli::Failure;
use tcpcopy_core::engine::{Awaited, EngineOptions, Mapping, Mappings, Pace, Sampling, Share, SourcePool};
use tcpcopy_core::host::{HostOptions, Patience};
use tcpcopy_core::net::devices;
use tcpcopy_core::runtime::{
    AdminPlace, IntakeChoice, InterceptChoice, ModuleOptions, ReplayOptions, SightingChoice, Transport,
    WayBackChoice,
};

use crate::agreement::Agreement;
use crate::flags::{Flags, LAST_INSTANCE};
use crate::intake;
use crate::module_flag;
use crate::sources_flag;

/// How long `-g` takes from no connection to all of them; the C tools' 1 % a second.
const RAMP: Duration = Duration::from_secs(99);
/// What `-k` is above `-t` unless it is given.
const IDLE_MARGIN: Duration = Duration::from_secs(120);

/// What `flags` ask for; only the interval of snapshots is left to whoever shows them.
///
/// # Errors
/// [`Failure::WrongValue`] for what cannot go together, [`Failure::Start`] for a name that cannot be looked up.
pub(crate) fn of(flags: &Flags) -> Result<ReplayOptions, Failure> {
    let linked = without_repetitions(&flags.mapping);
    let mappings: Vec<Mapping> = linked.iter().map(|linked| linked.mapping).collect();
    let mappings = without_repetitions(&mappings);
    let sources = sources(flags, &mappings)?;
    let way_back = way_back(flags)?;
    let intercepts = match &way_back {
        WayBackChoice::Intercepts(choice) => choice.addresses.as_slice(),
        WayBackChoice::Devices(_) | WayBackChoice::Nobody => &[],
    };
    // Without the list the check cannot be made; the runtime will say what is wrong with it.
    let known = devices().unwrap_or_default();
    let local: Vec<IpAddr> = known.into_iter().flat_map(|device| device.addresses).collect();
    Agreement {
        mappings: &mappings,
        intercepts,
        sources: sources.as_ref(),
        loopback_source: flags.loopback_source,
        local: &local,
    }
    .check()
    .map_err(Failure::WrongValue)?;
    let mappings = Mappings::new(mappings);
    let intake = intake::of(flags)?;
    let acceleration = match &intake {
        IntakeChoice::Files(choice) => choice.tempo.acceleration(),
        IntakeChoice::Devices(_) => 1.0,
    };
    Ok(ReplayOptions {
        engine: EngineOptions { acceleration, ..engine_options(flags, sources) },
        modules: modules(flags, &mappings)?,
        admin: admin(flags)?,
        transport: if flags.udp { Transport::Udp } else { Transport::Tcp },
        transmit: flags.transmit.choice(&linked, &intake)?,
        mappings,
        intake,
        way_back,
        snapshot_interval: Duration::from_secs(flags.run.interval.max(1)),
    })
}

/// The same for a command about the way of a connection to the target and back.
///
/// # Errors
/// As of [`of`], and where there is no such way.
pub(crate) fn in_a_loop(flags: &Flags, command: &str) -> Result<ReplayOptions, Failure> {
    let refused = |sentence| Err(Failure::WrongValue(format!("{command} is about {sentence}")));
    if flags.udp {
        return refused("TCP: with --udp there is no intercept, and nothing comes back");
    }
    if flags.transmit.dry_run.is_some() {
        return refused("the way to the target and back: leave --dry-run out, which goes nowhere");
    }
    of(flags)
}

fn engine_options(flags: &Flags, sources: Option<SourcePool>) -> EngineOptions {
    let response_timeout = Duration::from_secs(flags.response_timeout);
    EngineOptions {
        mtu: flags.mtu,
        joined_mss: flags.mss,
        pace: flags.rtt.map_or(Pace::Measured, |millis| Pace::Fixed(Duration::from_millis(millis))),
        awaited: awaited(flags),
        only_whole_sessions: flags.only_whole,
        sampling: sampling(flags),
        share: flags.share.unwrap_or(Share::WHOLE),
        copies: flags.copies,
        ports: ports(flags),
        response_timeout,
        idle_timeout: flags.idle_timeout.map_or(response_timeout + IDLE_MARGIN, Duration::from_secs),
        sources,
        loopback_source: flags.loopback_source,
        memory_budget: flags.memory << 20,
        faults_before_rollback: flags.module_faults,
        ..EngineOptions::default()
    }
}

fn awaited(flags: &Flags) -> Awaited {
    match (&flags.transmit.dry_run, flags.overlap_turns) {
        // Nobody speaks: users say what they said when they said it.
        (Some(_), _) => Awaited::Nothing,
        (None, true) => Awaited::Greetings,
        (None, false) => Awaited::Answers,
    }
}

fn sampling(flags: &Flags) -> Sampling {
    match (flags.ramp, flags.gradual, flags.percent) {
        (Some(seconds), ..) => Sampling::Ramp(Duration::from_secs(seconds)),
        (None, true, _) => Sampling::Ramp(RAMP),
        (None, false, 100) => Sampling::All,
        (None, false, percent) => Sampling::Percent(percent),
    }
}

/// Those who share the work share the ports as well: they may have the same `-c`.
fn ports(flags: &Flags) -> Share {
    let instance = flags.instance.and_then(|number| Share::new(number, LAST_INSTANCE + 1));
    instance.unwrap_or(Share::WHOLE).and(flags.share.unwrap_or(Share::WHOLE))
}

fn modules(flags: &Flags, mappings: &Mappings) -> Result<ModuleOptions, Failure> {
    let choices = module_flag::choices(&flags.module, mappings.as_slice()).map_err(Failure::WrongValue)?;
    // This program even if another version has taken its place on the disk.
    let probe = Some("/proc/self/exe".into());
    let longest = Some(flags.module_timeout).filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let patience = Patience { longest, ..Patience::default() };
    let host = HostOptions { probe, patience, ..HostOptions::default() };
    Ok(ModuleOptions { choices, host })
}

fn admin(flags: &Flags) -> Result<AdminPlace, Failure> {
    let Some(path) = &flags.admin else { return Ok(AdminPlace::Usual) };
    if path.as_os_str() == "none" {
        return Ok(AdminPlace::Nowhere);
    }
    let absolute = std::path::absolute(path)
        .map_err(|error| Failure::Start(format!("cannot find {}: {error}", path.display())))?;
    Ok(AdminPlace::Path(absolute))
}

fn sources(flags: &Flags, mappings: &[Mapping]) -> Result<Option<SourcePool>, Failure> {
    if flags.source.is_empty() {
        return Ok(None);
    }
    let targets: Vec<IpAddr> = mappings.iter().map(|mapping| mapping.target.addr).collect();
    let pool = sources_flag::pool(&flags.source, &targets);
    pool.map(Some).ok_or_else(|| {
        Failure::WrongValue(
            "-c/--source names nothing but targets: add addresses that no host has".to_owned(),
        )
    })
}

fn way_back(flags: &Flags) -> Result<WayBackChoice, Failure> {
    if flags.udp || flags.transmit.dry_run.is_some() {
        return Ok(WayBackChoice::Nobody);
    }
    if !flags.transmit.intercept_on.is_empty() {
        return Ok(WayBackChoice::Devices(SightingChoice {
            devices: without_repetitions(&flags.transmit.intercept_on),
            buffer_bytes: flags.buffer << 20,
            dnat: flags.dnat,
        }));
    }
    if flags.intercept.is_empty() {
        return Err(Failure::WrongValue(
            "nobody would see what the targets answer: give -s with the host where intercept runs, or --intercept-on \
             with a device of this host on which the answers are seen; or --dry-run FILE, to send nothing"
                .to_owned(),
        ));
    }
    Ok(WayBackChoice::Intercepts(InterceptChoice {
        addresses: intercepts(flags)?,
        connections: flags.connections,
        lonely: flags.lonely,
        single: flags.single,
        dnat: flags.dnat,
    }))
}

fn intercepts(flags: &Flags) -> Result<Vec<SocketAddr>, Failure> {
    let resolved: Result<Vec<_>, String> =
        flags.intercept.iter().map(|intercept| intercept.resolve(flags.port)).collect();
    Ok(without_repetitions(&resolved.map_err(Failure::Start)?))
}

/// `given` with each value once, in order.
pub(crate) fn without_repetitions<T: Clone + PartialEq>(given: &[T]) -> Vec<T> {
    let mut seen: Vec<T> = Vec::with_capacity(given.len());
    for item in given {
        if !seen.contains(item) {
            seen.push(item.clone());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tcpcopy_core::net::{DEFAULT_BUFFER_BYTES, FileInput};
    use tcpcopy_core::runtime::{CaptureChoice, Tempo, TransmitChoice};

    use super::*;

    fn captured(options: ReplayOptions) -> CaptureChoice {
        match options.intake {
            IntakeChoice::Devices(choice) => choice,
            IntakeChoice::Files(choice) => panic!("{choice:?}"),
        }
    }

    fn configured(arguments: &[&str]) -> Result<ReplayOptions, Failure> {
        let usual = ["tcpcopy", "-x", "10.0.0.1:80-10.10.3.2:8080", "-s", "10.10.3.3"];
        of(&Flags::try_parse_from(usual.iter().chain(arguments)).unwrap())
    }

    #[test]
    fn without_flags_the_engine_has_its_defaults() {
        let options = configured(&[]).unwrap();
        let defaults = EngineOptions::default();
        assert_eq!(format!("{:?}", options.engine), format!("{defaults:?}"));
        let WayBackChoice::Intercepts(intercepts) = &options.way_back else {
            panic!("intercepts are wanted")
        };
        assert_eq!(intercepts.connections, 1);
        assert_eq!(intercepts.addresses, ["10.10.3.3:36524".parse().unwrap()]);
        assert_eq!(options.transmit, TransmitChoice::RawIp);
        assert_eq!(captured(options).buffer_bytes, DEFAULT_BUFFER_BYTES);
    }

    #[test]
    fn every_flag_about_sessions_arrives() {
        let options = configured(&[
            "-t",
            "7",
            "-M",
            "1400",
            "-D",
            "1200",
            "-R",
            "25",
            "-W",
            "-O",
            "-m",
            "64",
            "-H",
            "10.0.0.9",
            "-c",
            "10.20.0.x",
        ])
        .unwrap()
        .engine;
        assert_eq!((options.mtu, options.joined_mss), (1400, 1200));
        assert_eq!(options.pace, Pace::Fixed(Duration::from_millis(25)));
        assert_eq!(options.awaited, Awaited::Greetings);
        assert!(options.only_whole_sessions);
        assert_eq!(options.response_timeout, Duration::from_secs(7));
        assert_eq!(options.idle_timeout, Duration::from_secs(127));
        assert_eq!(options.memory_budget, 64 << 20);
        assert_eq!(options.loopback_source, Some("10.0.0.9".parse().unwrap()));
        assert_eq!(options.sources.unwrap().size("10.20.0.1".parse().unwrap()), 254);
    }

    #[test]
    fn shares_become_samplings() {
        let sampling = |arguments: &[&str]| configured(arguments).unwrap().engine.sampling;
        assert_eq!(sampling(&["-r", "100"]), Sampling::All);
        assert_eq!(sampling(&["-r", "20"]), Sampling::Percent(20));
        assert_eq!(sampling(&["-g"]), Sampling::Ramp(Duration::from_secs(99)));
        assert_eq!(sampling(&["--ramp", "600"]), Sampling::Ramp(Duration::from_secs(600)));
        assert_eq!(sampling(&["-g", "--ramp", "600"]), Sampling::Ramp(Duration::from_secs(600)));
    }

    #[test]
    fn tcpcopys_that_share_work_share_ports() {
        let engine = |arguments: &[&str]| configured(arguments).unwrap().engine;
        let part = |index, of| Share::new(index, of).unwrap();
        assert_eq!(engine(&["-n", "7"]).copies, 7);
        assert_eq!(engine(&["-f", "3"]).ports, part(3, 32));
        let shared = engine(&["--share", "2/3"]);
        assert_eq!((shared.share, shared.ports), (part(1, 3), part(1, 3)));
        let both = engine(&["--share", "2/3", "-f", "3"]);
        assert_eq!((both.share, both.ports), (part(1, 3), part(32 + 3, 96)));
    }

    #[test]
    fn every_flag_about_capture_and_feed_arrives() {
        let options = configured(&[
            "-i",
            "eth0,eth1,eth0",
            "-F",
            "tcp",
            "-B",
            "16",
            "-S",
            "2000",
            "-p",
            "7000",
            "-s",
            "10.10.3.3",
            "-C",
            "3",
            "-L",
            "-k",
            "9",
            "--single",
            "--dnat",
        ])
        .unwrap();
        let addresses = vec!["10.10.3.3:7000".parse().unwrap()];
        let expected = InterceptChoice { addresses, connections: 3, lonely: true, single: true, dnat: true };
        assert_eq!(options.way_back, WayBackChoice::Intercepts(expected));
        assert_eq!(options.engine.idle_timeout, Duration::from_secs(9));
        let capture = captured(options);
        assert_eq!(capture.devices, ["eth0", "eth1"]);
        assert_eq!(capture.filter.as_deref(), Some("tcp"));
        assert_eq!((capture.buffer_bytes, capture.snaplen), (16 << 20, 2000));
    }

    /// The options for a command line that has nothing but these arguments.
    fn bare(arguments: &[&str]) -> Result<ReplayOptions, Failure> {
        of(&Flags::try_parse_from([&["tcpcopy"], arguments].concat()).unwrap())
    }

    #[test]
    fn frames_go_to_each_target_one_way() {
        let x = "80@02:00:00:00:00:01-10.10.3.2:8080@02:00:00:00:00:02,81-[fd00::2]:80,82-[fd00::2]:81";
        let given = |x: &str, rest: &[&str]| bare(&[&["-x", x, "-s", "10.10.3.3"], rest].concat());
        for extra in [&["-o", "eth1"][..], &["--pcap-send", "-o", "eth1"]] {
            let TransmitChoice::Ethernet(options) = given(x, extra).unwrap().transmit else {
                panic!("{extra:?}")
            };
            assert_eq!((options.device.as_str(), options.targets.len()), ("eth1", 2));
            let macs = options.targets[0];
            assert_eq!(macs.source.unwrap().to_string(), "02:00:00:00:00:01");
            assert_eq!(macs.next_hop.unwrap().to_string(), "02:00:00:00:00:02");
            assert_eq!((options.targets[1].source, options.targets[1].next_hop), (None, None));
        }
        let without = given(x, &[]).unwrap_err();
        assert_eq!(
            without.to_string(),
            "-x/--mapping 80@02:00:00:00:00:01-10.10.3.2:8080@02:00:00:00:00:02: link-layer addresses are for frames; \
             give the device to send those on with -o, or leave the addresses out"
        );
        let two = given("80-10.10.3.2:80@02:00:00:00:00:02,81-10.10.3.2:81", &["-o", "eth1"]).unwrap_err();
        assert!(two.to_string().contains("two ways to the target 10.10.3.2"), "{two}");
    }

    #[test]
    fn a_dry_run_needs_nobody_and_waits_for_nobody() {
        let options = bare(&["-x", "80-10.10.3.2:80", "--dry-run", "/tmp/x.pcapng"]).unwrap();
        assert_eq!(options.transmit, TransmitChoice::File("/tmp/x.pcapng".into()));
        assert_eq!(options.way_back, WayBackChoice::Nobody);
        assert_eq!(options.engine.awaited, Awaited::Nothing);
        let itself =
            ["-x", "80-10.10.3.2:80", "--offline", "-i", "/proc/self/exe", "--dry-run", "/proc/self/exe"];
        let failure = bare(&itself).unwrap_err();
        assert!(
            failure.to_string().contains("would write over /proc/self/exe, which is replayed"),
            "{failure}"
        );
    }

    #[test]
    fn answers_may_be_seen_here() {
        let options =
            bare(&["-x", "80-10.10.3.2:80", "--intercept-on", "eth1,eth2,eth1", "--dnat", "-B", "16"]);
        let devices = vec!["eth1".to_owned(), "eth2".to_owned()];
        let expected = SightingChoice { devices, buffer_bytes: 16 << 20, dnat: true };
        assert_eq!(options.unwrap().way_back, WayBackChoice::Devices(expected));
    }

    #[test]
    fn commands_about_the_way_there_and_back_refuse_what_has_none() {
        let refused = |arguments: &[&str]| {
            let x = ["tcpcopy", "-x", "80-10.10.3.2:80"];
            let flags = Flags::try_parse_from(x.iter().chain(arguments)).unwrap();
            in_a_loop(&flags, "plan").unwrap_err().to_string()
        };
        for (arguments, sentence) in [
            (&["--udp"][..], "plan is about TCP: with --udp there is no intercept, and nothing comes back"),
            (
                &["--dry-run", "/tmp/x.pcapng"],
                "plan is about the way to the target and back: leave --dry-run out, which goes nowhere",
            ),
        ] {
            assert_eq!(refused(arguments), sentence);
        }
    }

    #[test]
    fn somebody_has_to_see_what_targets_answer() {
        let failure = bare(&["-x", "80-10.10.3.2:80"]).unwrap_err();
        assert_eq!(failure.exit_status(), 2);
        let sentence = failure.to_string();
        assert!(["-s", "--intercept-on", "--dry-run"].iter().all(|way| sentence.contains(way)), "{sentence}");
    }

    #[test]
    fn every_flag_about_files_arrives() {
        let file = "/proc/self/exe";
        let options =
            configured(&["--offline", "-i", file, "-a", "2.5", "-I", "500", "-T", "3", "-F", "tcp"]);
        let options = options.unwrap();
        assert_eq!(options.engine.acceleration, 2.5);
        let IntakeChoice::Files(choice) = options.intake else { panic!("files are wanted") };
        assert_eq!(choice.inputs, [FileInput::Path(file.into())]);
        assert_eq!((choice.tempo, choice.laps), (Tempo::Times(2.5), 3));
        assert_eq!(
            (choice.longest_idle, choice.filter.as_deref()),
            (Some(Duration::from_millis(500)), Some("tcp"))
        );
        let tempo = |arguments: &[&str]| {
            let options = configured(&[&["--offline", "-i", "-"], arguments].concat()).unwrap();
            let IntakeChoice::Files(choice) = options.intake else { panic!("files are wanted") };
            (choice.tempo, options.engine.acceleration)
        };
        assert_eq!(tempo(&[]), (Tempo::Times(1.0), 1.0));
        assert_eq!(tempo(&["--rate", "500/s"]), (Tempo::Turns(500.0), f64::INFINITY));
        assert_eq!(tempo(&["--rate", "2mbit"]), (Tempo::Bits(2e6), f64::INFINITY));
        assert_eq!(tempo(&["--top-speed"]), (Tempo::Unpaced, f64::INFINITY));
    }

    #[test]
    fn a_mirror_is_wanted_beside_what_the_mappings_are_about() {
        let capture = captured(configured(&["-i", "eth0", "--mirror", "vxlan,erspan,gre"]).unwrap());
        assert_eq!(capture.tunnels, ["udp dst port 4789", "ip proto 47 or ip6 proto 47"]);
    }

    #[test]
    fn datagrams_are_replayed_where_they_are_wanted() {
        assert_eq!(configured(&[]).unwrap().transport, Transport::Tcp);
        let options = configured(&["--udp", "-n", "3", "-c", "10.20.0.x"]).unwrap();
        assert_eq!((options.transport, options.engine.copies), (Transport::Udp, 3));
    }

    #[test]
    fn every_flag_about_modules_arrives() {
        let options =
            configured(&["--module", "/m.so", "--module-faults", "7", "--admin", "/x.sock"]).unwrap();
        assert_eq!(options.modules.choices.len(), 1);
        assert_eq!(options.engine.faults_before_rollback, 7);
        assert_eq!(options.admin, AdminPlace::Path("/x.sock".into()));
        assert_eq!(configured(&["--admin", "none"]).unwrap().admin, AdminPlace::Nowhere);
        assert_eq!(configured(&[]).unwrap().admin, AdminPlace::Usual);
        assert_eq!(configured(&["--module", "81=/m.so"]).unwrap_err().exit_status(), 2);
        let patience = |arguments: &[&str]| configured(arguments).unwrap().modules.host.patience.longest;
        assert_eq!(patience(&[]), Some(Duration::from_secs(30)));
        assert_eq!(patience(&["--module-timeout", "5"]), Some(Duration::from_secs(5)));
        assert_eq!(patience(&["--module-timeout", "0"]), None);
    }

    #[test]
    fn a_pool_of_targets_alone_is_refused() {
        let failure = configured(&["-c", "10.10.3.2"]).unwrap_err();
        assert_eq!(failure.exit_status(), 2);
        assert_eq!(
            failure.to_string(),
            "-c/--source names nothing but targets: add addresses that no host has"
        );
    }
}
