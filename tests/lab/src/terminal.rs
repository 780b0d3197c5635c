//! How results look: a line that is redrawn while something runs, colours, and figures as people read them.
//! Colours and redrawing only where standard output is a terminal.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Standard output, as a terminal or as a file.
#[derive(Debug)]
pub struct Terminal {
    live: bool,
    colours: bool,
    drawn: bool,
}

impl Terminal {
    /// Finds out what standard output is. `NO_COLOR` turns colours off (no-color.org).
    #[must_use]
    pub fn detect() -> Self {
        let live = io::stdout().is_terminal();
        Self { live, colours: live && env::var_os("NO_COLOR").is_none(), drawn: false }
    }

    /// Whether a line can be redrawn.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Redraws the line of progress; nothing where that is impossible.
    pub fn progress(&mut self, text: &str) {
        if self.live {
            // A line that wraps could not be redrawn.
            let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
            let text: String = text.chars().take(width.saturating_sub(1)).collect();
            // Carriage return, text, erase to the end of the line (ECMA-48 EL).
            print!("\r{text}\x1b[K");
            self.drawn = true;
            self.flush();
        }
    }

    /// Prints a line that stays, in place of the line of progress.
    pub fn line(&mut self, text: &str) {
        if self.drawn {
            print!("\r\x1b[K");
            self.drawn = false;
        }
        println!("{text}");
        self.flush();
    }

    fn flush(&self) {
        // Nobody to tell when standard output is gone.
        io::stdout().flush().ok();
    }

    /// Text that means well.
    #[must_use]
    pub fn good(&self, text: &str) -> String {
        self.painted(text, "32")
    }

    /// Text that means trouble.
    #[must_use]
    pub fn bad(&self, text: &str) -> String {
        self.painted(text, "31")
    }

    /// Text of a heading.
    #[must_use]
    pub fn strong(&self, text: &str) -> String {
        self.painted(text, "1")
    }

    fn painted(&self, text: &str, code: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A whole number with thin gaps between its thousands.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A fraction with as many places as keep it from being rounded up to 1.
#[must_use]
pub fn fraction(fraction: f64) -> String {
    if fraction >= 1.0 {
        return "1.0".to_owned();
    }
    let text = format!("{fraction:.3}");
    if text == "1.000" { format!("{:.5}", (fraction * 1e5).floor() / 1e5) } else { text }
}

/// Microseconds as milliseconds.
#[must_use]
pub fn milliseconds(us: u64) -> String {
    format!("{:.2}", us as f64 / 1000.0)
}

/// Bytes as megabytes.
#[must_use]
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

/// A duration in seconds.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1 000", "1 234 567"]);
    }

    #[test]
    fn a_fraction_below_one_never_reads_as_one() {
        assert_eq!([1.0, 0.9, 0.999_99, 0.999_999_9].map(fraction), ["1.0", "0.900", "0.99999", "0.99999"]);
    }
}
