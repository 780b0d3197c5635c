//! What each actor does when it is its turn, and where what it sends goes.

use tcpcopy_feed::RelayEvent;
use tcpcopy_wire::{Instant, parse_ip};

use super::{Actor, Event, World};
use crate::Violation;
use crate::feed::End;
use crate::server::Server;

impl World {
    /// Lets an actor do what is due, carries away what it sends, and finds out when it wants to act next.
    pub(super) fn act(&mut self, actor: Actor) -> Result<(), Violation> {
        let now = self.now;
        let next = match actor {
            Actor::User(user) => self.act_user(user),
            Actor::Online => {
                let at = act_server(&mut self.online, now);
                self.send_from_online();
                self.online.take_heard();
                at
            }
            Actor::Target => {
                let at = act_server(&mut self.target, now);
                self.send_from_target();
                self.note_heard()?;
                at
            }
            Actor::Replayer => {
                if !self.is_stalled() {
                    self.replayer.handle_timeout(now)?;
                }
                self.send_from_replayer()?;
                let until = self.stalled_until().unwrap_or(now);
                self.replayer.wakes_at().map(|at| at.max(until))
            }
            Actor::Assistant => {
                if self.feed.intercept_runs(now) && self.relay.poll_timeout().is_some_and(|at| at <= now) {
                    self.relay.handle_timeout(now);
                }
                self.send_from_assistant()?;
                self.relay.poll_timeout().filter(|_| self.feed.intercept_runs(now))
            }
        };
        if let Some(at) = next
            && at < *self.wake_of(actor)
        {
            *self.wake_of(actor) = at;
            self.schedule.enter(at, Event::Wake(actor));
        }
        Ok(())
    }

    fn act_user(&mut self, number: usize) -> Option<Instant> {
        let now = self.now;
        let user = &mut self.users[number];
        user.host.poll(now);
        if let Some(begun) = user.act(now) {
            self.ledger.begin(number, begun);
        }
        user.host.poll(now);
        while let Some(packet) = user.host.take_sent() {
            for at in self.user_links[number][0].send(packet.len(), now) {
                self.schedule.enter(at, Event::AtOnline(packet.clone()));
            }
        }
        user.host.poll_at(now).into_iter().chain(user.acts_at()).min()
    }

    fn send_from_online(&mut self) {
        while let Some(packet) = self.online.take_sent() {
            let Ok(segment) = parse_ip(&packet, packet.len()) else { continue };
            let Some(user) = self.users.iter().position(|user| user.host.addr == segment.destination.addr)
            else {
                continue;
            };
            for at in self.user_links[user][1].send(packet.len(), self.now) {
                self.schedule.enter(at, Event::AtUser(user, packet.clone()));
            }
        }
    }

    fn send_from_target(&mut self) {
        while let Some(packet) = self.target.take_sent() {
            for at in self.response_link.send(packet.len(), self.now) {
                self.schedule.enter(at, Event::AtAssistant(packet.clone()));
            }
        }
    }

    fn send_from_replayer(&mut self) -> Result<(), Violation> {
        for packet in std::mem::take(&mut self.replayer.outgoing) {
            for at in self.transmit_link.send(packet.len(), self.now) {
                self.schedule.enter(at, Event::AtTarget(packet.clone()));
            }
        }
        if self.replayer.feed_failed {
            self.break_feed()?;
        }
        loop {
            let bytes = self.replayer.subscriber.poll_transmit();
            let len = self.rng.usize(..=bytes.len().min(3000)).max(1).min(bytes.len());
            let bytes = bytes[..len].to_vec();
            if bytes.is_empty() || !self.feed.is_open {
                return Ok(());
            }
            self.replayer.subscriber.consume(len);
            let at = self.feed.send(End::Intercept, self.now);
            self.schedule.enter(at, Event::Feed(End::Intercept, self.feed.connection, bytes));
        }
    }

    fn send_from_assistant(&mut self) -> Result<(), Violation> {
        while let Some(RelayEvent::Close { .. }) = self.relay.poll_event() {
            self.break_feed()?;
        }
        while let Some(peer) = self.relay.poll_writable() {
            loop {
                let bytes = self.relay.poll_transmit(peer);
                let len = self.rng.usize(..=bytes.len().min(3000)).max(1).min(bytes.len());
                let bytes = bytes[..len].to_vec();
                if bytes.is_empty() {
                    break;
                }
                self.relay.consume(peer, len);
                let at = self.feed.send(End::Tcpcopy, self.now);
                self.schedule.enter(at, Event::Feed(End::Tcpcopy, self.feed.connection, bytes));
            }
        }
        Ok(())
    }
}

fn act_server(server: &mut Server, now: Instant) -> Option<Instant> {
    server.host.poll(now);
    server.act(now);
    server.host.poll(now);
    server.host.poll_at(now).into_iter().chain(server.acts_at(now)).min()
}
