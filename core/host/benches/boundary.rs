//! What the boundary of a library costs: one call of a module that forwards a full packet, through the host and
//! as a plain `dyn`, in turns. Only the difference means something.

use std::env;
use std::error::Error;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use tcpcopy_host::{Host, HostOptions};
use tcpcopy_plugin_api::{Actions, Configuration, Conversation, Module, SessionInfo, Timestamp};

#[path = "../examples/forwarding_module.rs"]
mod forwarding_module;

const PACKET: [u8; 1460] = [b'x'; 1460];
/// Rounds that are measured in turns, and the calls of each.
const ROUNDS: u32 = 50;
const CALLS: u32 = 100_000;

/// A conversation as the engine calls it.
struct Talk {
    conversation: Box<dyn Conversation>,
    actions: Actions,
}

impl Talk {
    fn open(module: &dyn Module) -> Result<Self, Box<dyn Error>> {
        let address = "192.0.2.1:80".parse()?;
        let session = SessionInfo {
            id: 1,
            client: address,
            online: address,
            source: address,
            target: address,
            joined: false,
            connected: false,
        };
        Ok(Self { conversation: module.open(&session), actions: Actions::default() })
    }

    fn call(&mut self) {
        self.actions.begin(Timestamp(2), Timestamp(1), None);
        let answer = self.conversation.client(black_box(&PACKET), &mut self.actions);
        let _ = black_box((&answer, &self.actions));
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
    fn round(&mut self) -> Duration {
        let begun = Instant::now();
        for _ in 0..CALLS {
            self.call();
        }
        begun.elapsed()
    }
}

/// Builds the example as a library, with the profile of this benchmark.
fn library() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let arguments =
        ["build", "--quiet", "--release", "--example", "forwarding_module", "--manifest-path", manifest];
    if !Command::new(cargo).args(arguments).status()?.success() {
        return Err("the example was not built".into());
    }
    // target/release/deps/boundary-…
    let release = env::current_exe()?.ancestors().nth(2).ok_or("no folder")?.to_owned();
    Ok(release.join("examples/libforwarding_module.so"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let configuration = Configuration::new("", "benchmark");
    let mut host = Host::new(HostOptions::default());
    let loaded = host.load(&library()?, &configuration)?;
    let plain = forwarding_module::Forwarding::configure(&configuration)?;
    let (mut direct, mut across) = (Talk::open(&plain)?, Talk::open(&*loaded.module)?);

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("forward 1460 bytes");
    group.throughput(Throughput::Elements(1));
    group.bench_function("as a dyn", |bencher| bencher.iter(|| direct.call()));
    group.bench_function("in a library", |bencher| bencher.iter(|| across.call()));
    group.finish();

    let (mut least_direct, mut least_across) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        least_direct = least_direct.min(direct.round());
        least_across = least_across.min(across.round());
    }
    let nanos = |round: Duration| round.as_secs_f64() * 1e9 / f64::from(CALLS);
    let (direct, across) = (nanos(least_direct), nanos(least_across));
    println!(
        "as a dyn {direct:.1} ns, in a library {across:.1} ns: the boundary costs {:.1} ns",
        across - direct
    );
    println!("{:?}", loaded.times.summary());
    Ok(())
}
