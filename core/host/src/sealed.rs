//! A copy of a library that nobody can change: what was checked is what is mapped, and a file that is overwritten
//! later does not change under running code.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Bytes in a sealed file in memory.
pub(crate) struct SealedCopy(OwnedFd);

impl SealedCopy {
    /// Copies `bytes`; `name` is what memory maps show.
    pub(crate) fn new(name: &str, bytes: &[u8]) -> io::Result<Self> {
        let name = format!("tcpcopy:{}", name.replace('\0', ""));
        let mut file =
            File::from(memfd_create(name.as_str(), MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?);
        file.write_all(bytes)?;
        let seals =
            [SealFlag::F_SEAL_WRITE, SealFlag::F_SEAL_SHRINK, SealFlag::F_SEAL_GROW, SealFlag::F_SEAL_SEAL];
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals.into_iter().collect()))?;
        Ok(Self(file.into()))
    }

    /// Its path in this process. The dynamic linker takes a path it knows for the library it knows: as long as this
    /// copy is open, no other has the same.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }

    /// Keeps it open as long as the process lives.
    pub(crate) fn keep(self) {
        std::mem::forget(self.0);
    }
}
