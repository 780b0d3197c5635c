//! A host: one named network namespace, and the way to run something inside it.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};

use crate::world::hop::Hop;
use crate::world::procfs::{self, SocketState};

/// The hosts of every world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostName {
    /// Where the users live.
    Client,
    /// The production server, and tcpcopy beside it.
    Online,
    /// The server under test.
    Target,
    /// Where intercept runs; answers nothing it is not asked.
    Assistant,
    /// No host of the story: holds the wires of impaired hops.
    Wire,
}

impl HostName {
    /// Every namespace, in the order of the discriminants.
    pub const ALL: [Self; 5] = [Self::Client, Self::Online, Self::Target, Self::Assistant, Self::Wire];
    /// The hosts with addresses.
    pub const PEOPLED: [Self; 4] = [Self::Client, Self::Online, Self::Target, Self::Assistant];

    /// The namespace's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Online => "online",
            Self::Target => "target",
            Self::Assistant => "assistant",
            Self::Wire => "wire",
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Kernel settings of every host. Those whose file is missing in this kernel are skipped.
const SETTINGS: &[(&str, &str)] = &[
    // The target hears copied clients on one device and answers them through another.
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    // The assistant must swallow what the target answers.
    ("net/ipv4/ip_forward", "0"),
    ("net/ipv6/conf/all/forwarding", "0"),
    // The users' addresses are a routed block, not single addresses.
    ("net/ipv6/ip_nonlocal_bind", "1"),
    ("net/ipv4/ip_local_port_range", "1024 65535"),
    ("net/ipv4/tcp_tw_reuse", "1"),
    // What one connection learnt about a lossy hop must not slow the next one.
    ("net/ipv4/tcp_no_metrics_save", "1"),
    ("net/core/somaxconn", "65535"),
    ("net/ipv4/tcp_max_syn_backlog", "65535"),
    ("net/ipv6/conf/default/accept_ra", "0"),
    // Until its link-local address is known to be its own alone, a host asks for no neighbour (RFC 4862 §5.4).
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/disable_ipv6", "0"),
];

/// A network namespace that exists under its name.
#[derive(Debug)]
pub struct Host {
    name: HostName,
    namespace: File,
}

impl Host {
    /// Makes the namespace, with its loopback up and its kernel settings written.
    ///
    /// # Errors
    /// When `ip netns add` fails or the namespace cannot be entered.
    pub fn create(name: HostName) -> Result<Self> {
        Self::remove(name);
        ip(&["netns", "add", name.as_str()], "")?;
        let path = Path::new("/run/netns").join(name.as_str());
        let namespace =
            File::open(&path).with_context(|| format!("cannot open namespace {}", path.display()))?;
        let host = Self { name, namespace };
        host.within(|| write_settings(name))??;
        ip(&["-n", name.as_str(), "link", "set", "lo", "up"], "")?;
        Ok(host)
    }

    /// Removes a namespace that may or may not exist; what still runs in it is not ended by this.
    pub fn remove(name: HostName) {
        if Path::new("/run/netns").join(name.as_str()).exists()
            && let Err(error) = ip(&["netns", "del", name.as_str()], "")
        {
            eprintln!("lab: {error:#}");
        }
    }

    /// The host's name.
    #[must_use]
    pub fn name(&self) -> HostName {
        self.name
    }

    /// How many of this host's TCP sockets have this state and `port` on either end; 0 if that cannot be told.
    #[must_use]
    pub fn sockets(&self, port: u16, state: SocketState) -> usize {
        self.within(|| procfs::sockets(port, state)).unwrap_or(0)
    }

    /// TCP segments this host has received and sent so far; 0 if that cannot be told.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.within(procfs::segments).ok().flatten().unwrap_or(0)
    }

    /// Bytes this host has received over that hop so far; 0 if that cannot be told.
    #[must_use]
    pub fn received(&self, hop: Hop) -> u64 {
        self.within(|| procfs::received(hop.as_str())).ok().flatten().unwrap_or(0)
    }

    /// Runs `work` on a thread of its own inside this host; processes it starts belong to the host too.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    ///
    /// # Panics
    /// When `work` panics.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.namespace, CloneFlags::CLONE_NEWNET)
                    .with_context(|| format!("cannot enter host {}", self.name))?;
                Ok(work())
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// Writes the kernel settings of the host the calling thread is in.
fn write_settings(name: HostName) -> Result<()> {
    let quiet = ("net/ipv6/conf/default/disable_ipv6", "1");
    let extra = (name == HostName::Wire).then_some(&quiet);
    for (setting, value) in SETTINGS.iter().chain(extra) {
        let path = Path::new("/proc/sys").join(setting);
        if path.exists() {
            fs::write(&path, value).with_context(|| format!("cannot set {setting} to {value}"))?;
        }
    }
    Ok(())
}

/// Runs iproute2's `ip`, feeding it `input`.
///
/// # Errors
/// When `ip` is not installed or refuses; its own words are in the error.
pub(crate) fn ip(arguments: &[&str], input: &str) -> Result<()> {
    run_tool("ip", arguments, input)
}

/// Runs a configuration tool to its end, feeding it `input`.
pub(crate) fn run_tool(tool: &str, arguments: &[&str], input: &str) -> Result<()> {
    let mut child = Command::new(tool)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{tool}`; `make deps` installs what the lab needs"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| format!("`{tool}` stopped reading its input"))?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("`{tool} {}` failed: {}", arguments.join(" "), words.trim());
    }
    Ok(())
}
