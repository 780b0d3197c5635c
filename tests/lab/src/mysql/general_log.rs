//! The general log of a server, read into sessions: which commands each connection executed, in order.

use std::collections::HashMap;

/// Who sets the servers up, over their sockets; no part of any account.
const SET_UP_BY: &str = "root";

/// What a server can log, as far as clients can make it. `Execute` shows the statement with its parameters in place.
const COMMANDS: &[&str] = &[
    "Connect",
    "Query",
    "Quit",
    "Prepare",
    "Execute",
    "Close stmt",
    "Reset stmt",
    "Fetch",
    "Long Data",
    "Init DB",
    "Ping",
    "Statistics",
    "Field List",
    "Change user",
    "Reset connection",
    "Processlist",
    "Kill",
    "Refresh",
    "Debug",
    "Set option",
];

/// One executed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The server's word for it.
    pub kind: &'static str,
    /// Its argument, which may have several lines; of a login: user and database.
    pub argument: String,
    /// Which entry of the log it is.
    pub place: usize,
}

/// What one connection executed, its login first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// In the order of execution.
    pub commands: Vec<Command>,
}

/// Every session of a log, those of the lab's own set-up excepted.
#[derive(Debug, Clone, Default)]
pub struct GeneralLog {
    /// In the order of their logins.
    pub sessions: Vec<Session>,
    /// Entries before this one were logged when tcpcopy did not capture yet.
    pub captured_from: usize,
}

/// What root executes when tcpcopy is ready.
pub(crate) const CAPTURING: &str = "select 'tcpcopy captures from here on'";

impl GeneralLog {
    /// Reads the text of a log, MariaDB's or MySQL's.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut reader = Reader::default();
        text.lines().for_each(|line| reader.take(line));
        reader.finish()
    }
}

#[derive(Default)]
struct Reader {
    sessions: Vec<Session>,
    open: HashMap<u64, usize>,
    /// The session that the last entry belongs to.
    last: Option<usize>,
    entries: usize,
}

impl Reader {
    fn take(&mut self, line: &str) {
        let Some((connection, kind, argument)) = entry(line) else {
            self.continue_with(line);
            return;
        };
        if kind == "Connect" && !argument.starts_with("Access denied") {
            self.open.insert(connection, self.sessions.len());
            self.sessions.push(Session::default());
        }
        self.last = self.open.get(&connection).copied();
        let Some(session) = self.last.and_then(|index| self.sessions.get_mut(index)) else {
            return;
        };
        let argument =
            if ["Connect", "Change user"].contains(&kind) { who(argument) } else { argument.to_owned() };
        session.commands.push(Command { kind, argument, place: self.entries });
        self.entries += 1;
    }

    /// A line that begins no entry belongs to the argument of the one before.
    fn continue_with(&mut self, line: &str) {
        let session = self.last.and_then(|index| self.sessions.get_mut(index));
        if let Some(command) = session.and_then(|session| session.commands.last_mut()) {
            command.argument.push('\n');
            command.argument.push_str(line);
        }
    }

    fn finish(self) -> GeneralLog {
        let set_up = |session: &Session| {
            session.commands.first().is_some_and(|login| login.argument.split(' ').next() == Some(SET_UP_BY))
        };
        let (root, sessions): (Vec<_>, Vec<_>) = self.sessions.into_iter().partition(set_up);
        let of_root = root.iter().flat_map(|session| &session.commands);
        let mark =
            of_root.filter(|command| command.argument == CAPTURING).map(|command| command.place).next_back();
        GeneralLog { sessions, captured_from: mark.unwrap_or(0) }
    }
}

/// `[TIME]<tab>  CONNECTION COMMAND<tab>ARGUMENT`, with one or two tabs in place of a time that has not changed.
fn entry(line: &str) -> Option<(u64, &'static str, &str)> {
    let (time, rest) = line.split_once('\t')?;
    let is_time = time.is_empty() || time.starts_with(|c: char| c.is_ascii_digit());
    let rest = rest.trim_start_matches(['\t', ' ']);
    let (connection, rest) = rest.split_once(' ')?;
    let connection = connection.parse().ok().filter(|_| is_time)?;
    let (word, argument) = rest.split_once('\t').unwrap_or((rest, ""));
    let kind = COMMANDS.iter().find(|command| **command == word.trim_end())?;
    Some((connection, kind, argument))
}

/// `USER@HOST on DATABASE using TRANSPORT` without what differs between two servers: `USER on DATABASE`.
fn who(login: &str) -> String {
    let user = login.split('@').next().unwrap_or_default();
    let database = login.split_once(" on ").map_or("", |(_, rest)| rest);
    let database = database.split("using ").next().unwrap_or_default().trim_end();
    format!("{user} on {database}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "mariadbd, Version: 11.8\nTime\t\tId Command\tArgument\n\
        261126 11:28:01\t     3 Connect\troot@localhost on  using Socket\n\
        \t\t     3 Query\tcreate database shop\n\
        \t\t     3 Quit\t\n\
        \t\t     4 Connect\tapp@10.10.1.1 on shop using TCP/IP\n\
        \t\t     4 Query\tselect 1,\n\n  2\n\
        \t\t     5 Connect\troot@localhost on  using Socket\n\
        \t\t     5 Query\tselect 'tcpcopy captures from here on'\n\
        261126 11:28:02\t     4 Close stmt\t\n\
        \t\t     4 Quit\t\n";

    #[test]
    fn sessions_have_their_commands_in_order_with_all_lines() {
        let log = GeneralLog::read(LOG);
        let commands: Vec<_> =
            log.sessions[0].commands.iter().map(|c| (c.kind, c.argument.as_str())).collect();
        assert_eq!(log.sessions.len(), 1);
        assert_eq!(
            commands,
            [("Connect", "app on shop"), ("Query", "select 1,\n\n  2"), ("Close stmt", ""), ("Quit", "")]
        );
    }

    #[test]
    fn what_was_executed_before_the_capture_is_told_apart() {
        let log = GeneralLog::read(LOG);
        let captured = log.sessions[0].commands.iter().filter(|command| command.place > log.captured_from);
        assert_eq!(captured.count(), 2);
    }

    #[test]
    fn the_log_of_mysql_is_read_too() {
        let log = GeneralLog::read(
            "2026-11-26T11:28:01.123456Z\t    8 Connect\tapp@10.10.1.1 on shop using TCP/IP\n\
             2026-11-26T11:28:01.223456Z\t    8 Query\tselect 1\n",
        );
        assert_eq!(log.sessions[0].commands.len(), 2);
    }
}
