//! Counts every system call of one thread, exactly: with Syscall User Dispatch (`prctl(2)`, Linux
//! 5.11) the kernel turns each into a SIGSYS, whose handler counts it and makes it. A thread that
//! makes none runs at full speed; one that does pays some microseconds for each, so calls of
//! contestants that make some are counted in a pass that is not timed.

use std::arch::global_asm;
use std::ffi::{c_int, c_long, c_void};
use std::sync::atomic::{AtomicU64, AtomicU8, Ordering};

// The only code whose system calls the kernel lets through while the counter is on: the call the
// handler makes, and the return from the handler.
global_asm!(
    ".globl bench_calls_begin",
    "bench_calls_begin:",
    ".globl bench_call",
    "bench_call:", // (number, arguments): the Linux convention, from an array of six
    "mov rax, rdi",
    "mov r11, rsi",
    "mov rdi, [r11]",
    "mov rsi, [r11 + 8]",
    "mov rdx, [r11 + 16]",
    "mov r10, [r11 + 24]",
    "mov r8, [r11 + 32]",
    "mov r9, [r11 + 40]",
    "syscall",
    "ret",
    ".globl bench_return",
    "bench_return:",
    "mov eax, 15", // rt_sigreturn
    "syscall",
    "nop",
    ".globl bench_calls_end",
    "bench_calls_end:",
);

extern "C" {
    static bench_calls_begin: u8;
    static bench_calls_end: u8;
    fn bench_call(number: c_long, arguments: *const [i64; 6]) -> i64;
    fn bench_return();
}

/// What the kernel reads at each system call of the thread: 0 lets it through, 1 dispatches it.
static DISPATCH: AtomicU8 = AtomicU8::new(0);
static COUNT: AtomicU64 = AtomicU64::new(0);
const SA_RESTORER: u64 = 0x0400_0000;
const PR_SET_SYSCALL_USER_DISPATCH: c_int = 59;
const PR_SYS_DISPATCH_OFF: c_int = 0;
const PR_SYS_DISPATCH_ON: c_int = 1;

/// The kernel's own `struct sigaction`: the C library's has a restorer outside of the range above.
#[repr(C)]
struct KernelSigaction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// Runs this and returns how many system calls this thread made in it; `None` if the kernel cannot
/// tell. One thread at a time.
pub fn counted(run: impl FnOnce()) -> Option<u64> {
    if !start() {
        run();
        return None;
    }
    COUNT.store(0, Ordering::Relaxed);
    DISPATCH.store(1, Ordering::SeqCst);
    run();
    DISPATCH.store(0, Ordering::SeqCst);
    let count = COUNT.load(Ordering::Relaxed);
    // SAFETY: turns off what `start` has turned on.
    unsafe { libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0) };
    Some(count)
}

fn start() -> bool {
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_system_call;
    let action = KernelSigaction {
        handler: handler as usize,
        flags: libc::SA_SIGINFO as u64 | libc::SA_NODEFER as u64 | SA_RESTORER,
        restorer: bench_return as unsafe extern "C" fn() as usize,
        mask: 0,
    };
    // SAFETY: the handler is one for SA_SIGINFO; the restorer makes rt_sigreturn; the range is that
    // of the code above; the selector is static. 8 is the kernel's size of a signal set.
    unsafe {
        let none = std::ptr::null_mut::<c_void>();
        if libc::syscall(libc::SYS_rt_sigaction, libc::SIGSYS, &action, none, 8) != 0 {
            return false;
        }
        let begin = &raw const bench_calls_begin as usize;
        let length = &raw const bench_calls_end as usize - begin;
        let selector = DISPATCH.as_ptr();
        libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, begin, length, selector) == 0
    }
}

/// Counts the call that was stopped, and makes it.
extern "C" fn on_system_call(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the kernel hands a SA_SIGINFO handler the interrupted thread's registers, which for a
    // dispatched call are as they were before it; the result goes where the call would have left it.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let argument = |index: c_int| registers[index as usize];
        let arguments = [
            argument(libc::REG_RDI),
            argument(libc::REG_RSI),
            argument(libc::REG_RDX),
            argument(libc::REG_R10),
            argument(libc::REG_R8),
            argument(libc::REG_R9),
        ];
        let number = argument(libc::REG_RAX);
        registers[libc::REG_RAX as usize] = bench_call(number, &arguments);
    }
}
