//! Which datagrams reached the target: each as often as it has to, byte for byte, in order.

use std::collections::HashMap;

use super::{Print, ReceiverRecord, SenderRecord, SendersPlan};
use crate::scenario::outcome::{ServerSummary, UsersSummary};
use crate::traffic::Tally;

/// What became of the datagrams of a scenario.
#[derive(Debug, Clone, Default)]
pub struct Datagrams {
    /// What was sent, and what of it arrived.
    pub tally: Tally,
    /// The senders.
    pub users: UsersSummary,
    /// What the target received.
    pub target: ServerSummary,
}

/// Holds what was sent against what arrived `copies` times at the target.
#[must_use]
pub fn account(senders: &[SenderRecord], received: &[ReceiverRecord], copies: u16) -> Datagrams {
    let rows: Vec<&[Print]> =
        received.iter().flat_map(|record| &record.rows).map(|(_, _, row)| row.as_slice()).collect();
    let mut datagrams = Datagrams {
        target: ServerSummary {
            requests: rows.iter().map(|row| row.len() as u64).sum(),
            connections: rows.len() as u64,
            ..ServerSummary::default()
        },
        ..Datagrams::default()
    };
    let mut rows: Vec<Option<&[Print]>> = rows.into_iter().map(Some).collect();
    for SenderRecord { plan, .. } in senders {
        let sent = u64::from(plan.senders) * u64::from(plan.each);
        datagrams.users.requests += sent;
        datagrams.users.connections += u64::from(plan.senders);
        datagrams.tally.sent += sent * u64::from(copies);
        for sender in 0..plan.senders {
            follow(&mut datagrams.tally, plan, sender, &mut rows, copies);
        }
    }
    let unknown: usize = rows.into_iter().flatten().map(<[Print]>::len).sum();
    datagrams.tally.unknown = unknown as u64;
    datagrams.tally.missing =
        datagrams.tally.sent.saturating_sub(datagrams.tally.exactly_once + datagrams.tally.duplicated);
    datagrams
}

/// Counts what arrived of one sender, and takes its rows out of `rows`: as many as there are copies.
fn follow(tally: &mut Tally, plan: &SendersPlan, sender: u32, rows: &mut [Option<&[Print]>], copies: u16) {
    let sent: Vec<Print> = (0..plan.each).map(|number| Print::of(&plan.payload(sender, number))).collect();
    // What could be anybody's says nothing about a row.
    let telling: Vec<&Print> = sent.iter().filter(|print| print.len >= 8).collect();
    let is_its = |row: &&[Print]| row.iter().any(|print| telling.contains(&print));
    let its = rows.iter_mut().filter(|row| row.as_ref().is_some_and(is_its)).take(copies.into());
    for row in its.filter_map(Option::take) {
        compare(tally, &sent, row);
    }
}

/// Counts one copy of a sender.
fn compare(tally: &mut Tally, sent: &[Print], row: &[Print]) {
    let mut places: HashMap<Print, Vec<usize>> = HashMap::new();
    for (place, print) in sent.iter().enumerate().rev() {
        places.entry(*print).or_default().push(place);
    }
    let mut furthest = None;
    for print in row {
        match places.get_mut(print) {
            None => tally.altered_arrivals += 1,
            Some(left) => match left.pop() {
                None => tally.surplus += 1,
                Some(place) => {
                    tally.exactly_once += 1;
                    tally.out_of_order += u64::from(furthest.is_some_and(|furthest| place < furthest));
                    furthest = furthest.max(Some(place));
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::traffic::Sources;

    fn plan() -> SendersPlan {
        SendersPlan {
            targets: Vec::new(),
            sources: Sources::default(),
            senders: 2,
            each: 6,
            sizes: vec![0, 3, 20, 100, 0],
            gap: Duration::ZERO,
        }
    }

    fn row(sender: u32) -> Vec<Print> {
        (0..6).map(|number| Print::of(&plan().payload(sender, number))).collect()
    }

    fn tally(rows: &[Vec<Print>], copies: u16) -> Tally {
        let end = "10.0.0.1:53".parse().unwrap();
        let record = ReceiverRecord { rows: rows.iter().map(|row| (end, end, row.clone())).collect() };
        let sent = SenderRecord { plan: plan(), took: Duration::ZERO };
        account(&[sent], &[record], copies).tally
    }

    #[test]
    fn everything_once_and_in_order_is_exact() {
        let once = tally(&[row(0), row(1)], 1);
        assert_eq!((once.sent, once.exactly_once, once.missing), (12, 12, 0));
        assert!(once.is_clean());
        let twice = tally(&[row(0), row(1), row(1), row(0)], 2);
        assert_eq!((twice.sent, twice.exactly_once, twice.is_clean()), (24, 24, true));
    }

    #[test]
    fn whatever_is_wrong_is_found() {
        let without = |place: usize| {
            let mut row = row(0);
            row.remove(place);
            row
        };
        for place in 0..6 {
            let lossy = tally(&[without(place), row(1)], 1);
            assert_eq!((lossy.exactly_once, lossy.missing), (11, 1), "{place}");
        }
        assert_eq!(tally(&[row(0), row(1)], 2).missing, 12);
        assert_eq!(tally(&[row(0), row(0), row(1)], 1).unknown, 6);
        let mut again = row(0);
        again.push(again[3]);
        assert_eq!(tally(&[again, row(1)], 1).surplus, 1);
        let mut swapped = row(0);
        swapped.swap(2, 3);
        assert_eq!(tally(&[swapped, row(1)], 1).out_of_order, 1);
        let mut altered = row(0);
        altered[2].sum += 1;
        let altered = tally(&[altered, row(1)], 1);
        assert_eq!((altered.altered_arrivals, altered.missing), (1, 1));
    }
}
