//! Counts the allocations of every thread. This program defines and exports `malloc` and the
//! related functions, so that the shared library calls these too. They call those of the C
//! library.

use std::cell::Cell;
use std::ffi::{c_int, c_void};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The calls of this thread to the allocator so far, frees included.
pub fn on_this_thread() -> u64 {
    COUNT.with(Cell::get)
}

#[inline(always)]
fn count() {
    COUNT.with(|count| count.set(count.get() + 1));
}

extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(old: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_free(old: *mut c_void);
    fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
}

// Each function has the contract of the C function of its name, and passes its arguments on.
// The counter is a thread-local without initialiser and destructor, so counting never allocates.

#[no_mangle]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    count();
    // SAFETY: the caller keeps the contract.
    unsafe { __libc_malloc(size) }
}

#[no_mangle]
unsafe extern "C" fn calloc(number: usize, size: usize) -> *mut c_void {
    count();
    // SAFETY: the caller keeps the contract.
    unsafe { __libc_calloc(number, size) }
}

#[no_mangle]
unsafe extern "C" fn realloc(old: *mut c_void, size: usize) -> *mut c_void {
    count();
    // SAFETY: the caller keeps the contract.
    unsafe { __libc_realloc(old, size) }
}

#[no_mangle]
unsafe extern "C" fn free(old: *mut c_void) {
    if !old.is_null() {
        count();
    }
    // SAFETY: the caller keeps the contract.
    unsafe { __libc_free(old) }
}

#[no_mangle]
unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, alignment: usize, size: usize) -> c_int {
    count();
    // SAFETY: the caller keeps the contract.
    let memory = unsafe { __libc_memalign(alignment, size) };
    if memory.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller gives a place for the result.
    unsafe { out.write(memory) };
    0
}

#[no_mangle]
unsafe extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    count();
    // SAFETY: the caller keeps the contract.
    unsafe { __libc_memalign(alignment, size) }
}
