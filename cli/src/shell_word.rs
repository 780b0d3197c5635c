//! Words of command lines that are printed for a shell.

/// The word as a shell takes it: in quotes where it needs them.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=.,:/@%+[]".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_wants_it() {
        assert_eq!(shell_word("--mapping=[fd00::1]:80-10.0.0.1:80"), "--mapping=[fd00::1]:80-10.0.0.1:80");
        assert_eq!(shell_word("--filter=tcp and src port 80"), "'--filter=tcp and src port 80'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }
}
