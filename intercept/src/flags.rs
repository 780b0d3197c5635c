//! The command line of intercept: names, defaults and ranges.

use std::net::{IpAddr, Ipv4Addr};

use clap::{Parser, Subcommand};
use tcpcopy_cli::{ConfigCommand, RunFlags, device, expression, number};
use tcpcopy_core::feed::{CToolFormat, DEFAULT_PORT, RelayOptions, Translation};
use tcpcopy_core::net::DEFAULT_BUFFER_BYTES;

use crate::idle_flags::IdleFlags;
use crate::translation_flag::translation;

const EXAMPLES: &str = "\
Example:
  intercept -i eth0 -F 'tcp and src port 8080'
      The target answers its copied users from port 8080; its routes send those answers to this
      machine, which captures them on eth0 and must not forward or answer them.";

/// The commands beside relaying.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Look at a configuration file
    Config(ConfigCommand),
}

/// Returns the headers of a test server's responses to tcpcopy.
#[derive(Clone, Debug, Parser)]
#[command(name = "intercept", version, disable_help_flag = true, disable_version_flag = true)]
#[command(max_term_width = 100, after_help = EXAMPLES)]
#[command(override_usage = "intercept -F EXPRESSION [-i DEVICE[,...]] [OPTIONS]\n       intercept COMMAND")]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Capture on these devices; any: on all there are
    #[arg(short = 'i', long, value_name = "DEVICE,...", value_delimiter = ',', default_value = "any")]
    #[arg(value_parser = device, help_heading = "Capture")]
    pub(crate) device: Vec<String>,

    /// Which packets are responses of the target, in the language of pcap-filter(7)
    // Missing only beside a command.
    #[arg(short = 'F', long, required = true, value_name = "EXPRESSION", value_parser = expression)]
    #[arg(help_heading = "Capture")]
    pub(crate) filter: Option<String>,

    /// Ring buffer of each device
    #[arg(short = 'B', long, value_name = "MB", default_value_t = DEFAULT_BUFFER_BYTES >> 20)]
    #[arg(value_parser = number(1_usize..=2047, "MB"), allow_negative_numbers = true, help_heading = "Capture")]
    pub(crate) buffer: usize,

    /// Port that tcpcopy connects to
    #[arg(short = 'p', long, value_name = "PORT", default_value_t = DEFAULT_PORT)]
    #[arg(value_parser = number(1_u16..=65_535, "a TCP port"), allow_negative_numbers = true)]
    #[arg(help_heading = "Way back (tcpcopy)")]
    pub(crate) port: u16,

    /// Address that tcpcopy connects to; ::, to listen on IPv6 as well
    #[arg(short = 'b', long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    #[arg(value_parser = bind_address, help_heading = "Way back (tcpcopy)")]
    pub(crate) bind: IpAddr,

    /// Serve one tcpcopy only: it need not tell of its sessions, and a second one is refused
    #[arg(long, help_heading = "Way back (tcpcopy)")]
    pub(crate) single: bool,

    /// Return responses sent to NEW as if they were sent to ORIGINAL: a container network puts its own
    /// address in place of the one tcpcopy speaks from
    #[arg(short = 'D', long, value_name = "NEW-ORIGINAL", value_parser = translation)]
    #[arg(help_heading = "Way back (tcpcopy)")]
    pub(crate) docker: Option<Translation>,

    /// Tell sessions apart by the target's port alone: behind address translation targets answer from
    /// other addresses than tcpcopy speaks to
    #[arg(long, help_heading = "Way back (tcpcopy)")]
    pub(crate) dnat: bool,

    /// Most headers in one batch [default: 16, with payload 6]
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = number(0_u16..=16, "headers"))]
    #[arg(allow_negative_numbers = true, conflicts_with = "disable_combined")]
    #[arg(help_heading = "Way back to a C tcpcopy: as it was built")]
    pub(crate) combined: Option<u16>,

    /// Send headers one by one
    #[arg(long, help_heading = "Way back to a C tcpcopy: as it was built")]
    pub(crate) disable_combined: bool,

    /// Send up to 128 bytes of payload as well
    #[arg(long, conflicts_with = "disable_combined")]
    #[arg(help_heading = "Way back to a C tcpcopy: as it was built")]
    pub(crate) with_resp_payload: bool,

    #[command(flatten)]
    pub(crate) idle: IdleFlags,

    #[command(flatten)]
    pub(crate) run: RunFlags,
}

impl Flags {
    /// How responses are returned.
    pub(crate) fn relay(&self) -> RelayOptions {
        let usual = CToolFormat::default();
        let c_format = CToolFormat {
            payload: self.with_resp_payload,
            combined: !self.disable_combined,
            batch: self.combined.unwrap_or(usual.batch),
        };
        let (single, dnat, translation) = (self.single, self.dnat, self.docker);
        RelayOptions { c_format, single, dnat, translation, ..RelayOptions::default() }
    }
}

fn bind_address(text: &str) -> Result<IpAddr, String> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "it takes an address of this machine, as in 10.10.3.3, 0.0.0.0 or ::".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_put_together_right() {
        Flags::command().debug_assert();
    }

    #[test]
    fn a_command_of_the_c_tools_is_understood() {
        let flags = Flags::try_parse_from([
            "intercept",
            "-i",
            "eth0,eth1",
            "-F",
            "tcp and src port 8080",
            "-p",
            "7000",
            "-b",
            "10.10.3.3",
            "-d",
            "-l",
            "log",
        ])
        .unwrap();
        assert_eq!(flags.device, ["eth0", "eth1"]);
        assert_eq!(flags.filter.as_deref(), Some("tcp and src port 8080"));
        assert_eq!((flags.port, flags.bind.to_string()), (7000, "10.10.3.3".to_owned()));
        assert!(flags.run.daemon);
    }

    #[test]
    fn what_the_c_tools_are_built_with_are_options() {
        let of = |arguments: &[&str]| {
            Flags::try_parse_from(["intercept", "-F", "tcp"].iter().chain(arguments))
                .map(|flags| flags.relay())
        };
        assert_eq!(of(&[]).unwrap(), RelayOptions::default());
        let relay =
            of(&["-n", "4", "--with-resp-payload", "--single", "--dnat", "-D", "10.0.0.1-10.0.0.2"]).unwrap();
        assert_eq!(relay.c_format, CToolFormat { payload: true, combined: true, batch: 4 });
        assert!(relay.single && relay.dnat && relay.translation.is_some());
        assert!(!of(&["--disable-combined"]).unwrap().c_format.combined);
        // The C tools cannot be built so either.
        assert!(of(&["--disable-combined", "--with-resp-payload"]).is_err());
    }

    #[test]
    fn without_devices_it_is_any() {
        let flags = Flags::try_parse_from(["intercept", "-F", "tcp"]).unwrap();
        assert_eq!(flags.device, ["any"]);
    }

    #[test]
    fn an_address_to_listen_on_may_be_of_either_family() {
        assert_eq!(bind_address("[fd00::3]"), Ok("fd00::3".parse().unwrap()));
        assert_eq!(bind_address("::"), Ok("::".parse().unwrap()));
        assert_eq!(
            bind_address("localhost").unwrap_err(),
            "it takes an address of this machine, as in 10.10.3.3, 0.0.0.0 or ::"
        );
    }
}
