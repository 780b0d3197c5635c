//! What a target received of users who are replayed several times at once, sorted by copy.

use std::collections::HashMap;

use super::request::RequestId;
use super::server::ServerRecord;
use super::tally::Tally;

/// The account of `copies` copies of every user: `account` is asked for each copy, with what the target received of it.
/// Of each connection of a user, each copy is one connection of the target; so this is for targets that end none early.
///
/// A request that arrives on more connections than there are copies is taken for a repetition of the last copy's.
pub fn tally_copies(
    copies: u16,
    servers: &[ServerRecord],
    account: impl Fn(&[ServerRecord]) -> Tally,
) -> Tally {
    if copies == 1 {
        return account(servers);
    }
    sorted(copies, servers).iter().map(|records| account(records)).reduce(Tally::plus).unwrap_or_default()
}

/// The records of each copy: of each connection of a user, the first connection of the target, the second, and so on.
fn sorted(copies: u16, servers: &[ServerRecord]) -> Vec<Vec<ServerRecord>> {
    let mut copy_of: HashMap<(usize, u32, u64), usize> = HashMap::new();
    let mut seen: HashMap<u64, usize> = HashMap::new();
    for (index, server) in servers.iter().enumerate() {
        for arrival in &server.arrivals {
            let user = arrival.id.connection_key();
            copy_of.entry((index, arrival.connection, user)).or_insert_with(|| {
                let next = seen.entry(user).or_default();
                *next += 1;
                (*next).min(copies.into()) - 1
            });
        }
    }
    let of_copy = |copy: usize| {
        let records = servers.iter().enumerate().map(|(index, server)| {
            let is_its = |connection: u32, id: RequestId| {
                copy_of.get(&(index, connection, id.connection_key())) == Some(&copy)
            };
            let mut record = server.clone();
            record.arrivals.retain(|arrival| is_its(arrival.connection, arrival.id));
            // What could not be read belongs to no copy that is known, and counts once.
            record.altered = if copy == 0 { server.altered } else { 0 };
            record
        });
        records.collect()
    };
    (0..copies.into()).map(of_copy).collect()
}

#[cfg(test)]
mod tests {
    use super::super::server::Arrival;
    use super::*;

    fn arrival(user: u32, request: u32, connection: u32) -> Arrival {
        let id = RequestId::new(user, 0, request);
        Arrival { id, connection, position: 0, at: 0, exact: true, answered: true }
    }

    #[test]
    fn each_connection_of_the_target_is_of_one_copy() {
        let arrivals = [(1, 0, 7), (1, 0, 8), (2, 0, 9), (1, 1, 8), (1, 1, 7), (1, 0, 10)]
            .map(|(user, request, row)| arrival(user, request, row));
        let server = ServerRecord { arrivals: arrivals.to_vec(), altered: 1, ..ServerRecord::default() };
        let copies = sorted(2, &[server]);
        let rows =
            |copy: usize| copies[copy][0].arrivals.iter().map(|one| one.connection).collect::<Vec<_>>();
        assert_eq!((rows(0), rows(1)), (vec![7, 9, 7], vec![8, 8, 10]));
        assert_eq!((copies[0][0].altered, copies[1][0].altered), (1, 0));
    }

    #[test]
    fn the_accounts_of_copies_add_up() {
        let server = ServerRecord { arrivals: vec![arrival(1, 0, 7)], ..ServerRecord::default() };
        let account = |records: &[ServerRecord]| Tally {
            sent: 1,
            exactly_once: records[0].arrivals.len() as u64,
            ..Tally::default()
        };
        let tally = tally_copies(3, &[server], account);
        assert_eq!((tally.sent, tally.exactly_once), (3, 1));
    }
}
