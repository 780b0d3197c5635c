//! Numbers as people read them.

use std::time::Duration;

/// A count in groups of three digits: `1,234,567`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An amount of bytes with three significant digits: `999 B`, `1.23 kB`, `45.6 MB`. A kB has 1000 bytes.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let mut scaled = number as f64;
    let mut unit = "B";
    for larger in UNITS {
        // 999.5 and more would be shown as 1000.
        if scaled < 999.5 {
            break;
        }
        scaled /= 1000.0;
        unit = larger;
    }
    let decimals = match scaled {
        scaled if scaled < 9.995 => 2,
        scaled if scaled < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.decimals$} {unit}")
}

/// A time without its fraction of a second: `1h 2m 3s`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

/// A time in microseconds as milliseconds with two or three significant digits, without the unit: `0.045`, `3.10`, `1234`.
#[must_use]
pub fn milliseconds(micros: u64) -> String {
    let millis = micros as f64 / 1000.0;
    let decimals = match millis {
        millis if millis < 0.0995 => 3,
        millis if millis < 9.995 => 2,
        millis if millis < 99.95 => 1,
        _ => 0,
    };
    format!("{millis:.decimals$}")
}

/// How many of `number` there are a second, if that many came within `time`.
#[must_use]
pub fn per_second(number: u64, time: Duration) -> u64 {
    let micros = time.as_micros().max(1);
    let rate = (u128::from(number) * 1_000_000 + micros / 2) / micros;
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_in_groups_of_three() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn bytes_have_three_digits() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000), "1.00 kB");
        assert_eq!(bytes(12_340), "12.3 kB");
        assert_eq!(bytes(999_400), "999 kB");
        assert_eq!(bytes(999_600), "1.00 MB");
        assert_eq!(bytes(u64::MAX), "18.4 EB");
    }

    #[test]
    fn durations_have_no_fraction() {
        assert_eq!(duration(Duration::from_millis(723_900)), "12m 3s");
        assert_eq!(duration(Duration::from_millis(900)), "0s");
    }

    #[test]
    fn milliseconds_have_few_digits() {
        let cases =
            [(0, "0.000"), (45, "0.045"), (850, "0.85"), (999, "1.00"), (3_100, "3.10"), (20_440, "20.4")];
        for (micros, text) in cases {
            assert_eq!(milliseconds(micros), text);
        }
        assert_eq!(milliseconds(1_234_567), "1235");
    }

    #[test]
    fn rates_are_rounded_and_survive_no_time_at_all() {
        assert_eq!(per_second(10, Duration::from_secs(2)), 5);
        assert_eq!(per_second(1, Duration::from_millis(1500)), 1);
        assert_eq!(per_second(3, Duration::ZERO), 3_000_000);
    }
}
