//! `--config FILE`: options in a TOML file, under their long names. Which options there are, and what their values may be,
//! is what clap knows of them; nothing is listed here. What the command line says wins, option by option.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::wrong_usage;

/// The option that names the file.
const OPTION: &str = "config";

/// A command line, word by word, with the program's name in front.
pub(crate) type Words = Vec<OsString>;

/// The command line with the options of the file that it names, if it names one.
///
/// # Errors
/// The sentence that says what is wrong with the file.
pub(crate) fn complete(command: &Command, words: Words) -> Result<Words, String> {
    // Where the command line itself is wrong, parsing it in the end will tell.
    let Ok(given) = lenient(command).try_get_matches_from(&words) else { return Ok(words) };
    let (mut level, mut matches, mut at) = (command, &given, 1);
    while let Some((name, below)) = matches.subcommand() {
        let Some(named) = level.find_subcommand(name) else { break };
        (level, matches) = (named, below);
        at += words.iter().skip(at).position(|word| word == name).map_or(0, |before| before + 1);
    }
    let is_known = level.get_arguments().any(|argument| argument.get_id() == OPTION);
    let Some(path) = is_known.then(|| matches.get_one::<PathBuf>(OPTION)).flatten() else { return Ok(words) };
    let is_given = |argument: &Arg| {
        matches.value_source(argument.get_id().as_str()) == Some(clap::parser::ValueSource::CommandLine)
    };
    let mut completed = words;
    let options = read(level, path)?;
    let wanted = options.into_iter().filter(|(argument, _)| !is_given(argument));
    completed.splice(at..at, wanted.flat_map(|(_, words)| words));
    Ok(completed)
}

/// The command line that the file amounts to.
///
/// # Errors
/// The sentence that says what is wrong with it.
pub(crate) fn command_line(command: &Command, path: &Path) -> Result<Words, String> {
    let options = read(command, path)?;
    Ok([command.get_name().into()]
        .into_iter()
        .chain(options.into_iter().flat_map(|(_, words)| words))
        .collect())
}

/// The same without anything that must be there.
fn lenient(command: &Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let all = command.clone().ignore_errors(true).mut_args(|argument| argument.required(false));
    names.into_iter().fold(all, |all, name| all.mut_subcommand(name, |below| lenient(&below)))
}

/// Every option of the file with its words.
fn read(command: &Command, path: &Path) -> Result<Vec<(Arg, Vec<OsString>)>, String> {
    let unreadable = |reason: &dyn std::fmt::Display| {
        format!("cannot read the configuration file {}: {reason}", path.display())
    };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    let line_of = |at: usize| text.get(..at).unwrap_or_default().matches('\n').count() + 1;
    let wrong = |at: usize, sentence: &str| format!("{}, line {}: {sentence}", path.display(), line_of(at));
    let table = DeTable::parse(&text).map_err(|error| {
        wrong(
            error.span().map_or(0, |span| span.start),
            error.message().lines().next().unwrap_or("it is no TOML"),
        )
    })?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut options = Vec::new();
    for (key, value) in entries {
        let name: &str = key.get_ref();
        let argument = option(command, name).map_err(|sentence| wrong(key.span().start, &sentence))?;
        let words = words(argument, name, value).map_err(|sentence| wrong(value.span().start, &sentence))?;
        check(command, &words).map_err(|sentence| wrong(value.span().start, &sentence))?;
        options.push((argument.clone(), words));
    }
    Ok(options)
}

/// The option of that long name.
fn option<'a>(command: &'a Command, name: &str) -> Result<&'a Arg, String> {
    let known = command.get_arguments().find(|argument| argument.get_long() == Some(name));
    match known {
        Some(argument) if may_stand_in_a_file(argument) => Ok(argument),
        Some(_) => Err(format!("--{name} can stand on the command line only")),
        None => Err(format!(
            "there is no option {name}; keys are the long names that --help lists, without dashes"
        )),
    }
}

/// Whether a file may hold the option.
pub(crate) fn may_stand_in_a_file(argument: &Arg) -> bool {
    let is_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append | ArgAction::SetTrue);
    is_value && argument.get_long().is_some() && argument.get_id() != OPTION && !argument.is_hide_set()
}

/// What a person would write on the command line.
fn words(argument: &Arg, name: &str, value: &Spanned<DeValue<'_>>) -> Result<Vec<OsString>, String> {
    let is_switch = matches!(argument.get_action(), ArgAction::SetTrue);
    match value.get_ref() {
        DeValue::Boolean(true) if is_switch => Ok(vec![format!("--{name}").into()]),
        DeValue::Boolean(false) if is_switch => Ok(Vec::new()),
        _ if is_switch => Err(format!("{name} is a switch: it is true or false")),
        DeValue::Array(values) if matches!(argument.get_action(), ArgAction::Append) => {
            values.iter().map(|value| word(name, value.get_ref())).collect()
        }
        DeValue::Array(_) => Err(format!("{name} takes one value, not a list")),
        value => word(name, value).map(|word| vec![word]),
    }
}

fn word(name: &str, value: &DeValue<'_>) -> Result<OsString, String> {
    let value = match value {
        DeValue::String(text) => text.as_ref().to_owned(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        _ => return Err(format!("{name} takes a text in quotes or a decimal number")),
    };
    Ok(format!("--{name}={value}").into())
}

/// Whether an option's own value is one; how options go together is seen when all are there.
fn check(command: &Command, words: &[OsString]) -> Result<(), String> {
    let mut alone = command.clone().mut_args(|argument| argument.required(false));
    let line = std::iter::once(OsString::from(command.get_name())).chain(words.iter().cloned());
    match alone.try_get_matches_from_mut(line) {
        Err(error)
            if !matches!(error.kind(), ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand) =>
        {
            Err(wrong_usage::sentence(&mut alone, &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use clap::{CommandFactory, Parser};
    use tempfile::NamedTempFile;

    use super::*;
    use crate::number;

    #[derive(Debug, Parser)]
    #[command(name = "program", disable_help_subcommand = true, args_conflicts_with_subcommands = true)]
    #[command(subcommand_negates_reqs = true)]
    struct Flags {
        #[command(subcommand)]
        command: Option<Below>,
        #[arg(short = 'x', long, required = true, value_delimiter = ',')]
        mapping: Vec<String>,
        #[arg(short = 'r', long, default_value = "100", value_parser = number(1_u8..=100, "per cent"))]
        percent: u8,
        #[arg(short = 'a', long)]
        times: Option<f64>,
        #[arg(short = 'L', long)]
        lonely: bool,
        #[arg(long)]
        config: Option<PathBuf>,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Below {
        Plan {
            #[arg(short = 'x', long, required = true)]
            mapping: String,
            #[arg(long)]
            config: Option<PathBuf>,
        },
        Other,
    }

    fn file(text: &str) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn parsed(text: &str, words: &[&str]) -> Result<Flags, String> {
        let file = file(text);
        let mut line: Words =
            std::iter::once("program").chain(words.iter().copied()).map(Into::into).collect();
        line.push(format!("--config={}", file.path().display()).into());
        let completed = complete(&Flags::command(), line)?;
        Flags::try_parse_from(completed).map_err(|error| error.to_string())
    }

    fn wrong(text: &str) -> String {
        let sentence = parsed(text, &[]).unwrap_err();
        sentence.split_once(", ").unwrap().1.to_owned()
    }

    #[test]
    fn options_of_the_file_count_and_the_command_line_wins() {
        let text =
            "# all of it\nmapping = ['80-a:80', '81-a:81']\npercent = 20\ntimes = 0.5\nlonely = true\n";
        let flags = parsed(text, &[]).unwrap();
        assert_eq!(flags.mapping, ["80-a:80", "81-a:81"]);
        assert_eq!((flags.percent, flags.times, flags.lonely), (20, Some(0.5), true));
        let flags = parsed(text, &["-x", "90-b:90", "-r", "7"]).unwrap();
        assert_eq!((flags.mapping, flags.percent, flags.lonely), (vec!["90-b:90".to_owned()], 7, true));
        assert_eq!(parsed("mapping = '80-a:80,81-a:81'\nlonely = false", &[]).unwrap().mapping.len(), 2);
    }

    #[test]
    fn a_command_has_options_of_its_own_in_its_file() {
        let Some(Below::Plan { mapping, .. }) = parsed("mapping = 'a'", &["plan"]).unwrap().command else {
            panic!()
        };
        assert_eq!(mapping, "a");
        let line: Words = ["program", "other"].map(Into::into).to_vec();
        assert_eq!(complete(&Flags::command(), line.clone()), Ok(line));
    }

    #[test]
    fn what_is_wrong_is_told_with_line_and_key() {
        for (text, sentence) in [
            (
                "percent = 20\npercnt = 3",
                "line 2: there is no option percnt; keys are the long names that --help lists, without dashes",
            ),
            (
                "\n\npercent = 200",
                "line 3: -r/--percent cannot be \"200\": it takes a number from 1 to 100 (per cent)",
            ),
            ("lonely = 1", "line 1: lonely is a switch: it is true or false"),
            ("percent = [1, 2]", "line 1: percent takes one value, not a list"),
            ("percent = { a = 1 }", "line 1: percent takes a text in quotes or a decimal number"),
            ("config = 'other.toml'", "line 1: --config can stand on the command line only"),
        ] {
            assert_eq!(wrong(text), sentence, "{text}");
        }
        assert!(wrong("a = 1\nmapping =").starts_with("line 2: "));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let line: Words = ["program", "--config", "/nowhere"].map(Into::into).to_vec();
        let sentence = complete(&Flags::command(), line).unwrap_err();
        assert!(sentence.starts_with("cannot read the configuration file /nowhere: "), "{sentence}");
    }

    #[test]
    fn a_wrong_command_line_is_left_to_clap() {
        let line: Words = ["program", "--nonsense"].map(Into::into).to_vec();
        assert_eq!(complete(&Flags::command(), line.clone()), Ok(line));
    }

    #[test]
    fn the_command_line_it_amounts_to() {
        let file = file("lonely = true\nmapping = ['a', 'b']");
        let line = command_line(&Flags::command(), file.path()).unwrap();
        assert_eq!(line, ["program", "--lonely", "--mapping=a", "--mapping=b"]);
    }
}
