//! Gives the shared library a SONAME, which cargo does not set. Without one, the dynamic loader
//! would load an incompatible later version without a warning.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").expect("cargo sets the package version");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libflashstrike_wal.so.{major}");
}
