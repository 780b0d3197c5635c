//! The file that says which process runs.
//!
//! The file is locked for as long as the process lives, and the lock goes with the process however it ends. A
//! file without a lock is therefore what a process left that could not clean up, whoever has its number now.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;

use thiserror::Error;

/// Why there is no pid file.
#[derive(Debug, Error)]
pub(crate) enum PidFileError {
    /// Another process holds it.
    #[error("{} is held by process {pid}, which still runs; stop that one or name another file with -P", path.display())]
    Running { path: PathBuf, pid: String },
    /// The system does not let us.
    #[error("cannot write the pid file {}: {error}; name another with -P", path.display())]
    Unwritable { path: PathBuf, error: io::Error },
}

/// A pid file that is ours; dropping it removes it.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    /// Open, and thereby locked, until the file is removed.
    _locked: File,
}

impl PidFile {
    /// Writes our process number to `path`; also returns what a dead process left there.
    pub(crate) fn create(path: &Path) -> Result<(Self, Option<String>), PidFileError> {
        let unwritable = |error| PidFileError::Unwritable { path: path.to_owned(), error };
        loop {
            let mut file = open(path).map_err(unwritable)?;
            let mut left = String::new();
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::Error(error)) => return Err(unwritable(error)),
                Err(TryLockError::WouldBlock) => {
                    // A number that cannot be read is as good as none.
                    let _ = file.read_to_string(&mut left);
                    return Err(PidFileError::Running { path: path.to_owned(), pid: left.trim().to_owned() });
                }
            }
            // Between opening and locking, the one before us may have removed the file: then it is no longer
            // the one others find under this name.
            if !is_same(&file, path) {
                continue;
            }
            file.read_to_string(&mut left).map_err(unwritable)?;
            fs::write(path, format!("{}\n", process::id())).map_err(unwritable)?;
            let left = Some(left.trim().to_owned()).filter(|left| !left.is_empty());
            return Ok((Self { path: path.to_owned(), _locked: file }, left));
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            log::warn!("cannot remove the pid file {}: {error}", self.path.display());
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(named)) => (ours.dev(), ours.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_our_number_and_goes_with_us() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let (held, left) = PidFile::create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", process::id()));
        assert_eq!(left, None);
        drop(held);
        assert!(!path.exists());
    }

    #[test]
    fn a_second_one_is_refused_while_the_first_runs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let _held = PidFile::create(&path).unwrap();
        let sentence = PidFile::create(&path).unwrap_err().to_string();
        let expected = format!(
            "{} is held by process {}, which still runs; stop that one or name another file with -P",
            path.display(),
            process::id()
        );
        assert_eq!(sentence, expected);
        assert!(path.exists());
    }

    #[test]
    fn what_a_dead_process_left_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        fs::write(&path, "4711\n and more than our own number needs").unwrap();
        let (_held, left) = PidFile::create(&path).unwrap();
        assert!(left.unwrap().starts_with("4711"));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", process::id()));
    }

    #[test]
    fn a_place_we_may_not_write_to_is_named() {
        let sentence = PidFile::create(Path::new("/proc/nowhere/pid")).unwrap_err().to_string();
        assert_eq!(
            sentence,
            "cannot write the pid file /proc/nowhere/pid: No such file or directory (os error 2); name another with -P"
        );
    }
}
