//! `--share`: which part of the users is replayed here.

use tcpcopy_core::engine::Share;

/// With more parts, too few source ports would be left to each.
const MOST_PARTS: u32 = 64;

/// Parses `I/N`, counted from 1.
///
/// # Errors
/// The half sentence that says what is wrong and what is allowed.
pub(crate) fn share(text: &str) -> Result<Share, String> {
    let number = |digits: &str| digits.trim().parse::<u32>().ok().filter(|number| *number > 0);
    let (part, parts) = text.split_once('/').map_or((None, None), |(part, of)| (number(part), number(of)));
    part.zip(parts.filter(|parts| *parts <= MOST_PARTS))
        .and_then(|(part, parts)| Share::new(part - 1, parts))
        .ok_or_else(|| {
            format!("it is no part of a whole; it takes one of up to {MOST_PARTS} parts, as 1/3, 2/3 and 3/3")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_from_one() {
        assert_eq!(share("1/3"), Ok(Share::new(0, 3).unwrap()));
        assert_eq!(share("3/3"), Ok(Share::new(2, 3).unwrap()));
        assert_eq!(share("1/1"), Ok(Share::WHOLE));
    }

    #[test]
    fn what_is_no_part_is_refused_with_an_example() {
        for text in ["", "1", "0/3", "4/3", "1/0", "1/65", "a/b", "1/3/5", "-1/3"] {
            assert_eq!(
                share(text).unwrap_err(),
                "it is no part of a whole; it takes one of up to 64 parts, as 1/3, 2/3 and 3/3",
                "{text}"
            );
        }
    }
}
