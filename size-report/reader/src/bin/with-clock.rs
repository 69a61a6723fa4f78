//! Says between which two times it certainly is, in nanoseconds, or why that is not known.
#![no_main]

use std::ffi::c_int;

use midge_agent::clock::{Clock, SEGMENT_PATHS, VM_CLOCK_PATH};
use reader::{listen, say};

#[global_allocator]
// SAFETY: the program starts no thread.
static HEAP: midge_agent::arena::Arena = unsafe { midge_agent::arena::Arena::new() };

/// Where the C library begins.
#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    listen();
    let mut clock = Clock::new(SEGMENT_PATHS, VM_CLOCK_PATH);
    match clock.read() {
        Ok(bounded) => {
            let (window, status) = (bounded.window, bounded.status);
            say(format_args!("{} {} {status}\n", window.earliest_ns(), window.latest_ns()));
        }
        Err(trouble) => say(format_args!("{trouble}\n")),
    }
    0
}
