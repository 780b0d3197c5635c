//! Does what `tcpcopy plan` prints: each line on its host, as a person would.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::scenario::peers::Peers;
use crate::world::World;
use crate::world::host::{HostName, run_tool};
use crate::world::process::Process;

/// Runs the plan's commands for the target and the assistant; intercept, which is one of them, runs until it is dropped.
pub(super) fn carry_out(options: &[&str], world: &World, peers: &Peers, scratch: &Path) -> Result<Process> {
    let mut plan = Command::new(peers.tcpcopy_path());
    plan.arg("plan").args(options);
    if !options.contains(&"-s") {
        plan.args(["-s", &crate::world::plan::ASSISTANT.to_string()]);
    }
    // The plan looks at the addresses of the host it is made on.
    let output =
        world.host(HostName::Online).within(|| plan.output())?.context("tcpcopy plan cannot be run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "tcpcopy plan: {}", String::from_utf8_lossy(&output.stderr));
    let (mut host, mut intercept) = (HostName::Online, None);
    for line in text.lines() {
        match line {
            _ if line.starts_with("# On the target") => host = HostName::Target,
            _ if line.starts_with("# On the assistant") => host = HostName::Assistant,
            _ if line.starts_with("# On the online host") => host = HostName::Online,
            _ if line.starts_with('#') || line.is_empty() || host == HostName::Online => {}
            _ => match line.strip_prefix("intercept ") {
                Some(arguments) => intercept = Some(begin_intercept(arguments, world, peers, scratch)?),
                None => run(host, line)?,
            },
        }
    }
    let Some(intercept) = intercept else { bail!("there is no intercept in the plan:\n{text}") };
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
