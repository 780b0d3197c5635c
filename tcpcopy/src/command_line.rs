//! All that can stand behind `tcpcopy`: the options of a replay, or a command.

use clap::Parser;

use crate::commands::Command;
use crate::flags::Flags;

const EXAMPLES: &str = "\
Examples:
  tcpcopy -x 80-10.10.3.2:8080 -s 10.10.3.3 -c 10.20.0.x
      What users say to port 80 of this machine is replayed to 10.10.3.2:8080. The target sees
      users from 10.20.0.1 to 10.20.0.254; its routes send what it answers them to 10.10.3.3,
      where intercept runs.
  tcpcopy -x 10.0.0.1:80-10.10.3.2:80,[fd00::1]:80-[fd00::2]:80 -s 10.10.3.3 -r 20 -d
      One connection in five, by IPv4 and IPv6, in the background.
  tcpcopy -x 80-10.10.3.2:8080 -s 10.10.3.3 --offline -i 'monday-*.pcap.gz' -a 2
      What was recorded on Monday, twice as fast.
  tcpcopy --udp -x 53-10.10.3.2:53 -c 10.20.0.x -n 3
      Every datagram to port 53 three times, from three addresses.
  tcpcopy doctor -x 80-10.10.3.2:8080 -s 10.10.3.3 -c 10.20.0.x
      Is everything set up for the first of these, on all three hosts?";

/// Replays live TCP traffic of a production server, as real TCP connections, against a test server.
#[derive(Clone, Debug, Parser)]
#[command(name = "tcpcopy", version, disable_help_flag = true, disable_version_flag = true)]
#[command(max_term_width = 100, after_help = EXAMPLES)]
#[command(override_usage = "tcpcopy -x MAPPING[,...] -s INTERCEPT[,...] [OPTIONS]\n       tcpcopy COMMAND")]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) flags: Flags,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_put_together_right() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_command_needs_no_mapping_and_goes_with_no_option() {
        let line =
            CommandLine::try_parse_from(["tcpcopy", "ctl", "swap", "80", "m.so", "--migrate"]).unwrap();
        assert!(matches!(line.command, Some(Command::Ctl(_))) && line.flags.mapping.is_empty());
        assert!(CommandLine::try_parse_from(["tcpcopy", "-x", "80-10.10.3.2:80", "ctl", "status"]).is_err());
    }

    #[test]
    fn commands_about_a_replay_take_its_options() {
        for command in ["doctor", "plan"] {
            let words =
                ["tcpcopy", command, "-x", "80-10.10.3.2:80", "-s", "10.10.3.3", "-c", "10.20.0.x", "-LW"];
            assert!(CommandLine::try_parse_from(words).unwrap().command.is_some());
            assert!(CommandLine::try_parse_from(["tcpcopy", command]).is_err());
        }
    }
}
