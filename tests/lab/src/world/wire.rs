//! The wire of an impaired hop: forwards frames between two devices and loses, delays, doubles or reorders some.
//!
//! Runs as a process of its own (`lab wire PLAN.json`) in the wire namespace. It says `ready` on standard output,
//! obeys the lines [`OPEN`] and [`CUT`] on standard input, and at the end of its input writes what it did as JSON.
//! It knows nothing of what is in a frame. Latency without faults is below a millisecond, not zero.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use pcap::{Active, Capture, Direction, Error};
use serde::{Deserialize, Serialize};

use crate::world::hop::{Faults, Hop, Impairment};
use crate::world::plan;

/// The line that lets frames pass again.
pub const OPEN: &str = "open";
/// The line after which every frame is swallowed.
pub const CUT: &str = "cut";

/// Kernel buffer of one device: more than a second of full frames at 5 000 a second.
const RING_BYTES: i32 = 16 << 20;
/// Frames taken from one device before the other one is looked at.
const BATCH: usize = 256;

/// What a wire process has to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WirePlan {
    /// The hop, for messages.
    pub hop: Hop,
    /// The device facing the hop's first host.
    pub first: String,
    /// The device facing its second host.
    pub second: String,
    /// The faults.
    pub impairment: Impairment,
}

impl WirePlan {
    /// The plan for a hop of the usual topology.
    #[must_use]
    pub fn new(hop: Hop, impairment: Impairment) -> Self {
        Self { hop, first: plan::wire_device(hop, 'a'), second: plan::wire_device(hop, 'b'), impairment }
    }
}

/// What a wire did with the frames of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Crossed {
    /// Frames that arrived.
    pub seen: u64,
    /// Swallowed by chance.
    pub lost: u64,
    /// Swallowed because the hop was cut.
    pub cut: u64,
    /// Delivered a second time.
    pub doubled: u64,
    /// Held back so that others overtake.
    pub held: u64,
    /// Never seen or not sent because the machine was too busy: not a planned fault.
    pub missed: u64,
}

/// A frame waiting for its time.
struct Waiting {
    due: Instant,
    number: u64,
    frame: Vec<u8>,
}

impl Waiting {
    fn key(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// One direction of the wire.
struct Lane {
    faults: Faults,
    rng: Rng,
    queue: BinaryHeap<Reverse<Waiting>>,
    latest: Instant,
    crossed: Crossed,
}

impl Lane {
    fn new(faults: Faults, seed: u64, now: Instant) -> Self {
        let rng = Rng::with_seed(seed);
        Self { faults, rng, queue: BinaryHeap::new(), latest: now, crossed: Crossed::default() }
    }

    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.f64() < probability
    }

    /// Decides a frame's fate: swallowed, sent at once, or queued.
    fn take(&mut self, frame: &[u8], open: bool, now: Instant, out: &mut Capture<Active>) {
        self.crossed.seen += 1;
        if !open {
            self.crossed.cut += 1;
            return;
        }
        if self.happens(self.faults.loss) {
            self.crossed.lost += 1;
            return;
        }
        let copies = if self.happens(self.faults.duplicate) { 2 } else { 1 };
        self.crossed.doubled += copies - 1;
        let due = self.due(now);
        for _ in 0..copies {
            if due <= now {
                self.crossed.missed += u64::from(out.sendpacket(frame).is_err());
            } else {
                let waiting = Waiting { due, number: self.crossed.seen, frame: frame.to_vec() };
                self.queue.push(Reverse(waiting));
            }
        }
    }

    /// When the frame leaves. Jitter never lets a frame overtake another; only `reorder` does.
    fn due(&mut self, now: Instant) -> Instant {
        let jitter =
            self.faults.jitter.mul_f64(if self.faults.jitter.is_zero() { 0.0 } else { self.rng.f64() });
        let in_order = (now + self.faults.delay + jitter).max(self.latest);
        if self.happens(self.faults.reorder) {
            self.crossed.held += 1;
            return in_order + self.faults.hold;
        }
        self.latest = in_order;
        in_order
    }

    fn send_due(&mut self, now: Instant, out: &mut Capture<Active>) {
        while self.queue.peek().is_some_and(|Reverse(first)| first.due <= now) {
            if let Some(Reverse(waiting)) = self.queue.pop() {
                self.crossed.missed += u64::from(out.sendpacket(waiting.frame).is_err());
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse(first)| first.due)
    }
}

/// Forwards frames until standard input ends.
///
/// # Errors
/// When a device cannot be opened or breaks.
pub fn run(plan: &WirePlan) -> Result<()> {
    let mut ends = [open(&plan.first)?, open(&plan.second)?];
    let start = Instant::now();
    let Impairment { forward, backward, seed } = plan.impairment;
    let mut lanes = [Lane::new(forward, seed, start), Lane::new(backward, !seed, start)];
    let mut passing = true;
    say("ready")?;
    loop {
        let next = lanes.iter().filter_map(Lane::next_due).min();
        if wait(&ends, next)? {
            match orders()? {
                Some(text) => passing = obey(&text, passing),
                None => break,
            }
        }
        for (from, lane) in lanes.iter_mut().enumerate() {
            forward_arrived(&mut ends, from, lane, passing)?;
        }
        let now = Instant::now();
        for (from, lane) in lanes.iter_mut().enumerate() {
            lane.send_due(now, &mut ends[1 - from]);
        }
    }
    for (lane, end) in lanes.iter_mut().zip(&mut ends) {
        lane.crossed.missed += u64::from(end.stats().map_or(0, |stats| stats.dropped));
    }
    say(&serde_json::to_string(&lanes.map(|lane| lane.crossed))?)
}

fn open(device: &str) -> Result<Capture<Active>> {
    let capture = Capture::from_device(device)?
        .promisc(true)
        .snaplen(65_535)
        .buffer_size(RING_BYTES)
        .timeout(1)
        .open()
        .with_context(|| format!("cannot open {device}"))?;
    capture.direction(Direction::In)?;
    Ok(capture.setnonblock()?)
}

/// Sleeps until a frame or an order arrives or `next` is reached; true when there is an order.
fn wait(ends: &[Capture<Active>; 2], next: Option<Instant>) -> Result<bool> {
    let stdin = io::stdin();
    let mut fds = [
        PollFd::new(ends[0].as_fd(), PollFlags::POLLIN),
        PollFd::new(ends[1].as_fd(), PollFlags::POLLIN),
        PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
    ];
    let timeout = next.map(|due| TimeSpec::from_duration(due.saturating_duration_since(Instant::now())));
    match ppoll(&mut fds, timeout, None) {
        Ok(_) | Err(nix::Error::EINTR) => Ok(fds[2].any().unwrap_or(false)),
        Err(error) => Err(error).context("cannot wait for frames"),
    }
}

/// The orders that have arrived; `None` at the end of the input.
fn orders() -> Result<Option<String>> {
    let mut text = [0; 256];
    let length = io::stdin().lock().read(&mut text)?;
    Ok((length > 0).then(|| String::from_utf8_lossy(&text[..length]).into_owned()))
}

/// Whether frames pass after these orders; the last one counts.
fn obey(orders: &str, passing: bool) -> bool {
    orders.lines().fold(passing, |passing, order| match order {
        OPEN => true,
        CUT => false,
        _ => passing,
    })
}

fn forward_arrived(ends: &mut [Capture<Active>; 2], from: usize, lane: &mut Lane, open: bool) -> Result<()> {
    let [first, second] = ends;
    let (source, sink) = if from == 0 { (first, second) } else { (second, first) };
    let now = Instant::now();
    for _ in 0..BATCH {
        match source.next_packet() {
            Ok(packet) => lane.take(packet.data, open, now, sink),
            Err(Error::TimeoutExpired | Error::NoMorePackets) => break,
            Err(error) => return Err(error).context("a device of the wire broke"),
        }
    }
    Ok(())
}

fn say(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("nobody reads the wire's output")
}

/// The delay a reordered frame is held back when a scenario does not care.
pub const USUAL_HOLD: Duration = Duration::from_millis(3);
