//! What tcpcopys ask intercept about its host, answered beside its loop: reading files and opening captures takes time.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use tcpcopy_feed::{Answer, PeerId, Question, Survey, SurveyedDevice};
use tcpcopy_net::{devices, forwarded, forwards, lets_through, reverse_path_dropped};
use tcpcopy_wire::{Flags, Flow, Instant, Segment};

use crate::doctor::packet_of;
use crate::watch::Watch;

/// Answers that are worked at at once.
const MOST_PENDING: usize = 8;
/// Peers whose flows are watched at once, each with a megabyte for every device.
const MOST_WATCHES: usize = 2;
/// How often captures, and answers, are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// A watch that nobody asks about ends after so many looks: half a minute.
const LOOKS: u32 = 6000;
/// What was captured when the report was asked for is handed out within that time.
const LAST_LOOK: Duration = Duration::from_millis(20);
const BUSY: &str = "intercept answers other tcpcopys at the moment; ask again";
const NOT_WATCHED: &str = "nothing is watched for this tcpcopy any more";

/// How answers are captured: part of what is asked.
#[derive(Clone, Debug)]
pub(crate) struct Capturing {
    pub(crate) devices: Vec<String>,
    pub(crate) filter: String,
}

/// The questions that are being answered.
pub(crate) struct Inquiries {
    capturing: Capturing,
    /// Whose flows are watched, and how to end that.
    watches: Vec<(PeerId, Sender<()>)>,
    pending: usize,
    sender: Sender<(PeerId, Answer)>,
    answers: Receiver<(PeerId, Answer)>,
}

impl Inquiries {
    pub(crate) fn new(capturing: Capturing) -> Self {
        let (sender, answers) = mpsc::channel();
        Self { capturing, watches: Vec::new(), pending: 0, sender, answers }
    }

    /// A peer asks. The answer comes out of [`Self::poll_answer`].
    pub(crate) fn ask(&mut self, peer: PeerId, question: Question) {
        self.pending += 1;
        if self.pending > MOST_PENDING {
            return self.refuse(peer, BUSY);
        }
        match question {
            Question::Survey(flows) => {
                let capturing = self.capturing.clone();
                self.work(peer, move |answer| answer(Answer::Survey(survey(&capturing, &flows))));
            }
            Question::Watch(flows) => {
                self.watches.retain(|(known, _)| *known != peer);
                if self.watches.len() >= MOST_WATCHES {
                    return self.refuse(peer, BUSY);
                }
                let (end, ended) = mpsc::channel();
                self.watches.push((peer, end));
                self.work(peer, move |answer| watch(flows, &ended, answer));
            }
            Question::Report => {
                let at = self.watches.iter().position(|(known, _)| *known == peer);
                let told = at.map(|at| self.watches.swap_remove(at).1.send(()));
                if !matches!(told, Some(Ok(()))) {
                    self.refuse(peer, NOT_WATCHED);
                }
            }
        }
    }

    /// A peer is gone.
    pub(crate) fn forget(&mut self, peer: PeerId) {
        self.watches.retain(|(known, _)| *known != peer);
    }

    /// The next answer that is ready.
    pub(crate) fn poll_answer(&mut self) -> Option<(PeerId, Answer)> {
        let answered = self.answers.try_recv().ok()?;
        self.pending = self.pending.saturating_sub(1);
        Some(answered)
    }

    /// When to look for answers.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        (self.pending > 0).then(|| now + LOOK)
    }

    fn refuse(&self, peer: PeerId, why: &str) {
        // We hold the other end.
        let _ = self.sender.send((peer, Answer::CannotSay(why.to_owned())));
    }

    /// Does `work` on a thread of its own, which may answer.
    fn work(&self, peer: PeerId, work: impl FnOnce(&dyn Fn(Answer)) + Send + 'static) {
        let sender = self.sender.clone();
        let begun = thread::Builder::new().name("inquiry".to_owned()).spawn(move || {
            // Nobody waits for it any more when the program ends.
            work(&|answer| drop(sender.send((peer, answer))));
        });
        if let Err(error) = begun {
            self.refuse(peer, &error.to_string());
        }
    }
}

/// What is to be known of this host where answers to `flows` are captured.
pub(crate) fn survey(capturing: &Capturing, flows: &[Flow]) -> Survey {
    let known = devices().unwrap_or_default();
    let is_up = |name: &str| name == "any" || known.iter().any(|device| device.name == name && device.is_up);
    let own = |flow: &Flow| known.iter().any(|device| device.addresses.contains(&flow.client.addr));
    let lets_through =
        |flow: &Flow| lets_through(&capturing.filter, &packet_of(&answer_of(flow))).unwrap_or(false);
    Survey {
        forwards: [forwards(true), forwards(false)],
        forwarded: forwarded(),
        reverse_path_dropped: reverse_path_dropped(),
        devices: capturing
            .devices
            .iter()
            .map(|name| SurveyedDevice { name: name.clone(), is_up: is_up(name) })
            .collect(),
        filter: capturing.filter.clone(),
        lets_through: flows.iter().map(lets_through).collect(),
        is_own: flows.iter().map(own).collect(),
    }
}

/// The segment with which a target accepts the connection of a flow.
fn answer_of(flow: &Flow) -> Segment<'static> {
    let flags = Flags::SYN | Flags::ACK;
    Segment { source: flow.server, destination: flow.client, flags, ttl: 64, ..Segment::default() }
}

/// Watches until the report is asked for, the peer is gone, or half a minute has passed.
fn watch(flows: Vec<Flow>, ended: &Receiver<()>, answer: &dyn Fn(Answer)) {
    let mut watch = match Watch::begin(flows) {
        Ok(watch) => watch,
        Err(error) => return answer(Answer::CannotSay(error.to_string())),
    };
    answer(Answer::Watching);
    for _ in 0..LOOKS {
        match ended.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) => watch.look(),
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(()) => {
                thread::sleep(LAST_LOOK);
                watch.look();
                return answer(Answer::Sightings(watch.sightings().to_vec()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tcpcopy_wire::Endpoint;

    use super::*;

    fn capturing() -> Capturing {
        Capturing { devices: vec!["lo".to_owned(), "nowhere".to_owned()], filter: "src port 8080".to_owned() }
    }

    fn flow(port: u16) -> Flow {
        Flow {
            client: Endpoint::new([127, 0, 0, 1].into(), 50_000),
            server: Endpoint::new([10, 10, 3, 2].into(), port),
        }
    }

    #[test]
    fn a_survey_tells_of_devices_filter_and_own_addresses() {
        let survey = survey(&capturing(), &[flow(8080), flow(8081)]);
        assert_eq!(survey.lets_through, [true, false]);
        assert!(survey.is_own[0] && !survey.devices[1].is_up);
    }

    #[test]
    fn every_question_is_answered_once() {
        let mut inquiries = Inquiries::new(capturing());
        inquiries.ask(PeerId(1), Question::Survey(vec![flow(8080)]));
        inquiries.ask(PeerId(1), Question::Report);
        let mut answers = Vec::new();
        while inquiries.poll_timeout(Instant::ZERO).is_some() {
            answers.extend(inquiries.poll_answer());
        }
        assert!(answers.contains(&(PeerId(1), Answer::CannotSay(NOT_WATCHED.to_owned()))));
        assert_eq!((answers.len(), inquiries.poll_answer()), (2, None));
    }

    #[test]
    fn too_many_questions_are_refused() {
        let mut inquiries = Inquiries::new(capturing());
        for _ in 0..=MOST_PENDING {
            inquiries.ask(PeerId(1), Question::Survey(Vec::new()));
        }
        let mut refused = 0;
        for _ in 0..=MOST_PENDING {
            let (_, answer) = inquiries.answers.recv().unwrap();
            refused += usize::from(answer == Answer::CannotSay(BUSY.to_owned()));
        }
        assert_eq!(refused, 1);
    }
}
