//! The watch: a thread that looks which calls are running. Nothing else sees one that does not return, and nothing but the
//! end of the process ends it.
//!
//! It also sees slow calls where there are so many that timing each would cost more than looking.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::libc;

use crate::tally::nanos;
use crate::{About, CallTimes};

/// How often it looks where calls are many: often enough to see slow ones.
const OFTEN: Duration = Duration::from_millis(5);
/// How often it looks where they are few, and each is timed; and how often it finds out which it is.
const SELDOM: Duration = Duration::from_millis(100);
/// From so many calls a second on, two hundred looks cost less than timing each call: 33 ns a call, 5 to 17 µs a look.
const MANY: u64 = 50_000;
/// More does not pass between two looks, as far as a call is concerned: the process was stopped, perhaps by a debugger.
const LONGEST_STEP: Duration = Duration::from_secs(1);
/// A call that runs for so long is told of.
const STUCK: Duration = Duration::from_secs(1);
/// A load takes seconds at worst; one that takes so long is told of.
const STUCK_LOADING: Duration = Duration::from_secs(10);
/// What a call that does not return means.
const UNTIL: &str = "nothing is replayed until it does";

/// The thread, and what it looks at. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    rounds: Mutex<Rounds>,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct Rounds {
    /// Nothing that was loaded goes away.
    watched: Vec<Watched>,
    loading: Option<Loading>,
    is_over: bool,
}

/// A library that is being loaded.
#[derive(Debug)]
struct Loading {
    file: PathBuf,
    takes: Duration,
}

/// As long as this lives, a library is being loaded.
#[derive(Debug)]
pub(crate) struct WatchedLoad(Arc<Shared>);

impl Drop for WatchedLoad {
    fn drop(&mut self) {
        self.0.lock().loading = None;
    }
}

#[derive(Debug)]
struct Watched {
    /// As people know it.
    name: String,
    times: Arc<CallTimes>,
    /// The call that runs was told of.
    is_told: bool,
}

/// How long a call may run before it ends the process, with status 1 and a sentence in the log.
///
/// Time in which the process was stopped, perhaps by a debugger, does not count.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    /// So long, at least a second; `None`: for ever.
    pub longest: Option<Duration>,
    /// Set when the process is to end: then a second.
    pub is_asked_to_end: Arc<AtomicBool>,
}

/// How often to look.
#[derive(Debug, Default)]
struct Pace {
    is_often: bool,
    /// When that was judged, and how many calls there had been by then.
    judged: (u64, u64),
}

impl Watch {
    /// Starts the thread.
    ///
    /// # Errors
    /// There can be no further thread.
    pub(crate) fn start(patience: Patience) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let watched = Arc::clone(&shared);
        let thread =
            thread::Builder::new().name("watch".to_owned()).spawn(move || watched.work(&patience))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// From now on it looks at the calls of this module as well.
    pub(crate) fn add(&self, about: &About, times: &Arc<CallTimes>) {
        let name = format!("{} {} ({})", about.name, about.version, about.file.display());
        self.shared.lock().watched.push(Watched { name, times: Arc::clone(times), is_told: false });
    }

    /// From now on, until the answer is dropped, this library is being loaded.
    pub(crate) fn loading(&self, file: &Path) -> WatchedLoad {
        self.shared.lock().loading = Some(Loading { file: file.to_owned(), takes: Duration::ZERO });
        WatchedLoad(Arc::clone(&self.shared))
    }

    /// What there is to say of a call that runs and does not return.
    pub(crate) fn stuck(&self) -> Option<String> {
        let rounds = self.shared.lock();
        let mut stuck = rounds.watched.iter().filter_map(|watched| Some((watched, watched.times.running()?)));
        stuck
            .find(|(_, ran)| *ran >= STUCK)
            .map(|(watched, ran)| format!("{}: {UNTIL}", watched.sentence(ran)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.stopped.notify_one();
        // It does not panic.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, patience: &Patience) {
        let longest_step = LONGEST_STEP.as_nanos() as u64;
        let (mut pace, mut looked_at) = (Pace::default(), nanos());
        let mut rounds = self.lock();
        while !rounds.is_over {
            let waited = self.stopped.wait_timeout(rounds, pace.nap());
            rounds = waited.unwrap_or_else(PoisonError::into_inner).0;
            let now = nanos();
            rounds.look(now.saturating_sub(looked_at).min(longest_step), patience);
            if pace.judge(now, || rounds.calls()) {
                rounds.time_few(pace.is_often);
            }
            looked_at = now;
        }
        rounds.time_few(false);
    }
}

impl Rounds {
    fn look(&mut self, passed: u64, patience: &Patience) {
        for watched in &mut self.watched {
            let ran = watched.times.look(passed).unwrap_or_default();
            watched.tell(ran, patience);
        }
        if let Some(loading) = &mut self.loading {
            loading.go_on(Duration::from_nanos(passed));
        }
    }

    fn time_few(&self, few: bool) {
        self.watched.iter().for_each(|watched| watched.times.time_few(few));
    }

    fn calls(&self) -> u64 {
        self.watched.iter().map(|watched| watched.times.summary().calls).sum()
    }
}

impl Loading {
    /// Nothing ends such a load, but what is replayed goes on.
    fn go_on(&mut self, passed: Duration) {
        let was_stuck = self.takes >= STUCK_LOADING;
        self.takes += passed;
        if self.takes >= STUCK_LOADING && !was_stuck {
            log::error!(
                "loading the module {} has taken {} s and does not end; while it does not, no other module can be loaded \
                 and tcpcopy ctl gets no answer: restart tcpcopy without it",
                self.file.display(),
                self.takes.as_secs()
            );
        }
    }
}

/// Ends the process with this status, whatever modules are in the middle of; [`exit`](std::process::exit) would run
/// their code and wait for the dynamic linker.
pub fn exit_at_once(status: u8) -> ! {
    log::logger().flush();
    // SAFETY: it takes no lock and runs no code of a module.
    unsafe { libc::_exit(status.into()) }
}

impl Watched {
    fn tell(&mut self, ran: Duration, patience: &Patience) {
        let was_told = std::mem::replace(&mut self.is_told, ran >= STUCK);
        if self.is_told && !was_told {
            let end = patience.longest.map_or_else(String::new, |longest| {
                format!("; after {} s this process ends", longest.as_secs())
            });
            log::error!("{}: {UNTIL}{end}", self.sentence(ran));
        }
        if self.is_told && patience.is_over(ran) {
            log::error!(
                "{}: this process ends, since nothing else ends such a call; replay with another module",
                self.sentence(ran)
            );
            exit_at_once(1)
        }
    }

    fn sentence(&self, ran: Duration) -> String {
        format!("module {} has not returned from a call for {} s", self.name, ran.as_secs())
    }
}

impl Patience {
    fn is_over(&self, ran: Duration) -> bool {
        self.is_asked_to_end.load(Relaxed) || self.longest.is_some_and(|longest| ran >= longest)
    }
}

impl Pace {
    fn nap(&self) -> Duration {
        if self.is_often { OFTEN } else { SELDOM }
    }

    /// Finds out, every now and then, how often to look; returns whether it did.
    fn judge(&mut self, now: u64, calls: impl FnOnce() -> u64) -> bool {
        let (judged_at, before) = self.judged;
        let passed = Duration::from_nanos(now.saturating_sub(judged_at));
        let is_due = passed >= SELDOM;
        if is_due {
            let calls = calls();
            let rate = calls.saturating_sub(before) as f64 / passed.as_secs_f64();
            *self = Self { is_often: rate >= MANY as f64, judged: (now, calls) };
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_often_where_calls_are_many() {
        let mut pace = Pace::default();
        let mut judged = |ms: u64, calls: u64| pace.judge(ms * 1_000_000, || calls).then_some(pace.is_often);
        assert_eq!(judged(99, 1_000_000), None);
        assert_eq!(judged(100, 1_000), Some(false));
        assert_eq!(judged(200, 5_999), Some(false));
        assert_eq!(judged(300, 10_999), Some(true));
        assert_eq!(judged(399, 10_999), None);
        assert_eq!(judged(400, 11_000), Some(false));
    }

    #[test]
    fn a_call_that_does_not_return_is_told_of_until_it_does() {
        let watch = Watch::start(Patience::default()).unwrap();
        let times = Arc::new(CallTimes::new(Duration::MAX));
        let tally = times.tally();
        let name = "stuck 1.0.0 (/stuck.so)".to_owned();
        watch.shared.lock().watched.push(Watched { name, times: Arc::clone(&times), is_told: false });
        assert_eq!(watch.stuck(), None);
        let begun = tally.begin();
        let sentence = loop {
            match watch.stuck() {
                Some(sentence) => break sentence,
                None => thread::yield_now(),
            }
        };
        let begins = "module stuck 1.0.0 (/stuck.so) has not returned from a call for ";
        assert!(sentence.starts_with(begins), "{sentence}");
        assert!(sentence.ends_with(" s: nothing is replayed until it does"), "{sentence}");
        assert!(watch.shared.lock().watched[0].is_told);
        tally.end(begun);
        assert_eq!(watch.stuck(), None);
    }
}
