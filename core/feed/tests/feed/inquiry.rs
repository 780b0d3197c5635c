//! What the doctor of tcpcopy asks, and intercept answers.

use tcpcopy_feed::{
    Answer, Features, Malformed, PeerError, PeerId, Question, RelayEvent, RelayOptions, Subscriber,
    SubscriberOptions, Survey,
};

use crate::pair::{Seen, Tcpcopy, World, flow};

/// A tcpcopy that offers these features.
fn connected(world: &mut World, features: Features) -> Tcpcopy {
    let mut tcpcopy = Tcpcopy::new(1, world.now);
    let options = SubscriberOptions { features, ..SubscriberOptions::default() };
    tcpcopy.subscriber = Subscriber::with_options(1001, options, world.now);
    world.connect(&mut tcpcopy);
    while world.relay.poll_event().is_some() {}
    tcpcopy
}

#[test]
fn a_question_reaches_the_program_and_its_answer_the_asker() {
    let mut world = World::new(RelayOptions::default());
    let mut doctor = connected(&mut world, Features::INQUIRY);
    assert!(matches!(doctor.seen.as_slice(), [Seen::Connected { features: Features::INQUIRY, .. }]));
    doctor.seen.clear();
    let question = Question::Survey(vec![flow(4001)]);
    doctor.subscriber.ask(&question);
    world.exchange(&mut doctor).unwrap();
    assert_eq!(world.relay.poll_event(), Some(RelayEvent::Asked { peer: PeerId(1), question }));
    let answer = Answer::Survey(Survey { filter: "tcp".to_owned(), ..Survey::default() });
    world.relay.answer(PeerId(1), &answer);
    world.exchange(&mut doctor).unwrap();
    assert_eq!(doctor.seen, [Seen::Answer(answer)]);
}

#[test]
fn who_has_not_offered_to_ask_may_not() {
    let mut world = World::new(RelayOptions::default());
    let mut tcpcopy = connected(&mut world, Features::PAYLOAD);
    tcpcopy.subscriber.ask(&Question::Report);
    let bytes = tcpcopy.subscriber.poll_transmit().to_vec();
    let refused = world.relay.handle_bytes(PeerId(1), world.now, &bytes);
    assert_eq!(refused, Err(PeerError::Malformed(Malformed::UnexpectedFrame(9))));
}

#[test]
fn nobody_is_answered_who_is_gone_and_nothing_is_asked_without_a_connection() {
    let mut world = World::new(RelayOptions::default());
    let mut doctor = connected(&mut world, Features::INQUIRY);
    world.disconnect(&mut doctor);
    world.relay.answer(PeerId(1), &Answer::Watching);
    assert!(world.relay.poll_transmit(PeerId(1)).is_empty());
    doctor.subscriber.ask(&Question::Report);
    assert!(doctor.subscriber.poll_transmit().is_empty());
}

#[test]
fn the_distance_of_the_clocks_is_known_from_the_hello_on() {
    let mut world = World::new(RelayOptions::default());
    assert_eq!(Tcpcopy::new(1, world.now).subscriber.clock_distance(), None);
    let doctor = connected(&mut world, Features::INQUIRY);
    assert_eq!(doctor.subscriber.clock_distance(), Some(0));
}
