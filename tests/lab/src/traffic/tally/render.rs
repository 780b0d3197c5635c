//! A tally as text for people.

use std::fmt;

use super::Tally;

/// Ids and addresses shown of each list.
const SHOWN: usize = 5;

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("requests the users sent", self.sent, true),
            ("  answered to the users", self.answered, true),
            ("  reached the target exactly once", self.exactly_once, true),
            ("  reached it more than once", self.duplicated, true),
            ("  reached it altered", self.altered, true),
            ("  missing", self.missing, true),
            ("    on so many connections", self.connections_with_missing, false),
            ("out of order in their connection", self.out_of_order, true),
            ("repeated after an unanswered end", self.resent, false),
            ("repeated without need", self.surplus, false),
            ("cut off by the users", self.cut, false),
            ("  arrived nevertheless", self.cut_arrived, false),
            ("left out of the account", self.left_out, false),
            ("arrivals nobody sent", self.unknown, false),
            ("arrivals with altered bytes", self.altered_arrivals, false),
        ];
        for (name, count, always) in rows {
            if always || count > 0 {
                writeln!(f, "{name:<36}{count:>12}")?;
            }
        }
        writeln!(f, "{:<36}{:>12.6}", "fraction byte for byte", self.fraction())?;
        for missing in self.first_missing.iter().take(SHOWN) {
            let (id, source, target) = (missing.id, missing.source, missing.target);
            let (request, connection) = (id.request(), id.connection());
            writeln!(f, "missing {id}: {source} -> {target}, connection {connection}, request {request}")?;
        }
        for id in self.first_wrong.iter().take(SHOWN) {
            writeln!(
                f,
                "wrong {id}: user {}, connection {}, request {}",
                id.user(),
                id.connection(),
                id.request()
            )?;
        }
        Ok(())
    }
}
