//! What is wrong with a command line, as one sentence: the option, what was given, what is allowed.

use std::error::Error as _;

use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, Command};

/// The sentence for `error`, which parsing a command line for `command` gave.
pub(crate) fn sentence(command: &mut Command, error: &clap::Error) -> String {
    command.build();
    let text = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let option = name_of(command, &text(ContextKind::InvalidArg));
    let given = text(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::ValueValidation | ErrorKind::InvalidValue if !given.is_empty() => {
            let allowed = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{option} cannot be \"{given}\": {allowed}")
        }
        ErrorKind::InvalidValue | ErrorKind::NoEquals | ErrorKind::WrongNumberOfValues => {
            format!("{option} needs a value: {}", value_of(command, &text(ContextKind::InvalidArg)))
        }
        ErrorKind::ValueValidation => {
            let allowed = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{option} cannot be empty: {allowed}")
        }
        ErrorKind::MissingRequiredArgument => missing(command, error),
        ErrorKind::UnknownArgument => {
            unknown(&text(ContextKind::InvalidArg), &text(ContextKind::SuggestedArg))
        }
        ErrorKind::TooManyValues => format!("{option} takes no value, but \"{given}\" was given"),
        ErrorKind::ArgumentConflict if error.get(ContextKind::InvalidSubcommand).is_some() => {
            let command = text(ContextKind::InvalidSubcommand);
            format!("{command} is a command, which no option stands in front of; write it first")
        }
        ErrorKind::ArgumentConflict => {
            let other = name_of(command, &text(ContextKind::PriorArg));
            if other == option {
                format!("{option} is given twice; once is enough")
            } else {
                format!("{option} and {other} exclude each other; give one of them")
            }
        }
        ErrorKind::MissingSubcommand => {
            format!("the command is missing: {}", text(ContextKind::ValidSubcommand))
        }
        ErrorKind::InvalidSubcommand => {
            let suggested = text(ContextKind::SuggestedSubcommand);
            unknown(&text(ContextKind::InvalidSubcommand), &suggested)
        }
        ErrorKind::InvalidUtf8 => "the command line holds bytes that are not UTF-8".to_owned(),
        _ => first_line(error),
    }
}

fn missing(command: &Command, error: &clap::Error) -> String {
    let arguments = match error.get(ContextKind::InvalidArg) {
        Some(clap::error::ContextValue::Strings(arguments)) => arguments.clone(),
        other => other.map(ToString::to_string).into_iter().collect(),
    };
    let named: Vec<String> = arguments
        .iter()
        .map(|argument| match (name_of(command, argument), value_of(command, argument)) {
            (name, value) if name == value => name,
            (name, value) => format!("{name} {value}"),
        })
        .collect();
    let verb = if named.len() == 1 { "is" } else { "are" };
    format!("{} {verb} missing; --help explains every option", named.join(" and "))
}

fn unknown(argument: &str, suggestion: &str) -> String {
    let what = if argument.starts_with('-') { "there is no option" } else { "there is no use for the word" };
    if suggestion.is_empty() {
        format!("{what} {argument}; --help lists the options")
    } else {
        format!("{what} {argument}; did you mean {suggestion}? --help lists the options")
    }
}

/// clap's text has paragraphs; the first line is the message itself.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or("the command line is wrong");
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// `-x/--mapping` for what clap calls `--mapping <VALUE>`, and `FILE` for `<FILE>`.
fn name_of(command: &Command, argument: &str) -> String {
    let Some(known) = find(command, argument) else {
        return argument.to_owned();
    };
    match (known.get_short(), known.get_long()) {
        (Some(short), Some(long)) => format!("-{short}/--{long}"),
        (None, Some(long)) => format!("--{long}"),
        _ => value_of(command, argument),
    }
}

/// What stands for the value in the help.
fn value_of(command: &Command, argument: &str) -> String {
    let names = find(command, argument).and_then(Arg::get_value_names).unwrap_or_default();
    names.join(" ")
}

/// The argument of that name, of the command or of one below it.
fn find<'a>(command: &'a Command, argument: &str) -> Option<&'a Arg> {
    let own = command.get_arguments().find(|known| known.to_string() == argument);
    own.or_else(|| command.get_subcommands().find_map(|below| find(below, argument)))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::number;

    #[derive(Debug, Parser)]
    struct Flags {
        /// Bytes
        #[arg(short = 'M', long, value_name = "BYTES", value_parser = number(68_u16..=65_535, "bytes"))]
        #[arg(allow_negative_numbers = true)]
        mtu: Option<u16>,
        #[arg(short = 'x', long, required = true, value_name = "MAPPING", value_delimiter = ',')]
        mapping: Vec<String>,
        #[arg(short = 'L', long)]
        lonely: bool,
        #[arg(short = 'g', long, conflicts_with = "lonely")]
        gradual: bool,
    }

    fn told(arguments: &[&str]) -> String {
        let command_line = std::iter::once(&"program").chain(arguments);
        let error = Flags::try_parse_from(command_line).unwrap_err();
        sentence(&mut Flags::command(), &error)
    }

    #[test]
    fn a_wrong_value_is_told_with_its_option_and_what_is_allowed() {
        let expected = "-M/--mtu cannot be \"5\": it takes a number from 68 to 65535 (bytes)";
        assert_eq!(told(&["-x", "a", "-M", "5"]), expected);
        assert_eq!(told(&["-x", "a", "--mtu=5"]), expected);
        assert_eq!(
            told(&["-x", "a", "-M", "-5"]),
            "-M/--mtu cannot be \"-5\": it takes a number from 68 to 65535 (bytes)"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(told(&[]), "-x/--mapping MAPPING is missing; --help explains every option");
        assert_eq!(told(&["-x"]), "-x/--mapping needs a value: MAPPING");
        assert_eq!(
            told(&["-x", "a", "-M", ""]),
            "-M/--mtu cannot be empty: it takes a number from 68 to 65535 (bytes)"
        );
    }

    #[test]
    fn what_there_is_not_is_named() {
        assert_eq!(told(&["-x", "a", "-q"]), "there is no option -q; --help lists the options");
        assert_eq!(
            told(&["-x", "a", "--lonly"]),
            "there is no option --lonly; did you mean --lonely? --help lists the options"
        );
        assert_eq!(told(&["-x", "a", "b"]), "there is no use for the word b; --help lists the options");
    }

    #[test]
    fn twice_and_both_are_told_apart() {
        assert_eq!(told(&["-x", "a", "-M", "100", "-M", "200"]), "-M/--mtu is given twice; once is enough");
        assert_eq!(
            told(&["-x", "a", "-g", "-L"]),
            "-g/--gradual and -L/--lonely exclude each other; give one of them"
        );
        assert_eq!(told(&["-x", "a", "--lonely=1"]), "-L/--lonely takes no value, but \"1\" was given");
    }

    #[derive(Debug, Parser)]
    #[command(disable_help_subcommand = true, args_conflicts_with_subcommands = true)]
    struct Commanded {
        #[arg(short = 'a', long)]
        all: bool,
        #[command(subcommand)]
        command: Option<Commands>,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Commands {
        #[command(subcommand_required = true, arg_required_else_help = false)]
        Ask {
            #[command(subcommand)]
            what: What,
        },
    }

    #[derive(Debug, clap::Subcommand)]
    #[command(disable_help_subcommand = true)]
    enum What {
        Sessions {
            #[arg(value_name = "NUMBER", value_parser = number(1_usize..=9, "sessions"))]
            limit: usize,
        },
        Stats,
    }

    fn asked(arguments: &[&str]) -> String {
        let command_line = std::iter::once(&"program").chain(arguments);
        sentence(&mut Commanded::command(), &Commanded::try_parse_from(command_line).unwrap_err())
    }

    #[test]
    fn what_is_wrong_with_a_command_is_told_like_everything_else() {
        assert_eq!(asked(&["ask"]), "the command is missing: sessions, stats");
        assert_eq!(
            asked(&["-a", "ask", "stats"]),
            "ask is a command, which no option stands in front of; write it first"
        );
        assert_eq!(
            asked(&["ask", "stat"]),
            "there is no use for the word stat; did you mean stats? --help lists the options"
        );
        assert_eq!(
            asked(&["ask", "sessions", "x"]),
            "NUMBER cannot be \"x\": it takes a number from 1 to 9 (sessions)"
        );
        assert_eq!(asked(&["ask", "sessions"]), "NUMBER is missing; --help explains every option");
    }
}
