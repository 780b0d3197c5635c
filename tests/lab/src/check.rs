//! `lab check`: is the world what it says? Measures reachability, loss, delay and cutting with probes of its own,
//! so that a surprising result of a scenario can be blamed on the right party.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::world::World;
use crate::world::hop::{Faults, Hop, Impairment, Impairments};
use crate::world::host::{Host, HostName};
use crate::world::plan;
use crate::world::private;

/// Probes per measurement: enough that 5 % loss is told from 2 % and 8 % with certainty.
const PROBES: u32 = 2000;
const PROBE_INTERVAL: Duration = Duration::from_micros(250);
const PROBE_PORT: u16 = 9;

/// What probes over one path showed.
#[derive(Debug, Clone, Copy)]
struct Measured {
    arrived: u32,
    out_of_order: u32,
    mean_delay: Duration,
}

/// Runs every check, telling each result on standard output.
///
/// # Errors
/// At the first check that fails.
pub fn run() -> Result<()> {
    let scratch = private::scratch(None, "check")?;
    let started = Instant::now();
    let plain = World::up(&Impairments::default(), &scratch)?;
    println!("plain world up in {:.0} ms", started.elapsed().as_secs_f64() * 1000.0);
    for (from, source, to) in reachable() {
        let measured = probe(plain.host(from), source, plain.host(to.0), to.1, 100)?;
        ensure!(measured.arrived == 100, "{} of 100 probes from {from} reached {}", measured.arrived, to.1);
    }
    println!("every host reaches its neighbours, over IPv4 and IPv6");
    let swallowed = probe(
        plain.host(HostName::Target),
        IpAddr::V4(plan::TARGET),
        plain.host(HostName::Client),
        plan::FIRST_USER.into(),
        20,
    )?;
    ensure!(swallowed.arrived == 0, "the target's answers to copied clients must end at the assistant");
    println!("what the target sends to users ends at the assistant");
    drop(plain);
    check_impaired(&scratch)
}

type End = (HostName, IpAddr);

fn reachable() -> [(HostName, IpAddr, End); 6] {
    use HostName::{Assistant, Client, Online, Target};
    [
        (Client, plan::FIRST_USER.into(), (Online, plan::ONLINE.into())),
        (Client, plan::FIRST_USER_V6.into(), (Online, plan::ONLINE_V6.into())),
        (Online, Ipv4Addr::UNSPECIFIED.into(), (Target, plan::TARGET.into())),
        (Online, std::net::Ipv6Addr::UNSPECIFIED.into(), (Target, plan::TARGET_V6.into())),
        (Online, Ipv4Addr::UNSPECIFIED.into(), (Assistant, plan::ASSISTANT.into())),
        (Target, plan::TARGET.into(), (Assistant, plan::ASSISTANT.into())),
    ]
}

fn check_impaired(scratch: &std::path::Path) -> Result<()> {
    let lossy = Impairment { forward: Faults::loss(0.05), backward: Faults::default(), seed: 7 };
    let shuffled = Faults {
        reorder: 0.1,
        duplicate: 0.02,
        hold: Duration::from_millis(3),
        ..Faults::delay(Duration::from_millis(20))
    };
    let impairments = Impairments {
        users: Some(Impairment::both_ways(shuffled)),
        copy: Some(lossy),
        feed: Some(Impairment::switchable()),
        ..Impairments::default()
    };
    let started = Instant::now();
    let mut world = World::up(&impairments, scratch)?;
    println!("world with three wires up in {:.0} ms", started.elapsed().as_secs_f64() * 1000.0);

    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let measure = |world: &World, from, source, to, address| {
        probe(world.host(from), source, world.host(to), address, PROBES)
    };
    let copy = measure(&world, HostName::Online, any, HostName::Target, plan::TARGET.into())?;
    let lost = 1.0 - f64::from(copy.arrived) / f64::from(PROBES);
    println!("copy hop: {:.1} % lost of a planned 5 %, delay {:?}", lost * 100.0, copy.mean_delay);
    ensure!((0.03..0.07).contains(&lost), "the copy hop lost {lost:.3} of the frames instead of 0.05");

    let users =
        measure(&world, HostName::Client, plan::FIRST_USER.into(), HostName::Online, plan::ONLINE.into())?;
    println!(
        "users hop: {} of {PROBES} arrived, {} out of order, delay {:?} of a planned 20 ms",
        users.arrived, users.out_of_order, users.mean_delay
    );
    ensure!(users.arrived > PROBES, "the users hop doubled no frame");
    ensure!(users.out_of_order > 0, "the users hop reordered no frame");
    let delay = users.mean_delay.as_secs_f64();
    ensure!((0.020..0.040).contains(&delay), "the users hop delays by {delay} s instead of 0.020 s");

    let feed = measure(&world, HostName::Online, any, HostName::Assistant, plan::ASSISTANT.into())?;
    println!("feed hop, no faults: {} of {PROBES} arrived, delay {:?}", feed.arrived, feed.mean_delay);
    // A busy machine may overflow the receiving socket; that is not the wire's doing.
    ensure!(feed.arrived * 100 >= PROBES * 99, "a wire without faults lost frames");
    world.set_hop(Hop::Feed, false)?;
    thread::sleep(Duration::from_millis(50));
    let cut = measure(&world, HostName::Online, any, HostName::Assistant, plan::ASSISTANT.into())?;
    ensure!(cut.arrived == 0, "{} probes crossed a hop that was cut", cut.arrived);
    println!("feed hop, cut: nothing arrived");
    Ok(())
}

/// Sends numbered datagrams at a steady rate and looks at what arrives.
fn probe(from: &Host, source: IpAddr, to: &Host, address: IpAddr, count: u32) -> Result<Measured> {
    let wildcard: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    let receiver = to.within(|| UdpSocket::bind(SocketAddr::new(wildcard, PROBE_PORT)))??;
    receiver.set_read_timeout(Some(Duration::from_millis(300)))?;
    let sender = from.within(|| UdpSocket::bind(SocketAddr::new(source, 0)))?;
    let sender = sender.with_context(|| format!("cannot use {source} on {}", from.name()))?;
    let start = Instant::now();
    thread::scope(|scope| {
        let counted = scope.spawn(|| count_arrivals(&receiver, start));
        for number in 0..count {
            let due = start + PROBE_INTERVAL * number;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let sent = u64::try_from(start.elapsed().as_nanos())?;
            let mut probe = [0; 12];
            probe[..4].copy_from_slice(&number.to_be_bytes());
            probe[4..].copy_from_slice(&sent.to_be_bytes());
            sender.send_to(&probe, SocketAddr::new(address, PROBE_PORT))?;
        }
        counted.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn count_arrivals(receiver: &UdpSocket, start: Instant) -> Result<Measured> {
    let (mut arrived, mut out_of_order, mut highest, mut delays) = (0, 0, 0, Duration::ZERO);
    let mut probe = [0; 12];
    while receiver.recv(&mut probe).is_ok() {
        let number = u32::from_be_bytes(probe[..4].try_into()?);
        let sent = Duration::from_nanos(u64::from_be_bytes(probe[4..].try_into()?));
        delays += start.elapsed().saturating_sub(sent);
        arrived += 1;
        if number < highest {
            out_of_order += 1;
        }
        highest = highest.max(number);
    }
    Ok(Measured { arrived, out_of_order, mean_delay: delays / arrived.max(1) })
}
