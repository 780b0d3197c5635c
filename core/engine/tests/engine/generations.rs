//! Modules replaced while sessions run: who serves whom, moves, and a generation that fails.

use tcpcopy_engine::{Event, GenerationState, GenerationStatistics, Verdict};

use crate::script::{Lines, Play, User};

fn states(play: &Play) -> Vec<(u32, GenerationState, u64)> {
    let state = |of: &GenerationStatistics| (of.number, of.state, of.sessions_live);
    play.engine.generations().iter().map(state).collect()
}

/// Another user connects and says `words`.
fn another_user(play: &mut Play, port: u16, words: &str) {
    play.user = User::at(&format!("10.1.0.7:{port}"));
    play.user_syn();
    play.user_acks(0);
    play.target_syn_ack();
    play.user_says(words, 0);
}

#[test]
fn running_sessions_end_on_their_generation_and_new_ones_begin_on_the_next() {
    let mut play = Play::served_by(Lines::judging());
    play.install(2, Lines::judging(), false);
    assert_eq!(states(&play), [(1, GenerationState::Draining, 1), (2, GenerationState::Current, 0)]);
    let first = play.user.clone();
    another_user(&mut play, 1, "one\n");
    assert_eq!(states(&play)[1], (2, GenerationState::Current, 1));
    play.user = first;
    play.user_rst();
    play.advance(100);
    assert_eq!(states(&play)[0], (1, GenerationState::Retired, 0));
}

#[test]
fn sessions_at_rest_move_at_once_and_others_when_they_are() {
    let mut play = Play::served_by(Lines { moves: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    play.install(2, Lines { moves: true, ..Lines::judging() }, true);
    assert_eq!(states(&play)[0].2, 1, "a turn is open");
    play.target_answers("answer\n");
    assert_eq!(states(&play), [(1, GenerationState::Retired, 0), (2, GenerationState::Current, 1)]);
    assert_eq!(play.engine.generations()[1].sessions_moved_in, 1);
    play.user_says("two\n", 7);
    play.target_answers("answer\n");
    play.expect_alive();
    play.install(3, Lines::judging(), true);
    assert_eq!(states(&play)[2].2, 1);
}

#[test]
fn a_conversation_without_a_snapshot_stays() {
    let mut play = Play::served_by(Lines::judging());
    play.install(2, Lines::judging(), true);
    assert_eq!(states(&play)[0], (1, GenerationState::Draining, 1));
}

#[test]
fn a_generation_that_keeps_failing_gives_way_to_the_one_before() {
    let mut play = Play::serving(Lines::default());
    play.install(2, Lines { is_broken: true, ..Lines::default() }, false);
    for port in 1..=3 {
        another_user(&mut play, port, "line\n");
    }
    assert_eq!(play.ended(Verdict::ModuleFault), 3);
    let rolled_back = Event::RolledBack { mapping: 0, from: 2, to: 1 };
    assert_eq!(play.events().last(), Some(&rolled_back));
    assert_eq!(states(&play), [(1, GenerationState::Current, 0), (2, GenerationState::RolledBack, 0)]);
    another_user(&mut play, 4, "line\n");
    assert_eq!(states(&play)[0].2, 1);
    assert_eq!(play.ended(Verdict::ModuleFault), 3);
}

#[test]
fn a_generation_that_failed_itself_is_not_gone_back_to() {
    let mut play = Play::serving(Lines::default());
    let broken = Lines { is_broken: true, ..Lines::default() };
    play.install(2, broken, false);
    another_user(&mut play, 1, "line\n");
    play.install(3, broken, false);
    for port in 2..=4 {
        another_user(&mut play, port, "line\n");
    }
    // One fault might be an accident; it is kept until it is as bad as the other.
    assert_eq!(states(&play)[1].1, GenerationState::Current);
    for port in 5..=6 {
        another_user(&mut play, port, "line\n");
    }
    assert_eq!(states(&play)[0].1, GenerationState::Current);
    another_user(&mut play, 7, "line\n");
    assert_eq!(play.ended(Verdict::ModuleFault), 6);
}

#[test]
fn a_generation_that_fails_while_it_drains_is_not_gone_back_to() {
    let mut play = Play::serving(Lines::default());
    play.install(2, Lines::default(), false);
    let users: Vec<User> = (1..=3)
        .map(|port| {
            another_user(&mut play, port, "line\n");
            play.user.clone()
        })
        .collect();
    play.install(3, Lines { is_broken: true, ..Lines::default() }, false);
    for user in users {
        play.user = user;
        play.user_says("break\n", 0);
    }
    for port in 4..=6 {
        another_user(&mut play, port, "line\n");
    }
    let states: Vec<_> = states(&play).iter().map(|(_, state, _)| *state).collect();
    assert_eq!(states, [GenerationState::Current, GenerationState::Retired, GenerationState::RolledBack]);
}

#[test]
fn the_good_generation_is_kept_however_many_fail_behind_it() {
    let mut play = Play::serving(Lines::default());
    let mut port = 0;
    for number in 2..=12 {
        play.install(number, Lines { is_broken: true, ..Lines::default() }, false);
        // So often that it fails, and is rolled back; or is replaced before it does.
        for _ in 0..if number % 3 == 0 { 3 } else { 2 } {
            port += 1;
            another_user(&mut play, port, "line\n");
        }
    }
    for _ in 0..40 {
        port += 1;
        another_user(&mut play, port, "line\n");
    }
    assert_eq!(states(&play)[0].1, GenerationState::Current);
}

#[test]
fn the_only_generation_stays_whatever_happens() {
    let mut play = Play::serving(Lines { is_broken: true, ..Lines::default() });
    for port in 1..=5 {
        another_user(&mut play, port, "line\n");
    }
    assert_eq!(play.ended(Verdict::ModuleFault), 5);
    assert_eq!(states(&play), [(1, GenerationState::Current, 0)]);
}

#[test]
fn turns_are_counted_for_the_generation_that_served_them() {
    let mut play = Play::served_by(Lines::judging());
    play.user_says("one\ntwo\n", 0);
    play.target_rst();
    play.engine.handle_shutdown(play.now);
    play.settle();
    let generation = &play.engine.generations()[0];
    assert_eq!((generation.sessions_opened, generation.turns_captured, generation.turns_lost), (1, 2, 2));
}
