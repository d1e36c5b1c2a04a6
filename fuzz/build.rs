//! The tests' modules name the directory that cargo gives to integration tests, and to nothing else.

fn main() {
    let directory = std::env::var("OUT_DIR").expect("cargo sets it");
    println!("cargo::rustc-env=CARGO_TARGET_TMPDIR={directory}");
}
