//! What only the operating system can give: clocks, entropy, static memory, the arguments and the
//! environment, standard files, and the words of errors.

use core::fmt;
use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char};
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use midge::Instant;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::sys::time::TimeSpec;
use nix::time::ClockId;
use nix::unistd::write;

use crate::text::cut;

/// The monotonic clock that goes on while the machine is suspended, so that a node which slept
/// knows how long it was away.
pub(crate) fn now() -> Instant {
    let time = ClockId::CLOCK_BOOTTIME.now().expect("Linux has this clock since 2.6.39");
    Instant::from_micros(micros(time))
}

/// Unix time in milliseconds; 0 for a clock that is set before 1970.
pub(crate) fn unix_ms() -> u64 {
    let time = ClockId::CLOCK_REALTIME.now().expect("every Linux has this clock");
    micros(time) / 1_000
}

fn micros(time: TimeSpec) -> u64 {
    let secs = u64::try_from(time.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
    secs.saturating_mul(1_000_000) + nanos / 1_000
}

/// Fills the buffer, of at most 256 bytes, from the kernel's generator; waits until that is
/// seeded, which can only be early in the boot.
pub(crate) fn fill_random(buffer: &mut [u8]) -> Result<(), Errno> {
    loop {
        // SAFETY: the pointer and the length are those of one writable slice.
        let n = unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        match Errno::result(n) {
            // Up to 256 bytes are never cut short (getrandom(2)).
            Ok(n) if n as usize == buffer.len() => return Ok(()),
            Ok(_) => return Err(Errno::EIO),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes sure that the descriptors 0 to 2 are open, so that no socket becomes the log.
pub(crate) fn open_standard_files() {
    while let Ok(file) = open(c"/dev/null", OFlag::O_RDWR, Mode::empty()) {
        if file.as_raw_fd() > libc::STDERR_FILENO {
            return;
        }
        // It stays open for good.
        let _ = file.into_raw_fd();
    }
}

/// Writing to a pipe that nobody reads becomes an error; by default it ends the process.
pub(crate) fn ignore_closed_pipes() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGPIPE);
    // It fails only for wrong arguments.
    let _ = signals.thread_block();
}

/// A signal does what it does by default. Whoever started the agent may have had it ignored, which is
/// inherited.
pub(crate) fn reset_signal(signal: i32) {
    // SAFETY: no handler is installed.
    unsafe { set_signal(signal, [0; _]) };
}

/// What is called for a signal: its number, what the system says of it, and what it interrupted.
pub(crate) type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// The kernel's `struct sigaction`: the handler, flags, where that returns to, and a mask of 8 bytes.
type Action = [usize; 5];

/// A handler is told about the signal, and runs on the stack that the thread has for signals, if any:
/// in a process with other threads those may have little of their own.
const HANDLER_FLAGS: usize = (libc::SA_SIGINFO | libc::SA_ONSTACK) as usize;

/// Has a signal handled, for the rest of the process.
///
/// # Safety
/// The handler may be called between any two instructions of the process.
pub(crate) unsafe fn handle_signal(signal: i32, handler: Handler) {
    // SAFETY: the caller promises it.
    unsafe { set_signal(signal, action(handler as usize)) };
}

/// On this processor the kernel is told where a handler returns to.
#[cfg(target_arch = "x86_64")]
fn action(handler: usize) -> Action {
    const SA_RESTORER: usize = 0x0400_0000;
    [handler, HANDLER_FLAGS | SA_RESTORER, resume as *const () as usize, 0, 0]
}

/// Goes on where the signal came: rt_sigreturn(2).
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn resume() {
    core::arch::naked_asm!("mov eax, 15", "syscall");
}

/// The kernel knows where a handler returns to.
#[cfg(not(target_arch = "x86_64"))]
fn action(handler: usize) -> Action {
    [handler, HANDLER_FLAGS, 0, 0, 0]
}

/// # Safety
/// As for `handle_signal`, if there is a handler in it.
unsafe fn set_signal(signal: i32, action: Action) {
    // SAFETY: the pointer is to an action; the caller promises the rest.
    unsafe { sigaction(signal, action.as_ptr(), core::ptr::null_mut()) };
}

/// What a signal does now: the handler, which may be `SIG_DFL` or `SIG_IGN`, and its flags.
pub(crate) fn signal_action(signal: i32) -> [usize; 2] {
    let mut action: Action = [0; _];
    // SAFETY: nothing is changed, and there is as much space as the kernel writes.
    unsafe { sigaction(signal, core::ptr::null(), action.as_mut_ptr()) };
    [action[0], action[1]]
}

/// rt_sigaction(2).
///
/// # Safety
/// As for `handle_signal`, if there is a handler in `new`; each pointer is null, or to an `Action`.
#[inline(never)]
unsafe fn sigaction(signal: i32, new: *const usize, old: *mut usize) {
    // The C library's function is 1,000 bytes that nothing else needs.
    // SAFETY: the caller promises it. It can only fail for wrong arguments.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, old, 8_usize) };
}

/// Makes a copy of this process (fork(2)), in which no signal is blocked, and which dies with this
/// one, however that ends. Gives its number, and 0 in the copy. `end` is the signal that tells of
/// its end, or 0.
///
/// # Errors
/// There is no memory or process left.
///
/// # Safety
/// The process has one thread. The copy ends by `_exit`, or by becoming another program; until then
/// it drops nothing that is not its own.
#[inline(never)]
pub(crate) unsafe fn fork(end: i32) -> Result<libc::pid_t, Errno> {
    // What the C library does beside this is for programs with threads, and 2 KB.
    // SAFETY: the caller promises what is needed; the rest are system calls on numbers.
    unsafe {
        let own = libc::getpid();
        let pid = Errno::result(libc::syscall(libc::SYS_clone, end, 0, 0, 0, 0))?;
        if pid == 0 {
            let _ = SigSet::empty().thread_set_mask();
            libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
            // It may have ended before it was told that this is to be known.
            if libc::getppid() != own {
                exit(0);
            }
        }
        Ok(pid as libc::pid_t)
    }
}

/// The C library's function is 1,200 bytes, for the size of a page, which is all that is asked of it
/// here. That anything else has no limit or is not known is an answer that callers must expect.
#[cfg(target_env = "musl")]
#[unsafe(no_mangle)]
extern "C" fn sysconf(name: i32) -> libc::c_long {
    unsafe extern "C" {
        safe fn getpagesize() -> i32;
    }
    if name == libc::_SC_PAGESIZE { getpagesize().into() } else { -1 }
}

/// Ends the process at once: nothing is dropped.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: it is a system call on a number; nothing is run in the process after it.
    unsafe { libc::_exit(status) }
}

/// stdout without the standard library's buffer and lock, which cost more than all that is written
/// here.
pub(crate) fn stdout() -> BorrowedFd<'static> {
    // SAFETY: `open_standard_files` has seen to it that 0 to 2 are open, and nothing closes them.
    unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) }
}

/// stdin, likewise.
pub(crate) fn stdin() -> BorrowedFd<'static> {
    // SAFETY: as for stdout.
    unsafe { BorrowedFd::borrow_raw(libc::STDIN_FILENO) }
}

/// stderr, likewise.
pub(crate) fn stderr() -> BorrowedFd<'static> {
    // SAFETY: as for stdout.
    unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) }
}

/// Writes all of it.
pub(crate) fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The arguments or the environment of the process: strings, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strings(*const *const c_char);

impl Strings {
    /// # Safety
    /// `first` is the first of pointers to strings that end with a null byte; the last pointer is
    /// null. All of it stays as it is for the rest of the process.
    pub(crate) const unsafe fn new(first: *const *const c_char) -> Self {
        Self(first)
    }

    /// The value of an environment variable, if it is UTF-8.
    #[inline(never)]
    pub(crate) fn variable(self, name: &str) -> Option<&'static str> {
        self.filter_map(|entry| entry.to_str().ok()).find_map(|entry| {
            let (key, value) = cut(entry, b'=')?;
            (key == name).then_some(value)
        })
    }

    /// Strings for a test, which stay for the rest of the process.
    #[cfg(test)]
    pub(crate) fn leak(strings: &[&str]) -> Self {
        let owned =
            strings.iter().map(|s| std::ffi::CString::new(*s).unwrap().into_raw().cast_const());
        let pointers: Vec<_> = owned.chain([core::ptr::null()]).collect();
        // SAFETY: they end with a null pointer, and are never freed.
        unsafe { Self::new(pointers.leak().as_ptr()) }
    }
}

impl Iterator for Strings {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        // SAFETY: who made this has promised what is there; the pointer stops at the last one.
        unsafe {
            let string = *self.0;
            if string.is_null() {
                return None;
            }
            self.0 = self.0.add(1);
            Some(CStr::from_ptr(string))
        }
    }
}

/// An error of the system in words. Those that an operator may meet have some; the table of all
/// of errno(3) would be 2 KB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reason(pub(crate) Errno);

const REASONS: [(Errno, &str); 26] = [
    (Errno::EPERM, "Operation not permitted"),
    (Errno::ENOENT, "No such file or directory"),
    (Errno::EIO, "Input/output error"),
    (Errno::EAGAIN, "Resource temporarily unavailable"),
    (Errno::ENOMEM, "Out of memory"),
    (Errno::EACCES, "Permission denied"),
    (Errno::EEXIST, "File exists"),
    (Errno::ENOTDIR, "Not a directory"),
    (Errno::EISDIR, "Is a directory"),
    (Errno::EINVAL, "Invalid argument"),
    (Errno::ENFILE, "Too many open files in system"),
    (Errno::EMFILE, "Too many open files"),
    (Errno::EFBIG, "File too large"),
    (Errno::ENOSPC, "No space left on device"),
    (Errno::ESPIPE, "Is a pipe"),
    (Errno::EROFS, "Read-only file system"),
    (Errno::EPIPE, "Broken pipe"),
    (Errno::ENAMETOOLONG, "File name too long"),
    (Errno::ELOOP, "Too many levels of symbolic links"),
    (Errno::EPROTOTYPE, "Protocol wrong type for socket"),
    (Errno::EAFNOSUPPORT, "Address family not supported"),
    (Errno::EADDRINUSE, "Address already in use"),
    (Errno::ENETUNREACH, "Network is unreachable"),
    (Errno::ECONNRESET, "Connection reset by peer"),
    (Errno::ECONNREFUSED, "Connection refused"),
    (Errno::EHOSTUNREACH, "No route to host"),
];

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match REASONS.iter().find(|(error, _)| *error == self.0) {
            Some((_, words)) => f.write_str(words),
            None => write!(f, "error {}", self.0 as i32),
        }
    }
}

/// A value in static memory that is handed out once. With an initial value of zero bytes it costs
/// no resident memory until it is written to.
pub(crate) struct Slot<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reachable only through `take`, which hands it out once, so at most one
// thread ever has it; moving it to that thread is what `Send` allows.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// A slot with this value in it.
    pub(crate) const fn new(value: T) -> Self {
        Self { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// The value, the first time; `None` ever after.
    #[expect(clippy::mut_from_ref, reason = "the flag makes the reference the only one")]
    pub(crate) fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        // SAFETY: the swap returned false for this call alone, so no other reference exists or
        // will; the slot is static, so the value lives for ever.
        Some(unsafe { &mut *self.value.get() })
    }
}

#[cfg(test)]
mod tests {
    use super::{Slot, fill_random, now, unix_ms};

    #[test]
    fn a_slot_hands_its_value_out_once() {
        static SLOT: Slot<u32> = Slot::new(7);
        let value = SLOT.take().expect("nobody took it before");
        *value += 1;
        assert_eq!(*value, 8);
        assert!(SLOT.take().is_none());
    }

    #[test]
    fn random_bytes_differ_and_clocks_run() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        fill_random(&mut a).unwrap();
        fill_random(&mut b).unwrap();
        assert_ne!(a, b);
        assert!(now() > midge::Instant::ZERO);
        assert!(unix_ms() > 1_700_000_000_000);
    }
}
