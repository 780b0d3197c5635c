//! How packets leave, and who sees what is answered when no intercept does: `-o`, `--pcap-send`, `--dry-run`,
//! `--intercept-on`.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tcpcopy_cli::{Failure, device};
use tcpcopy_core::net::{EthernetOptions, EthernetTarget, FileInput};
use tcpcopy_core::runtime::{IntakeChoice, TransmitChoice};

use crate::mapping_flag::LinkedMapping;

/// The ways out and back that are not the usual ones.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Way out")]
pub(crate) struct TransmitFlags {
    /// Send Ethernet frames on this device, past routes and packet filters. To whom: to the address behind
    /// an @ in -x (80-TARGET:PORT@02:00:5e:10:00:01), else to whom routes and neighbours say [default: raw IP]
    #[arg(short = 'o', long, value_name = "DEVICE", value_parser = device)]
    pub(crate) output: Option<String>,

    /// For commands of the C tools: -o says so
    #[arg(long, requires = "output")]
    pub(crate) pcap_send: bool,

    /// Send nothing: write what would be sent to this capture file (pcapng), as if the targets took everything
    /// and answered nothing. Needs no -s
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub(crate) dry_run: Option<PathBuf>,

    /// See what the targets answer on these devices of this host; instead of -s
    #[arg(long, value_name = "DEVICE,...", value_delimiter = ',', value_parser = device)]
    #[arg(conflicts_with_all = ["intercept", "dry_run", "single", "lonely", "connections", "port"], help_heading = "Way back (intercept)")]
    pub(crate) intercept_on: Vec<String>,
}

impl TransmitFlags {
    /// How packets to the targets of `mappings` leave, when `intake` is replayed.
    ///
    /// # Errors
    /// [`Failure::WrongValue`] for what does not go together.
    pub(crate) fn choice(
        &self,
        mappings: &[LinkedMapping],
        intake: &IntakeChoice,
    ) -> Result<TransmitChoice, Failure> {
        let Some(device) = &self.output else {
            no_link_addresses(mappings)?;
            let Some(path) = &self.dry_run else { return Ok(TransmitChoice::RawIp) };
            not_an_input(path, intake)?;
            return Ok(TransmitChoice::File(path.clone()));
        };
        let mut targets: Vec<EthernetTarget> = Vec::new();
        for target in mappings.iter().map(LinkedMapping::ethernet_target) {
            match targets.iter().find(|known| known.addr == target.addr) {
                None => targets.push(target),
                Some(known) if *known == target => {}
                Some(_) => return Err(two_ways(target.addr)),
            }
        }
        Ok(TransmitChoice::Ethernet(EthernetOptions { device: device.clone(), targets }))
    }
}

fn no_link_addresses(mappings: &[LinkedMapping]) -> Result<(), Failure> {
    match mappings.iter().find(|mapping| mapping.is_linked()) {
        Some(mapping) => Err(Failure::WrongValue(format!(
            "-x/--mapping {}: link-layer addresses are for frames; give the device to send those on with -o, or leave \
             the addresses out",
            mapping.argument()
        ))),
        None => Ok(()),
    }
}

fn two_ways(target: IpAddr) -> Failure {
    Failure::WrongValue(format!(
        "-x/--mapping has two ways to the target {target}; give its mappings the same link-layer addresses"
    ))
}

/// What is replayed would be gone before it is read.
fn not_an_input(path: &Path, intake: &IntakeChoice) -> Result<(), Failure> {
    let (IntakeChoice::Files(choice), Ok(written)) = (intake, fs::canonicalize(path)) else { return Ok(()) };
    let is_written = |input: &FileInput| match input {
        FileInput::Path(read) => fs::canonicalize(read).is_ok_and(|read| read == written),
        FileInput::StandardInput => false,
    };
    if choice.inputs.iter().any(is_written) {
        return Err(Failure::WrongValue(format!(
            "--dry-run would write over {}, which is replayed; name another file",
            path.display()
        )));
    }
    Ok(())
}
