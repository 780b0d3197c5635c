//! `-a`, `--rate`, `--start`, `--stop`: how fast and what of a recording is replayed.

use std::time::Duration;

use tcpcopy_core::runtime::Tempo;

/// What `--rate` gives so many of a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rate {
    /// Turns.
    Turns(f64),
    /// Bits.
    Bits(f64),
}

impl From<Rate> for Tempo {
    fn from(rate: Rate) -> Self {
        match rate {
            Rate::Turns(number) => Self::Turns(number),
            Rate::Bits(number) => Self::Bits(number),
        }
    }
}

/// Parses `-a`: a number, also with a fraction.
///
/// # Errors
/// The half sentence that says what is allowed.
pub(crate) fn times(text: &str) -> Result<f64, String> {
    let number = text.trim().parse::<f64>().ok().filter(|number| (0.001..=100_000.0).contains(number));
    number.ok_or_else(|| "it takes a number from 0.001 to 100000, as in 2 or 0.5".to_owned())
}

/// Parses `--rate`: `500/s`, or `20mbit` with `bit`, `kbit`, `mbit` or `gbit`.
///
/// # Errors
/// The half sentence that says what is allowed.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    const BITS: [(&str, f64); 4] = [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9), ("bit", 1.0)];
    let text = text.trim().to_ascii_lowercase();
    let number = |digits: &str| {
        digits.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.001)
    };
    let parsed = match text.strip_suffix("/s") {
        Some(turns) => number(turns).map(Rate::Turns),
        None => BITS.iter().find_map(|(unit, factor)| {
            text.strip_suffix(unit).and_then(number).map(|number| Rate::Bits(number * factor))
        }),
    };
    parsed.ok_or_else(|| "it takes turns a second, as in 500/s, or bits, as in 20mbit or 1.5gbit".to_owned())
}

/// Parses `--start` and `--stop`: seconds, also with a fraction, or what `humantime` reads, as in `1m30s`.
///
/// # Errors
/// The half sentence that says what is allowed.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let span = seconds.or_else(|| humantime::parse_duration(text).ok());
    span.ok_or_else(|| "it takes seconds, as in 90 or 0.5, or a time as in 1m30s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_taken_and_nonsense_is_not() {
        assert_eq!((times("2"), times("0.5"), times("2.5")), (Ok(2.0), Ok(0.5), Ok(2.5)));
        for wrong in ["0", "-1", "x", "inf", "NaN", "1000000", ""] {
            assert_eq!(times(wrong).unwrap_err(), "it takes a number from 0.001 to 100000, as in 2 or 0.5");
        }
    }

    #[test]
    fn rates_are_turns_or_bits() {
        assert_eq!(rate("500/s"), Ok(Rate::Turns(500.0)));
        assert_eq!(rate("0.5/s"), Ok(Rate::Turns(0.5)));
        assert_eq!(rate("20mbit"), Ok(Rate::Bits(20e6)));
        assert_eq!(rate("1.5 Gbit"), Ok(Rate::Bits(1.5e9)));
        assert_eq!(rate("9bit"), Ok(Rate::Bits(9.0)));
        for wrong in ["500", "0/s", "-1/s", "mbit", "20mb", "inf/s", "NaNbit"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_are_seconds_or_written_out() {
        assert_eq!(span("90"), Ok(Duration::from_secs(90)));
        assert_eq!(span("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(span("1m30s"), Ok(Duration::from_secs(90)));
        for wrong in ["", "-1", "1x", "inf"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
