//! `docs/tcp-behaviour.md` points at tests that exist.

use std::path::Path;

#[test]
fn every_behaviour_in_the_documentation_has_its_test() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(here.join("../../docs/tcp-behaviour.md")).expect("the page");
    let named = page.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::"));
    let mut count = 0;
    for (file, test) in named {
        let path = here.join("tests/engine").join(file).with_extension("rs");
        let source = std::fs::read_to_string(&path).expect("the file of a test");
        assert!(source.contains(&format!("fn {test}(")), "{file}::{test} is not there");
        count += 1;
    }
    assert!(count > 100, "only {count} tests are named");
}
