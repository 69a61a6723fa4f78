//! What only the operating system can give: clocks, entropy, and static memory.

use std::cell::UnsafeCell;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use midge::Instant;
use nix::errno::Errno;
use nix::libc;
use nix::sys::time::TimeSpec;
use nix::time::ClockId;
use nix::unistd::write;

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
pub(crate) fn fill_random(buffer: &mut [u8]) -> io::Result<()> {
    loop {
        // SAFETY: the pointer and the length are those of one writable slice.
        let n = unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        match usize::try_from(n) {
            // Up to 256 bytes are never cut short (getrandom(2)).
            Ok(n) if n == buffer.len() => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// stdout without the standard library's buffer and lock, which cost more than all that is written
/// here.
pub(crate) fn stdout() -> BorrowedFd<'static> {
    // SAFETY: the standard library sees to it that 0 to 2 are open before `main`, and nothing here
    // closes them.
    unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) }
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
