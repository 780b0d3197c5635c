//! Numbers on the command line.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A parser for whole numbers within `range`; `unit` says what they count.
///
/// # Errors
/// The parser's error is the half sentence that says what is allowed.
pub fn number<T>(
    range: RangeInclusive<T>,
    unit: &'static str,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text: &str| match text.trim().parse::<T>() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("it takes a number from {} to {} ({unit})", range.start(), range.end())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_range_are_in_it() {
        let percent = number(1_u8..=100, "per cent");
        assert_eq!(percent("1"), Ok(1));
        assert_eq!(percent("100"), Ok(100));
    }

    #[test]
    fn everything_else_is_refused_alike() {
        let percent = number(1_u8..=100, "per cent");
        for wrong in ["0", "101", "256", "-1", "1.5", "ten", "", "0x10", "99999999999999999999999"] {
            assert_eq!(percent(wrong).unwrap_err(), "it takes a number from 1 to 100 (per cent)", "{wrong}");
        }
    }
}
