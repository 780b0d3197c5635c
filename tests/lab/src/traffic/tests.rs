//! Users against servers over loopback: every style, every ending, every fault of the server, and the account.

use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::thread;

use super::*;

/// Serves with each of `plans` while `users` run against their addresses.
fn serve<T>(plans: Vec<ServerPlan>, users: impl FnOnce(&[SocketAddr]) -> T) -> (T, Vec<ServerRecord>) {
    let mut addresses = Vec::new();
    let mut servers = Vec::new();
    for mut plan in plans {
        if plan.listen.is_empty() {
            plan.listen = vec!["127.0.0.1:0".parse().unwrap()];
        }
        if plan.reuse_port && !addresses.is_empty() {
            plan.listen = addresses.clone();
        }
        let server = Server::bind(plan).unwrap();
        addresses.extend_from_slice(server.addresses());
        let (stop, stopped) = UnixStream::pair().unwrap();
        servers.push((stop, thread::spawn(move || server.run(stopped).unwrap())));
    }
    let done = users(&addresses);
    let records = servers
        .into_iter()
        .map(|(stop, server)| {
            stop.shutdown(Shutdown::Both).unwrap();
            server.join().unwrap()
        })
        .collect();
    (done, records)
}

fn run(server: ServerPlan, users: UsersPlan) -> (UsersRecord, ServerRecord) {
    let (users, mut servers) = serve(vec![server], |addresses| {
        run_users(UsersPlan { targets: addresses[..1].to_vec(), ..users }, |_| ()).unwrap()
    });
    (users, servers.remove(0))
}

/// All requests are made, answered, and received once, exactly and in order.
#[track_caller]
fn assert_perfect(users: &UsersRecord, servers: &[ServerRecord], requests: u64) {
    let tally = compare(std::slice::from_ref(users), servers);
    assert_eq!(tally.sent, requests, "{tally}");
    assert_eq!((tally.exactly_once, tally.answered, tally.cut), (requests, requests, 0), "{tally}");
    assert!(tally.is_clean(), "{tally}");
    assert_eq!(tally.fraction(), 1.0);
    assert_eq!((users.answered(), users.latency.count, users.unstarted), (requests, requests, 0));
}

fn keepalive(requests_per_connection: u32) -> Style {
    let pace = Pace::Closed { think_ms: 0 };
    Style::Keepalive { requests_per_connection: Some(requests_per_connection), pace }
}

#[test]
fn short_connections_arrive_at_their_rate_whatever_the_answers_do() {
    let users = UsersPlan {
        users: 0,
        style: Style::Short { connections_per_second: 2000.0 },
        delay_ms: Amount::exactly(500),
        requests: Some(400),
        ..UsersPlan::default()
    };
    let (users, server) = run(ServerPlan::default(), users);
    assert_perfect(&users, &[server], 400);
    assert_eq!(users.connections.len(), 400);
    let begun = users.requests.last().unwrap().sent_at - users.requests[0].sent_at;
    // One after the other they would take 200 s; at their rate it is 0.2 s, and a busy machine may be late.
    assert!(begun < 5_000_000, "400 connections at 2000/s took {begun} µs to begin");
    assert!(users.peak_open > 100, "only {} connections waited side by side", users.peak_open);
}

#[test]
fn keepalive_at_a_rate_goes_round_all_users() {
    let users = UsersPlan {
        users: 10,
        style: Style::Keepalive {
            requests_per_connection: None,
            pace: Pace::Open { requests_per_second: 2000.0 },
        },
        requests: Some(500),
        ramp_ms: 20,
        ..UsersPlan::default()
    };
    let (users, server) = run(ServerPlan::default(), users);
    assert_eq!(server.overlapping, 0, "who waits for answers asks for one thing at a time");
    assert_perfect(&users, &[server], 500);
    assert_eq!(users.connections.len(), 10);
    assert!(users.connections.iter().all(|connection| connection.requests == 50));
}

#[test]
fn thinking_users_wait_after_each_answer() {
    let users = UsersPlan {
        style: Style::Keepalive { requests_per_connection: None, pace: Pace::Closed { think_ms: 20 } },
        requests: Some(4),
        ..UsersPlan::default()
    };
    let (users, server) = run(ServerPlan::default(), users);
    for pair in users.requests.windows(2) {
        assert!(pair[1].sent_at - pair[0].sent_at >= 20_000);
    }
    assert_perfect(&users, &[server], 4);
}

#[test]
fn pipelines_and_uploads_arrive_in_every_size() {
    for (depth, bodies, requests) in [(10, Amount { min: 0, max: 5000 }, 200), (50, Amount::exactly(0), 500)]
    {
        let users = UsersPlan {
            users: 4,
            style: Style::Pipelined {
                depth,
                requests_per_connection: Some(depth * 2),
                pace: Pace::Closed { think_ms: 0 },
            },
            body: bodies,
            want: Amount { min: 0, max: 3000 },
            requests: Some(requests),
            ..UsersPlan::default()
        };
        let (users, server) = run(ServerPlan::default(), users);
        assert!(server.overlapping > 0, "a pipeline does not wait for answers");
        assert_perfect(&users, &[server], requests);
    }
}

#[test]
fn sixteen_mebibytes_arrive_through_a_tiny_window() {
    let users = UsersPlan { body: Amount::exactly(16 << 20), requests: Some(1), ..UsersPlan::default() };
    let (users, server) = run(ServerPlan::default(), users);
    assert_perfect(&users, &[server], 1);

    let reading = Reading { receive_buffer: Some(2048), ..Reading::default() };
    let server = ServerPlan { reading, ..ServerPlan::default() };
    let users = UsersPlan { body: Amount::exactly(64 << 10), requests: Some(4), ..UsersPlan::default() };
    let (users, server) = run(server, users);
    assert_perfect(&users, &[server], 4);
}

#[test]
fn every_ending_ends_as_planned() {
    use ServerConnectionEnd::{Closed, PeerClosed, PeerReset};
    for (ending, seen) in [
        (Ending::Fin, PeerClosed),
        (Ending::HalfClose, PeerClosed),
        (Ending::Reset, PeerReset),
        (Ending::ServerCloses, Closed),
    ] {
        let server = ServerPlan { close_after_answer: seen == Closed, ..ServerPlan::default() };
        let per_connection = if seen == Closed { 1 } else { 3 };
        let users = UsersPlan {
            users: 3,
            style: keepalive(per_connection),
            connections_per_user: Some(4),
            ending,
            ..UsersPlan::default()
        };
        let (users, server) = run(server, users);
        assert!(users.connections.iter().all(|row| row.end == UserConnectionEnd::Planned), "{ending:?}");
        assert_eq!(server.connections.len(), 12);
        assert!(server.connections.iter().all(|row| row.end == seen), "{ending:?}: {:?}", server.connections);
        assert_perfect(&users, &[server], 12 * u64::from(per_connection));
    }
}

#[test]
fn ports_are_reused_at_once() {
    for (ending, close_after_answer) in [(Ending::Reset, false), (Ending::ServerCloses, true)] {
        let server = ServerPlan { close_after_answer, ..ServerPlan::default() };
        let first = if close_after_answer { 24_100 } else { 24_000 };
        let addresses = vec![AddressRange { first: "127.0.77.1".parse().unwrap(), count: 2 }];
        let users = UsersPlan {
            users: 4,
            sources: Sources { addresses, ports: Ports::Fixed { first, each: 1 } },
            style: keepalive(1),
            connections_per_user: Some(20),
            ending,
            ..UsersPlan::default()
        };
        let (users, server) = run(server, users);
        let mut sources: Vec<_> = users.connections.iter().map(|row| row.source).collect();
        sources.sort_unstable();
        sources.dedup();
        assert_eq!(sources.len(), 4, "{ending:?}");
        assert_perfect(&users, &[server], 80);
    }
}

#[test]
fn many_addresses_share_ephemeral_ports() {
    for (server, first) in [("127.0.0.1:0", "127.0.78.1"), ("[::1]:0", "::1")] {
        let server = ServerPlan { listen: vec![server.parse().unwrap()], ..ServerPlan::default() };
        let first: std::net::IpAddr = first.parse().unwrap();
        let count = if first.is_ipv4() { 50 } else { 1 };
        let users = UsersPlan {
            users: 100,
            sources: Sources { addresses: vec![AddressRange { first, count }], ports: Ports::Ephemeral },
            style: keepalive(2),
            connections_per_user: Some(1),
            ..UsersPlan::default()
        };
        let (users, server) = run(server, users);
        let mut addresses: Vec<_> = server.connections.iter().map(|row| row.peer.ip()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), count as usize);
        assert_perfect(&users, &[server], 200);
    }
}

#[test]
fn greetings_and_pieces_and_slow_readers_are_waited_for() {
    let server = ServerPlan {
        greeting: Some(Greeting { text: "220 the lab\r\n".into(), delay_ms: 30 }),
        writing: Pieces { count: 3, gap_ms: 2 },
        ..ServerPlan::default()
    };
    let users = UsersPlan {
        users: 2,
        greeting: true,
        style: keepalive(3),
        body: Amount::exactly(1000),
        want: Amount::exactly(4000),
        writing: Pieces { count: 4, gap_ms: 2 },
        reading: Reading { bytes_per_second: Some(400_000), receive_buffer: Some(4096) },
        connections_per_user: Some(2),
        ..UsersPlan::default()
    };
    let (users, server) = run(server, users);
    for request in users.requests.iter().filter(|request| request.id.request() == 0) {
        assert!(request.sent_at - users.connections[request.connection as usize].opened_at >= 30_000);
    }
    // Three gaps of 2 ms in the request, two in the answer.
    assert!(users.latency.p50_us >= 10_000, "{:?}", users.latency);
    assert_perfect(&users, &[server], 12);
}

#[test]
fn servers_read_and_accept_as_slowly_as_planned() {
    let server = ServerPlan {
        reading: Reading { bytes_per_second: Some(500_000), receive_buffer: None },
        accept_delay_ms: 40,
        size: AnswerSize::Fixed(7),
        delay: AnswerDelay::Fixed { ms: 10 },
        ..ServerPlan::default()
    };
    let users = UsersPlan {
        body: Amount::exactly(50_000),
        want: Amount::exactly(1_000_000),
        requests: Some(2),
        ..UsersPlan::default()
    };
    let (users, server) = run(server, users);
    assert!(users.latency.p50_us >= 80_000, "50 kB at 500 kB/s take 100 ms: {:?}", users.latency);
    assert_perfect(&users, &[server], 2);
}

#[test]
fn ten_thousand_bytes_a_second_hold_a_large_answer_back() {
    let users = UsersPlan {
        want: Amount::exactly(20_000),
        reading: Reading { bytes_per_second: Some(100_000), receive_buffer: None },
        requests: Some(1),
        ..UsersPlan::default()
    };
    let (users, server) = run(ServerPlan::default(), users);
    assert!(users.latency.max_us >= 150_000, "{:?}", users.latency);
    assert_perfect(&users, &[server], 1);
}

#[test]
fn connections_are_held_open_side_by_side() {
    let users = UsersPlan {
        users: 200,
        style: keepalive(2),
        connections_per_user: Some(1),
        hold_open: true,
        ramp_ms: 100,
        duration_ms: Some(900),
        ..UsersPlan::default()
    };
    let (users, server) = run(ServerPlan::default(), users);
    assert_eq!((users.peak_open, server.peak_open), (200, 200));
    assert_perfect(&users, &[server], 400);
}

#[test]
fn shards_and_server_processes_share_one_plan() {
    let server = ServerPlan { reuse_port: true, ..ServerPlan::default() };
    let (users, servers) = serve(vec![server.clone(), server], |addresses| {
        let shards = [0, 1, 2].map(|index| {
            let plan = UsersPlan {
                targets: addresses[..1].to_vec(),
                users: 40,
                style: keepalive(5),
                requests: Some(400),
                shard: Shard { index, count: 3 },
                ..UsersPlan::default()
            };
            thread::spawn(move || run_users(plan, |_| ()).unwrap())
        });
        shards.map(|shard| shard.join().unwrap())
    });
    let tally = compare(&users, &servers);
    assert_eq!((tally.sent, tally.exactly_once), (400, 400), "{tally}");
    assert!(tally.is_clean(), "{tally}");
    assert!(servers.iter().all(|server| !server.arrivals.is_empty()));
}

#[test]
fn resets_are_recorded_and_their_requests_counted_as_received() {
    let server = ServerPlan { reset_every: Some(10), ..ServerPlan::default() };
    let users = UsersPlan { users: 2, style: keepalive(100), requests: Some(200), ..UsersPlan::default() };
    let (users, server) = run(server, users);
    let resets = server.connections.iter().filter(|row| row.end == ServerConnectionEnd::Reset).count();
    assert_eq!(resets, 20);
    let failed =
        users.requests.iter().filter(|request| request.outcome == Outcome::Failed(Failure::Reset)).count();
    assert_eq!(failed, 20);
    let tally = compare(&[users], &[server]);
    assert_eq!((tally.sent, tally.exactly_once, tally.answered), (200, 200, 180), "{tally}");
}

#[test]
fn requests_the_users_cut_are_reported_apart() {
    for cut in [Cut::HalfWritten, Cut::Unanswered] {
        let users = UsersPlan {
            users: 3,
            style: keepalive(4),
            body: Amount::exactly(300_000),
            connections_per_user: Some(2),
            ending: Ending::Cut(cut),
            ..UsersPlan::default()
        };
        let (users, server) = run(ServerPlan::default(), users);
        let incomplete = server.incomplete.len();
        let tally = compare(&[users], &[server]);
        assert_eq!((tally.sent, tally.exactly_once, tally.cut), (18, 18, 6), "{tally}");
        if cut == Cut::HalfWritten {
            assert_eq!((tally.cut_arrived, incomplete), (0, 6));
        }
        assert!(tally.is_clean(), "{tally}");
    }
}

#[test]
fn a_server_that_is_not_there_is_a_failure_and_not_an_error() {
    let plan = UsersPlan {
        targets: vec!["127.0.0.1:1".parse().unwrap()],
        requests: Some(1),
        duration_ms: Some(20),
        ..UsersPlan::default()
    };
    let record = run_users(plan.clone(), |_| ()).unwrap();
    let refused = UserConnectionEnd::Failed(Failure::Refused);
    assert!(record.connections.iter().all(|row| row.end == refused) && !record.connections.is_empty());
    let addresses = vec![AddressRange { first: "192.0.2.1".parse().unwrap(), count: 1 }];
    let foreign = Sources { addresses, ports: Ports::Ephemeral };
    let error = run_users(UsersPlan { sources: foreign, ..plan }, |_| ()).unwrap_err();
    assert!(error.to_string().contains("192.0.2.1"), "{error}");
}

#[test]
fn what_is_due_of_users_that_are_done_is_counted_as_unstarted() {
    let users = UsersPlan {
        users: 2,
        style: Style::Pipelined {
            depth: 5,
            requests_per_connection: Some(10),
            pace: Pace::Open { requests_per_second: 1000.0 },
        },
        connections_per_user: Some(1),
        requests: Some(100),
        ..UsersPlan::default()
    };
    let (users, _) = run(ServerPlan::default(), users);
    assert_eq!((users.answered(), users.connections.len()), (20, 2));
    assert!(users.unstarted <= 80);
}

#[test]
fn a_server_detects_altered_and_foreign_bytes() {
    use std::io::{Read, Write};
    let request = Request { id: RequestId::new(1, 1, 0), body: 3000, want: 5, delay_ms: 0 };
    let mut bytes = Vec::new();
    let outgoing = request::Outgoing::new(request, 0, false);
    outbox::Message::write(&outgoing, 0, request.size() as usize, &mut bytes);
    let ((), servers) = serve(vec![ServerPlan::default()], |addresses| {
        for position in [bytes.len() - 1, 12, 5] {
            let mut changed = bytes.clone();
            changed[position] ^= 1;
            let mut socket = std::net::TcpStream::connect(addresses[0]).unwrap();
            socket.write_all(&changed).unwrap();
            socket.shutdown(Shutdown::Write).unwrap();
            // The server may reset what it cannot read: only the end matters.
            let _ = socket.read_to_end(&mut Vec::new());
        }
    });
    let server = &servers[0];
    assert_eq!(server.altered, 3);
    assert_eq!(server.arrivals.iter().filter(|arrival| arrival.exact).count(), 0);
    assert_eq!(server.alterations[0].reason, "the body differs");
    assert_eq!(server.alterations[0].id, Some(request.id));
    assert_eq!(server.connections[2].end, ServerConnectionEnd::Garbage);
}

#[test]
fn records_survive_their_files() {
    let users = UsersPlan { requests: Some(10), ..UsersPlan::default() };
    let (users, server) = run(ServerPlan::default(), users);
    let directory = std::env::temp_dir().join(format!("lab-records-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (users_file, server_file) = (directory.join("users"), directory.join("server"));
    users.write_to(&users_file).unwrap();
    server.write_to(&server_file).unwrap();
    assert_eq!(UsersRecord::read_from(&users_file).unwrap(), users);
    assert_eq!(ServerRecord::read_from(&server_file).unwrap(), server);
    assert!(ServerRecord::read_from(&users_file).is_err());
    std::fs::write(&server_file, &std::fs::read(&server_file).unwrap()[..60]).unwrap();
    assert!(ServerRecord::read_from(&server_file).is_err());
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn progress_is_told_every_second() {
    let users = UsersPlan {
        style: Style::Keepalive {
            requests_per_connection: None,
            pace: Pace::Open { requests_per_second: 100.0 },
        },
        duration_ms: Some(1100),
        ..UsersPlan::default()
    };
    let mut told = Vec::new();
    let (record, _) = serve(vec![ServerPlan::default()], |addresses| {
        let plan = UsersPlan { targets: addresses.to_vec(), ..users };
        run_users(plan, |progress| told.push(progress)).unwrap()
    });
    assert!(!told.is_empty());
    assert_eq!((told[0].open, told[0].failed), (1, 0));
    // The rate promises 100 a second; how late a busy machine tells is not promised.
    assert!(told[0].answered > 0 && told[0].answered <= told[0].begun, "{told:?}");
    assert!(record.requests.len() as u64 + record.unstarted >= 110, "{}", record.requests.len());
}

#[test]
fn nginx_serves_and_its_log_is_an_account() {
    let directory = std::env::temp_dir().join(format!("lab-nginx-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    // A port nobody has: the listener that found it is closed here.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plan = nginx::NginxPlan { directory: directory.clone(), listen: vec![address], sizes: vec![0, 2500] };
    std::fs::write(plan.configuration_file(), plan.configuration()).unwrap();
    let spawned = std::process::Command::new("nginx")
        .args(["-e", "stderr", "-p"])
        .arg(&directory)
        .arg("-c")
        .arg(plan.configuration_file())
        .spawn();
    let Ok(mut server) = spawned else {
        eprintln!("not tested: no nginx on this machine");
        return;
    };
    let base = UsersPlan { targets: vec![address], want: Amount::exactly(2500), ..UsersPlan::default() };
    let gets = UsersPlan { users: 3, style: keepalive(5), requests: Some(60), ..base.clone() };
    let pace = Pace::Closed { think_ms: 0 };
    let posts = UsersPlan {
        first_user: 10,
        style: Style::Pipelined { depth: 4, requests_per_connection: Some(8), pace },
        body: Amount { min: 1, max: 200_000 },
        requests: Some(40),
        ..base
    };
    let users = [gets, posts].map(|plan| run_users(plan, |_| ()).unwrap());
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(server.id() as i32), nix::sys::signal::Signal::SIGQUIT)
        .unwrap();
    assert!(server.wait().unwrap().success());
    let record = nginx::read_log(&plan.log()).unwrap();
    let tally = compare(&users, &[record]);
    assert_eq!((tally.sent, tally.exactly_once, tally.answered), (100, 100, 100), "{tally}");
    assert!(tally.is_clean(), "{tally}");
    std::fs::remove_dir_all(directory).unwrap();
}
