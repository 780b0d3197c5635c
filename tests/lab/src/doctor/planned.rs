//! Does what `tcpcopy plan` prints: each line on its host, as a person would who knows the addresses that it does not.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::scenario::peers::Peers;
use crate::world::World;
use crate::world::host::{HostName, run_tool};
use crate::world::plan::{ASSISTANT, ROUTER};
use crate::world::process::Process;

/// Runs the plan's commands on their hosts, except those that prepare, check and start the replay itself. intercept, where it is
/// one of them, runs until it is dropped.
pub(super) fn carry_out(
    options: &[&str],
    world: &World,
    peers: &Peers,
    scratch: &Path,
) -> Result<Option<Process>> {
    let mut plan = Command::new(peers.tcpcopy_path());
    plan.arg("plan").args(options);
    let is_seen_here = options.contains(&"--intercept-on");
    if !is_seen_here && !options.contains(&"-s") {
        plan.args(["-s", &ASSISTANT.to_string()]);
    }
    // The plan looks at the addresses of the host it is made on.
    let output =
        world.host(HostName::Online).within(|| plan.output())?.context("tcpcopy plan cannot be run")?;
    let text = String::from_utf8_lossy(&output.stdout).replace("TCPCOPY_IPV4", &ROUTER.to_string());
    ensure!(output.status.success(), "tcpcopy plan: {}", String::from_utf8_lossy(&output.stderr));
    let (mut host, mut intercept) = (HostName::Online, None);
    for line in text.lines() {
        match line {
            _ if line.starts_with("# On the target") => host = HostName::Target,
            _ if line.starts_with("# On the assistant") => host = HostName::Assistant,
            _ if line.starts_with("# On the online host") => host = HostName::Online,
            _ if line.starts_with("# On the host of tcpcopy") => host = HostName::Online,
            _ if line.starts_with('#') || line.is_empty() => {}
            _ if line.starts_with("setcap") || line.starts_with("tcpcopy") => {}
            _ => match line.strip_prefix("intercept ") {
                Some(arguments) => intercept = Some(begin_intercept(arguments, world, peers, scratch)?),
                None => run(host, line)?,
            },
        }
    }
    ensure!(intercept.is_none() == is_seen_here, "an intercept is missing in the plan, or too many:\n{text}");
    Ok(intercept)
}

fn run(host: HostName, line: &str) -> Result<()> {
    let namespace = format!("--net=/run/netns/{host}");
    run_tool("nsenter", &[namespace.as_str(), "sh", "-ec", line], "")
        .with_context(|| format!("{host}: {line}"))
}

fn begin_intercept(arguments: &str, world: &World, peers: &Peers, scratch: &Path) -> Result<Process> {
    let host = world.host(HostName::Assistant);
    let intercept = Process::start(host, peers.intercept_in_shell(arguments), scratch)?;
    peers.await_intercept(&intercept, host)?;
    Ok(intercept)
}
