//! The side of `tcpcopy ctl`: one question to a running tcpcopy.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::{Ask, Reply, Request};

/// Loading a module may take seconds, and another question may be under way.
const PATIENCE: Duration = Duration::from_secs(30);
/// A reload may load many.
const RELOAD_PATIENCE: Duration = Duration::from_secs(300);
/// No reply is longer.
const REPLY_BYTES: u64 = 64 << 20;

/// Why there is no reply.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AskError {
    /// Nobody answers there.
    #[error("no tcpcopy can be reached at {}: {}", path.display(), why(source))]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The conversation broke off.
    #[error(
        "tcpcopy at {} gave no answer: {source}; it may have ended, its log or tcpcopy ctl status tell",
        path.display()
    )]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no answer in time.
    #[error(
        "tcpcopy at {} gave no answer within {} s: it may be loading a module; what it was told may yet be done, tcpcopy \
         ctl status and its log tell",
        path.display(), patience.as_secs()
    )]
    Late {
        /// The socket.
        path: PathBuf,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The reply is none.
    #[error("what answers at {} is no tcpcopy of this version: {source}", path.display())]
    Garbled {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "it belongs to another user; ask as that user, or as root".to_owned()
        }
        io::ErrorKind::ConnectionRefused => "the process that made this socket is gone".to_owned(),
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        _ => error.to_string(),
    }
}

/// Asks the tcpcopy whose admin socket is at `path`.
///
/// # Errors
/// [`AskError`], one sentence. That tcpcopy cannot do what it was asked for is a reply.
pub fn ask(path: &Path, ask: Ask) -> Result<Reply, AskError> {
    let unreachable = |source| AskError::Unreachable { path: path.to_owned(), source };
    let patience = if ask == Ask::Reload { RELOAD_PATIENCE } else { PATIENCE };
    let broken = |source: io::Error| match source.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            AskError::Late { path: path.to_owned(), patience }
        }
        _ => AskError::Broken { path: path.to_owned(), source },
    };
    let garbled = |source| AskError::Garbled { path: path.to_owned(), source };
    let mut stream = UnixStream::connect(path).map_err(unreachable)?;
    let mut request = serde_json::to_vec(&Request::new(ask)).map_err(garbled)?;
    request.push(b'\n');
    let mut reply = Vec::new();
    stream
        .set_read_timeout(Some(patience))
        .and_then(|()| stream.set_write_timeout(Some(patience)))
        .and_then(|()| stream.write_all(&request))
        .and_then(|()| stream.shutdown(Shutdown::Write))
        .and_then(|()| stream.take(REPLY_BYTES).read_to_end(&mut reply))
        .map_err(broken)?;
    if reply.is_empty() {
        return Err(broken(io::ErrorKind::UnexpectedEof.into()));
    }
    serde_json::from_slice(&reply).map_err(garbled)
}
