//! The fault tree, observation by observation.

use std::net::SocketAddr;

use tcpcopy_feed::SurveyedDevice;
use tcpcopy_wire::Endpoint;

use super::*;

fn flow() -> Flow {
    let end = |text: &str| Endpoint::from(text.parse::<SocketAddr>().unwrap());
    Flow { client: end("10.30.0.1:50000"), server: end("10.10.3.2:8080") }
}

fn way() -> Way {
    Way { has_route: true, device: "eth0".to_owned(), next_hop: "10.10.3.2".to_owned(), ..Way::default() }
}

fn seen(is_response: bool, device: &str, ttl: u8, flags: Flags) -> Sighting {
    Sighting { flow: 0, is_response, device: device.to_owned(), ttl, flags, count: 1 }
}

fn left() -> Sighting {
    seen(false, "eth0", 64, Flags::SYN)
}

fn answer(device: &str, ttl: u8) -> Sighting {
    seen(true, device, ttl, Flags::SYN | Flags::ACK)
}

fn assistant() -> Place {
    Place::Assistant("10.10.3.3:36524".parse().unwrap())
}

fn witness(sightings: Option<Vec<Sighting>>) -> Witness {
    let devices = vec![SurveyedDevice { name: "eth1".to_owned(), is_up: true }];
    let survey = Survey { devices, lets_through: vec![true], ..Survey::default() };
    let survey = sightings.is_some().then_some(survey);
    Witness { place: assistant(), survey, sightings }
}

struct Case {
    sent: Option<Result<(), TransmitError>>,
    here: Vec<Sighting>,
    told: Option<(Flags, u128)>,
    way: Way,
    contact: Option<Contact>,
    witnesses: Vec<Witness>,
}

/// A probe that left, of which the assistant saw nothing, to a target that accepts connections.
fn case() -> Case {
    Case {
        sent: Some(Ok(())),
        here: vec![left()],
        told: None,
        way: way(),
        contact: Some(Contact::Accepted),
        witnesses: vec![witness(Some(Vec::new()))],
    }
}

impl Case {
    fn end(&self) -> End {
        let Self { sent, here, told, way, contact, witnesses } = self;
        let observed = Observed {
            index: 0,
            flow: flow(),
            sent: *sent,
            unsent: None,
            here: Some(here),
            told: *told,
            way,
            contact: *contact,
            witnesses,
        };
        let end = observed.end();
        let sentence = Sentence(&observed, &end).to_string();
        assert!(!sentence.contains("  ") && !sentence.ends_with('.'), "{sentence}");
        end
    }
}

const ACCEPTED: Option<(Flags, u128)> = Some((Flags(0x12), 400));

#[test]
fn what_comes_back_over_intercept_has_arrived() {
    let told = Case { told: ACCEPTED, contact: None, ..case() };
    assert_eq!(told.end(), End::Arrived(400));
    let with_sighting = Case { witnesses: vec![witness(Some(vec![answer("eth1", 64)]))], ..told };
    assert_eq!(with_sighting.end(), End::Arrived(400));
}

#[test]
fn a_reset_means_that_nobody_listens_whoever_gets_it() {
    assert_eq!(Case { told: Some((Flags::RST, 1)), contact: None, ..case() }.end(), End::NotListening);
    assert_eq!(Case { contact: Some(Contact::Refused), ..case() }.end(), End::NotListening);
}

#[test]
fn an_answer_with_a_lower_ttl_was_forwarded() {
    let sightings = vec![answer("eth1", 64), answer("eth2", 63)];
    let forwarded = Case { told: ACCEPTED, witnesses: vec![witness(Some(sightings))], ..case() };
    let expected = End::Forwarded { by: assistant(), device: "eth2".to_owned() };
    assert_eq!(forwarded.end(), expected);
}

#[test]
fn a_reset_that_is_not_ours_comes_from_a_host_with_that_address() {
    let theirs = seen(false, "eth1", 64, Flags::RST);
    let ours = seen(false, "eth1", 64, Flags::SYN | Flags::RST);
    let told = |sighting| Case { told: ACCEPTED, witnesses: vec![witness(Some(vec![sighting]))], ..case() };
    assert_eq!(told(theirs).end(), End::Reset);
    assert_eq!(told(ours).end(), End::Arrived(400));
    let here = vec![left(), seen(false, "eth0", 64, Flags::SYN | Flags::RST)];
    assert_eq!(Case { told: ACCEPTED, here, ..case() }.end(), End::Reset);
}

#[test]
fn what_never_leaves_is_told_by_who_stopped_it() {
    assert_eq!(Case { sent: None, ..case() }.end(), End::NoRight);
    assert_eq!(Case { sent: Some(Err(TransmitError::Unreachable)), ..case() }.end(), End::NoRoute);
    let refused = Case { sent: Some(Err(TransmitError::Refused)), ..case() };
    assert_eq!(refused.end(), End::NotSent(TransmitError::Refused));
    let dropped = Case { here: Vec::new(), ..case() };
    assert_eq!(dropped.end(), End::NeverLeft { device: "eth0".to_owned() });
    let silent = Case { way: Way { is_next_hop_silent: true, ..way() }, ..dropped };
    assert!(matches!(silent.end(), End::SegmentUnreachable { .. }));
}

#[test]
fn a_target_that_answers_nobody_is_silent_or_its_segment_unreachable() {
    assert_eq!(Case { contact: Some(Contact::Silent), ..case() }.end(), End::Silent);
    let way = Way { is_next_hop_silent: true, ..way() };
    let unreachable = Case { contact: Some(Contact::Silent), way, ..case() };
    assert!(matches!(unreachable.end(), End::SegmentUnreachable { .. }));
}

#[test]
fn an_answer_that_comes_here_took_the_wrong_way() {
    let here = vec![left(), answer("eth0", 64)];
    assert_eq!(Case { here, ..case() }.end(), End::CameHere { device: "eth0".to_owned() });
}

#[test]
fn what_the_assistant_saw_and_nobody_told_is_intercepts_fault() {
    let with = |sightings, survey: Survey| {
        Case { witnesses: vec![Witness { survey: Some(survey), ..witness(Some(sightings)) }], ..case() }.end()
    };
    let survey = witness(Some(Vec::new())).survey.unwrap();
    assert!(
        matches!(with(vec![answer("eth2", 64)], survey.clone()), End::WrongDevice { device, captured, .. }
        if device == "eth2" && captured == "eth1")
    );
    let blind = Survey { lets_through: vec![false], filter: "src port 1".to_owned(), ..survey.clone() };
    assert!(matches!(with(vec![answer("eth1", 64)], blind), End::WrongFilter { .. }));
    assert!(matches!(with(vec![answer("eth1", 64)], survey), End::NotTold { .. }));
}

#[test]
fn what_nobody_saw_is_told_by_who_could_have_seen_it() {
    assert_eq!(case().end(), End::NotArrived);
    assert_eq!(Case { witnesses: vec![witness(None)], ..case() }.end(), End::CannotSay);
    assert_eq!(Case { witnesses: Vec::new(), ..case() }.end(), End::NoIntercept);
}

#[test]
fn this_host_is_a_witness_where_it_captures_answers() {
    let here = |sightings: Vec<Sighting>| {
        let witness = Witness { place: Place::Here, ..witness(Some(sightings.clone())) };
        Case { here: sightings, witnesses: vec![witness], ..case() }
    };
    assert_eq!(Case { told: ACCEPTED, ..here(vec![left(), answer("eth1", 64)]) }.end(), End::Arrived(400));
    let elsewhere = here(vec![left(), answer("eth2", 64)]).end();
    assert!(matches!(elsewhere, End::WrongDevice { at: Place::Here, device, .. } if device == "eth2"));
    assert_eq!(here(vec![left()]).end(), End::NotArrived);
    let passed_on = here(vec![left(), answer("eth1", 64), answer("eth0", 63)]);
    let by_us = End::Forwarded { by: Place::Here, device: "eth0".to_owned() };
    assert_eq!(Case { told: ACCEPTED, ..passed_on }.end(), by_us);
}

#[test]
fn a_frame_leaves_unseen_and_has_a_next_hop_instead_of_a_route() {
    let frame = || Case { here: Vec::new(), way: Way { is_frame: true, ..way() }, ..case() };
    assert_eq!(Case { told: ACCEPTED, contact: None, ..frame() }.end(), End::Arrived(400));
    assert_eq!(frame().end(), End::NotArrived);
    let unreachable = Case { sent: Some(Err(TransmitError::Unreachable)), ..frame() };
    assert!(matches!(unreachable.end(), End::SegmentUnreachable { next_hop, .. } if next_hop == "10.10.3.2"));
}

#[test]
fn another_probes_packets_prove_nothing() {
    let other = Sighting { flow: 1, ..answer("eth0", 64) };
    let theirs = Sighting { flow: 1, ..answer("eth1", 64) };
    let case = Case { here: vec![left(), other], witnesses: vec![witness(Some(vec![theirs]))], ..case() };
    assert_eq!(case.end(), End::NotArrived);
}
