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
        ErrorKind::ArgumentConflict => {
            let other = name_of(command, &text(ContextKind::PriorArg));
            if other == option {
                format!("{option} is given twice; once is enough")
            } else {
                format!("{option} and {other} exclude each other; give one of them")
            }
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
        .map(|argument| format!("{} {}", name_of(command, argument), value_of(command, argument)))
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

/// `-x/--mapping` for what clap calls `--mapping <VALUE>`.
fn name_of(command: &Command, argument: &str) -> String {
    let Some(known) = find(command, argument) else {
        return argument.to_owned();
    };
    match (known.get_short(), known.get_long()) {
        (Some(short), Some(long)) => format!("-{short}/--{long}"),
        (None, Some(long)) => format!("--{long}"),
        _ => argument.to_owned(),
    }
}

/// What stands for the value in the help.
fn value_of(command: &Command, argument: &str) -> String {
    let names = find(command, argument).and_then(Arg::get_value_names).unwrap_or_default();
    names.join(" ")
}

fn find<'a>(command: &'a Command, argument: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|known| known.to_string() == argument)
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
}
