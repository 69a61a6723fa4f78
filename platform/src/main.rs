//! The `midge` program.

use std::process::ExitCode;

use midge_agent::Arena;

// SAFETY: the program starts no thread.
#[global_allocator]
static HEAP: Arena = unsafe { Arena::new() };

fn main() -> ExitCode {
    midge_agent::run()
}
