//! Gives the shared library its SONAME, which cargo leaves out. Without one, a program records the
//! path it was linked by, and an incompatible later version would be loaded without a warning.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").expect("cargo sets the package version");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libflashstrike_wal.so.{major}");
}
