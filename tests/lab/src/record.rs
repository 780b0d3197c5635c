//! Records packets of all devices into a file, as tcpdump does.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use pcap::{Capture, Error};

/// How long the kernel may keep packets to itself, in milliseconds.
const LOOK: i32 = 50;
/// How long to wait when there are none, in milliseconds.
const PAUSE: u32 = 1;
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
    let mut savefile = capture.savefile(file).with_context(|| format!("cannot write {}", file.display()))?;
    let is_over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_over);
    thread::spawn(move || {
        // Its end is all that matters.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    let mut capture = capture.setnonblock()?;
    ready();
    // The kernel shows a packet up to one LOOK after it came.
    let mut quiet = 0;
    while quiet * PAUSE < 4 * LOOK as u32 || !is_over.load(Ordering::Relaxed) {
        match capture.next_packet() {
            Ok(packet) => {
                savefile.write(&packet);
                quiet = 0;
            }
            Err(Error::TimeoutExpired | Error::NoMorePackets) => {
                quiet = if is_over.load(Ordering::Relaxed) { quiet + 1 } else { 0 };
                thread::sleep(Duration::from_millis(PAUSE.into()));
            }
            Err(error) => return Err(error).context("capturing failed"),
        }
    }
    savefile.flush().context("the recording was not written to its end")
}
