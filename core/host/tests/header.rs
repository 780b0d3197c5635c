//! The header for modules in C says what the host says.

use std::{env, fs};

const HEADER: &str = "include/tcpcopy_module.h";

#[test]
fn the_header_is_the_interface() {
    let config = cbindgen::Config::from_file("cbindgen.toml").unwrap();
    let mut written = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src("src/c_door/interface.rs")
        .generate()
        .unwrap()
        .write(&mut written);
    let written = String::from_utf8(written).unwrap();
    if env::var_os("UPDATE_HEADER").is_some() {
        fs::write(HEADER, &written).unwrap();
    }
    let kept = fs::read_to_string(HEADER).unwrap_or_default();
    assert!(
        kept == written,
        "core/host/{HEADER} is old; write it anew with UPDATE_HEADER=1 cargo test -p tcpcopy-host --test header"
    );
}
