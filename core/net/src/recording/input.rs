//! Which files are read: names, patterns, standard input.

use std::fmt;
use std::path::{Path, PathBuf};

use super::RecordingError;

/// Where captured frames are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileInput {
    /// A file.
    Path(PathBuf),
    /// Standard input, which can be read once only.
    StandardInput,
}

impl FileInput {
    /// Whether it begins anew when it is opened again: a pipe does not.
    #[must_use]
    pub fn can_be_read_again(&self) -> bool {
        self.bytes().is_some()
    }

    /// Its size as it lies there, packed or not; `None` where that is not known, as of a pipe.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        let Self::Path(path) = self else { return None };
        path.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len())
    }
}

impl fmt::Display for FileInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::StandardInput => f.write_str("standard input"),
        }
    }
}

/// The inputs that `names` mean: `-` is standard input, `*`, `?` and `[…]` stand for what they stand for in a shell, and
/// every file is taken once. The files of a pattern come in the order of their names.
///
/// # Errors
/// [`RecordingError`] for a name or pattern that fits no file.
pub fn capture_files(names: &[String]) -> Result<Vec<FileInput>, RecordingError> {
    let mut inputs = Vec::new();
    for name in names {
        for input in named(name)? {
            if !inputs.contains(&input) {
                inputs.push(input);
            }
        }
    }
    Ok(inputs)
}

fn named(name: &str) -> Result<Vec<FileInput>, RecordingError> {
    if name == "-" {
        return Ok(vec![FileInput::StandardInput]);
    }
    // A file whose name looks like a pattern is meant rather than the pattern.
    if Path::new(name).exists() {
        return Ok(vec![FileInput::Path(name.into())]);
    }
    let found = glob::glob(name)
        .map_err(|error| RecordingError::BadPattern { pattern: name.to_owned(), reason: error.msg })?;
    let is_file = |path: &PathBuf| !path.is_dir();
    let inputs: Vec<_> = found.filter_map(Result::ok).filter(is_file).map(FileInput::Path).collect();
    if inputs.is_empty() {
        return Err(RecordingError::NoFile { name: name.to_owned() });
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_give_their_files_in_order_and_each_once() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.pcap", "a.pcap", "c[1].pcap"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        std::fs::create_dir(directory.path().join("d.pcap")).unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let file = |name: &str| FileInput::Path(directory.path().join(name));
        let all = capture_files(&[path("b.pcap"), path("*.pcap"), "-".to_owned()]).unwrap();
        assert_eq!(all, [file("b.pcap"), file("a.pcap"), file("c[1].pcap"), FileInput::StandardInput]);
        assert_eq!(capture_files(&[path("c[1].pcap")]).unwrap(), [file("c[1].pcap")]);
        assert_eq!(capture_files(&[path("*.cap")]), Err(RecordingError::NoFile { name: path("*.cap") }));
        let error = capture_files(&["[".to_owned()]).unwrap_err();
        assert!(matches!(error, RecordingError::BadPattern { .. }), "{error}");
    }

    #[test]
    fn only_a_regular_file_can_be_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(FileInput::Path(file.path().to_owned()).can_be_read_again());
        assert!(!FileInput::StandardInput.can_be_read_again());
        assert!(!FileInput::Path("/dev/null".into()).can_be_read_again());
    }
}
