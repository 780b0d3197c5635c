//! The C tool's `plugin.conf`: `user name@password,name@password;`, with comments behind `#`.

use tcpcopy_plugin_api::ConfigurationError;

use super::File;
use super::account::AccountTable;

/// Whether a configuration is written in the words of the C tool.
pub(super) fn is_legacy(text: &str) -> bool {
    let words = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let first = words.into_iter().find(|line| !line.is_empty()).unwrap_or_default();
    first
        .strip_prefix("user")
        .is_some_and(|rest| rest.starts_with([' ', '\t']) && !rest.trim_start().starts_with('='))
}

/// Reads it. Every line counts.
pub(super) fn read(text: &str) -> Result<File, ConfigurationError> {
    let mut file = File::default();
    for (index, line) in text.lines().enumerate() {
        let wrong = |what| ConfigurationError::new(format!("line {}: {what}", index + 1));
        let line = if line.trim_start().starts_with('#') { "" } else { line.trim() };
        if line.is_empty() {
            continue;
        }
        let rest = line.strip_prefix("user").ok_or_else(|| wrong("it may be: user NAME@PASSWORD,…;"))?;
        let (users, behind) =
            rest.split_once(';').ok_or_else(|| wrong("the semicolon at its end is missing"))?;
        if !matches!(behind.trim_start().bytes().next(), None | Some(b'#')) {
            return Err(wrong("something stands behind its semicolon"));
        }
        for user in users.trim().split(',') {
            let (name, password) =
                user.split_once('@').ok_or_else(|| wrong("a user is written as: user a@password"))?;
            file.account.push(AccountTable {
                user: name.trim().to_owned(),
                password: Some(password.to_owned()),
                ..AccountTable::default()
            });
        }
    }
    Ok(file)
}
