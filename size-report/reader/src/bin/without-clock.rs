//! Says what time the system's clock shows, in nanoseconds.
#![no_main]

use std::ffi::c_int;

use nix::time::ClockId;
use reader::{listen, say};

#[global_allocator]
// SAFETY: the program starts no thread.
static HEAP: midge_agent::arena::Arena = unsafe { midge_agent::arena::Arena::new() };

/// Where the C library begins.
#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    listen();
    match ClockId::CLOCK_REALTIME.now() {
        Ok(time) => say(format_args!("{} {}\n", time.tv_sec(), time.tv_nsec())),
        Err(error) => say(format_args!("{}\n", error as i32)),
    }
    0
}
