//! The `midge` program. Why it has no `fn main`: `docs/decisions/without-a-runtime.md`.
#![no_main]

use std::ffi::{c_char, c_int};

use midge_agent::arena::Arena;

// SAFETY: the program starts no thread.
#[global_allocator]
static HEAP: Arena = unsafe { Arena::new() };

/// Where the C library begins.
#[unsafe(no_mangle)]
extern "C" fn main(
    _count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: the C library hands over its own arrays, which end with a null pointer, and nothing
    // here changes them.
    unsafe { midge_agent::run(arguments, environment) }
}
