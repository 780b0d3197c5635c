//! The next time around: what has to differ between two laps of one recording.

use std::time::Duration;

use tcpcopy_wire::{Segment, Timestamps};

/// Between the sequence numbers of one connection in two laps: farther than all but the largest uploads go, so that a
/// target that still remembers the old connection (TIME-WAIT) takes the new one's SYN for what it is (RFC 6191 §2,
/// RFC 9293 §3.10.7.4).
const SEQUENCE_STEP: u32 = 1 << 26;
/// Beside the time that has passed, in milliseconds: laps do not run quite evenly.
const CLOCK_STEP: u32 = 60_000;

/// One time around.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lap {
    /// Zero for the first one.
    pub(crate) number: u32,
    sequence: u32,
    clock: u32,
}

impl Lap {
    /// The lap after this one, which begins when the replay has run for `running`.
    pub(crate) fn next(self, running: Duration) -> Self {
        let number = self.number.wrapping_add(1);
        Self {
            number,
            sequence: number.wrapping_mul(SEQUENCE_STEP),
            // Timestamps tick about once a millisecond (RFC 7323 §5.4), and wrap.
            clock: (running.as_millis() as u32).wrapping_add(number.wrapping_mul(CLOCK_STEP)),
        }
    }

    /// A user's segment as it is said in this lap.
    pub(crate) fn of_user<'a>(self, segment: &Segment<'a>) -> Segment<'a> {
        let mut segment = *segment;
        segment.seq += self.sequence;
        if let Some(Timestamps { value, .. }) = &mut segment.options.timestamps {
            *value = value.wrapping_add(self.clock);
        }
        segment
    }

    /// An online server's segment, as an answer to such ones.
    pub(crate) fn of_online<'a>(self, segment: &Segment<'a>) -> Segment<'a> {
        let mut segment = *segment;
        segment.ack += self.sequence;
        if let Some(Timestamps { echo, .. }) = &mut segment.options.timestamps {
            *echo = echo.wrapping_add(self.clock);
        }
        segment
    }
}

#[cfg(test)]
mod tests {
    use tcpcopy_wire::{Options, SeqNum};

    use super::*;

    fn segment() -> Segment<'static> {
        let timestamps = Some(Timestamps { value: 1_000, echo: 7 });
        Segment {
            seq: SeqNum(u32::MAX),
            ack: SeqNum(5),
            options: Options { timestamps, ..Options::default() },
            ..Segment::default()
        }
    }

    #[test]
    fn the_first_lap_is_as_recorded() {
        assert_eq!(Lap::default().of_user(&segment()), segment());
        assert_eq!(Lap::default().of_online(&segment()), segment());
    }

    #[test]
    fn every_lap_is_ahead_of_the_one_before_in_sequence_and_time() {
        let mut lap = Lap::default();
        let mut before = segment();
        for number in 1..200 {
            lap = lap.next(Duration::from_millis(number * 500));
            let now = lap.of_user(&segment());
            assert!(now.seq > before.seq);
            let stamp = |segment: &Segment<'_>| segment.options.timestamps.unwrap().value;
            assert!(stamp(&now).wrapping_sub(stamp(&before)) > 500);
            assert_eq!(now.ack, segment().ack);
            before = now;
        }
    }

    #[test]
    fn online_servers_acknowledge_what_users_say_in_the_same_lap() {
        let lap = Lap::default().next(Duration::from_secs(3));
        let (said, heard) = (lap.of_user(&segment()), lap.of_online(&segment()));
        assert_eq!(heard.ack.distance(said.seq), SeqNum(5).distance(SeqNum(u32::MAX)));
        assert_eq!(heard.seq, segment().seq);
        let (said, heard) = (said.options.timestamps.unwrap(), heard.options.timestamps.unwrap());
        assert_eq!(heard.echo.wrapping_sub(7), said.value.wrapping_sub(1_000));
    }
}
