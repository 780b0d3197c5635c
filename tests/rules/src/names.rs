//! What files, modules and identifiers must not be called (CONTRIBUTING.md).

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Component, Path};

use crate::breach::{Breach, Rule};
use crate::source::Source;

/// Names that say nothing of what is inside.
const SHAPELESS: [&str; 6] = ["util", "utils", "helper", "helpers", "common", "misc"];

/// Every file, folder and module with a shapeless name, every `mod.rs`, and every identifier that speaks the
/// language of the C tools.
#[must_use]
pub fn in_sources(sources: &[Source]) -> Vec<Breach> {
    let mut breaches: Vec<Breach> = sources.iter().filter_map(file_name).collect();
    for source in sources {
        let mut seen = HashSet::new();
        let strange = source.words.iter().filter(|word| is_strange(&word.text));
        breaches.extend(strange.filter(|word| seen.insert(&word.text)).map(|word| Breach {
            rule: Rule::Names,
            place: source.place(word.line),
            finding: format!("the identifier {} is of the C tools' language", word.text),
            remedy: String::from(
                "use the words of docs/architecture.md: capture, response, transmit, flow, session, packet",
            ),
        }));
        let modules =
            source.words.windows(2).filter(|pair| pair[0].text == "mod" && is_shapeless(&pair[1].text));
        breaches.extend(modules.map(|pair| shapeless(source.place(pair[1].line), &pair[1].text)));
    }
    breaches
}

fn file_name(source: &Source) -> Option<Breach> {
    let place = || source.path.display().to_string();
    if source.path.file_name() == Some(OsStr::new("mod.rs")) {
        return Some(Breach {
            rule: Rule::Names,
            place: place(),
            finding: String::from("the file is called mod.rs"),
            remedy: String::from("move it beside its folder: foo.rs and foo/"),
        });
    }
    let shapeless_part = source.path.components().find_map(|part| match part {
        Component::Normal(part) => Path::new(part).file_stem()?.to_str().filter(|stem| is_shapeless(stem)),
        _ => None,
    });
    shapeless_part.map(|part| shapeless(place(), part))
}

fn shapeless(place: String, name: &str) -> Breach {
    Breach {
        rule: Rule::Names,
        place,
        finding: format!("the name {name} says nothing of what is inside"),
        remedy: String::from("name it after the noun it holds, or move each part to the file that uses it"),
    }
}

fn is_shapeless(name: &str) -> bool {
    SHAPELESS.contains(&name)
}

fn is_strange(identifier: &str) -> bool {
    let lower = identifier.to_lowercase();
    lower.starts_with("tc_")
        || lower.contains("clt")
        || lower.contains("bak")
        || lower.split('_').any(|word| word == "pack")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let breaches = in_sources(&[Source::new(path, text).unwrap()]);
        breaches.into_iter().map(|breach| format!("{}: {}", breach.place, breach.finding)).collect()
    }

    #[test]
    fn files_and_folders_without_a_subject_are_breaches() {
        for path in ["core/net/src/util.rs", "cli/src/helpers/terminal.rs", "tests/lab/src/common.rs"] {
            assert_eq!(findings(path, "").len(), 1, "{path}");
        }
        assert!(findings("core/net/src/commonly_dropped.rs", "").is_empty());
    }

    #[test]
    fn a_module_inside_a_file_needs_a_subject_too() {
        let found = findings("cli/src/lib.rs", "\nmod misc { fn f() {} }");
        assert_eq!(found, ["cli/src/lib.rs:2: the name misc says nothing of what is inside"]);
    }

    #[test]
    fn mod_rs_is_a_breach() {
        assert_eq!(findings("core/wire/src/parse/mod.rs", "").len(), 1);
    }

    #[test]
    fn the_language_of_the_c_tools_is_a_breach() {
        for name in ["tc_session", "TC_EVENT", "clt_addr", "old_clt", "TcpBak", "pack_size", "next_pack"] {
            assert_eq!(findings("a.rs", &format!("fn f({name}: u8) {{}}")).len(), 1, "{name}");
        }
        for name in ["packet", "unpacked", "etc_path", "tcp", "backlog", "client"] {
            assert!(findings("a.rs", &format!("fn f({name}: u8) {{}}")).is_empty(), "{name}");
        }
    }

    #[test]
    fn an_identifier_is_reported_once_a_file() {
        assert_eq!(findings("a.rs", "fn f(clt: u8) -> u8 {\n clt + clt }").len(), 1);
    }
}
