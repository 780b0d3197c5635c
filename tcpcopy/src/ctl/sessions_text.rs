//! `ctl sessions` for people.

use std::time::Duration;

use tcpcopy_cli::{Align, Grid, bytes, count, duration};
use tcpcopy_core::runtime::{SessionLine, SessionsAnswer};

/// Live sessions, a line each.
pub(super) fn text(SessionsAnswer { live, sessions }: &SessionsAnswer) -> String {
    if sessions.is_empty() {
        return "no session is live\n".to_owned();
    }
    let mut grid = Grid::new([
        ("session", Align::Left),
        ("user", Align::Left),
        ("speaks as", Align::Left),
        ("to", Align::Left),
        ("state", Align::Left),
        ("gen", Align::Right),
        ("turns", Align::Right),
        ("pending", Align::Right),
        ("open", Align::Right),
        ("idle", Align::Right),
    ]);
    for session in sessions {
        grid.row(cells(session));
    }
    let are_same = sessions.iter().all(|session| session.client == session.source);
    grid.retain_columns(|index, cells| match index {
        2 => !are_same,
        5 => cells.iter().any(|cell| !cell.is_empty()),
        _ => true,
    });
    let shown = sessions.len() as u64;
    let heading = match live.saturating_sub(shown) {
        0 => format!("{} live sessions", count(*live)),
        _ => format!("{} of {} live sessions, those that most is pending of", count(shown), count(*live)),
    };
    format!("{heading}\n{grid}")
}

fn cells(session: &SessionLine) -> [String; 10] {
    let time = |millis| duration(Duration::from_millis(millis));
    [
        session.id.clone(),
        session.client.clone(),
        session.source.clone(),
        session.target.clone(),
        session.state.clone(),
        session.generation.map_or(String::new(), |generation| generation.to_string()),
        count(session.turns_pending),
        bytes(session.bytes_pending),
        time(session.open_for_ms),
        time(session.idle_for_ms),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(source: &str, generation: Option<u32>) -> SessionLine {
        SessionLine {
            id: "100000001".to_owned(),
            mapping: Some("80".to_owned()),
            generation,
            client: "203.0.113.7:40001".to_owned(),
            online: "10.0.0.1:80".to_owned(),
            source: source.to_owned(),
            target: "10.10.3.2:8080".to_owned(),
            state: "established".to_owned(),
            turns_pending: 3,
            bytes_pending: 1_500,
            open_for_ms: 61_000,
            idle_for_ms: 2_500,
        }
    }

    #[test]
    fn a_session_is_a_line_of_what_differs() {
        let same = SessionsAnswer { live: 1, sessions: vec![line("203.0.113.7:40001", None)] };
        let expected = "\
1 live sessions
  session    user               to              state        turns  pending   open  idle
  100000001  203.0.113.7:40001  10.10.3.2:8080  established      3  1.50 kB  1m 1s    2s
";
        assert_eq!(text(&same), expected);
        let moved = SessionsAnswer { live: 2_000, sessions: vec![line("10.20.0.7:40001", Some(2))] };
        let text = text(&moved);
        assert!(text.starts_with("1 of 2,000 live sessions, those that most is pending of\n"), "{text}");
        assert!(text.contains("10.20.0.7:40001") && text.contains("gen"), "{text}");
    }
}
