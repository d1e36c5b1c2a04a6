//! The program's own `malloc` must be the one that the shared library calls: exported to it.

fn main() {
    for name in ["malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc"] {
        println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol={name}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
