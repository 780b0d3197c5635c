//! What may listen on intercept's port and is no intercept of this release.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::world::host::Host;

/// Where intercept listens.
const FEED_PORT: u16 = 36_524;
/// How often it looks whether somebody has connected.
const LOOK: Duration = Duration::from_millis(5);

/// Accepts connections, says one thing to each, and keeps them open.
pub(super) struct Impostor {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Impostor {
    /// Says hello as an intercept does (docs/feed-protocol.md).
    pub(super) fn hello(host: &Host, version: u16, features: u64) -> Result<Self> {
        let mut body = b"TCPCFEED".to_vec();
        body.extend(version.to_be_bytes());
        body.push(2);
        body.extend(features.to_be_bytes());
        body.extend([0; 16]);
        let length = u32::try_from(body.len())?.to_be_bytes();
        Self::begin(host, [&[1], &length[1..], &body].concat())
    }

    /// Says nothing.
    pub(super) fn silent(host: &Host) -> Result<Self> {
        Self::begin(host, Vec::new())
    }

    fn begin(host: &Host, says: Vec<u8>) -> Result<Self> {
        let listener = host.within(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, FEED_PORT)))?;
        let listener = listener.context("cannot listen where intercept does")?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut kept: Vec<TcpStream> = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((mut socket, _)) = listener.accept() {
                    // Whoever connected may be gone.
                    let _ = socket.write_all(&says);
                    kept.push(socket);
                }
                thread::sleep(LOOK);
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
