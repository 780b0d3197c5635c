//! Text that comes from modules, and perhaps from traffic through them, made fit for a line of a log and a row of a table.

use std::borrow::Cow;

/// The beginning of `text`, of at most so many bytes.
#[must_use]
pub fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// `text` with a blank for line ends, indents behind them, and all that a terminal would obey.
#[must_use]
pub fn on_one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let parts = text.split(char::is_control).map(str::trim).filter(|part| !part.is_empty());
    Cow::Owned(parts.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_cut_between_characters() {
        let text = "x".to_owned() + &"ä".repeat(500);
        assert_eq!((cut(&text, 500).len(), cut(&text, 2000).len()), (499, 1001));
    }

    #[test]
    fn several_lines_become_one() {
        let panic = "assertion `left == right` failed\n  left: 1\n right: \u{1b}[31m2\r\n";
        assert_eq!(on_one_line(panic), "assertion `left == right` failed left: 1 right: [31m2");
        assert_eq!(on_one_line("\t\u{85}"), "");
        assert!(matches!(on_one_line("as  it is "), Cow::Borrowed("as  it is ")));
    }
}
