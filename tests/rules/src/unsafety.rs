//! Where `unsafe` may stand (docs/architecture.md). The crate roots forbid it to the compiler, which also sees into macros;
//! the search covers files whose root cannot, such as tests and benchmarks.

use crate::breach::{Breach, Rule};
use crate::source::Source;
use crate::workspace::Package;

const PERMITTED: [&str; 4] = ["core/net", "core/host", "plugin-api/src/abi.rs", OLD_MIRROR];
/// The same file as it once was, which must not change.
const OLD_MIRROR: &str = "tests/abi/fixtures/api-1.0/plugin-api/src/abi.rs";
/// Its `abi` module needs unsafe, so its root can only deny it.
const PARTLY_PERMITTED: &str = "plugin-api";

/// Every `unsafe` outside the permitted places.
#[must_use]
pub fn in_sources(sources: &[Source]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for source in sources {
        if PERMITTED.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        let found = source.words.iter().filter(|word| word.text == "unsafe");
        breaches.extend(found.map(|word| Breach {
            rule: Rule::Unsafe,
            place: source.place(word.line),
            finding: String::from("unsafe stands here"),
            remedy: String::from(
                "use a safe wrapper (nix, socket2, rustix), or give core/net a safe function that does it",
            ),
        }));
    }
    breaches
}

/// Every library or binary root that does not forbid unsafe code to the compiler.
#[must_use]
pub fn in_roots(packages: &[Package], sources: &[Source]) -> Vec<Breach> {
    let permitted = |package: &Package| {
        package.folder.starts_with(PARTLY_PERMITTED)
            || PERMITTED.iter().any(|place| package.folder.starts_with(place))
    };
    let mut breaches = Vec::new();
    for root in packages.iter().filter(|package| !permitted(package)).flat_map(|package| &package.roots) {
        let source = sources.iter().find(|source| source.path == *root);
        if !source.is_some_and(|source| source.forbids_unsafe) {
            breaches.push(Breach {
                rule: Rule::Unsafe,
                place: root.display().to_string(),
                finding: String::from("this crate root does not forbid unsafe code"),
                remedy: String::from("add #![forbid(unsafe_code)] below its opening comment"),
            });
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSCALL: &str = "//! Head.\n\nfn f() { unsafe { g() } }\n";

    fn source(path: &str, text: &str) -> Source {
        Source::new(path, text).unwrap()
    }

    fn places(breaches: &[Breach]) -> Vec<&str> {
        breaches.iter().map(|breach| breach.place.as_str()).collect()
    }

    #[test]
    fn unsafe_outside_its_places_is_a_breach() {
        let sources = [
            source("core/net/src/sockopt.rs", SYSCALL),
            source("core/runtime/src/socket.rs", SYSCALL),
            source("core/network/src/lib.rs", SYSCALL),
            source("plugin-api/src/abi.rs", SYSCALL),
            source("plugin-api/src/lib.rs", SYSCALL),
        ];
        let expected =
            ["core/runtime/src/socket.rs:3", "core/network/src/lib.rs:3", "plugin-api/src/lib.rs:3"];
        assert_eq!(places(&in_sources(&sources)), expected);
    }

    #[test]
    fn an_unsafe_attribute_is_a_breach() {
        let sources = [source("core/wire/src/lib.rs", "#[unsafe(no_mangle)] fn f() {}")];
        assert_eq!(places(&in_sources(&sources)), ["core/wire/src/lib.rs:1"]);
    }

    #[test]
    fn a_root_that_only_denies_unsafe_is_a_breach() {
        let package = |folder: &str| Package {
            name: folder.into(),
            folder: folder.into(),
            knows: Vec::new(),
            made_of: Vec::new(),
            roots: vec![format!("{folder}/src/lib.rs").into()],
        };
        let packages = ["core/wire", "core/feed", "core/net", "cli"].map(package);
        let sources = [
            source("core/wire/src/lib.rs", "#![forbid(unsafe_code)]"),
            source("core/feed/src/lib.rs", "#![deny(unsafe_code)]"),
            source("core/net/src/lib.rs", ""),
        ];
        let expected = ["core/feed/src/lib.rs", "cli/src/lib.rs"];
        assert_eq!(places(&in_roots(&packages, &sources)), expected);
    }
}
