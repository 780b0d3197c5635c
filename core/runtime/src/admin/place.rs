//! Where admin sockets are: the folders in which a tcpcopy puts one, and `tcpcopy ctl` looks for them.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// Where the admin socket shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdminPlace {
    /// `PID.sock` in the first of the usual folders where that is possible.
    #[default]
    Usual,
    /// At this path. A daemon changes its folder: the path should be absolute.
    Path(PathBuf),
    /// Nowhere: nobody can ask.
    Nowhere,
}

/// A folder for sockets.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// Its permissions if it has to be made.
    pub(super) mode: u32,
}

/// The usual folders, the preferred one first.
pub(super) fn folders() -> Vec<Folder> {
    let own = |path: PathBuf| Folder { path, mode: 0o700 };
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    // Others may see in /run who runs, and be told that they may not ask.
    let system = Folder { path: "/run/tcpcopy".into(), mode: 0o755 };
    let shared = own(format!("/tmp/tcpcopy-{}", geteuid()).into());
    std::iter::once(system).chain(runtime.map(|path| own(path.join("tcpcopy")))).chain([shared]).collect()
}

/// The name of a process's socket in such a folder.
pub(super) fn name(pid: u32) -> String {
    format!("{pid}.sock")
}

/// The sockets in the usual folders behind which a tcpcopy runs, whether or not we may speak to it.
#[must_use]
pub fn admin_sockets() -> Vec<PathBuf> {
    let mut sockets: Vec<PathBuf> = folders().iter().flat_map(|folder| sockets_in(&folder.path)).collect();
    sockets.retain(|path| !is_stale(path));
    sockets.sort();
    sockets
}

/// Where the socket of process `pid` is, if it is in a usual folder. There is more than one only where processes have
/// numbers of their own (containers).
#[must_use]
pub fn admin_sockets_of(pid: u32) -> Vec<PathBuf> {
    let name = name(pid);
    admin_sockets().into_iter().filter(|path| path.ends_with(&name)).collect()
}

/// The sockets that lie in `folder`; none if it cannot be read.
pub(super) fn sockets_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "sock")).collect()
}

/// Whether nobody listens at a socket any more: its process was killed.
pub(super) fn is_stale(path: &Path) -> bool {
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    UnixStream::connect(path).is_err_and(|error| refused(&error))
}
