//! Why a program ends before its work: one sentence, and the exit status that goes with it.

use tcpcopy_core::net::{CaptureError, RecordingError};
use tcpcopy_core::runtime::{CaptureTotals, StartError};
use thiserror::Error;

/// Why a program ends early. Displayed as one sentence that says what happened, to what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// A value on the command line cannot be: exit status 2.
    #[error("{0}")]
    WrongValue(String),
    /// The values may be right, but the machine or the network does not play along: exit status 1.
    #[error("{0}")]
    Start(String),
    /// The daemon ended with this exit status before it was ready, and has said why itself.
    #[error("the daemon ended with exit status {0}")]
    Reported(u8),
}

impl Failure {
    /// A program that stopped because nothing is left to capture on did not do what it was asked to.
    ///
    /// # Errors
    /// When no device is left.
    pub fn unless_captured_to_the_end(capture: &CaptureTotals) -> Result<(), Self> {
        match capture.devices {
            0 => Err(Self::Start("no device is left to capture on; start again when it is back".to_owned())),
            _ => Ok(()),
        }
    }

    /// The exit status of the process.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::WrongValue(_) => 2,
            Self::Start(_) => 1,
            Self::Reported(status) => *status,
        }
    }
}

impl From<StartError> for Failure {
    /// What turns out to be a wrong value only when pcap looks at it is a wrong value all the same.
    fn from(error: StartError) -> Self {
        let sentence = error.to_string();
        match error {
            StartError::Capture(CaptureError::BadFilter { .. } | CaptureError::BadOption { .. })
            | StartError::Recording(RecordingError::BadFilter { .. }) => Self::WrongValue(sentence),
            _ => Self::Start(sentence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losing_every_device_is_a_failure() {
        let none = CaptureTotals::default();
        assert_eq!(
            Failure::unless_captured_to_the_end(&none).map_err(|failure| failure.exit_status()),
            Err(1)
        );
        let one = CaptureTotals { devices: 1, ..none };
        assert_eq!(Failure::unless_captured_to_the_end(&one), Ok(()));
    }

    #[test]
    fn a_wrong_filter_is_a_wrong_value_and_a_missing_right_is_not() {
        let wrong = CaptureError::BadFilter {
            device: "lo".to_owned(),
            filter: "tcp nad".to_owned(),
            reason: "syntax error".to_owned(),
        };
        assert_eq!(Failure::from(StartError::from(wrong)).exit_status(), 2);
        let denied = CaptureError::NoPermission { device: "lo".to_owned() };
        assert_eq!(Failure::from(StartError::from(denied)).exit_status(), 1);
    }
}
