//! Records packets of all devices into a file, as tcpdump does.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};
use pcap::{Capture, Error};

/// How often it is looked whether to stop, in milliseconds.
const LOOK: i32 = 50;
/// Room for what comes while the disk is busy.
const BUFFER: i32 = 64 << 20;

/// Records what `filter` lets through into `file` until standard input ends; `ready` is called when it has begun.
///
/// # Errors
/// When the devices cannot be captured on, or the file cannot be written.
pub fn run(file: &Path, filter: &str, ready: impl FnOnce()) -> Result<()> {
    let capture = Capture::from_device("any")?.snaplen(262_144).buffer_size(BUFFER).timeout(LOOK);
    let mut capture = capture.open().context("cannot capture on all devices")?;
    capture.filter(filter, true)?;
    let mut savefile =
        capture.savefile(file).with_context(|| format!("cannot write {}", file.display()))?;
    let is_over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_over);
    thread::spawn(move || {
        // Its end is all that matters.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    ready();
    loop {
        match capture.next_packet() {
            Ok(packet) => savefile.write(&packet),
            Err(Error::TimeoutExpired) if is_over.load(Ordering::Relaxed) => break,
            Err(Error::TimeoutExpired) => {}
            Err(error) => return Err(error).context("capturing failed"),
        }
    }
    savefile.flush().context("the recording was not written to its end")
}
