//! Counts every system call of one thread. With Syscall User Dispatch (`prctl(2)`, Linux 5.11) the
//! kernel turns each call into a SIGSYS, and the handler counts the call and makes it. A thread
//! without system calls runs at full speed. Each call costs some microseconds more, so the calls of
//! contestants that make some are counted in a turn that is not timed.

use std::arch::global_asm;
use std::ffi::{c_int, c_long, c_void};
use std::sync::atomic::{AtomicU64, AtomicU8, Ordering};

// The only code whose system calls the kernel does not dispatch while the counter is on: the call
// that the handler makes, and the return from the handler.
global_asm!(
    ".globl bench_calls_begin",
    "bench_calls_begin:",
    ".globl bench_call",
    "bench_call:", // (number, pointer to six arguments), made by the convention of Linux
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

/// The `struct sigaction` of the kernel. With that of the C library, the restorer would be one
/// outside of the range above.
#[repr(C)]
struct KernelSigaction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// Runs this and returns how many system calls this thread made in it, or `None` if the kernel
/// cannot count them. Only one thread may call this at a time.
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
    // SAFETY: this turns off what `start` turned on.
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
    // SAFETY: the handler takes the arguments of SA_SIGINFO; the restorer calls rt_sigreturn; the
    // range is that of the code above; the selector is static. The kernel's signal sets have 8
    // bytes.
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

/// Counts the dispatched call, and makes it.
extern "C" fn on_system_call(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the kernel gives a SA_SIGINFO handler the registers of the interrupted thread. For a
    // dispatched call they are as before the call; the result goes into the register of the result.
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
