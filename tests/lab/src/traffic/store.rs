//! Records as compact files: a line that says what the file is, then the value in postcard's wire format.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes `value` under the name `kind`, replacing what `path` held; never leaves half a file there.
pub(crate) fn write<T: Serialize>(path: &Path, kind: &str, value: &T) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = io::BufWriter::with_capacity(1 << 20, fs::File::create(&unfinished)?);
    writeln!(file, "{}", heading(kind))?;
    postcard::to_io(value, &mut file).map_err(|error| malformed(path, kind, &error.to_string()))?;
    file.flush()?;
    fs::rename(unfinished, path)
}

/// Reads what [`write`] wrote.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, kind: &str) -> io::Result<T> {
    let bytes = fs::read(path)?;
    let heading = heading(kind) + "\n";
    let Some(value) = bytes.strip_prefix(heading.as_bytes()) else {
        return Err(malformed(path, kind, "its first line says something else"));
    };
    match postcard::take_from_bytes(value) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(malformed(path, kind, &format!("{} bytes follow its end", rest.len()))),
        Err(error) => Err(malformed(path, kind, &error.to_string())),
    }
}

fn heading(kind: &str) -> String {
    format!("tcpcopy-lab {kind} record 1")
}

fn malformed(path: &Path, kind: &str, reason: &str) -> io::Error {
    let sentence = format!("{} is no {kind} record of this version of the lab: {reason}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, sentence)
}
