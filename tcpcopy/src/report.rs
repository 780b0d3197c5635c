//! The report for people: what was captured, what became of it, and why.

pub(crate) mod comparison;
pub(crate) mod datagrams;
pub(crate) mod modules;
pub(crate) mod recording;

use std::fmt;

use tcpcopy_cli::{Program, Table, add_capture, bytes, count, duration};
use tcpcopy_core::engine::{Ignored, Statistics, Verdict};
use tcpcopy_core::runtime::{
    Account, Accounts, FeedTotals, IntakeChoice, ReplayEnd, ReplayOptions, ReplaySnapshot, TransmitChoice,
    TransmitTotals, Transport, WayBackChoice,
};

use crate::mapping_flag::argument;

/// What a run is about.
#[derive(Clone)]
pub(crate) struct Subject {
    /// The devices captured on, or the files replayed; none before they are open.
    pub(crate) devices: Vec<String>,
    /// They are files.
    pub(crate) is_recorded: bool,
    /// What is replayed are datagrams.
    pub(crate) is_udp: bool,
    /// The mappings, as `-x` takes them.
    pub(crate) mappings: Vec<String>,
    /// Where intercepts listen.
    pub(crate) intercepts: Vec<String>,
    /// The devices on which this host sees what the targets answer.
    pub(crate) intercept_on: Vec<String>,
    /// The device that frames are sent on.
    pub(crate) output: Option<String>,
    /// The file that is written instead of sending.
    pub(crate) dry_run: Option<String>,
    /// The modules to begin with; none before they are loaded.
    pub(crate) modules: Vec<String>,
}

impl Subject {
    /// What `options` say of it.
    pub(crate) fn of(options: &ReplayOptions) -> Self {
        let (mut intercepts, mut intercept_on) = (Vec::new(), Vec::new());
        match &options.way_back {
            WayBackChoice::Intercepts(choice) => {
                intercepts = choice.addresses.iter().map(ToString::to_string).collect();
            }
            WayBackChoice::Devices(choice) => intercept_on.clone_from(&choice.devices),
            WayBackChoice::Nobody => {}
        }
        let (output, dry_run) = match &options.transmit {
            TransmitChoice::RawIp => (None, None),
            TransmitChoice::Ethernet(ethernet) => (Some(ethernet.device.clone()), None),
            TransmitChoice::File(path) => (None, Some(path.display().to_string())),
        };
        Self {
            devices: Vec::new(),
            is_recorded: matches!(options.intake, IntakeChoice::Files(_)),
            is_udp: options.transport == Transport::Udp,
            mappings: options.mappings.as_slice().iter().map(argument).collect(),
            intercepts,
            intercept_on,
            output,
            dry_run,
            modules: Vec::new(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mappings =
            self.mappings.iter().map(|mapping| mapping.replacen('-', " to ", 1)).collect::<Vec<_>>();
        let source = if self.is_recorded { "reading" } else { "capturing on" };
        let what = if self.is_udp { "copying datagrams for" } else { "replaying" };
        write!(f, "{source} {}; {what} {}", self.devices.join(", "), mappings.join(", "))?;
        if let Some(device) = &self.output {
            write!(f, " in frames on {device}")?;
        }
        if let Some(file) = &self.dry_run {
            write!(f, "; dry run: nothing is sent, {file} is written")?;
        }
        match self.intercepts.as_slice() {
            [] => {}
            [intercept] => write!(f, "; intercept {intercept}")?,
            intercepts => write!(f, "; intercepts {}", intercepts.join(", "))?,
        }
        if !self.intercept_on.is_empty() {
            write!(f, "; answers are seen on {}", self.intercept_on.join(", "))?;
        }
        match self.modules.as_slice() {
            [] => Ok(()),
            [module] => write!(f, "; module {module}"),
            modules => write!(f, "; modules {}", modules.join(", ")),
        }
    }
}

/// The report about a run.
pub(crate) fn text(program: Program, end: &ReplayEnd) -> String {
    // Why it broke off is told where the program ends.
    let ReplayEnd { snapshot: last, comparisons, broken: _ } = end;
    let accounts = Accounts::of(&last.engine, &last.pending);
    let mut table = Table::new();
    add_capture(&mut table, &last.capture);
    add_ignored(&mut table, &last.engine);
    recording::add(&mut table, last.recording.as_ref());
    if let Some(datagrams) = &last.datagrams {
        datagrams::add(&mut table, datagrams, last.copies);
        add_packets(&mut table, &last.transmit);
        add_failures(&mut table, &last.transmit, "the system did not take these packets: they are lost");
        return format!("{}{table}", head(program, last));
    }
    add_sessions(&mut table, last);
    add_account(&mut table, "Turns (times a user spoke)", &accounts.turns, count);
    add_turn_remarks(&mut table, &last.engine);
    add_account(&mut table, "Bytes users said", &accounts.bytes, bytes);
    add_byte_remarks(&mut table, &last.engine);
    add_transmit(&mut table, &last.engine, &last.transmit);
    add_feed(&mut table, &last.engine, &last.feed);
    format!(
        "{}{table}{}{}{}",
        head(program, last),
        modules::text(&last.modules.generations),
        modules::discards(&last.modules.discards),
        comparison::text(comparisons, last.modules.exchanges_dropped)
    )
}

fn head(program: Program, last: &ReplaySnapshot) -> String {
    format!("{} {} ran for {}\n", program.name, program.version, duration(last.running_for))
}

fn add_ignored(table: &mut Table, engine: &Statistics) {
    for (reason, number) in Ignored::ALL.iter().zip(engine.ignored) {
        table.line_if_any(reason.name(), number, explanation(*reason));
    }
}

const fn explanation(reason: Ignored) -> &'static str {
    match reason {
        Ignored::NotMapped => "sent to no online address of -x, or by a target",
        Ignored::NotSampled => "of connections that -r, -g or --share leaves out",
        Ignored::NotWhole => "of connections whose beginning was not captured, left out by -O",
        Ignored::BeforeFirstTurn => {
            "of connections without a session (begun before the capture, or given up), before their next turn"
        }
        Ignored::NoSession => "without payload, of connections that are not replayed",
        Ignored::Truncated => "captured without all of their payload; see -S",
        Ignored::Duplicate => "nothing new in them: retransmissions of users",
        Ignored::AfterClose => "behind the FIN or reset of their user: mostly last acknowledgements",
        Ignored::OutOfWindow => "with sequence numbers far from those of their connection",
    }
}

fn add_sessions(table: &mut Table, last: &ReplaySnapshot) {
    let ReplaySnapshot { engine, pending, copies, .. } = last;
    table.section("Sessions");
    let joined = match engine.sessions_joined {
        0 => String::new(),
        joined => format!("{} of them in the middle of a connection", count(joined)),
    };
    table.line("opened", count(engine.sessions_opened), joined);
    if *copies > 1 {
        let missing = if engine.sessions_without_source > 0 { "; more addresses in -c help" } else { "" };
        let reached = format!("{:.2}", engine.copies_reached(*copies));
        table.line("copies", reached, format!("of {copies} for each connection (-n){missing}"));
    }
    for (verdict, ended) in Verdict::ALL.iter().zip(&engine.ended) {
        let mut note = verdict.explanation().to_owned();
        if ended.turns_lost > 0 || ended.bytes_lost > 0 {
            note = format!("{note}; lost {} turns, {}", count(ended.turns_lost), bytes(ended.bytes_lost));
        }
        table.line_if_any(verdict.name(), ended.sessions, note);
    }
    table.line_if_any("still open", pending.sessions, "");
    table.line_if_any(
        "reconnects",
        engine.reconnects,
        "the target had closed or reset, and the session went on",
    );
    table.line_if_any("refusals", engine.refusals, "connection attempts that the target refused");
}

fn add_account(table: &mut Table, heading: &str, account: &Account, show: fn(u64) -> String) {
    table.section(heading);
    table.line("captured", show(account.captured), "");
    table.line("delivered", show(account.delivered), "the target acknowledged them");
    table.line("lost", show(account.lost), if account.lost > 0 { "see the verdicts above" } else { "" });
    if account.pending > 0 {
        table.line("pending", show(account.pending), "on their way at the end");
    }
    if account.discarded > 0 {
        table.line("left out", show(account.discarded), "by modules; see below");
    }
}

fn add_turn_remarks(table: &mut Table, engine: &Statistics) {
    table.line_if_any(
        "lost to resets",
        engine.turns_lost_to_resets,
        "part of the lost: the target reset or closed instead of answering, and the session went on",
    );
    table.line_if_any(
        "repeated",
        engine.turns_repeated,
        "said again on a new connection, because there was no answer",
    );
    table.line_if_any(
        "not awaited",
        engine.turns_not_awaited,
        "begun although the answer before did not come",
    );
}

fn add_byte_remarks(table: &mut Table, engine: &Statistics) {
    let mut remark = |label, number, note: &str| {
        if number > 0 {
            table.line(label, bytes(number), note);
        }
    };
    remark("lost to resets", engine.bytes_lost_to_resets, "part of the lost");
    remark("repeated", engine.bytes_repeated, "delivered once more on new connections");
    remark(
        "before first turn",
        engine.bytes_before_first_turn,
        "of connections without a session, before their next turn; not in captured",
    );
    remark("after close", engine.bytes_after_close, "behind a user's own reset; not in captured");
    remark("inserted", engine.bytes_inserted, "said by modules of their own; not in captured");
    remark("never captured", engine.bytes_never_captured, "holes in what was captured; not in captured");
}

fn add_transmit(table: &mut Table, engine: &Statistics, transmit: &TransmitTotals) {
    add_packets(table, transmit);
    table.line("retransmissions", count(engine.retransmissions), "");
    table.line_if_any("time-outs", engine.timeouts, "retransmission time-outs that expired");
    table.line_if_any("fast retransmits", engine.fast_retransmits, "losses that acknowledgements told of");
    table.line_if_any("probes", engine.probes, "of a target whose receive window was closed");
    add_failures(table, transmit, "the system did not take these packets; their sessions repeat them");
}

fn add_packets(table: &mut Table, transmit: &TransmitTotals) {
    table.section(if transmit.is_dry { "Written to the file, and not sent" } else { "Sent to the targets" });
    table.line("packets", count(transmit.packets), bytes(transmit.bytes));
}

fn add_failures(table: &mut Table, transmit: &TransmitTotals, consequence: &str) {
    for (reason, number) in &transmit.failed {
        table.line_if_any(reason, *number, consequence);
    }
}

fn add_feed(table: &mut Table, engine: &Statistics, feed: &FeedTotals) {
    table.section("Responses of the targets");
    table.line("received", count(engine.responses), format!("{} of payload", bytes(engine.response_bytes)));
    table.line_if_any("stale", engine.stale_responses, "of sessions that had ended");
    table.line_if_any("feed overflowed", feed.overflowed, "lost: intercept had them, and we read too slowly");
    table.line_if_any(
        "unclaimed",
        feed.held_expired,
        "intercept saw them, and no tcpcopy registered their flow in time",
    );
    table.line_if_any(
        "lost at intercept",
        feed.intercept_kernel_dropped,
        "intercept's kernel found its ring full",
    );
    table.line_if_any("feed losses", feed.losses, "times a connection to an intercept was lost");
}

/// A snapshot with something in every part.
#[cfg(test)]
pub(crate) fn example() -> ReplayEnd {
    use std::time::Duration;

    use tcpcopy_core::engine::{Ended, Pending};
    use tcpcopy_core::runtime::{CaptureTotals, DiscardTotals, ModulesTotals};
    use tcpcopy_core::wire::Instant;

    let mut engine = Statistics {
        captured_segments: 123_400,
        bytes_captured: 10_000_000,
        turns_captured: 65_000,
        sessions_opened: 1_204,
        sessions_joined: 3,
        turns_lost_to_resets: 3,
        bytes_lost_to_resets: 200,
        bytes_discarded: 3_000,
        bytes_inserted: 70,
        online_segments: 400,
        turns_repeated: 2,
        reconnects: 5,
        segments: 130_000,
        retransmissions: 40,
        timeouts: 30,
        responses: 70_000,
        response_bytes: 50_000_000,
        ..Statistics::default()
    };
    engine.ended[Verdict::Complete as usize].sessions = 1_180;
    engine.ended[Verdict::TargetReset as usize] = Ended { sessions: 20, turns_lost: 10, bytes_lost: 800 };
    engine.ignored[Ignored::Duplicate as usize] = 50;
    let snapshot = ReplaySnapshot {
        at: Instant::from_micros(1_795_400_000_000_000),
        running_for: Duration::from_secs(723),
        capture: CaptureTotals {
            frames: 123_456,
            kernel_received: 123_468,
            kernel_dropped: 12,
            ..CaptureTotals::default()
        },
        recording: None,
        copies: 1,
        datagrams: None,
        engine,
        pending: Pending { sessions: 4, established: 4, turns: 7, bytes: 1_000, memory: 4_096 },
        modules: ModulesTotals {
            generations: vec![modules::example(1, "current")],
            discards: vec![DiscardTotals { reason: "read only".to_owned(), times: 30, bytes: 3_000 }],
            exchanges_dropped: 0,
        },
        transmit: TransmitTotals {
            is_dry: false,
            packets: 129_998,
            bytes: 16_000_000,
            failed: vec![("congested", 2)],
        },
        feed: FeedTotals {
            wanted: 2,
            connected: 2,
            connects: 3,
            losses: 1,
            responses: 70_001,
            overflowed: 1,
            held_expired: 2,
            intercept_kernel_dropped: 3,
        },
    };
    ReplayEnd { snapshot, comparisons: vec![comparison::example()], broken: None }
}

#[cfg(test)]
mod tests {
    use tcpcopy_core::engine::{DatagramStatistics, Pending};
    use tcpcopy_core::runtime::ModulesTotals;

    use super::*;

    #[test]
    fn the_report_explains_everything_that_happened() {
        let program = Program { name: "tcpcopy", version: "0.1.0", manual: &[] };
        let expected = "\
tcpcopy 0.1.0 ran for 12m 3s
Captured
  frames             123,456
  lost in the ring        12  the kernel found the capture ring full; see -B
  duplicate               50  nothing new in them: retransmissions of users
Sessions
  opened               1,204  3 of them in the middle of a connection
  complete             1,180  both sides closed
  target_reset            20  the target closed early and the rest could not be said again; lost 10 turns, 800 B
  still open               4
  reconnects               5  the target had closed or reset, and the session went on
Turns (times a user spoke)
  captured            65,000
  delivered           64,980  the target acknowledged them
  lost                    13  see the verdicts above
  pending                  7  on their way at the end
  lost to resets           3  part of the lost: the target reset or closed instead of answering, and the session went on
  repeated                 2  said again on a new connection, because there was no answer
Bytes users said
  captured           10.0 MB
  delivered          10.0 MB  the target acknowledged them
  lost               1.00 kB  see the verdicts above
  pending            1.00 kB  on their way at the end
  left out           3.00 kB  by modules; see below
  lost to resets       200 B  part of the lost
  inserted              70 B  said by modules of their own; not in captured
Sent to the targets
  packets            129,998  16.0 MB
  retransmissions         40
  time-outs               30  retransmission time-outs that expired
  congested                2  the system did not take these packets; their sessions repeat them
Responses of the targets
  received            70,000  50.0 MB of payload
  feed overflowed          1  lost: intercept had them, and we read too slowly
  unclaimed                2  intercept saw them, and no tcpcopy registered their flow in time
  lost at intercept        3  intercept's kernel found its ring full
  feed losses              1  times a connection to an intercept was lost
Modules
  mapping  gen  module      state    sessions  live      calls    mean  longest
  80         1  http 1.1.0  current     1,180     4  1,234,567  850 ns   3.4 ms
  1: /opt/libhttp_mod.so, configured by /etc/http.toml
Left out by modules
  read only  30 times  3.00 kB
Answers for 80: 13,549 requests, 13,545 compared, 132 answered differently
  request                    count  differ  outcome  size  failed  missing    median ms      99 % ms
  POST /orders/{id}/posit…   1,204     132      120    20      12        3  3.10 → 2.90  20.4 → 45.0
  GET /users/{id}           12,345       0        0     0       0        0  0.85 → 0.87  9.00 → 8.70
  times are online → target; failed, missing: at the target only
";
        assert_eq!(text(program, &example()), expected);
    }

    #[test]
    fn nothing_is_said_of_what_did_not_happen() {
        let mut end = example();
        let snapshot = &mut end.snapshot;
        snapshot.engine = Statistics::default();
        snapshot.pending = Pending::default();
        snapshot.feed = FeedTotals::default();
        snapshot.transmit = TransmitTotals::default();
        snapshot.capture.kernel_dropped = 0;
        snapshot.modules = ModulesTotals::default();
        end.comparisons.clear();
        let text = text(Program { name: "tcpcopy", version: "0.1.0", manual: &[] }, &end);
        let expected = "\
tcpcopy 0.1.0 ran for 12m 3s
Captured
  frames           123,456
Sessions
  opened                 0
Turns (times a user spoke)
  captured               0
  delivered              0  the target acknowledged them
  lost                   0
Bytes users said
  captured             0 B
  delivered            0 B  the target acknowledged them
  lost                 0 B
Sent to the targets
  packets                0  0 B
  retransmissions        0
Responses of the targets
  received               0  0 B of payload
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_report_on_datagrams_tells_of_no_sessions() {
        let mut end = example();
        end.snapshot.datagrams = Some(DatagramStatistics { captured: 5, copied: 5, ..Default::default() });
        let text = text(Program { name: "tcpcopy", version: "0.1.0", manual: &[] }, &end);
        assert!(text.contains("Datagrams\n  captured") && !text.contains("Sessions"), "{text}");
        assert!(text.contains("the system did not take these packets: they are lost"), "{text}");
    }

    #[test]
    fn how_many_copies_there_really_were_is_said() {
        let mut end = example();
        end.snapshot.copies = 10;
        end.snapshot.engine.sessions_without_source = 301;
        let text = text(Program { name: "tcpcopy", version: "0.1.0", manual: &[] }, &end);
        let line =
            "  copies                7.50  of 10 for each connection (-n); more addresses in -c help\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn the_subject_is_one_line() {
        let subject = Subject {
            devices: vec!["eth0".to_owned(), "lo".to_owned()],
            is_recorded: false,
            is_udp: false,
            mappings: vec!["80-10.10.3.2:8080".to_owned()],
            intercepts: vec!["10.10.3.3:36524".to_owned()],
            intercept_on: Vec::new(),
            output: None,
            dry_run: None,
            modules: Vec::new(),
        };
        let line = "capturing on eth0, lo; replaying 80 to 10.10.3.2:8080; intercept 10.10.3.3:36524";
        assert_eq!(subject.to_string(), line);
        let frames = Subject { output: Some("eth1".to_owned()), ..subject.clone() };
        assert!(
            frames.to_string().contains("to 10.10.3.2:8080 in frames on eth1; intercept 10.10.3.3:36524")
        );
        let seen_here = vec!["eth2".to_owned()];
        let seen_here = Subject { intercepts: Vec::new(), intercept_on: seen_here, ..subject.clone() };
        assert!(seen_here.to_string().ends_with("10.10.3.2:8080; answers are seen on eth2"));
        let dry = Subject { intercepts: Vec::new(), dry_run: Some("a.pcapng".to_owned()), ..subject.clone() };
        assert!(dry.to_string().ends_with("10.10.3.2:8080; dry run: nothing is sent, a.pcapng is written"));
        let module = "http 1.0.0 (generation 1, for 80)";
        let with_module = Subject { modules: vec![module.to_owned()], ..subject };
        assert_eq!(with_module.to_string(), format!("{line}; module {module}"));
        let datagrams = Subject { is_udp: true, intercepts: Vec::new(), modules: Vec::new(), ..with_module };
        assert_eq!(
            datagrams.to_string(),
            "capturing on eth0, lo; copying datagrams for 80 to 10.10.3.2:8080"
        );
    }
}
