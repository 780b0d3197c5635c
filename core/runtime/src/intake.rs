//! Where tcpcopy's packets come from: devices, or files.

use mio::{Registry, Token};
use tcpcopy_engine::Mappings;
use tcpcopy_wire::Instant;

use crate::captures::Captures;
use crate::recorded::Recorded;
use crate::replayer::Replayer;
use crate::{CaptureChoice, CaptureTotals, RecordingChoice, RecordingTotals, StartError, Transport};

/// What is replayed.
#[derive(Clone, Debug)]
pub enum IntakeChoice {
    /// What is captured on devices now.
    Devices(CaptureChoice),
    /// What is in files.
    Files(RecordingChoice),
}

/// The open side of an [`IntakeChoice`].
pub(crate) enum Intake {
    Devices { captures: Captures, choice: CaptureChoice },
    Files(Recorded),
}

impl Intake {
    /// Opens devices or files; with what the online servers say if `with_answers`. The engine may hold `memory_budget`
    /// bytes.
    pub(crate) fn open(
        choice: IntakeChoice,
        transport: Transport,
        mappings: &Mappings,
        with_answers: bool,
        memory_budget: usize,
    ) -> Result<Self, StartError> {
        let choice = match choice {
            IntakeChoice::Files(choice) => {
                return Recorded::open(&choice, transport, mappings, with_answers, memory_budget)
                    .map(Self::Files);
            }
            IntakeChoice::Devices(choice) => choice,
        };
        if with_answers {
            choice.tell_of_answers();
        }
        let captures = Captures::open(&choice.options(transport, mappings)?, |options| {
            with_answers.then(|| choice.widened(options, mappings)).flatten()
        })?;
        Ok(Self::Devices { captures, choice })
    }

    /// The names of the devices or files.
    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            Self::Devices { captures, .. } => captures.devices(),
            Self::Files(recorded) => recorded.names().to_vec(),
        }
    }

    /// How many tokens [`Self::register`] takes, from 0 on.
    pub(crate) fn tokens(&self) -> usize {
        match self {
            Self::Devices { captures, .. } => captures.len(),
            Self::Files(_) => 1,
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry) -> std::io::Result<()> {
        match self {
            Self::Devices { captures, .. } => captures.register(registry),
            Self::Files(recorded) => recorded.register(registry, Token(0)),
        }
    }

    pub(crate) fn mark_ready(&mut self, token: Token) {
        match self {
            Self::Devices { captures, .. } => captures.mark_ready(token.0),
            Self::Files(recorded) => recorded.mark_ready(),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Devices { captures, .. } => captures.is_ready(),
            Self::Files(recorded) => recorded.is_ready(),
        }
    }

    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        match self {
            Self::Devices { captures, .. } => captures.poll_timeout(now),
            Self::Files(recorded) => recorded.poll_timeout(now),
        }
    }

    /// About once a second.
    pub(crate) fn look(&mut self) {
        if let Self::Devices { captures, .. } = self {
            captures.look_everywhere();
        }
    }

    /// Hands what is there, or due, to `replayer`. Files wait while no intercept `is_there`; users do not.
    pub(crate) fn dispatch(&mut self, now: Instant, is_there: bool, replayer: &mut impl Replayer) {
        match self {
            Self::Devices { captures, .. } => captures.dispatch_frames(|seen| replayer.take(now, seen)),
            Self::Files(recorded) => recorded.dispatch(now, is_there, replayer),
        }
    }

    /// From now on what the online servers say is wanted as well.
    pub(crate) fn show_answers(&mut self, mappings: &Mappings) {
        match self {
            Self::Devices { captures, choice } => {
                choice.tell_of_answers();
                captures.widen(|options| choice.widened(options, mappings));
            }
            Self::Files(recorded) => recorded.show_answers(),
        }
    }

    /// Whether nothing more is to be had: no device is left, or all files are read and `replayer` is done with them.
    pub(crate) fn is_over(&self, replayer: &impl Replayer) -> bool {
        match self {
            Self::Devices { captures, .. } => !captures.is_alive(),
            Self::Files(recorded) => recorded.is_read() && replayer.has_said_all(),
        }
    }

    pub(crate) fn totals(&mut self) -> CaptureTotals {
        match self {
            Self::Devices { captures, .. } => captures.totals(),
            Self::Files(recorded) => recorded.capture_totals(),
        }
    }

    /// How far the files are read, where there are some.
    pub(crate) fn recording_totals(&self) -> Option<RecordingTotals> {
        match self {
            Self::Devices { .. } => None,
            Self::Files(recorded) => Some(recorded.totals()),
        }
    }
}
