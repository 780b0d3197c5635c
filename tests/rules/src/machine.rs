//! Clock, threads, sockets and files: which rooms may use the machine at all (docs/architecture.md). In the others time and
//! bytes are arguments, so that a simulation can replay every run of them.

use crate::breach::{Breach, Rule};
use crate::rooms::room;
use crate::source::{Route, Source};
use crate::workspace::Package;

/// What gives the machine away, found anywhere in a path.
const FORBIDDEN: &[&[&str]] = &[
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["std", "time", "UNIX_EPOCH"],
    &["Instant", "now"],
    &["SystemTime", "now"],
    &["std", "thread"],
    &["thread", "spawn"],
    &["thread", "sleep"],
    &["thread", "scope"],
    &["net", "TcpStream"],
    &["net", "TcpListener"],
    &["net", "UdpSocket"],
    &["std", "env"],
    &["std", "fs"],
    &["std", "io"],
    &["std", "os"],
    &["std", "process"],
    &["println"],
    &["eprintln"],
    &["dbg"],
];

/// Every use of the machine in the sources of a room that may not. Its tests and benchmarks beside `src` may: they
/// read captures and measure.
#[must_use]
pub fn in_sources(packages: &[Package], sources: &[Source]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for package in packages {
        if room(&package.name).is_none_or(|room| room.machine) {
            continue;
        }
        let folder = package.folder.join("src");
        for source in sources.iter().filter(|source| source.path.starts_with(&folder)) {
            let found = source.paths.iter().filter(|path| FORBIDDEN.iter().any(|what| reaches(path, what)));
            breaches.extend(found.map(|path| Breach {
                rule: Rule::Machine,
                place: source.place(path.line),
                finding: format!("{} is used in {}", path.segments.join("::"), package.name),
                remedy: String::from(
                    "take time as a tcpcopy_wire::Instant, bytes as a slice, and leave the rest to core/runtime or core/net",
                ),
            }));
        }
    }
    breaches
}

/// Whether a path names `what` or imports everything beside it.
fn reaches(path: &Route, what: &[&str]) -> bool {
    let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
    let names = segments.windows(what.len()).any(|window| window == what);
    let imports = match (segments.as_slice(), what) {
        ([.., parent, "*"], [.., above, _]) => parent == above,
        _ => false,
    };
    names || imports
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(name: &str, folder: &str, file: &str, text: &str) -> Vec<Breach> {
        let package = Package {
            name: name.into(),
            folder: folder.into(),
            knows: Vec::new(),
            made_of: Vec::new(),
            roots: Vec::new(),
        };
        in_sources(&[package], &[Source::new(file, text).unwrap()])
    }

    fn in_engine(text: &str) -> Vec<Breach> {
        breaches("tcpcopy-engine", "core/engine", "core/engine/src/timers.rs", text)
    }

    #[test]
    fn every_way_to_the_clock_is_a_breach() {
        for text in [
            "use std::time::Instant;",
            "use std::time::{Duration, SystemTime};",
            "use std::time::*;",
            "use std::{time::{Instant as Clock}};",
            "use std::time; fn f() { time::Instant::now(); }",
            "fn f() { std::time::SystemTime::now(); }",
        ] {
            assert_eq!(in_engine(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn every_way_to_a_thread_or_socket_or_file_is_a_breach() {
        for text in [
            "use std::{fmt, thread};",
            "fn f() { std::thread::spawn(g); }",
            "use std::net::{IpAddr, TcpStream};",
            "use std::net; type A = net::UdpSocket;",
            "use std::net::*;",
            "fn f() { std::fs::read(x); }",
            "fn f() { eprintln!(\"{x}\"); }",
        ] {
            assert_eq!(in_engine(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn addresses_durations_and_our_own_time_are_welcome() {
        for text in [
            "use std::net::{IpAddr, SocketAddr};",
            "use std::time::Duration;",
            "use tcpcopy_wire::Instant; fn f(now: Instant) {}",
            "// Instant::now()\nconst A: &str = \"std::thread\";",
            "fn f(thread: u8, net: u8) { thread + net }",
            "mod tests { use super::*; }",
        ] {
            assert_eq!(in_engine(text), [], "{text}");
        }
    }

    #[test]
    fn only_the_sources_of_a_sans_io_room_are_searched() {
        let clock = "use std::time::Instant;";
        assert_eq!(breaches("tcpcopy-wire", "core/wire", "core/wire/src/time.rs", clock).len(), 1);
        assert_eq!(breaches("tcpcopy-wire", "core/wire", "core/wire/benches/packet.rs", clock), []);
        assert_eq!(breaches("tcpcopy-runtime", "core/runtime", "core/runtime/src/clock.rs", clock), []);
        assert_eq!(breaches("tcpcopy-core", "core", "core/wire/src/time.rs", clock), []);
    }
}
