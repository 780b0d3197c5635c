//! The same bytes, cut into other calls.

use std::fmt;

use super::misuse::Misuse;
use super::outcome::Outcome;
use super::stage::Stage;
use super::transcript::{Event, Transcript};
use crate::Module;

/// Up to so many bytes, every single place to cut is tried.
const SHORT: usize = 2048;
/// Up to so many bytes, the conversation is played byte by byte.
const MEDIUM: usize = 64 * 1024;
/// How many conversations are cut at random.
const SEEDS: u64 = 24;
/// The longest pieces of those, in turns.
const PIECES: [usize; 4] = [4, 64, 1460, 20_000];

/// Plays `transcript` as it is.
///
/// # Errors
/// [`Misuse`]: the module called for something that makes no sense.
pub fn play(module: &dyn Module, transcript: &Transcript) -> Result<Outcome, Misuse> {
    play_cut(module, transcript, Cut::Nowhere)
}

/// Plays `transcript` as it is, byte by byte, cut at every single place if it is short, and cut at random places (the same ones
/// in every run). Returns the outcome, which was the same each time.
///
/// A module that gives up may have done more or less before that, depending on the calls, since actions of a call that
/// gives up are not carried out: then what was said has to agree as far as it goes.
///
/// # Errors
/// [`Failure`]: another outcome, and how the input was cut; or a [`Misuse`]. It is made to be unwrapped in a test.
pub fn check_every_split(module: &dyn Module, transcript: &Transcript) -> Result<Outcome, Failure> {
    let mut expected =
        play(module, transcript).map_err(|misuse| Failure::Misuse { cut: Cut::Nowhere, misuse })?;
    for cut in cuts(transcript) {
        let outcome = play_cut(module, transcript, cut).map_err(|misuse| Failure::Misuse { cut, misuse })?;
        if let Some(difference) = expected.difference(&outcome) {
            return Err(Failure::Differs { cut, difference });
        }
        if said(&outcome) > said(&expected) {
            expected = outcome;
        }
    }
    Ok(expected)
}

/// A module whose answers depend on how the input was cut, or make no sense.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The outcome of the cut conversation is another than that of the whole one.
    Differs {
        /// How it was cut.
        cut: Cut,
        /// The first difference.
        difference: String,
    },
    /// The module called for something that makes no sense.
    Misuse {
        /// How the input was cut.
        cut: Cut,
        /// What it was.
        misuse: Misuse,
    },
}

/// How the packets of a transcript are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// Not at all.
    Nowhere,
    /// Every byte comes alone.
    Everywhere,
    /// One event of the transcript is cut once.
    Once {
        /// Which event of the transcript, counted from 0.
        event: usize,
        /// How many bytes come first.
        place: usize,
    },
    /// Pieces of random lengths.
    Random {
        /// The seed.
        seed: u64,
    },
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => f.write_str("not cut"),
            Self::Everywhere => f.write_str("given byte by byte"),
            Self::Once { event, place } => {
                write!(f, "cut once: event {event} of the transcript (counted from 0) after {place} bytes")
            }
            Self::Random { seed } => write!(f, "cut at random, seed {seed}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { cut, difference } => {
                write!(f, "the outcome depends on how the input is cut. Input {cut}:\n{difference}")
            }
            Self::Misuse { cut, misuse } => write!(f, "{misuse} (input {cut})"),
        }
    }
}

/// As a person reads it: this is what `unwrap` shows.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

/// Plays `transcript` cut like that: what a [`Failure`] reports can be looked at again.
///
/// # Errors
/// [`Misuse`]: the module called for something that makes no sense.
pub fn play_cut(module: &dyn Module, transcript: &Transcript, cut: Cut) -> Result<Outcome, Misuse> {
    let mut stage = Stage::open(module, transcript.info())?;
    for (index, event) in transcript.events().iter().enumerate() {
        match event {
            Event::Bytes(side, bytes) => {
                let mut place = 0;
                for piece in pieces(cut, index, bytes) {
                    stage.piece(*side, piece, place)?;
                    place += piece.len();
                }
            }
            Event::Missing(side, count) => stage.missing(*side, *count)?,
            Event::End(side) => stage.end(*side)?,
            Event::Reconnect => stage.reconnect()?,
            Event::Wait(time) => stage.wait(*time)?,
            Event::Move => stage.move_on()?,
        }
    }
    Ok(stage.outcome())
}

fn cuts(transcript: &Transcript) -> Vec<Cut> {
    let lengths: Vec<usize> = transcript.events().iter().map(byte_count).collect();
    let total: usize = lengths.iter().sum();
    let mut cuts = Vec::new();
    if total <= MEDIUM {
        cuts.push(Cut::Everywhere);
    }
    if total <= SHORT {
        let places = lengths.iter().enumerate();
        cuts.extend(
            places.flat_map(|(event, length)| (1..*length).map(move |place| Cut::Once { event, place })),
        );
    }
    cuts.extend((0..SEEDS).map(|seed| Cut::Random { seed }));
    cuts
}

fn byte_count(event: &Event) -> usize {
    match event {
        Event::Bytes(_, bytes) => bytes.len(),
        _ => 0,
    }
}

fn pieces(cut: Cut, index: usize, bytes: &[u8]) -> Vec<&[u8]> {
    match cut {
        Cut::Everywhere => bytes.chunks(1).collect(),
        Cut::Once { event, place } if event == index => {
            let (front, back) = bytes.split_at(place.min(bytes.len()));
            vec![front, back]
        }
        Cut::Random { seed } => random_pieces(bytes, seed, index),
        Cut::Nowhere | Cut::Once { .. } => vec![bytes],
    }
}

fn random_pieces(mut bytes: &[u8], seed: u64, index: usize) -> Vec<&[u8]> {
    let longest = PIECES[seed as usize % PIECES.len()];
    let mut state = seed ^ (index as u64).rotate_left(32);
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let length = 1 + splitmix(&mut state) as usize % longest;
        let (piece, rest) = bytes.split_at(length.min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// The next of a row of pseudo-random numbers (Steele, Lea and Flood 2014).
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn said(outcome: &Outcome) -> usize {
    outcome.connections.iter().map(|connection| connection.said.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actions, Configuration, ConfigurationError, Conversation, GiveUp, SessionInfo};

    /// Says what it is given, and takes the end of a call for the end of a request.
    struct Naive;

    impl Module for Naive {
        fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> {
            Ok(Self)
        }

        fn open(&self, _: &SessionInfo) -> Box<dyn Conversation> {
            Box::new(Self)
        }
    }

    impl Conversation for Naive {
        fn client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
            if input.starts_with(b"bad") {
                return Err(GiveUp::new("bad"));
            }
            actions.open_turn();
            actions.forward(input.len() as u64);
            Ok(())
        }
    }

    #[test]
    fn an_outcome_that_depends_on_the_calls_is_found_and_the_cut_is_told() {
        let failure = check_every_split(&Naive, &Transcript::new().client("one")).unwrap_err();
        let text = failure.to_string();
        assert!(text.contains("byte by byte") && text.contains("turns: [0, 1, 2]"), "{text}");
    }

    #[test]
    fn a_module_that_gives_up_may_have_said_less() {
        let transcript = Transcript::new().client("x").client("bad");
        // Cut inside "bad", it is not recognised.
        assert!(check_every_split(&Naive, &transcript).is_err());
        assert_eq!(play(&Naive, &transcript).unwrap().gave_up.as_deref(), Some("bad"));
    }

    #[test]
    fn cut_pieces_are_the_packet() {
        let bytes: Vec<u8> = (0..200).collect();
        for cut in [Cut::Nowhere, Cut::Everywhere, Cut::Once { event: 0, place: 77 }, Cut::Random { seed: 1 }]
        {
            let pieces = pieces(cut, 0, &bytes);
            assert_eq!(pieces.concat(), bytes, "{cut}");
            assert_eq!(pieces.len() > 1, cut != Cut::Nowhere, "{cut}");
        }
    }
}
