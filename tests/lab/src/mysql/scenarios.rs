//! The scenarios with MySQL: both servers real, the clients real, the target's passwords others than online's.

use std::time::Duration;

use crate::mysql::PORT;
use crate::mysql::clients::{Clients, Program, Script, User};
use crate::mysql::servers::Engine;
use crate::scenario::demand::Demand;
use crate::scenario::module::{Library, Module};
use crate::scenario::{Action, Event, Mapping, Scenario, Server, Tcpcopy, Who};
use crate::traffic::UsersPlan;
use crate::world::hop::{Faults, Impairment, Impairments};

/// The module as an operator configures it: passwords of the target's users in a file.
const MODULE: Module = Module::new(Library::Mysql, "mysql.so").with_file(include_str!("accounts.toml"));
const READ_ONLY: Module = Module::new(Library::Mysql, "mysql.so")
    .with_file(concat!("read_only = true\n", include_str!("accounts.toml")));

/// Of scenarios in which the target has no session from its beginning to its end.
const RESTORED: &[Demand] = &[Demand::AllServed, Demand::Restored];

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        demo(),
        plain("mysql-sysbench-text", "sysbench, 20 threads, statements as text", sysbench(false)),
        plain(
            "mysql-pymysql",
            "transactions, several statements at once, LOAD DATA, errors",
            python(Script::Habits, 6),
        ),
        bursts(plain("mysql-cli", "the mariadb command-line client, 16 sessions", command_line(User::App))),
        bursts(plain("mysql-ed25519", "users that log in by client_ed25519", command_line(User::Ed))),
        plain(
            "mysql-no-password",
            "users without a password",
            Clients { user: User::Open, ..python(Script::Habits, 2) },
        ),
        plain("mysql-node", "Node.js with mysql2: a pool, prepared statements, changes of the user", node()),
        bursts(plain(
            "mysql-rust",
            "Rust with mysql_async: a pool, prepared statements, transactions",
            rust(),
        )),
        loss(),
        joined(),
        target_drops(
            "mysql-target-drops",
            "idle connections killed on the target, text",
            python(Script::Steady, 10),
        ),
        target_drops("mysql-drops-prepared", "the same with prepared statements", sysbench(true)),
        read_only(),
        of_mysql9(plain(
            "mysql9-sha2",
            "caching_sha2_password: the first logins full, later ones fast",
            logins(User::App),
        )),
        of_mysql9(plain("mysql9-sha256", "sha256_password", logins(User::Sha))),
        of_mysql9(plain("mysql9-pymysql", "sessions with many habits in MySQL 9", python(Script::Habits, 6))),
        of_mysql9(plain("mysql9-node", "Node.js with mysql2 and MySQL 9", node())),
        of_mysql9(bursts(plain("mysql9-rust", "Rust with mysql_async and MySQL 9", rust()))),
    ]
}

/// One kind of client, no faults.
fn plain(name: &'static str, about: &'static str, clients: Clients) -> Scenario {
    Scenario {
        mappings: vec![Mapping::v4(PORT).served_by(MODULE)],
        users: Vec::new(),
        clients: vec![clients],
        online: Server::Database(Engine::MariaDb),
        target: Server::Database(Engine::MariaDb),
        tcpcopies: vec![Tcpcopy { options: &["-c", "10.30.0.x"], ..Tcpcopy::default() }],
        demands: &[Demand::AllServed],
        ..Scenario::new(name, about, UsersPlan::default())
    }
}

fn demo() -> Scenario {
    let about = "sysbench, 20 threads, prepared statements, another password on the target";
    Scenario { quick: true, ..plain("mysql", about, sysbench(true)) }
}

fn loss() -> Scenario {
    let lossy = Some(Impairment::both_ways(Faults::loss(0.01)));
    Scenario {
        impairments: Impairments { copy: lossy, response: lossy, ..Impairments::default() },
        ..plain("mysql-loss-1", "1 % loss to the target and back", python(Script::Habits, 6))
    }
}

fn joined() -> Scenario {
    Scenario {
        events: vec![Event { at: Duration::from_secs(2), action: Action::Start(Who::Tcpcopy) }],
        demands: RESTORED,
        ..plain("mysql-joined", "every session is open before tcpcopy starts", python(Script::Steady, 10))
    }
}

fn target_drops(name: &'static str, about: &'static str, clients: Clients) -> Scenario {
    let drop = |at| Event { at: Duration::from_millis(at), action: Action::Disconnect };
    Scenario {
        events: vec![drop(1500), drop(2500), drop(3500)],
        demands: RESTORED,
        ..plain(name, about, clients)
    }
}

fn read_only() -> Scenario {
    let scenario = plain(
        "mysql-read-only",
        "only what cannot write reaches the target",
        python(Script::ReadersAndWriters, 6),
    );
    Scenario {
        mappings: vec![Mapping::v4(PORT).served_by(READ_ONLY)],
        demands: &[Demand::AllServed, Demand::HeldBack],
        ..scenario
    }
}

/// The same with a buffer for clients that say 300 kB at once, or all begin at once, on a machine so busy that tcpcopy
/// stands still for a tenth of a second: see `docs/decisions/0003-capture-rings.md`.
fn bursts(scenario: Scenario) -> Scenario {
    let tcpcopies = scenario.tcpcopies.into_iter();
    let roomy = tcpcopies
        .map(|tcpcopy| Tcpcopy { options: &["-c", "10.30.0.x", "-i", "users", "-B", "256"], ..tcpcopy });
    Scenario { tcpcopies: roomy.collect(), ..scenario }
}

/// The same with MySQL 9 on both sides.
fn of_mysql9(scenario: Scenario) -> Scenario {
    let server = Server::Database(Engine::MySql9);
    Scenario { online: server.clone(), target: server, ..scenario }
}

/// Sessions that end soon, so that there are many logins.
fn logins(user: User) -> Clients {
    Clients { user, ..python(Script::Logins, 6) }
}

fn sysbench(prepared: bool) -> Clients {
    Clients { program: Program::Sysbench { prepared }, user: User::App, sessions: 20, seconds: 5 }
}

fn python(script: Script, sessions: u32) -> Clients {
    Clients { program: Program::Python(script), user: User::App, sessions, seconds: 5 }
}

fn node() -> Clients {
    Clients { program: Program::Node, user: User::App, sessions: 6, seconds: 2 }
}

fn rust() -> Clients {
    Clients { program: Program::MysqlAsync, ..node() }
}

fn command_line(user: User) -> Clients {
    Clients { program: Program::CommandLine, user, sessions: 16, seconds: 0 }
}
