//! The admin socket: a Unix domain socket that its owner alone can speak to.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};

use mio::net::UnixListener;
use nix::unistd::geteuid;

use super::place::{AdminPlace, Folder, folders, is_stale, name, sockets_in};
use crate::StartError;

/// A socket that is ours.
pub(super) struct AdminSocket {
    file: SocketFile,
    listener: UnixListener,
}

/// The file of such a socket; dropping it removes it.
pub(super) struct SocketFile(PathBuf);

impl AdminSocket {
    /// Opens a socket at `place`; `None` if there shall be none. Without a place of its own, not finding one is
    /// told in the log and no reason not to start.
    ///
    /// # Errors
    /// [`StartError::Admin`] when a place that was named is no good.
    pub(super) fn open(place: &AdminPlace) -> Result<Option<Self>, StartError> {
        match place {
            AdminPlace::Nowhere => Ok(None),
            AdminPlace::Path(path) => {
                let failed = |source| StartError::Admin { path: path.clone(), source };
                Self::at(path.clone()).map(Some).map_err(failed)
            }
            AdminPlace::Usual => Ok(Self::in_first_of(&folders())),
        }
    }

    fn in_first_of(folders: &[Folder]) -> Option<Self> {
        let mut reasons = Vec::new();
        for folder in folders {
            let opened = prepare(folder).and_then(|()| {
                // What killed processes left there would be in everybody's way.
                sockets_in(&folder.path).iter().for_each(|path| remove_stale(path));
                Self::at(folder.path.join(name(std::process::id())))
            });
            match opened {
                Ok(socket) => return Some(socket),
                Err(error) => reasons.push(format!("{}: {error}", folder.path.display())),
            }
        }
        log::warn!(
            "there is no admin socket, so tcpcopy ctl cannot reach this process: {}; name a place with --admin",
            reasons.join("; ")
        );
        None
    }

    fn at(path: PathBuf) -> io::Result<Self> {
        remove_stale(&path);
        let listener = StdListener::bind(&path).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => io::Error::new(error.kind(), "there is such a file already, in use"),
            _ => error,
        })?;
        // Made before anything can fail, so that a socket that is no good is removed again.
        let file = SocketFile(path);
        listener.set_nonblocking(true)?;
        // Until then others might connect, but each is asked who they are.
        fs::set_permissions(file.path(), Permissions::from_mode(0o600))?;
        Ok(Self { file, listener: UnixListener::from_std(listener) })
    }

    /// Its file, and what listens there.
    pub(super) fn into_parts(self) -> (SocketFile, UnixListener) {
        (self.file, self.listener)
    }
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            log::warn!("cannot remove the admin socket {}: {error}", self.0.display());
        }
    }
}

/// Makes the folder unless it is there. One that others could have prepared for us is not used.
fn prepare(folder: &Folder) -> io::Result<()> {
    match DirBuilder::new().mode(folder.mode).create(&folder.path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let is_ours = |there: &Metadata| there.uid() == geteuid().as_raw() || there.uid() == 0;
    let mut there = fs::symlink_metadata(&folder.path)?;
    // systemd makes links to the folders of users that it invents.
    if there.is_symlink() && is_ours(&there) {
        there = fs::metadata(&folder.path)?;
    }
    if !there.is_dir() || !is_ours(&there) || there.mode() & 0o022 != 0 {
        return Err(io::Error::other("it is no folder of ours, or others may write to it"));
    }
    Ok(())
}

/// Removes a socket behind which nobody listens; everything else stays.
fn remove_stale(path: &Path) {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket());
    if is_socket && is_stale(path) {
        // Another user's, perhaps: then it stays.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{lchown, symlink};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.sock");
        (directory, path)
    }

    fn open(path: &Path) -> Result<Option<AdminSocket>, StartError> {
        AdminSocket::open(&AdminPlace::Path(path.to_owned()))
    }

    #[test]
    fn only_its_owner_may_use_it_and_it_goes_with_us() {
        let (_directory, path) = folder();
        let socket = open(&path).unwrap().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert!(UnixStream::connect(&path).is_ok());
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_is_in_use_is_left_alone_and_one_left_behind_is_replaced() {
        let (_directory, path) = folder();
        let held = open(&path).unwrap();
        let error = open(&path).err().unwrap().to_string();
        let expected = format!(
            "cannot open the admin socket {}: there is such a file already, in use; name another place with --admin, \
             or none",
            path.display()
        );
        assert_eq!(error, expected);
        assert!(UnixStream::connect(&path).is_ok());
        drop(held);
        drop(StdListener::bind(&path).unwrap());
        assert!(path.exists(), "left behind");
        assert!(open(&path).is_ok());
    }

    #[test]
    fn a_file_of_another_kind_is_never_removed() {
        let (_directory, path) = folder();
        fs::write(&path, "precious").unwrap();
        assert!(open(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn the_first_folder_that_is_good_is_taken() {
        let (directory, _) = folder();
        let usual = |name: &str, mode| Folder { path: directory.path().join(name), mode };
        fs::write(directory.path().join("file"), "").unwrap();
        fs::create_dir(directory.path().join("open")).unwrap();
        fs::set_permissions(directory.path().join("open"), Permissions::from_mode(0o777)).unwrap();
        let folders =
            [usual("file", 0o700), usual("open", 0o700), usual("good", 0o700), usual("next", 0o700)];
        let socket = AdminSocket::in_first_of(&folders).unwrap();
        assert_eq!(socket.file.path(), directory.path().join("good").join(name(std::process::id())));
        assert_eq!(fs::metadata(directory.path().join("good")).unwrap().mode() & 0o777, 0o700);
        assert!(AdminSocket::in_first_of(&folders[..2]).is_none());
    }

    #[test]
    fn a_link_is_followed_if_it_is_our_own() {
        let (directory, _) = folder();
        let path = |name: &str| directory.path().join(name);
        for (name, mode) in [("good", 0o755), ("open", 0o777)] {
            fs::create_dir(path(name)).unwrap();
            fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
            symlink(path(name), path(&format!("to-{name}"))).unwrap();
        }
        let is_taken = |name: &str| prepare(&Folder { path: path(name), mode: 0o700 }).is_ok();
        assert!(is_taken("to-good") && !is_taken("to-open"));
        symlink(path("nowhere"), path("to-nowhere")).unwrap();
        assert!(!is_taken("to-nowhere"));
        // Only root can make what another user would have to prepare.
        if geteuid().is_root() {
            lchown(path("to-good"), Some(12_345), None).unwrap();
            assert!(!is_taken("to-good"));
        }
    }

    #[test]
    fn what_killed_processes_left_in_a_usual_folder_is_removed() {
        let (directory, path) = folder();
        drop(StdListener::bind(&path).unwrap());
        let living = directory.path().join("2.sock");
        let _living = StdListener::bind(&living).unwrap();
        let folder = Folder { path: directory.path().to_owned(), mode: 0o700 };
        let _ours = AdminSocket::in_first_of(&[folder]).unwrap();
        assert!(!path.exists() && living.exists());
    }
}
