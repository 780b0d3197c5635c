//! The admin thread as a whole: what is asked at the socket, and who answers it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;

use mio::{Events, Poll};
use tcpcopy_host::HostOptions;

use super::*;
use crate::clock::Clock;
use crate::modules::InPlace;

struct Running {
    admin: Admin,
    poll: Poll,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

fn running() -> Running {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("1.sock");
    let poll = Poll::new().unwrap();
    let mappings = vec!["80".to_owned(), "10.0.0.1:81".to_owned()];
    let shelf = Shelf::new(HostOptions::default(), mappings, Arc::new(InPlace::new(2)));
    let admin = Admin::start(&AdminPlace::Path(path.clone()), shelf, poll.registry(), Token(7)).unwrap();
    Running { admin, poll, path, _directory: directory }
}

impl Running {
    /// Asks on another thread while this one is the loop, which answers its questions by `answer`.
    fn ask(&mut self, question: Ask, answer: impl Fn(Question) -> Answer) -> Answer {
        let path = self.path.clone();
        let asking = thread::spawn(move || ask(&path, question).unwrap());
        let mut events = Events::with_capacity(4);
        while !asking.is_finished() {
            self.poll.poll(&mut events, Some(Duration::from_millis(5))).unwrap();
            while let Some(errand) = self.admin.next_errand() {
                errand.run(&answer);
            }
        }
        asking.join().unwrap().answer
    }

    fn ask_alone(&mut self, question: Ask) -> Answer {
        self.ask(question, |_| panic!("the loop was asked"))
    }

    /// What comes back for bytes that are no question of ours.
    fn say(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(&self.path).unwrap();
        // It may hang up before all is said.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut reply = String::new();
        let _ = stream.read_to_string(&mut reply);
        reply
    }
}

#[test]
fn what_only_the_loop_knows_it_is_asked_between_packets() {
    let mut running = running();
    let answer = running.ask(Ask::Sessions { limit: 5 }, |question| {
        assert!(matches!(question, Question::Sessions(5)));
        Answer::Sessions(SessionsAnswer { live: 9, sessions: Vec::new() })
    });
    assert_eq!(answer, Answer::Sessions(SessionsAnswer { live: 9, sessions: Vec::new() }));
}

#[test]
fn a_module_that_cannot_be_loaded_does_not_reach_the_loop() {
    let mut running = running();
    let mut swap = |mapping: &str| {
        let file = PathBuf::from("/nowhere/libm.so");
        running.ask_alone(Ask::Swap { mapping: mapping.to_owned(), file, configuration: None, migrate: true })
    };
    let Answer::Error(sentence) = swap("80") else { panic!("loaded") };
    assert!(sentence.starts_with("module /nowhere/libm.so: there is no such file"), "{sentence}");
    assert_eq!(swap("82"), Answer::Error("there is no mapping 82; -x has 80, 10.0.0.1:81".to_owned()));
    assert_eq!(running.ask_alone(Ask::Reload), Answer::Reload(ReloadAnswer::default()));
}

#[test]
fn the_level_of_the_log_can_be_changed() {
    let mut running = running();
    let log = |level: &str| Ask::Log { level: level.to_owned() };
    assert_eq!(running.ask_alone(log("debug")), Answer::Log("debug".to_owned()));
    assert_eq!(log::max_level(), log::LevelFilter::Debug);
    let error = "the log level cannot be \"loud\": it takes error, warn, info, debug or trace";
    assert_eq!(running.ask_alone(log("loud")), Answer::Error(error.to_owned()));
}

#[test]
fn nonsense_is_answered_with_a_sentence_or_not_at_all() {
    let mut running = running();
    assert!(running.say(b"status\n").contains("this is no request that tcpcopy understands"));
    assert!(running.say(br#"{"version":9,"command":"status"}"#).contains("was asked in version 9"));
    assert!(running.say(&[b' '; 1 << 20]).contains("a request has at most 64 KiB"));
    assert!(running.say(&[0xff, 0xfe, b'\n']).contains("this is no request that tcpcopy understands"));
    assert_eq!(running.say(b""), "");
    // And still at work.
    assert_eq!(running.ask_alone(Ask::Reload), Answer::Reload(ReloadAnswer::default()));
}

#[test]
fn the_socket_goes_with_the_loop_and_nobody_is_left_waiting() {
    let running = running();
    let Running { admin, path, .. } = running;
    let asking = {
        let path = path.clone();
        thread::spawn(move || ask(&path, Ask::Status))
    };
    let errand = loop {
        match admin.next_errand() {
            Some(errand) => break errand,
            None => thread::yield_now(),
        }
    };
    drop((errand, admin));
    let reply = asking.join().unwrap().unwrap();
    assert_eq!(reply.answer, Answer::Error("tcpcopy is stopping".to_owned()));
    assert!(!path.exists());
    let error = ask(&path, Ask::Status).unwrap_err().to_string();
    assert!(error.ends_with(": there is no such socket"), "{error}");
}

#[test]
fn a_file_whose_reading_would_not_end_is_no_module() {
    let mut running = running();
    let file = PathBuf::from("/dev/zero");
    let swap = Ask::Swap { mapping: "80".to_owned(), file, configuration: None, migrate: false };
    let sentence = "module /dev/zero: it cannot be read: it is no regular file";
    assert_eq!(running.ask_alone(swap), Answer::Error(sentence.to_owned()));
}

#[test]
fn the_end_does_not_wait_for_everyone_who_says_nothing() {
    let running = running();
    let _silent: Vec<_> = (0..20).map(|_| UnixStream::connect(&running.path).unwrap()).collect();
    let clock = Clock::new();
    let begun = clock.now();
    assert!(running.admin.close());
    let took = clock.now().since(begun);
    assert!(took < Duration::from_secs(10), "{took:?}");
}
