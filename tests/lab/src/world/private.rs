//! The private namespaces everything happens in: user, network, mount and PID.
//!
//! The process that a person started only makes the namespaces and waits. Its child, the first process of the new
//! PID namespace, does the work. When the one that waits ends, for whatever reason, the kernel kills the child,
//! and with the first process of a PID namespace every other one in it: nothing can be left behind.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid};

/// Tells the child that it already is inside.
const INSIDE: &str = "TCPCOPY_LAB_INSIDE";
/// What a server or a crowd of users with 20 000 connections needs, with room to spare.
const WANTED_FILES: u64 = 65_536;

/// Where we are after [`enter`].
#[derive(Debug)]
pub enum Entered {
    /// Inside the namespaces: do the work.
    Inside,
    /// Outside, and the work has been done by the child, which ended like this.
    Done(ExitCode),
}

/// Moves the work into private namespaces by running this binary again inside them with the same arguments.
/// Must be called before the process has a second thread.
///
/// # Errors
/// When the kernel or its configuration does not allow the namespaces.
pub fn enter() -> Result<Entered> {
    if env::var_os(INSIDE).is_some() {
        furnish()?;
        return Ok(Entered::Inside);
    }
    raise_file_limit();
    let (user, group) = (Uid::effective(), Gid::effective());
    let apart = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    match unshare(apart | CloneFlags::CLONE_NEWUSER) {
        Ok(()) => become_root_inside(user, group).context("cannot map this user to root in the namespace")?,
        Err(_) if user.is_root() => unshare(apart).context(REFUSED)?,
        Err(error) => return Err(error).context(REFUSED),
    }
    let mut again = Command::new(env::current_exe().context("the lab's own path is not known")?);
    again.args(env::args_os().skip(1)).env(INSIDE, "1").env("PATH", path_with_tools());
    let status = again.status().context("cannot run the lab again inside its namespaces")?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(Entered::Done(ExitCode::from(u8::try_from(code).unwrap_or(1))))
}

/// `ip`, `ethtool` and nginx live where an ordinary user's PATH does not look.
fn path_with_tools() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    path.push(":/usr/sbin:/sbin");
    path
}

const REFUSED: &str = "this machine does not let the lab make private namespaces; run it as root, or allow them \
                       (sysctl kernel.unprivileged_userns_clone=1, or a container started with --privileged)";

/// Maps the caller's own ids, and no others, to root of the new user namespace (user_namespaces(7)).
fn become_root_inside(user: Uid, group: Gid) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// Takes as many file descriptors as it is allowed to; scenarios that need more say so when they run out.
fn raise_file_limit() {
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    let wanted = WANTED_FILES.max(hard);
    if setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).is_err() {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok();
    }
}

/// First thing inside: die with the process outside, see our own processes in /proc, have a /run of our own.
fn furnish() -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("cannot ask to be killed with the process outside")?;
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
        .context("cannot make the mounts private")?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), nothing)
        .context("cannot mount /proc for the lab's own processes")?;
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), nothing)
        .context("cannot mount a private /run")?;
    fs::create_dir_all("/run/netns").context("cannot make /run/netns")?;
    if let Ok(exe) = env::current_exe()
        && exe.starts_with("/run")
    {
        bail!("the lab hides /run from itself, so it cannot be run from {}", exe.display());
    }
    Ok(())
}

/// Makes an empty directory for one run: under `keep` when logs are to outlive the lab, else in the private /run.
///
/// # Errors
/// When the directory cannot be made or emptied.
pub fn scratch(keep: Option<&Path>, name: &str) -> Result<PathBuf> {
    let path = keep.unwrap_or(Path::new("/run/lab")).join(name);
    if path.exists() {
        fs::remove_dir_all(&path).with_context(|| format!("cannot empty {}", path.display()))?;
    }
    fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}
