//! One program from its start to its end. It has a bound on time and one on output; beyond either
//! its whole process group is told to end (SIGTERM) and, a second later, made to (SIGKILL).

use core::fmt;
use std::os::fd::OwnedFd;

use midge::{Duration, Instant};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, read};

use super::{Ended, NOT_EXECUTABLE, NOT_FOUND, Program, spawn};
use crate::poll::{Interest, Poll, Token};

/// How long a program that was told to end may take.
const GRACE: Duration = Duration::from_secs(1);

/// What a program may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) time: Duration,
    /// What it may write to stdout, bytes.
    pub(crate) output_bytes: usize,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What was wrong; empty if nothing was.
    pub(crate) what: &'static str,
    /// A status or a signal that belongs to it, or less than 0.
    pub(crate) number: i32,
    /// Bytes that it has written.
    pub(crate) written: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if self.number < 0 { Ok(()) } else { write!(f, " {}", self.number) }
    }
}

#[derive(Debug)]
struct Running {
    pid: Pid,
    output: OwnedFd,
    limits: Limits,
    /// Bytes that it has written.
    written: usize,
    /// Why it was told to end.
    cause: Option<&'static str>,
    /// When it is told to end, or made to; far away after that.
    due: Instant,
}

/// A place for one program at a time.
#[derive(Debug, Default)]
pub(crate) struct Task(Option<Running>);

impl Task {
    /// Whether a program is running.
    pub(crate) fn is_busy(&self) -> bool {
        self.0.is_some()
    }

    /// Starts a program; none may be running. The loop shall watch its output under this token.
    ///
    /// # Errors
    /// There is no memory, process or descriptor left.
    pub(crate) fn start(
        &mut self,
        program: &Program<'_>,
        limits: Limits,
        now: Instant,
        poll: &Poll,
        token: Token,
    ) -> Result<(), Errno> {
        let (pid, output) = spawn(program)?;
        // Without it, output is seen only at the end, and a flood when the time is over.
        let _ = poll.add(&output, token, Interest::Read);
        let due = now + limits.time;
        self.0 = Some(Running { pid, output, limits, written: 0, cause: None, due });
        Ok(())
    }

    /// Reads what the program has written into `space`, again from its beginning when that is full.
    /// The bound on the output bounds the work.
    pub(crate) fn handle_output(&mut self, now: Instant, space: &mut [u8]) {
        let Some(running) = &mut self.0 else { return };
        while running.written < running.limits.output_bytes {
            let free = running.written % space.len();
            match read(&running.output, &mut space[free..]) {
                Ok(0) | Err(_) => return,
                Ok(n) => running.written += n,
            }
        }
        self.end(now, "it wrote too much");
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Instant {
        self.0.as_ref().map_or(Instant::FAR_FUTURE, |running| running.due)
    }

    /// Enforces the bound on time.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let Some(running) = &mut self.0 else { return };
        if running.due > now {
            return;
        }
        if running.cause.is_some() {
            running.due = Instant::FAR_FUTURE;
            signal(running.pid, Signal::SIGKILL);
        } else {
            self.end(now, "it took too long");
        }
    }

    /// Tells the program to end, for this reason; an empty one is no failure of it.
    pub(crate) fn end(&mut self, now: Instant, cause: &'static str) {
        if let Some(running) = &mut self.0
            && running.cause.is_none()
        {
            running.cause = Some(cause);
            running.due = now + GRACE;
            signal(running.pid, Signal::SIGTERM);
        }
    }

    /// A child process has ended, and is not reaped yet: if it is the one here, says how it went.
    /// The last that it has written goes into `space`. Processes that it has left behind live on,
    /// unless it was told to end: then its whole group does.
    pub(crate) fn handle_end(
        &mut self,
        now: Instant,
        pid: Pid,
        ended: Ended,
        space: &mut [u8],
    ) -> Option<Outcome> {
        self.0.as_ref().filter(|running| running.pid == pid)?;
        self.handle_output(now, space);
        let Running { cause, written, .. } = self.0.take()?;
        let (what, number) = match (cause, ended.by_signal, ended.number) {
            (Some(what), ..) => {
                signal(pid, Signal::SIGKILL);
                (what, -1)
            }
            (_, true, number) => ("killed by signal", number),
            (_, _, 0) => ("", -1),
            (_, _, number) => why(number).map_or(("exit status", number), |what| (what, -1)),
        };
        Some(Outcome { what, number, written })
    }
}

/// What is wrong with a program that cannot be executed, by its exit status.
pub(super) fn why(status: i32) -> Option<&'static str> {
    match status {
        NOT_FOUND => Some("there is no such program; check its path"),
        NOT_EXECUTABLE => Some("it cannot be executed; check its mode and its first line"),
        _ => None,
    }
}

/// The agent goes while the program runs.
impl Drop for Task {
    fn drop(&mut self) {
        if let Some(running) = &self.0 {
            signal(running.pid, Signal::SIGKILL);
        }
    }
}

/// Sends a signal to a process group. Its leader has not been reaped, so that the number belongs to
/// nobody else.
fn signal(group: Pid, signal: Signal) {
    let _ = kill(Pid::from_raw(-group.as_raw()), signal);
}
