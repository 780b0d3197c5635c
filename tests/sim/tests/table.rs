//! How much is replayed when packets are lost and reordered, as a table that is kept in `snapshots/`.
//!
//! `SIM_SNAPSHOT=write` writes the table anew: look at what changed before it is kept.

use std::fmt::Write as _;
use std::time::Duration;

use tcpcopy_engine::Verdict;
use tcpcopy_sim::{Faults, Scenario, World};

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/replayed.txt");
const HEAD: &str = "\
Requests captured whole, and replayed byte for byte, and why sessions ended, by where packets are lost and
reordered. Before the capture, what is lost is repeated by the users; in the capture, it is gone.
Each line is three worlds of eight users with one to three connections of one to eight turns.

                         lost  reordered  requests  captured  replayed  sessions by verdict
";
const WORLDS: u64 = 3;
const SHARES: [f64; 4] = [0.0, 0.01, 0.05, 0.2];
const REORDERED: [f64; 3] = [0.0, 0.05, 0.5];

/// Where packets are lost.
#[derive(Clone, Copy)]
enum Place {
    Users,
    Capture,
    Transmit,
    Responses,
    TransmitAndResponses,
}

impl Place {
    const ALL: [Self; 5] =
        [Self::Users, Self::Capture, Self::Transmit, Self::Responses, Self::TransmitAndResponses];

    fn name(self) -> &'static str {
        match self {
            Self::Users => "users to online",
            Self::Capture => "capture",
            Self::Transmit => "tcpcopy to target",
            Self::Responses => "target to intercept",
            Self::TransmitAndResponses => "both of these",
        }
    }

    fn scenario(self, seed: u64, loss: f64, reorder: f64) -> Scenario {
        let mut scenario = mixed(seed);
        let spoil = |faults: &mut Faults| {
            *faults = Faults { loss, reorder, reorder_by: Duration::from_millis(10), ..faults.clone() };
        };
        match self {
            Self::Users => spoil(&mut scenario.user_link),
            Self::Capture => {
                spoil(&mut scenario.user_link);
                scenario.user_link.loss = 0.0;
                scenario.capture.loss = loss;
            }
            Self::Transmit => spoil(&mut scenario.transmit_link),
            Self::Responses => spoil(&mut scenario.response_link),
            Self::TransmitAndResponses => {
                spoil(&mut scenario.transmit_link);
                spoil(&mut scenario.response_link);
            }
        }
        scenario
    }
}

fn mixed(seed: u64) -> Scenario {
    let mut scenario = Scenario::calm(seed);
    scenario.talk.users = 8;
    scenario.talk.connections = 1..=3;
    scenario.talk.turns = 1..=8;
    scenario.talk.requests = vec![0..=100, 200..=1400, 1400..=20_000];
    scenario.talk.think = Duration::ZERO..=Duration::from_millis(300);
    scenario.online.responses = vec![0..=100, 1000..=30_000];
    scenario.target.responses = vec![0..=100, 1000..=30_000];
    scenario
}

fn line(place: Place, loss: f64, reorder: f64) -> String {
    let (mut requests, mut captured, mut replayed) = (0, 0, 0);
    let mut ended = [0; Verdict::ALL.len()];
    for seed in 0..WORLDS {
        let scenario = place.scenario(seed, loss, reorder);
        let outcome =
            World::run(scenario).unwrap_or_else(|violation| panic!("{} {loss}: {violation}", place.name()));
        requests += outcome.scripted;
        captured += outcome.captured;
        replayed += outcome.replayed;
        for (sum, ended) in ended.iter_mut().zip(&outcome.statistics.ended) {
            *sum += ended.sessions;
        }
    }
    let verdicts = Verdict::ALL.iter().zip(ended).filter(|(_, sessions)| *sessions > 0);
    let verdicts: Vec<String> =
        verdicts.map(|(verdict, sessions)| format!("{} {sessions}", verdict.name())).collect();
    let share = |part: u64| format!("{:>6.1} %", part as f64 * 100.0 / requests as f64);
    let (captured, replayed, verdicts) = (share(captured), share(replayed), verdicts.join(", "));
    let (loss, reorder) = (loss * 100.0, reorder * 100.0);
    format!(
        "{:<21} {loss:>5} %  {reorder:>7} %  {requests:>8}  {captured}  {replayed}  {verdicts}",
        place.name()
    )
}

#[test]
fn what_is_replayed_is_what_the_table_says() {
    let mut table = HEAD.to_owned();
    for place in Place::ALL {
        for loss in SHARES {
            for reorder in REORDERED {
                writeln!(table, "{}", line(place, loss, reorder)).unwrap();
            }
        }
    }
    if std::env::var("SIM_SNAPSHOT").is_ok_and(|wish| wish == "write") {
        std::fs::write(SNAPSHOT, &table).unwrap();
    }
    let kept = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    let differs =
        table.lines().zip(kept.lines().chain(std::iter::repeat(""))).find(|(now, kept)| now != kept);
    assert!(
        table == kept,
        "the table is not the one in {SNAPSHOT}: {differs:?}; if it should change, run with SIM_SNAPSHOT=write"
    );
}
