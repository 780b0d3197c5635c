//! The engine as its users see it: captured segments and responses in, packets out, in virtual time.

mod accounting;
mod beginnings;
mod capture;
mod closing;
mod conversing;
mod copies;
mod datagrams;
mod documentation;
mod early_answers;
mod generations;
mod handshake;
mod limits;
mod lossy;
mod pacing;
mod properties;
mod reconnect;
mod recorded;
mod recovery;
mod refusals;
mod resets;
mod retransmission;
mod sampling;
mod script;
mod sources;
mod turns;
mod windows;
