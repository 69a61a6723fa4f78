//! Mapped pages that can be read whatever becomes of their file.
//!
//! Whoever touches a page behind the end of its file gets SIGBUS, and dies of it. The daemon cuts
//! its file when it starts, so that can happen between any two instructions of a reader. A handler
//! puts a page of zeros in the place of a guarded page, and the instruction is done again: it reads
//! zeros, and zeros are no segment. What else raises SIGBUS is passed on to the handler that there was
//! before. `docs/decisions/reading-shared-memory.md` has what else there
//! was to choose from.

use core::hint::spin_loop;
use core::{mem, ptr};
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;

use crate::os::{Handler, handle_signal, reset_signal, signal_action};

/// Bytes that may be touched, from the beginning of a page. The system maps and replaces whole
/// pages, of whatever size they are.
pub(super) const GUARDED_BYTES: usize = midge::clockbound::SEGMENT_BYTES_MAX;

/// A clock needs three while it takes another segment; the rest is for programs with several.
const PLACES: usize = 64;

/// The guarded pages' addresses; 0 is a free place.
static PAGES: [AtomicUsize; PLACES] = [const { AtomicUsize::new(0) }; PLACES];

/// Whether a thread has begun to install the handler, and whether it is there. `Once` is 240 bytes more.
static INSTALLED: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

/// What SIGBUS did before: the handler and its flags.
static PRIOR: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

/// As long as it lives, reading the page cannot raise SIGBUS.
#[derive(Debug)]
pub(super) struct Guard(&'static AtomicUsize);

impl Guard {
    /// Guards the page that begins at this address; `None` if too many are guarded already.
    pub(super) fn new(page: *mut u8) -> Option<Self> {
        let guard = Self::take(&PAGES, page)?;
        install();
        Some(guard)
    }

    fn take(places: &'static [AtomicUsize], page: *mut u8) -> Option<Self> {
        let page = page.expose_provenance();
        let free = |place: &&AtomicUsize| {
            place.compare_exchange(0, page, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        places.iter().find(free).map(Self)
    }
}

/// Once: whoever has SIGBUS handled later may pass on to this handler what is not his, and would be
/// passed it back for ever.
fn install() {
    let [begun, done] = &INSTALLED;
    if begun.swap(true, Ordering::Relaxed) {
        while !done.load(Ordering::Acquire) {
            spin_loop();
        }
        return;
    }
    for (place, word) in PRIOR.iter().zip(signal_action(libc::SIGBUS)) {
        place.store(word, Ordering::Relaxed);
    }
    // SAFETY: the handler makes system calls and reads atomic numbers, and calls what would have been
    // called without it, no more.
    unsafe { handle_signal(libc::SIGBUS, handle) };
    done.store(true, Ordering::Release);
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system hands over its own description of the signal. Of one that a process sent
    // the address is another process's doing, and its code is not this one.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    if code == libc::BUS_ADRERR && PAGES.iter().any(|place| replace(place, address)) {
        return;
    }
    // It does what it would have done without this handler.
    let [handler, flags] = PRIOR.each_ref().map(|word| word.load(Ordering::Relaxed));
    let function = ptr::with_exposed_provenance::<c_void>(handler);
    match handler {
        // A fault cannot be ignored.
        libc::SIG_IGN if code <= 0 => return,
        libc::SIG_DFL | libc::SIG_IGN => reset_signal(signal),
        _ if flags & libc::SA_SIGINFO as usize != 0 => {
            // SAFETY: the kernel had it for a handler that takes these.
            unsafe { mem::transmute::<*const c_void, Handler>(function)(signal, info, context) };
        }
        _ => {
            // SAFETY: the kernel had it for a handler that takes the number alone.
            unsafe { mem::transmute::<*const c_void, extern "C" fn(c_int)>(function)(signal) };
        }
    }
    // A fault comes again by itself. What was sent does not, not even if the handler gave it up to
    // the default, as that of Rust's standard library does.
    if code != libc::BUS_ADRERR && signal_action(signal)[0] == libc::SIG_DFL {
        let _ = kill(getpid(), Signal::SIGBUS);
    }
}

/// Puts zeros in the place of this page, if it is the one that was touched.
fn replace(place: &AtomicUsize, address: usize) -> bool {
    let page = place.load(Ordering::Relaxed);
    if page == 0 || address.wrapping_sub(page) >= GUARDED_BYTES {
        return false;
    }
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let page = ptr::with_exposed_provenance_mut::<c_void>(page);
    // SAFETY: the page is a mapping of a `Page`, which outlives its guard and is only read, with
    // atomic loads: what they read may change at any time.
    let new = unsafe { libc::mmap(page, GUARDED_BYTES, libc::PROT_READ, flags, -1, 0) };
    new == page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        static TWO: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
        let page = ptr::without_provenance_mut(1);
        let first = Guard::take(&TWO, page).expect("it is free");
        let second = Guard::take(&TWO, page).expect("it is free");
        assert!(Guard::take(&TWO, page).is_none());
        drop(first);
        let third = Guard::take(&TWO, page).expect("it was given back");
        drop((second, third));
        assert!(TWO.iter().all(|place| place.load(Ordering::Relaxed) == 0));
    }
}
