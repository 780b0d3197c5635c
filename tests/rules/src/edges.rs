//! Which crate may depend on which, and what the sans-IO rooms may be made of (docs/architecture.md).

use crate::breach::{Breach, Rule};
use crate::rooms::{Room, TESTS, room};
use crate::workspace::Package;

/// Every edge between crates of the workspace that the table of rooms does not have.
#[must_use]
pub fn between_rooms(packages: &[Package]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for package in packages {
        if is_test(package) {
            continue;
        }
        let Some(room) = room(&package.name) else {
            breaches.push(unknown_room(package));
            continue;
        };
        let strangers = package.knows.iter().filter(|known| !room.knows.contains(&known.as_str()));
        breaches.extend(strangers.map(|known| forbidden_edge(package, room, known)));
    }
    breaches
}

/// Every third-party crate in a sans-IO room that is not on its list.
#[must_use]
pub fn to_third_parties(packages: &[Package]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for package in packages {
        let Some(listed) = room(&package.name).and_then(|room| room.made_of) else {
            continue;
        };
        let strangers = package.made_of.iter().filter(|name| !listed.contains(&name.as_str()));
        breaches.extend(strangers.map(|name| Breach {
            rule: Rule::ThirdParty,
            place: format!("{} -> {name}", package.name),
            finding: format!("{} is linked with {name} (cargo tree -e normal -i {name} shows how)", package.name),
            remedy: String::from(
                "do without it; or, if it neither does I/O nor reads the clock nor starts threads, add it to the list in \
                 tests/rules/src/rooms.rs and write the decision down in docs/decisions",
            ),
        }));
    }
    breaches
}

fn is_test(package: &Package) -> bool {
    package.folder.starts_with(TESTS)
}

fn unknown_room(package: &Package) -> Breach {
    Breach {
        rule: Rule::Rooms,
        place: package.folder.join("Cargo.toml").display().to_string(),
        finding: format!("the crate {} is not in the table of rooms", package.name),
        remedy: String::from(
            "say what it forbids in docs/architecture.md and add it to tests/rules/src/rooms.rs, or put it under tests/",
        ),
    }
}

fn forbidden_edge(package: &Package, room: &Room, known: &str) -> Breach {
    let allowed = match room.knows {
        [] => String::from("no other crate of the workspace"),
        knows => format!("only {}", knows.join(", ")),
    };
    Breach {
        rule: Rule::Rooms,
        place: format!("{} -> {known}", package.name),
        finding: format!(
            "{} depends on {known}, but may know {allowed}",
            package.folder.join("Cargo.toml").display()
        ),
        remedy: String::from(
            "move what is needed to a room both may know, or pass it in as a value; the table is tests/rules/src/rooms.rs",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, folder: &str, knows: &[&str], made_of: &[&str]) -> Package {
        let owned = |names: &[&str]| names.iter().copied().map(String::from).collect();
        Package {
            name: name.into(),
            folder: folder.into(),
            knows: owned(knows),
            made_of: owned(made_of),
            roots: Vec::new(),
        }
    }

    fn places(breaches: &[Breach]) -> Vec<&str> {
        breaches.iter().map(|breach| breach.place.as_str()).collect()
    }

    #[test]
    fn an_edge_upwards_is_a_breach() {
        let packages = [
            package("tcpcopy-wire", "core/wire", &["tcpcopy-engine"], &[]),
            package("tcpcopy-engine", "core/engine", &["tcpcopy-wire"], &[]),
        ];
        assert_eq!(places(&between_rooms(&packages)), ["tcpcopy-wire -> tcpcopy-engine"]);
    }

    #[test]
    fn an_edge_sideways_is_a_breach() {
        let packages = [
            package("tcpcopy-engine", "core/engine", &["tcpcopy-feed", "tcpcopy-wire"], &[]),
            package("tcpcopy-net", "core/net", &["tcpcopy-engine"], &[]),
        ];
        let expected = ["tcpcopy-engine -> tcpcopy-feed", "tcpcopy-net -> tcpcopy-engine"];
        assert_eq!(places(&between_rooms(&packages)), expected);
    }

    #[test]
    fn a_binary_past_the_facade_is_a_breach() {
        let packages = [package("tcpcopy", "tcpcopy", &["tcpcopy-cli", "tcpcopy-core", "tcpcopy-net"], &[])];
        assert_eq!(places(&between_rooms(&packages)), ["tcpcopy -> tcpcopy-net"]);
    }

    #[test]
    fn only_tests_may_know_tests() {
        let packages = [
            package("tcpcopy-runtime", "core/runtime", &["tcpcopy-lab"], &[]),
            package("tcpcopy-scenarios", "tests/scenarios", &["tcpcopy-lab", "tcpcopy-engine"], &[]),
        ];
        assert_eq!(places(&between_rooms(&packages)), ["tcpcopy-runtime -> tcpcopy-lab"]);
    }

    #[test]
    fn a_crate_that_is_no_room_is_a_breach() {
        let packages = [package("tcpcopy-extras", "extras", &[], &[])];
        assert_eq!(places(&between_rooms(&packages)), ["extras/Cargo.toml"]);
    }

    #[test]
    fn a_socket_crate_in_a_sans_io_room_is_a_breach() {
        let packages = [
            package("tcpcopy-wire", "core/wire", &[], &["arrayvec", "etherparse"]),
            package("tcpcopy-feed", "core/feed", &[], &["hashbrown", "mio"]),
            package("tcpcopy-net", "core/net", &[], &["pcap", "socket2"]),
        ];
        assert_eq!(places(&to_third_parties(&packages)), ["tcpcopy-feed -> mio"]);
    }
}
