//! Exports this program's `malloc` and related functions, so that the shared library calls them.

fn main() {
    for name in ["malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc"] {
        println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol={name}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
