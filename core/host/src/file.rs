//! Reading files that somebody names while the program runs, and whose reading has to come to an end.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::libc::O_NONBLOCK;

/// Reads a file of at most `most` bytes.
///
/// # Errors
/// What the system says, or that it is longer, or no regular file: a pipe may never end, and a device need not.
pub fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // To open a pipe would wait for somebody who writes.
    let file = File::options().read(true).custom_flags(O_NONBLOCK).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(about.len().min(most)).unwrap_or_default());
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other("it is too long"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn only_regular_files_are_read_and_only_so_much() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "four").unwrap();
        assert_eq!(read_file(&path, 4).unwrap(), b"four");
        let pipe = folder.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let refusal = |path: &Path, most| read_file(path, most).unwrap_err().to_string();
        assert_eq!(refusal(&path, 3), "it is too long");
        for path in [&pipe, folder.path(), Path::new("/dev/zero")] {
            assert_eq!(refusal(path, 4), "it is no regular file");
        }
    }
}
