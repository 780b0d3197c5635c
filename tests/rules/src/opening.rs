//! How files begin: with `//!`, so that a reader knows what a file is before the first item.

use crate::breach::{Breach, Rule};
use crate::source::Source;

const LEAST: usize = "//! x.".len();

/// Every file whose first line is not an inner doc comment with something in it.
#[must_use]
pub fn of_sources(sources: &[Source]) -> Vec<Breach> {
    let silent = sources.iter().filter(|source| {
        let first = source.text.lines().next().unwrap_or_default().trim_end();
        !first.starts_with("//! ") || first.len() < LEAST
    });
    let breach = |source: &Source| Breach {
        rule: Rule::Opening,
        place: source.place(1),
        finding: String::from("the file does not open with //!"),
        remedy: String::from("begin it with //! and a sentence: what it is, what it is not, which RFC"),
    };
    silent.map(breach).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_breach(text: &str) -> bool {
        !of_sources(&[Source::new("a.rs", text).unwrap()]).is_empty()
    }

    #[test]
    fn a_file_that_says_nothing_of_itself_is_a_breach() {
        for text in ["", "\n//! Late.", "// Head.\n", "/// Head.\nfn f() {}", "use a::b;", "//!\n", "//! \n"]
        {
            assert!(is_breach(text), "{text:?}");
        }
        assert!(!is_breach("//! Sequence numbers.\n"));
    }
}
