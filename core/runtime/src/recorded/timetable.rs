//! When each frame of a recording is due: the arithmetic, without a clock.

use std::time::Duration;

use tcpcopy_wire::Instant;

/// How fast a recording is replayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tempo {
    /// So many times as fast as it was recorded; more than zero.
    Times(f64),
    /// So many turns a second, whenever they were said; more than zero.
    Turns(f64),
    /// So many bits a second of what users sent, headers included; more than zero.
    Bits(f64),
    /// As fast as sessions allow.
    Unpaced,
}

impl Tempo {
    /// How many times as fast as its users an engine lives with this tempo.
    #[must_use]
    pub fn acceleration(self) -> f64 {
        match self {
            Self::Times(times) => times,
            Self::Turns(_) | Self::Bits(_) | Self::Unpaced => f64::INFINITY,
        }
    }
}

/// What a loop that was late may catch up with at a given rate: more would be a burst.
const MOST_LATE: Duration = Duration::from_millis(100);

/// The plan for one recording, lap after lap.
#[derive(Debug)]
pub(crate) struct Timetable {
    tempo: Tempo,
    longest_idle: Duration,
    /// When the replay would have had to begin for what follows to be due as planned; `None` before the first frame.
    began_at: Option<Instant>,
    /// Time of the recording between its first frame and the latest, in all laps together, without what is cut of idle
    /// times.
    elapsed: Duration,
    /// When the latest frame of this lap was recorded.
    latest: Option<Instant>,
    /// When the first frame of this lap was recorded.
    first: Option<Instant>,
    /// Turns or bits handed over since `began_at`.
    handed: f64,
    /// How long the lap before was.
    lap_len: Duration,
}

impl Timetable {
    /// Idle times of the recording shrink to `longest_idle`, before its tempo makes them shorter or longer.
    pub(crate) fn new(tempo: Tempo, longest_idle: Option<Duration>) -> Self {
        Self {
            tempo,
            longest_idle: longest_idle.unwrap_or(Duration::MAX),
            began_at: None,
            elapsed: Duration::ZERO,
            latest: None,
            first: None,
            handed: 0.0,
            lap_len: Duration::ZERO,
        }
    }

    /// The next frame was recorded at `recorded_at`: when it is due. Frames whose time runs backwards are due with the one
    /// before.
    pub(crate) fn place(&mut self, now: Instant, recorded_at: Instant) -> Instant {
        let latest = *self.latest.get_or_insert(recorded_at);
        self.first.get_or_insert(recorded_at);
        self.elapsed = self.elapsed.saturating_add(recorded_at.since(latest).min(self.longest_idle));
        self.latest = Some(latest.max(recorded_at));
        let began_at = *self.began_at.get_or_insert(now);
        let after = match self.tempo {
            Tempo::Times(times) => self.elapsed.as_secs_f64() / times,
            Tempo::Turns(rate) | Tempo::Bits(rate) => self.handed / rate,
            Tempo::Unpaced => return now,
        };
        began_at + Duration::try_from_secs_f64(after).unwrap_or(Duration::MAX)
    }

    /// A frame with `turns` new turns and `bits` of users was handed over.
    pub(crate) fn handed(&mut self, turns: u64, bits: u64) {
        match self.tempo {
            Tempo::Turns(_) => self.handed += turns as f64,
            Tempo::Bits(_) => self.handed += bits as f64,
            Tempo::Times(_) | Tempo::Unpaced => {}
        }
    }

    /// A frame that was due at `due` is handed over now. What was late because reading `was_held` is not caught up with,
    /// and at a given rate no more than [`MOST_LATE`] is.
    pub(crate) fn set_off(&mut self, now: Instant, due: Instant, was_held: bool) {
        let lateness = now.since(due);
        let forgiven = match self.tempo {
            _ if was_held => lateness,
            Tempo::Turns(_) | Tempo::Bits(_) => lateness.saturating_sub(MOST_LATE),
            Tempo::Times(_) | Tempo::Unpaced => Duration::ZERO,
        };
        if let Some(began_at) = &mut self.began_at {
            *began_at += forgiven;
        }
    }

    /// The recording begins again, with no pause.
    pub(crate) fn next_lap(&mut self) {
        self.lap_len = self.position();
        (self.first, self.latest) = (None, None);
    }

    /// How far into the recording the present lap is; how far the last one was, before another has begun.
    pub(crate) fn position(&self) -> Duration {
        self.latest.zip(self.first).map_or(self.lap_len, |(latest, first)| latest.since(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_micros(5_000_000_000);

    fn recorded(millis: u64) -> Instant {
        Instant::from_micros(1_000_000_000 + millis * 1000)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn due(timetable: &mut Timetable, millis: u64) -> Duration {
        timetable.place(NOW, recorded(millis)).since(NOW)
    }

    #[test]
    fn frames_are_due_at_the_distances_of_the_recording_divided_by_the_tempo() {
        for (times, expected) in [(1.0, 300), (0.5, 600), (2.5, 120), (1000.0, 0)] {
            let mut timetable = Timetable::new(Tempo::Times(times), None);
            assert_eq!(due(&mut timetable, 50), Duration::ZERO);
            assert_eq!(due(&mut timetable, 350).as_millis(), expected, "{times}");
        }
    }

    #[test]
    fn small_distances_do_not_add_up_to_a_drift() {
        let mut timetable = Timetable::new(Tempo::Times(7.0), None);
        let last = (0..=70_000).map(|milli| due(&mut timetable, milli)).last();
        assert_eq!(last, Some(ms(10_000)));
    }

    #[test]
    fn a_time_that_runs_backwards_is_the_time_before() {
        let mut timetable = Timetable::new(Tempo::Times(1.0), None);
        let dues = [0, 100, 40, 120].map(|milli| due(&mut timetable, milli));
        assert_eq!(dues, [0, 100, 100, 120].map(ms));
        assert_eq!(timetable.position(), ms(120));
    }

    #[test]
    fn idle_times_shrink_before_the_tempo_acts_on_them() {
        let mut timetable = Timetable::new(Tempo::Times(2.0), Some(ms(100)));
        let dues = [0, 80, 10_000, 10_100].map(|milli| due(&mut timetable, milli));
        assert_eq!(dues, [0, 40, 90, 140].map(ms));
        assert_eq!(timetable.position(), ms(10_100));
    }

    #[test]
    fn laps_follow_each_other_without_a_pause() {
        let mut timetable = Timetable::new(Tempo::Times(1.0), None);
        due(&mut timetable, 0);
        assert_eq!(due(&mut timetable, 500), ms(500));
        timetable.next_lap();
        assert_eq!(timetable.position(), ms(500));
        assert_eq!(due(&mut timetable, 0), ms(500));
        assert_eq!(due(&mut timetable, 200), ms(700));
        assert_eq!(timetable.position(), ms(200));
    }

    #[test]
    fn turns_and_bits_come_at_their_rate_whenever_they_were_recorded() {
        let mut timetable = Timetable::new(Tempo::Turns(500.0), None);
        for turn in 0..1000 {
            assert_eq!(due(&mut timetable, turn * 10_000), ms(turn * 2));
            timetable.handed(1, 8_000);
        }
        let mut timetable = Timetable::new(Tempo::Bits(1_000_000.0), None);
        timetable.place(NOW, recorded(0));
        timetable.handed(0, 250_000);
        assert_eq!(due(&mut timetable, 1), ms(250));
    }

    #[test]
    fn a_late_loop_catches_up_with_a_recording_but_makes_no_burst_of_a_rate() {
        let late = NOW + ms(1_000);
        let mut timetable = Timetable::new(Tempo::Times(1.0), None);
        let first = timetable.place(NOW, recorded(0));
        timetable.set_off(late, first, false);
        assert_eq!(due(&mut timetable, 10), ms(10));
        let mut timetable = Timetable::new(Tempo::Turns(100.0), None);
        let first = timetable.place(NOW, recorded(0));
        timetable.set_off(late, first, false);
        timetable.handed(1, 0);
        assert_eq!(due(&mut timetable, 10), ms(910));
    }

    #[test]
    fn what_was_held_back_is_not_caught_up_with() {
        let mut timetable = Timetable::new(Tempo::Times(1.0), None);
        let first = timetable.place(NOW, recorded(0));
        timetable.set_off(NOW + ms(1_000), first, true);
        assert_eq!(due(&mut timetable, 10), ms(1_010));
    }

    #[test]
    fn without_a_pace_everything_is_due_now() {
        let mut timetable = Timetable::new(Tempo::Unpaced, None);
        assert_eq!([0, 1_000_000].map(|milli| due(&mut timetable, milli)), [Duration::ZERO; 2]);
    }
}
