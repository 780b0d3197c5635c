//! Many scenarios, each drawn from a seed.
//!
//! `SIM_SEED=n` runs one of them and prints its scenario, every packet that arrives anywhere, and its outcome;
//! `SIM_SEEDS=n` runs so many, `SIM_FIRST=n` from another one on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tcpcopy_sim::{Onlooker, Outcome, Scenario, World};
use tcpcopy_wire::{Flags, Segment};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 800;
/// Failures reported in full; the others are only counted.
const REPORTED: usize = 20;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs one seed; a panic of the engine is a failure like any other.
fn run(seed: u64, onlooker: Option<Onlooker>) -> Result<Outcome, String> {
    match catch_unwind(AssertUnwindSafe(|| World::watch(Scenario::draw(seed), onlooker))) {
        Ok(outcome) => outcome.map_err(|violation| violation.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("panic: {}", text.unwrap_or("without a sentence")))
        }
    }
}

/// One line for a packet that arrives.
fn print(elapsed: Duration, place: &str, segment: &Segment<'_>) {
    let flags =
        [(Flags::SYN, 'S'), (Flags::FIN, 'F'), (Flags::RST, 'R'), (Flags::PSH, 'P'), (Flags::ACK, 'A')];
    let flags: String =
        flags.iter().filter(|(flag, _)| segment.flags.contains(*flag)).map(|(_, name)| name).collect();
    let Segment { source, destination, seq, ack, window, payload_len, .. } = segment;
    let micros = elapsed.as_micros();
    println!(
        "{micros:>10} at {place:<9} {source} > {destination} {flags} {}+{payload_len} ack {} win {window} {:?}",
        seq.0,
        ack.0,
        segment.options.sack.as_slice()
    );
}

#[test]
fn every_seed_holds() {
    if let Some(seed) = number("SIM_SEED") {
        println!("{:#?}", Scenario::draw(seed));
        let outcome = run(seed, Some(Box::new(print)));
        println!("{}", outcome.unwrap_or_else(|failure| panic!("seed {seed}: {failure}")));
        return;
    }
    let first = number("SIM_FIRST").unwrap_or(0);
    let seeds = number("SIM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(first);
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < first + seeds
                {
                    if let Err(failure) = run(seed, None) {
                        failures.lock().unwrap().push((seed, failure));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    for (seed, failure) in failures.iter().take(REPORTED) {
        println!("SIM_SEED={seed} cargo test -p tcpcopy-sim every_seed_holds -- --nocapture\n    {failure}");
    }
    assert!(failures.is_empty(), "{} of {seeds} seeds failed; rerun one as printed above", failures.len());
}
