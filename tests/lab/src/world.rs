//! The world of one scenario: four hosts and the hops between them, in network namespaces.
//!
//! Everything lives inside one private user, network, mount and PID namespace (see [`private`]), so bringing a
//! world up neither needs nor touches anything of the machine's own network, and the end of the process is the
//! end of the world.

pub mod hop;
pub mod host;
pub mod plan;
pub mod private;
pub mod process;
pub mod procfs;
pub mod wire;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::world::hop::{Hop, Impairments};
use crate::world::host::{Host, HostName};
use crate::world::process::{Launch, Process};
use crate::world::wire::{Crossed, WirePlan};

/// How long a wire may take to open its two devices.
const WIRE_READY: Duration = Duration::from_secs(5);

/// Hosts, hops and the wires of impaired hops. Dropping it ends the wires and removes the namespaces.
#[derive(Debug)]
pub struct World {
    hosts: Vec<Host>,
    wires: Vec<(Hop, Process)>,
    scratch: PathBuf,
}

impl World {
    /// Brings the hosts and hops up. `scratch` is an existing directory for logs and records.
    ///
    /// # Errors
    /// When a namespace, link or wire cannot be made; only possible inside [`private::enter`]'s namespaces.
    pub fn up(impairments: &Impairments, scratch: &Path) -> Result<Self> {
        let mut hosts = Vec::new();
        for name in HostName::ALL {
            hosts.push(Host::create(name)?);
        }
        let mut world = Self { hosts, wires: Vec::new(), scratch: scratch.to_path_buf() };
        for hop in Hop::ALL {
            plan::connect(hop, impairments.of(hop).is_some())?;
        }
        for name in HostName::PEOPLED {
            plan::address(name)?;
        }
        for hop in Hop::ALL {
            if let Some(faults) = impairments.of(hop) {
                let wire = world.start_wire(&WirePlan::new(hop, faults))?;
                world.wires.push((hop, wire));
            }
        }
        Ok(world)
    }

    /// The host of that name.
    ///
    /// # Panics
    /// Never: `up` makes one host for every name.
    #[must_use]
    pub fn host(&self, name: HostName) -> &Host {
        &self.hosts[name as usize]
    }

    /// Where logs and records of this world go.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Opens or cuts an impaired hop: a cut hop swallows every frame in both directions.
    ///
    /// # Errors
    /// When the hop has no wire (it is not impaired in this world) or the wire is gone.
    pub fn set_hop(&mut self, hop: Hop, open: bool) -> Result<()> {
        let wire = self.wires.iter_mut().find(|(name, _)| *name == hop);
        let (_, wire) = wire.with_context(|| format!("the {hop} hop has no wire, so it cannot be cut"))?;
        wire.tell(if open { wire::OPEN } else { wire::CUT })
    }

    /// Ends the wires and tells what each did, forward and backward.
    ///
    /// # Errors
    /// When a wire does not end or does not tell.
    pub fn finish_wires(&mut self) -> Result<Vec<(Hop, [Crossed; 2])>> {
        let mut crossed = Vec::new();
        for (hop, mut wire) in self.wires.drain(..) {
            wire.finish(WIRE_READY)?;
            let output = wire.stdout()?;
            let last = output.lines().last().unwrap_or_default();
            let told = serde_json::from_str(last);
            crossed.push((hop, told.with_context(|| format!("the {hop} wire does not tell what it did"))?));
        }
        Ok(crossed)
    }

    fn start_wire(&self, plan: &WirePlan) -> Result<Process> {
        let path = self.scratch.join(format!("wire-{}.json", plan.hop));
        fs::write(&path, serde_json::to_vec(plan)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let launch = Launch::own_binary(&format!("wire-{}", plan.hop))?.arg("wire").arg(&path);
        let wire = Process::start(self.host(HostName::Wire), launch, &self.scratch)?;
        wire.wait_for_word("ready", WIRE_READY)?;
        Ok(wire)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.wires.clear();
        for name in HostName::ALL {
            Host::remove(name);
        }
    }
}
