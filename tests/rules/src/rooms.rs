//! The rooms of docs/architecture.md as a table: a new crate is added here and there in the same change.

/// What a crate of the workspace may know and use.
#[derive(Debug)]
pub struct Room {
    /// The package's name.
    pub package: &'static str,
    /// The crates of this workspace it may depend on.
    pub knows: &'static [&'static str],
    /// For a room without I/O: every third-party crate it may reach, directly or not. Macros that only run in the
    /// compiler need no mention. `None` leaves the choice free.
    pub made_of: Option<&'static [&'static str]>,
    /// Whether it may read the clock, start threads, open sockets and files.
    pub machine: bool,
}

const WIRE: &str = "tcpcopy-wire";
const API: &str = "tcpcopy-plugin-api";
const ENGINE: &str = "tcpcopy-engine";
const FEED: &str = "tcpcopy-feed";
const NET: &str = "tcpcopy-net";
const HOST: &str = "tcpcopy-host";
const RUNTIME: &str = "tcpcopy-runtime";
const CORE: &str = "tcpcopy-core";
const CLI: &str = "tcpcopy-cli";

/// Every crate outside [`TESTS`].
pub const ROOMS: &[Room] = &[
    Room { package: WIRE, knows: &[], made_of: Some(&["arrayvec", "etherparse"]), machine: false },
    Room {
        package: ENGINE,
        knows: &[WIRE, API],
        made_of: Some(&["arrayvec", "etherparse", "foldhash", "hashbrown", "slotmap"]),
        machine: false,
    },
    Room {
        package: FEED,
        knows: &[WIRE],
        made_of: Some(&["arrayvec", "etherparse", "foldhash", "hashbrown", "thiserror"]),
        machine: false,
    },
    Room { package: API, knows: &[], made_of: None, machine: false },
    Room { package: HOST, knows: &[API], made_of: None, machine: true },
    Room { package: "tcpcopy-mod-generic", knows: &[API], made_of: None, machine: false },
    Room { package: "tcpcopy-mod-http", knows: &[API], made_of: None, machine: false },
    // It reads passwords from files and the environment, when it is configured.
    Room { package: "tcpcopy-mod-mysql", knows: &[API], made_of: None, machine: true },
    Room { package: NET, knows: &[WIRE], made_of: None, machine: true },
    Room { package: RUNTIME, knows: &[API, WIRE, ENGINE, FEED, NET, HOST], made_of: None, machine: true },
    Room {
        package: CORE,
        knows: &[API, WIRE, ENGINE, FEED, NET, HOST, RUNTIME],
        made_of: None,
        machine: false,
    },
    Room { package: CLI, knows: &[CORE], made_of: None, machine: true },
    Room { package: "tcpcopy", knows: &[CORE, CLI], made_of: None, machine: true },
    Room { package: "intercept", knows: &[CORE, CLI], made_of: None, machine: true },
];

/// The folder whose crates may know everything and that nobody outside may know.
pub const TESTS: &str = "tests";

/// The room of that package, if the table has one.
#[must_use]
pub fn room(package: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.package == package)
}
