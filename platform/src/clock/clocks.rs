//! The clocks that windows are made of.

use midge::clockbound::{Layout, Reading};
use nix::time::ClockId;

/// A reading of the clocks that this layout counts by; `None` on a processor without a counter that
/// a segment could count by.
#[inline]
pub(super) fn reading(layout: Layout) -> Option<Reading> {
    match layout {
        // In this order: if it takes long to get from one to the other, the window grows.
        Layout::V1 | Layout::V2 => Some(Reading::Clocks {
            realtime_ns: clock_ns(ClockId::CLOCK_REALTIME),
            monotonic_coarse_ns: monotonic_coarse_ns(),
        }),
        Layout::V3 => counter().map(Reading::Counter),
    }
}

/// It goes on whatever a segment says.
#[inline]
pub(super) fn monotonic_coarse_ns() -> i64 {
    clock_ns(ClockId::CLOCK_MONOTONIC_COARSE)
}

/// A clock that every Linux has, in nanoseconds. A time that they cannot say is one that no segment
/// can say, and none is valid at.
#[inline]
fn clock_ns(clock: ClockId) -> i64 {
    let time = clock.now().expect("Linux has these clocks since 2.6.32");
    time.tv_sec().saturating_mul(1_000_000_000).saturating_add(time.tv_nsec())
}

/// The counter, read after all that stands before it, and before all that stands behind it.
#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> Option<u64> {
    use core::arch::x86_64::{_mm_lfence, _rdtsc};
    // SAFETY: all these processors have these instructions, and no memory is touched.
    Some(unsafe {
        _mm_lfence();
        let counter = _rdtsc();
        _mm_lfence();
        counter
    })
}

/// The counter, read after all that stands before it, and before all that stands behind it.
#[cfg(target_arch = "aarch64")]
#[inline]
fn counter() -> Option<u64> {
    let counter: u64;
    // SAFETY: it reads a register that Linux lets programs read. Without `nomem` no access to
    // memory is moved across it.
    unsafe {
        core::arch::asm!("isb", "mrs {}, cntvct_el0", "isb", out(reg) counter,
            options(nostack, preserves_flags));
    }
    Some(counter)
}

/// The daemon makes no segment by a counter on other processors.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn counter() -> Option<u64> {
    None
}
