//! Modules, built for a test.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The library `file` of the workspace's package `package`, with the profile of the test.
pub(crate) fn module(package: &str, file: &str) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--package", package, "--message-format=json"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let messages = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let files = messages.filter_map(|message| Some(message["filenames"].as_array()?.clone())).flatten();
    let mut libraries = files.filter_map(|path| Some(PathBuf::from(path.as_str()?)));
    libraries.find(|path| path.file_name().is_some_and(|name| name == file)).expect("cargo builds the module")
}
