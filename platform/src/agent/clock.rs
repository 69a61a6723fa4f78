//! Reads the clock at a low rate, and finds out what is new of it. Whoever needs the time at once
//! reads it at once.

use core::mem;

use midge::{Duration, Instant, Node};

use super::Settings;
use crate::api::TrueTime;
use crate::api::clock::Standing;
use crate::clock::VM_CLOCK_PATH;

/// How often the clock is read. Unless its file has changed, that is no system call.
const PERIOD: Duration = Duration::from_secs(1);

/// How often a segment is looked for.
const SEARCH_PERIOD: Duration = Duration::from_secs(5);

/// The clock, and when it is read.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) time: TrueTime<'static>,
    due: Instant,
    /// What has been told last; without a status, nothing.
    told: Standing<'static>,
}

impl Watch {
    /// That a machine has no ClockBound is no news; that a file is missing which somebody has named,
    /// is.
    pub(super) fn new(settings: &Settings) -> Self {
        let paths = settings.clockbound;
        let time = TrueTime::new(paths, VM_CLOCK_PATH, settings.max_drift_ppm);
        let told = if paths.len() == 1 { ("", None, false) } else { time.standing() };
        let due = if time.is_off() { Instant::FAR_FUTURE } else { Instant::ZERO };
        Self { time, due, told }
    }

    /// When [`run`](Self::run) has something to do.
    pub(super) fn poll_timeout(&self) -> Instant {
        self.due
    }

    /// Reads the clock if that is due.
    pub(super) fn run<const N: usize>(&mut self, now: Instant, node: &mut Node<N>) {
        if now >= self.due {
            self.time.tell(node);
            self.due = now + if self.time.source().is_some() { PERIOD } else { SEARCH_PERIOD };
        }
    }

    /// Whether there is something new to be told, whoever has read the clock.
    pub(super) fn is_news(&mut self) -> bool {
        let standing = self.time.standing();
        standing != mem::replace(&mut self.told, standing)
    }
}
