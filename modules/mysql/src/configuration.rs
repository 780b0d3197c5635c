//! What an operator can say to this module, in TOML, or in the words of the C tool. docs/mysql.md explains each key.

mod account;
mod legacy;
mod limits;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use tcpcopy_plugin_api::{Configuration, ConfigurationError};

pub(crate) use account::Account;
use account::AccountTable;
pub(crate) use limits::Limits;
use limits::LimitsTable;

use crate::filter::{Filter, Selection};

/// What the operator wrote, in the form that is used.
#[derive(Debug)]
pub(crate) struct Settings {
    /// By the name that production knows.
    accounts: HashMap<Vec<u8>, Arc<Account>>,
    pub(crate) default_account: Option<Arc<Account>>,
    /// Only what cannot write is said.
    pub(crate) read_only: bool,
    /// The online server's answers are wanted, to be compared with the target's.
    pub(crate) compares: bool,
    pub(crate) lost_transaction: LostTransaction,
    pub(crate) filter: Filter,
    pub(crate) limits: Limits,
}

/// What becomes of the rest of a transaction whose beginning was lost with the target's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LostTransaction {
    /// It is said, each statement on its own or in what the user begins next.
    #[default]
    Continue,
    /// It is left out, up to its COMMIT or ROLLBACK.
    Skip,
}

/// The keys.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    account: Vec<AccountTable>,
    default_account: Option<AccountTable>,
    read_only: bool,
    compare: bool,
    lost_transaction: LostTransaction,
    only: Selection,
    never: Selection,
    limits: LimitsTable,
}

impl Settings {
    /// Reads the configuration.
    pub(crate) fn read(configuration: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        let text = configuration.text();
        let file = if legacy::is_legacy(text) { legacy::read(text)? } else { parse(text)? };
        let folder = Path::new(configuration.origin()).parent().unwrap_or(Path::new(""));
        let mut accounts = HashMap::new();
        for table in file.account {
            let user = table.user.clone();
            let account = Arc::new(table.resolve(folder)?);
            if accounts.insert(user.clone().into_bytes(), account).is_some() {
                return Err(ConfigurationError::new(format!("the account {user:?} is there twice")));
            }
        }
        let default_account = file.default_account.map(|table| table.resolve(folder)).transpose()?;
        if accounts.is_empty() && default_account.is_none() {
            return Err(ConfigurationError::new(
                "no account is given; passwords of the target are needed to log in: [[account]] with user and password, \
                 or [default_account]",
            ));
        }
        Ok(Self {
            accounts,
            default_account: default_account.map(Arc::new),
            read_only: file.read_only,
            compares: file.compare,
            lost_transaction: file.lost_transaction,
            filter: Filter { only: file.only, never: file.never },
            limits: file.limits.into(),
        })
    }

    /// The account for who is `user` in production.
    pub(crate) fn account(&self, user: &[u8]) -> Option<&Arc<Account>> {
        self.accounts.get(user).or(self.default_account.as_ref())
    }
}

fn parse(text: &str) -> Result<File, ConfigurationError> {
    toml::from_str(text).map_err(|error| sentence(text, &error))
}

/// The error in one sentence: the line, and what is wrong with it, but nothing of a password.
fn sentence(text: &str, error: &toml::de::Error) -> ConfigurationError {
    let message = error.message().trim_end().replace('\n', "; ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return ConfigurationError::new(message);
    };
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let key = line.split('=').next().unwrap_or_default().trim();
    if key.starts_with("password") {
        return ConfigurationError::new(format!("line {number}: the value of {key} is no text in quotes"));
    }
    ConfigurationError::new(format!("line {number}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        Settings::read(&Configuration::new(text, "mysql.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_understood() {
        let settings = read(
            r#"
            read_only = true
            compare = true
            lost_transaction = "skip"
            [[account]]
            user = "app"
            password = "secret"
            target_user = "app_test"
            database = "shop_test"
            [[account]]
            user = ""
            password = ""
            [default_account]
            user = "copy"
            password = "other"
            [only]
            databases = ["shop"]
            [never]
            users = ["root"]
            statements = ["(?i)^\\s*call"]
            [limits]
            looked_at_kib = 1
            preparations_mib = 2
            settings_kib = 3
            unanswered = 44
            early_answers_kib = 5
            "#,
        )
        .unwrap();
        let account = settings.account(b"app").unwrap();
        assert_eq!((account.user.as_str(), &*account.password), ("app_test", "secret"));
        assert_eq!(account.database.as_deref(), Some("shop_test"));
        assert_eq!(&*settings.account(b"").unwrap().password, "");
        assert_eq!(settings.account(b"bob").unwrap().user, "copy");
        assert!(settings.read_only && settings.compares);
        assert_eq!(settings.lost_transaction, LostTransaction::Skip);
        let limits = Limits {
            looked_at: 1 << 10,
            preparations: 2 << 20,
            settings: 3 << 10,
            unanswered: 44,
            early_answers: 5 << 10,
        };
        assert_eq!(settings.limits, limits);
        assert_eq!(read("user app@secret;").unwrap().limits, Limits::default());
    }

    #[test]
    fn a_limit_out_of_its_range_is_refused_with_the_range() {
        for (key, least, most) in [
            ("looked_at_kib", 1, 1024),
            ("preparations_mib", 1, 1024),
            ("settings_kib", 1, 65_536),
            ("unanswered", 16, 65_536),
            ("early_answers_kib", 1, 16_384),
        ] {
            let text = |value: i64| {
                format!("default_account = {{ user = 'a', password = '' }}\n[limits]\n{key} = {value}")
            };
            assert!(read(&text(least)).is_ok() && read(&text(most)).is_ok());
            for value in [least - 1, most + 1, -1, i64::MAX] {
                let sentence = read(&text(value)).unwrap_err();
                assert_eq!(
                    sentence,
                    format!("line 3: {value} is out of range: it can be from {least} to {most}")
                );
            }
        }
        assert!(read("[limits]\nlooked_at = 1").unwrap_err().contains("line 2: unknown field `looked_at`"));
        assert!(read("[limits]\nunanswered = 'many'").unwrap_err().contains("line 2"));
    }

    #[test]
    fn the_words_of_the_c_tool_are_understood() {
        let settings = read("# users\nuser app@secret,bob@p@ss;\nuser carol@x;\n").unwrap();
        assert_eq!(&*settings.account(b"app").unwrap().password, "secret");
        assert_eq!(&*settings.account(b"bob").unwrap().password, "p@ss");
        assert_eq!(&*settings.account(b"carol").unwrap().password, "x");
        assert!(settings.account(b"dave").is_none());
    }

    #[test]
    fn mistakes_are_told_in_a_sentence() {
        let refused = |text: &str| read(text).unwrap_err();
        assert!(refused("").contains("no account is given"));
        assert!(refused("[[account]]\nuser = \"a\"\nread_only = 1").contains("line 3"));
        assert!(refused("[[account]]\nuser = \"a\"").contains("no password for the account \"a\""));
        assert!(refused("[[account]]\nuser=\"a\"\npassword=\"x\"\npassword_env=\"Y\"").contains("one of"));
        let twice = "[[account]]\nuser=\"a\"\npassword=\"x\"\n".repeat(2);
        assert!(refused(&twice).contains("twice"));
        assert!(
            refused("[[account]]\nuser=\"a\"\npassword_env=\"TCPCOPY_TEST_NO_SUCH\"")
                .contains("TCPCOPY_TEST_NO_SUCH")
        );
        assert!(refused("[[account]]\nuser=\"a\"\npassword_file=\"/no/such\"").contains("/no/such"));
        assert!(refused("user a;").contains("user a@password"));
        assert!(refused("user a@b").contains("semicolon"));
    }

    #[test]
    fn no_mistake_tells_a_password() {
        for text in [
            "[[account]]\nuser=\"a\"\npassword = hunter2",
            "[[account]]\npassword = 7727",
            "user a hunter2 7727;",
        ] {
            let sentence = read(text).unwrap_err();
            assert!(!sentence.contains("hunter2") && !sentence.contains("7727"), "{sentence}");
        }
        let settings = read("user app@hunter2;").unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn a_password_can_be_in_a_file_beside_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("app.password"), "from a file\n").unwrap();
        let origin = folder.path().join("mysql.toml");
        let text = "[[account]]\nuser=\"a\"\npassword_file=\"app.password\"";
        let settings = Settings::read(&Configuration::new(text, origin.to_str().unwrap())).unwrap();
        assert_eq!(&*settings.account(b"a").unwrap().password, "from a file");
    }
}
