//! What a session's user set, in order, to be set again on a new connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Something that was set, by text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Setting {
    /// What it replaces.
    key: String,
    /// The statement that sets it again; `None` where no statement sets it to the same value.
    statement: Option<String>,
}

impl Setting {
    fn size(&self) -> usize {
        size_of::<Self>() + 2 * self.key.len() + self.statement.as_ref().map_or(0, String::len)
    }
}

/// All that was set and holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// In the order in which they were set.
    settings: BTreeMap<u64, Setting>,
    /// The place of each.
    places: BTreeMap<String, u64>,
    /// Bytes that they take.
    size: usize,
    /// Something was set that there was no room for.
    is_cut: bool,
}

impl Setup {
    /// Something is set; `most`: bytes that all of it may take.
    pub(super) fn set(&mut self, key: String, statement: Option<String>, most: usize) {
        self.drop(&key);
        let setting = Setting { key, statement };
        if self.size + setting.size() > most {
            self.is_cut = true;
            return;
        }
        self.size += setting.size();
        let place = self.settings.last_key_value().map_or(0, |(place, _)| place + 1);
        self.places.insert(setting.key.clone(), place);
        self.settings.insert(place, setting);
    }

    /// Something is as if it had not been set.
    pub(super) fn drop(&mut self, key: &str) {
        let place = self.places.remove(key);
        let dropped = place.and_then(|place| self.settings.remove(&place));
        self.size -= dropped.map_or(0, |setting| setting.size());
    }

    /// Whether that was set.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// The statements that set it again, in order.
    pub(super) fn statements(&self) -> impl Iterator<Item = &str> {
        self.settings.values().filter_map(|setting| setting.statement.as_deref())
    }

    /// A phrase for each thing that a new connection does not get.
    pub(crate) fn losses(&self) -> impl Iterator<Item = &'static str> {
        let untold = self.settings.values().filter(|setting| setting.statement.is_none());
        let cut = self.is_cut.then_some(
            "more was set than limits.settings_kib keeps: not all of it is set on a new connection",
        );
        untold.map(|_| "what was set to a value that only the lost connection knew is not set on a new connection").chain(cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(setup: &mut Setup, key: &str, statement: &str) {
        setup.set(key.to_owned(), Some(statement.to_owned()), 400);
    }

    #[test]
    fn what_was_set_last_counts() {
        let mut setup = Setup::default();
        set(&mut setup, "names", "SET NAMES latin1");
        set(&mut setup, "autocommit", "SET autocommit = 0");
        set(&mut setup, "names", "SET NAMES utf8mb4");
        assert_eq!(setup.statements().collect::<Vec<_>>(), ["SET autocommit = 0", "SET NAMES utf8mb4"]);
        setup.drop("names");
        assert!(!setup.knows("names") && setup.knows("autocommit"));
        setup.drop("autocommit");
        assert_eq!(setup, Setup::default());
    }

    #[test]
    fn what_cannot_be_set_again_is_told() {
        let mut setup = Setup::default();
        setup.set("@a".to_owned(), None, 400);
        assert_eq!((setup.statements().count(), setup.losses().count()), (0, 1));
        set(&mut setup, "@a", "SET @a = 1");
        assert_eq!((setup.statements().count(), setup.losses().count()), (1, 0));
    }

    #[test]
    fn what_there_is_no_room_for_is_told() {
        let mut setup = Setup::default();
        for number in 0..100 {
            set(&mut setup, &format!("@{number}"), "SET @a = 1");
            assert!(setup.size <= 400);
        }
        assert!(setup.statements().count() > 2);
        assert!(setup.losses().any(|phrase| phrase.contains("limits.settings_kib")));
    }
}
