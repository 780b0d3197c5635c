//! Where admin sockets are: the folders in which a tcpcopy puts one, and `tcpcopy ctl` looks for them.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// The folder that everybody looks in.
const SYSTEM: &str = "/run/tcpcopy";

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
    // Others may see in /run who runs, and be told that they may not ask.
    let system = |path| Folder { path, mode: 0o755 };
    let runtime = absolute("XDG_RUNTIME_DIR").map(|path| own(path.join("tcpcopy")));
    let shared = own(format!("/tmp/tcpcopy-{}", geteuid()).into());
    // Of a service, if it is where tcpcopy ctl looks.
    let service =
        absolute("RUNTIME_DIRECTORY").filter(|path| path.parent() == Some(Path::new(SYSTEM))).map(system);
    service.into_iter().chain([system(SYSTEM.into())]).chain(runtime).chain([shared]).collect()
}

/// The absolute path in an environment variable, or the first of several: systemd gives a service its folders so.
fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os(variable)?).next().filter(|path| path.is_absolute())
}

/// The name of a process's socket in such a folder.
pub(super) fn name(pid: u32) -> String {
    format!("{pid}.sock")
}

/// The sockets in the usual folders behind which a tcpcopy runs, whether or not we may speak to it.
#[must_use]
pub fn admin_sockets() -> Vec<PathBuf> {
    let mut sockets: Vec<PathBuf> = folders().iter().flat_map(|folder| sockets_below(&folder.path)).collect();
    sockets.retain(|path| !is_stale(path));
    sockets.sort();
    sockets.dedup();
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
    entries(folder).filter(|path| path.extension().is_some_and(|extension| extension == "sock")).collect()
}

/// The sockets in `folder`, and in the folders in it: each service has one of its own.
fn sockets_below(folder: &Path) -> Vec<PathBuf> {
    let inner = entries(folder).filter(|path| path.is_dir()).flat_map(|path| sockets_in(&path));
    sockets_in(folder).into_iter().chain(inner).collect()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Whether nobody listens at a socket any more: its process was killed.
pub(super) fn is_stale(path: &Path) -> bool {
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    UnixStream::connect(path).is_err_and(|error| refused(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_services_are_found_in_their_own_folders() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("shop/deeper")).unwrap();
        for name in ["1.sock", "shop/2.sock", "shop/other", "shop/deeper/3.sock"] {
            fs::write(path(name), "").unwrap();
        }
        let mut found = sockets_below(folder.path());
        found.sort();
        assert_eq!(found, [path("1.sock"), path("shop/2.sock")]);
        assert_eq!(sockets_below(&path("nowhere")), [] as [PathBuf; 0]);
    }
}
