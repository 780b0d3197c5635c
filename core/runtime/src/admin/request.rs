//! What `tcpcopy ctl` asks a running tcpcopy: one line of JSON.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ConfigurationSource;

/// The version of requests and replies. Raised when a field changes its meaning or goes; new ones may come at any time.
pub const ADMIN_VERSION: u32 = 1;

/// The most sessions one reply lists.
pub const MOST_SESSIONS: usize = 1000;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`ADMIN_VERSION`].
    pub version: u32,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Ask {
    /// How the process is.
    Status,
    /// Which modules are loaded, and what they did.
    Modules,
    /// Replace the module of a mapping.
    Swap {
        /// The online side of the mapping, as `-x` takes it.
        mapping: String,
        /// The library, by its absolute path.
        file: PathBuf,
        /// The configuration; without one the module gets that of the module that serves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        configuration: Option<ConfigurationSource>,
        /// Whether running sessions move to it where they can.
        #[serde(default)]
        migrate: bool,
    },
    /// Load modules again whose library or configuration has changed.
    Reload,
    /// Live sessions, those that most is pending of first.
    Sessions {
        /// At most so many, and at most [`MOST_SESSIONS`].
        limit: usize,
    },
    /// What was replayed, and how the answers compare.
    Stats,
    /// Log this and what is graver from now on.
    Log {
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level: String,
    },
}

impl Request {
    /// A request in the present version.
    #[must_use]
    pub fn new(ask: Ask) -> Self {
        Self { version: ADMIN_VERSION, ask }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// A sentence for who sent it.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let wrong =
            |error: serde_json::Error| format!("this is no request that tcpcopy understands: {error}");
        // The version first: of another one nothing else need be understood.
        let Version { version } = serde_json::from_slice(line).map_err(wrong)?;
        if version != ADMIN_VERSION {
            return Err(format!(
                "tcpcopy speaks version {ADMIN_VERSION} of its admin protocol and was asked in version {version}; use \
                 the tcpcopy ctl of the version that runs"
            ));
        }
        serde_json::from_slice(line).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_documented() {
        let swap = |configuration, migrate| Ask::Swap {
            mapping: "80".to_owned(),
            file: "/lib/m.so".into(),
            configuration,
            migrate,
        };
        let cases = [
            (Ask::Status, r#"{"version":1,"command":"status"}"#),
            (Ask::Sessions { limit: 5 }, r#"{"version":1,"command":"sessions","limit":5}"#),
            (Ask::Log { level: "debug".to_owned() }, r#"{"version":1,"command":"log","level":"debug"}"#),
            (
                swap(None, false),
                r#"{"version":1,"command":"swap","mapping":"80","file":"/lib/m.so","migrate":false}"#,
            ),
            (
                swap(Some(ConfigurationSource::Inline("a=1".to_owned())), true),
                r#"{"version":1,"command":"swap","mapping":"80","file":"/lib/m.so","configuration":{"inline":"a=1"},"migrate":true}"#,
            ),
            (
                swap(Some(ConfigurationSource::None), false),
                r#"{"version":1,"command":"swap","mapping":"80","file":"/lib/m.so","configuration":"none","migrate":false}"#,
            ),
        ];
        for (ask, text) in cases {
            let request = Request::new(ask);
            assert_eq!(serde_json::to_string(&request).unwrap(), text);
            assert_eq!(Request::parse(text.as_bytes()), Ok(request));
        }
        let short = r#"{"version":1,"command":"swap","mapping":"80","file":"/lib/m.so","new":{"field":1}}"#;
        assert_eq!(Request::parse(short.as_bytes()), Ok(Request::new(swap(None, false))));
    }

    #[test]
    fn what_is_no_request_is_told() {
        let error = Request::parse(br#"{"version":2,"command":"dance"}"#).unwrap_err();
        assert!(error.contains("was asked in version 2"), "{error}");
        for wrong in ["", "status", "{}", "[]", r#"{"version":1}"#, r#"{"version":1,"command":"dance"}"#] {
            let error = Request::parse(wrong.as_bytes()).unwrap_err();
            assert!(error.starts_with("this is no request that tcpcopy understands: "), "{error}");
        }
    }
}
