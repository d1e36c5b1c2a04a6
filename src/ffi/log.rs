//! Makes a log function of C the crate's [`LogSink`].

use std::ffi::{c_char, c_void};

use crate::log_sink::{Level, LogSink};

use super::text::c_text;

/// Level of a log message: the log has failed, or could not be opened.
pub const FS_WAL_LOG_ERROR: i32 = 1;
/// Level of a log message: something is not as it should be, and the log goes on.
pub const FS_WAL_LOG_WARN: i32 = 2;
/// Level of a log message: what was done (opened, recovered, deleted, shut down).
pub const FS_WAL_LOG_INFO: i32 = 3;

/// `fs_wal_config.log`, not NULL.
pub(super) type LogFunction = unsafe extern "C" fn(*mut c_void, i32, *const c_char);

/// A function and what it is to be called with.
struct Target {
    function: LogFunction,
    user: *mut c_void,
}

// SAFETY: the pointer is never followed here, only handed to the function, and the header says
// that this happens on other threads: both must be fit for that, which is the caller's promise.
unsafe impl Send for Target {}

impl Target {
    fn call(&self, level: Level, message: &str) {
        let level = match level {
            Level::Error => FS_WAL_LOG_ERROR,
            Level::Warn => FS_WAL_LOG_WARN,
            Level::Info => FS_WAL_LOG_INFO,
        };
        let text = c_text(message);
        // SAFETY: the caller's promise, see `sink`; the text is NUL-terminated and outlives the
        // call. A function that unwinds ends the process here, as Rust has it for `extern "C"`.
        unsafe { (self.function)(self.user, level, text.as_ptr()) }
    }
}

/// A sink that calls a function of C.
///
/// # Safety
/// Until the log of the sink is shut down, `function` may be called with `user` on any thread, one
/// call at a time.
pub(super) unsafe fn sink(function: LogFunction, user: *mut c_void) -> LogSink {
    let target = Target { function, user };
    LogSink::new(move |level, message| target.call(level, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    type Seen = Vec<(i32, String)>;

    unsafe extern "C" fn remember(user: *mut c_void, level: i32, message: *const c_char) {
        // SAFETY: the test gives a `Seen` that outlives the sink, and the sink a C string.
        let (seen, text) = unsafe { (&mut *user.cast::<Seen>(), CStr::from_ptr(message)) };
        seen.push((level, text.to_str().unwrap().to_owned()));
    }

    #[test]
    fn levels_and_messages_arrive_as_c_expects_them() {
        let mut seen = Seen::new();
        // SAFETY: `seen` outlives the sink.
        let sink = unsafe { sink(remember, std::ptr::from_mut(&mut seen).cast()) };
        sink.error("a");
        sink.warn("b \0 c");
        sink.info("");
        drop(sink);
        let words = |level, text: &str| (level, text.to_owned());
        assert_eq!(seen, [words(1, "a"), words(2, "b \u{fffd} c"), words(3, "")]);
    }
}
