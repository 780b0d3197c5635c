//! Counts by name, in an order of their own.

use serde::{Serialize, Serializer};

/// A JSON object whose fields come in the order given, not sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named<T>(pub Vec<(&'static str, T)>);

impl<T> FromIterator<(&'static str, T)> for Named<T> {
    fn from_iter<I: IntoIterator<Item = (&'static str, T)>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays() {
        let named: Named<u64> = [("zebra", 1), ("ape", 2)].into_iter().collect();
        assert_eq!(serde_json::to_string(&named).unwrap(), r#"{"zebra":1,"ape":2}"#);
    }
}
