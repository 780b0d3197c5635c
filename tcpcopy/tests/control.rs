//! `tcpcopy ctl` and SIGHUP against a tcpcopy that runs, in a network namespace of its own: as root or, through a user
//! namespace, as anybody.

#![expect(clippy::disallowed_methods, reason = "a program that runs takes real time")]
#![expect(clippy::unwrap_used, reason = "everything here is test code, functions without #[test] too")]

#[path = "built/modules.rs"]
mod built;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The library of the http module.
fn http_module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| built::module("tcpcopy-mod-http", "libhttp_mod.so"))
}

/// A tcpcopy that replays nothing, since nobody says anything.
struct Running {
    process: Child,
    folder: tempfile::TempDir,
}

impl Running {
    /// Starts it with the http module, configured by the file `http.toml`; `None` where no namespace can be made.
    fn start() -> Option<Self> {
        const WAYS: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];
        let works = |way: &&[&str]| {
            let mut probe = Command::new("unshare");
            probe.args(*way).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
            probe.status().is_ok_and(|status| status.success())
        };
        let Some(way) = WAYS.into_iter().find(works) else {
            assert!(std::env::var_os("CI").is_none(), "no network namespace can be made here");
            eprintln!("SKIPPED: no network namespace can be made here (not root, and no user namespaces)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name).display().to_string();
        fs::copy(http_module(), path("http.so")).unwrap();
        fs::write(path("http.toml"), "compare = true\n").unwrap();
        let module = format!("127.0.0.1:80={}:{}", path("http.so"), path("http.toml"));
        let process = Command::new("unshare")
            .args(way)
            .args([
                "--",
                "sh",
                "-c",
                "ip link set lo up && exec \"$0\" \"$@\"",
                env!("CARGO_BIN_EXE_tcpcopy"),
            ])
            .args(["-x", "127.0.0.1:80-127.0.0.1:8080,127.0.0.1:81-127.0.0.1:8081", "-s", "127.0.0.1", "-L"])
            .args(["--module", &module, "--admin", &path("ctl.sock"), "-l", &path("log")])
            .args(["--report", &path("report.json")])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let running = Self { process, folder };
        running.wait_for_line("ready: ");
        Some(running)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits until the log has a line with `words`.
    fn wait_for_line(&self, words: &str) {
        let begin = Instant::now();
        loop {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            if log.contains(words) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "no line with {words:?}: {log}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn ctl(&self, words: &[&str]) -> Output {
        let socket = self.path("ctl.sock").display().to_string();
        let mut ctl = Command::new(env!("CARGO_BIN_EXE_tcpcopy"));
        ctl.args(["ctl", "--socket", &socket]).args(words).output().unwrap()
    }

    #[track_caller]
    fn told(&self, words: &[&str]) -> String {
        let output = self.ctl(words);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaint.is_empty(), "{complaint}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn refused(&self, words: &[&str]) -> String {
        let output = self.ctl(words);
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{sentence}");
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
        sentence
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Ends it; its report.
    fn stop(mut self) -> Value {
        self.signal("TERM");
        assert!(self.process.wait().unwrap().success());
        assert!(!self.path("ctl.sock").exists(), "the socket is left");
        serde_json::from_str(&fs::read_to_string(self.path("report.json")).unwrap()).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only where a test has failed it still runs.
        let _ = self.process.kill();
    }
}

#[test]
fn modules_are_asked_about_and_replaced_while_tcpcopy_runs() {
    let Some(running) = Running::start() else { return };
    let status = running.told(&["status"]);
    assert!(status.contains("captures on  lo, with the servers' answers"), "{status}");
    assert!(status.contains("http 0.1.0 (generation 1)") && status.contains("none"), "{status}");
    assert_eq!(running.told(&["sessions"]), "no session is live\n");

    let module = running.path("http.so").display().to_string();
    let sentence = running.refused(&["swap", "127.0.0.1:81", &format!("{module}:nonsense = 1")]);
    assert!(sentence.contains("unknown field `nonsense`"), "{sentence}");
    let sentence = running.refused(&["swap", "127.0.0.1:82", &module]);
    assert_eq!(sentence, "tcpcopy: there is no mapping 127.0.0.1:82; -x has 127.0.0.1:80, 127.0.0.1:81\n");
    let swapped = running.told(&["swap", "127.0.0.1:81", &module, "--migrate"]);
    assert_eq!(swapped, "http 0.1.0 (generation 2) serves new sessions of 127.0.0.1:81\n");
    let modules: Value = serde_json::from_str(&running.told(&["modules", "--json"])).unwrap();
    assert_eq!(modules["modules"][1]["generation"], 2, "what was refused took no number: {modules}");
    let stats = running.told(&["stats"]);
    assert!(stats.starts_with("running for "), "{stats}");

    let report = running.stop();
    let states = report["modules"]["generations"].as_array().unwrap().iter();
    assert_eq!(states.map(|generation| &generation["state"]).collect::<Vec<_>>(), ["current", "current"]);
}

#[test]
fn what_changed_on_disk_is_loaded_again_and_nothing_else() {
    let Some(running) = Running::start() else { return };
    assert_eq!(running.told(&["reload"]), "unchanged: 127.0.0.1:80\n");
    fs::write(running.path("http.toml"), "compare = false\n").unwrap();
    let reloaded = running.told(&["reload"]);
    let instead = "http 0.1.0 (generation 2) serves new sessions of 127.0.0.1:80 instead of http 0.1.0 (generation 1)\n";
    assert_eq!(reloaded, instead);

    running.signal("HUP");
    running.wait_for_line("SIGHUP: no module and no configuration has changed");
    // A library of another content is another one, though it does the same.
    fs::copy(http_module(), running.path("new.so")).unwrap();
    let mut bytes = fs::read(running.path("new.so")).unwrap();
    bytes.extend(*b"behind the end");
    fs::write(running.path("new.so"), bytes).unwrap();
    fs::rename(running.path("new.so"), running.path("http.so")).unwrap();
    running.signal("HUP");
    running
        .wait_for_line("module http 0.1.0 (generation 3, for 127.0.0.1:80) serves new sessions from now on");

    fs::write(running.path("http.toml"), "nonsense = 1\n").unwrap();
    let sentence = running.refused(&["reload"]);
    assert!(sentence.contains("unknown field `nonsense`"), "{sentence}");
    let status = running.told(&["status"]);
    assert!(status.contains("http 0.1.0 (generation 3)"), "what was goes on: {status}");
    running.stop();
}

#[test]
fn the_level_of_the_log_is_changed_while_tcpcopy_runs() {
    let Some(running) = Running::start() else { return };
    assert_eq!(running.told(&["log", "debug"]), "logging debug and what is graver\n");
    assert!(running.told(&["status"]).contains("log level    debug"));
    running.stop();
}

#[test]
fn a_log_file_that_was_moved_away_is_opened_anew() {
    let Some(running) = Running::start() else { return };
    for (signal, moved) in [("USR1", "log.1"), ("HUP", "log.2")] {
        fs::rename(running.path("log"), running.path(moved)).unwrap();
        running.signal(signal);
        running.wait_for_line("log file opened anew");
        assert!(fs::read_to_string(running.path(moved)).unwrap().lines().count() > 0);
    }
    running.stop();
}
