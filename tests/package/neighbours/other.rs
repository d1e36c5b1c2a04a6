//! Another Rust library in the same program: it has a standard library of its own.

use std::panic::catch_unwind;

/// 1, when a panic was caught.
#[no_mangle]
pub extern "C" fn other_catches() -> i32 {
    std::panic::set_hook(Box::new(|_| ()));
    let caught = catch_unwind(|| {
        let lengths = std::thread::spawn(|| vec![1u8; 7].len()).join().unwrap();
        assert!(lengths > 7, "planted");
    });
    i32::from(caught.is_err())
}
