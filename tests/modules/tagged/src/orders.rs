//! The faults this module shows: one `key = value` a line, as in TOML.

use std::thread;
use std::time::Duration;

use tcpcopy_plugin_api::{ConfigurationError, GiveUp};

/// What goes wrong on purpose.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    /// A request whose head holds this text panics.
    breaks_on: Option<String>,
    /// A request whose head holds this text is given up.
    gives_up_on: Option<String>,
    /// A request whose head holds this text is one that the call does not return from.
    stays_on: Option<String>,
    /// How long each call with client bytes takes.
    slow: Duration,
}

impl Orders {
    /// Reads the configuration.
    pub(crate) fn read(text: &str) -> Result<Self, ConfigurationError> {
        let mut orders = Self::default();
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            orders.read_line(line)?;
        }
        Ok(orders)
    }

    fn read_line(&mut self, line: &str) -> Result<(), ConfigurationError> {
        let wrong = |reason: &str| ConfigurationError::new(format!("{line:?}: {reason}"));
        let (key, value) = line.split_once('=').ok_or_else(|| wrong("a line is KEY = VALUE"))?;
        let (key, value) = (key.trim(), value.trim());
        let quoted = || {
            let text = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            text.filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| wrong("a text is \"TEXT\""))
        };
        match key {
            "breaks_on" => self.breaks_on = Some(quoted()?),
            "gives_up_on" => self.gives_up_on = Some(quoted()?),
            "stays_on" => self.stays_on = Some(quoted()?),
            "slow_ms" => {
                let ms = value.parse().map_err(|_| wrong("milliseconds are a whole number"))?;
                self.slow = Duration::from_millis(ms);
            }
            _ => return Err(wrong("the keys are breaks_on, gives_up_on, stays_on and slow_ms")),
        }
        Ok(())
    }

    /// Dawdles, if so ordered.
    pub(crate) fn dawdle(&self) {
        if !self.slow.is_zero() {
            thread::sleep(self.slow);
        }
    }

    /// Fails, or stays, on a head that holds one of the texts.
    ///
    /// # Panics
    /// On a head with the text of `breaks_on`.
    pub(crate) fn judge(&self, head: &[u8]) -> Result<(), GiveUp> {
        let holds = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| head.windows(text.len()).any(|window| window == text.as_bytes()))
        };
        assert!(!holds(&self.breaks_on), "a request holds the text of breaks_on");
        while holds(&self.stays_on) {
            thread::park();
        }
        if holds(&self.gives_up_on) {
            Err(GiveUp::new("a request holds the text of gives_up_on"))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_understood() {
        let text =
            "# faults\nbreaks_on = \"want=666&\"\n\n gives_up_on = \"x\"\nstays_on = \"y\"\nslow_ms = 7\n";
        let expected = Orders {
            breaks_on: Some("want=666&".to_owned()),
            gives_up_on: Some("x".to_owned()),
            stays_on: Some("y".to_owned()),
            slow: Duration::from_millis(7),
        };
        assert_eq!(Orders::read(text), Ok(expected));
        assert_eq!(Orders::read(""), Ok(Orders::default()));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for line in ["slow_ms", "slow_ms = x", "breaks_on = x", "breaks_on = \"\"", "break_on = \"x\""] {
            let error = Orders::read(line).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{line:?}: ")), "{error}");
        }
    }
}
