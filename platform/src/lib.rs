//! The midge agent for Linux: drives the core [`midge::Node`] from one loop.
//!
//! One thread and one `mio` loop serve the UDP socket, the local HTTP API and signals. Nothing in
//! the loop blocks, and nothing allocates once it runs. The decisions are all the core's; this
//! crate owns what the core must not: sockets, clocks, randomness, signals, the command line.
//!
//! - `cli`: arguments, help, and the client commands that talk to the agent on this host
//! - `agent`: start-up and its errors, the loop, the UDP socket, signals, the words in the log
//! - [`api`]: the endpoints of the local API; [`http`]: the server under it
//! - `arena`: the heap of the program
//! - `logger`: lines on stderr that never block
//! - `socket_path`: where the API's socket is
//! - `os`: clocks, entropy, and static memory

mod agent;
pub mod api;
mod arena;
mod cli;
pub mod http;
mod logger;
mod os;
mod socket_path;

use std::process::ExitCode;

pub use arena::Arena;

/// Runs the program with the arguments and the environment of this process.
pub fn run() -> ExitCode {
    cli::run()
}
