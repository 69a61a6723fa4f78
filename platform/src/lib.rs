//! The midge agent for Linux: drives the core [`midge::Node`] from one loop.
//!
//! One thread and one `mio` loop serve the UDP socket, the local HTTP API and signals. Nothing in
//! the loop blocks, and nothing uses the heap after the start. The decisions are all the
//! core's; this crate owns what the core must not: sockets, clocks, randomness, signals, the
//! command line.
//!
//! - `cli`: arguments, help, and the client commands that talk to the agent on this host
//! - `agent`: start-up and its errors, the loop, the UDP socket, signals, the words in the log
//! - [`api`]: the endpoints of the local API; [`http`]: the server under it
//! - [`seeds`]: where there may be members to join through
//! - `logger`: lines on stderr that never block
//! - `child`: programs that the agent runs
//! - [`council_file`]: what a node must not forget of its council
//! - [`clock`]: true time with a bound, from the ClockBound daemon
//! - [`arena`]: the heap, for the one allocation of the start
//! - `group`: groups of the system
//! - [`poll`]: what the loop waits for; [`socket`]: sockets, and where the API's is
//! - [`dns`]: names to addresses; `files`: small files; `helper`: what may
//!   take long
//! - [`manual`]: the man page and completions, which are no part of the program
//! - `text`: looking into text
//! - `os`: clocks, entropy, static memory, standard files, the words of errors

mod agent;
pub mod api;
pub mod arena;
mod child;
mod cli;
pub mod clock;
pub mod council_file;
pub mod dns;
mod files;
mod group;
mod helper;
pub mod http;
mod logger;
mod os;
pub mod poll;
pub mod seeds;
pub mod socket;
mod text;

use std::ffi::{c_char, c_int};

pub use cli::manual;
use os::Strings;

/// Runs the program and returns its exit status.
///
/// # Safety
/// `arguments` (the first is the name of the program) and `environment` point to arrays of
/// pointers to strings that end with a null byte; a null pointer ends each array. All of it stays
/// as it is for the rest of the process.
pub unsafe fn run(arguments: *const *const c_char, environment: *const *const c_char) -> c_int {
    os::open_standard_files();
    os::ignore_closed_pipes();
    // SAFETY: the caller promises it.
    let (mut arguments, environment) =
        unsafe { (Strings::new(arguments), Strings::new(environment)) };
    arguments.next();
    cli::run(arguments, environment)
}
