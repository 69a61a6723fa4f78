//! Real agents, each in a network namespace of its own, joined by one bridge.
//!
//! All of it happens inside namespaces of this run (network, processes, mounts): nothing that it
//! makes is seen outside, and nothing is left when it ends, however it ends. It needs root.

mod agent;
mod network;
mod serf;
mod usage;
mod work;

use std::thread;
use std::time::{Duration, Instant};

pub use agent::{Agent, Kind, View};
pub use network::{Network, Node};
pub use usage::{Memory, Usage};
pub use work::Work;

/// Asks again every 10 ms until it is true; how long that took, or `None` after `deadline`.
pub fn until(deadline: Duration, mut ask: impl FnMut() -> bool) -> Option<Duration> {
    let start = Instant::now();
    while !ask() {
        if start.elapsed() > deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
    Some(start.elapsed())
}
