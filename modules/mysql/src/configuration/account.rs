//! Accounts of the target.

use std::path::Path;
use std::sync::Arc;
use std::{env, fmt, fs};

use serde::Deserialize;
use tcpcopy_plugin_api::ConfigurationError;

/// An account of the target, for a user of production.
pub(crate) struct Account {
    /// As the target knows it.
    pub(crate) user: String,
    pub(crate) password: Arc<str>,
    /// The database to begin with, instead of the one that the user named.
    pub(crate) database: Option<String>,
}

impl fmt::Debug for Account {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// The keys of an account.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountTable {
    pub(super) user: String,
    #[serde(default)]
    pub(super) password: Option<String>,
    #[serde(default)]
    pub(super) password_file: Option<String>,
    #[serde(default)]
    pub(super) password_env: Option<String>,
    #[serde(default)]
    pub(super) target_user: Option<String>,
    #[serde(default)]
    pub(super) database: Option<String>,
}

impl AccountTable {
    /// The account, with its password from where that is. Paths begin in `folder`.
    pub(super) fn resolve(self, folder: &Path) -> Result<Account, ConfigurationError> {
        let user = &self.user;
        let password = match (self.password, self.password_file, self.password_env) {
            (Some(password), None, None) => password,
            (None, Some(file), None) => from_file(&folder.join(file))?,
            (None, None, Some(name)) => env::var(&name).map_err(|_| {
                ConfigurationError::new(format!(
                    "the environment has no {name} (in UTF-8) to be the password of the account {user:?}"
                ))
            })?,
            (None, None, None) => {
                return Err(ConfigurationError::new(format!(
                    "there is no password for the account {user:?}: give password (\"\" for none), password_file or \
                     password_env"
                )));
            }
            _ => {
                return Err(ConfigurationError::new(format!(
                    "the account {user:?} has several passwords: one of password, password_file and password_env is enough"
                )));
            }
        };
        Ok(Account {
            user: self.target_user.unwrap_or(self.user),
            password: password.into(),
            database: self.database,
        })
    }
}

/// The first line of a file.
fn from_file(path: &Path) -> Result<String, ConfigurationError> {
    let text = fs::read_to_string(path).map_err(|error| {
        ConfigurationError::new(format!("the password file {} cannot be read: {error}", path.display()))
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
