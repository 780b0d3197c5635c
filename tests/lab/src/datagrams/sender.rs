//! Sends datagrams, in order and at a steady pace.

use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::SendersPlan;
use crate::traffic::store;

const KIND: &str = "senders";

/// What senders did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SenderRecord {
    /// What they had been asked for; all of it was sent.
    pub plan: SendersPlan,
    /// How long it took.
    pub took: Duration,
}

impl SenderRecord {
    /// Writes the record to a file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn write_to(&self, path: &Path) -> io::Result<()> {
        store::write(path, KIND, self)
    }

    /// Reads a record from a file.
    ///
    /// # Errors
    /// Those of the file; `InvalidData` when it holds something else.
    pub fn read_from(path: &Path) -> io::Result<Self> {
        store::read(path, KIND)
    }
}

/// Sends everything that is planned.
///
/// # Errors
/// When a datagram cannot be sent.
pub fn run_senders(plan: SendersPlan) -> io::Result<SenderRecord> {
    let began = Instant::now();
    let sockets = (0..plan.senders).map(|sender| socket(&plan, sender)).collect::<io::Result<Vec<_>>>()?;
    let mut sent = 0;
    for number in 0..plan.each {
        for (sender, socket) in (0..).zip(&sockets) {
            thread::sleep((plan.gap * sent).saturating_sub(began.elapsed()));
            let payload = plan.payload(sender, number);
            let len = socket.send(&payload)?;
            if len != payload.len() {
                return Err(io::Error::other(format!("{len} of {} bytes were sent", payload.len())));
            }
            sent += 1;
        }
    }
    Ok(SenderRecord { plan, took: began.elapsed() })
}

fn socket(plan: &SendersPlan, sender: u32) -> io::Result<UdpSocket> {
    let target = plan.targets[sender as usize % plan.targets.len()];
    let source = plan.sources.bind_address(sender, 0);
    let source = source.ok_or_else(|| io::Error::other("senders need addresses to send from"))?;
    let socket = UdpSocket::bind(source)?;
    socket.connect(target)?;
    Ok(socket)
}
