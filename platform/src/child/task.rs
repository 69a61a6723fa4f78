//! One program from its start to its end. It has a bound on time and one on output; beyond either
//! its whole process group is told to end (SIGTERM) and, a second later, made to (SIGKILL).

use core::fmt;
use std::os::fd::{AsFd, OwnedFd};

use log::Level;
use midge::{Duration, Instant};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll as wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, read};

use super::{Ended, NOT_EXECUTABLE, NOT_FOUND, Program, spawn};
use crate::logger::say;
use crate::os::Reason;
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
pub(crate) enum Outcome {
    /// It ended with status 0.
    Done,
    /// The agent stopped it, because it stops itself.
    Stopped,
    /// It was not started.
    NotStarted(Errno),
    TimedOut,
    Flooded,
    Failed(Ended),
}

impl Outcome {
    /// Says in the log that the program of this option has failed. That it is stopped with the agent
    /// is no failure.
    pub(crate) fn complain(self, option: &str) {
        let (text, value): (&str, &dyn fmt::Display) = match &self {
            Self::Done | Self::Stopped => return,
            Self::TimedOut => ("it took too long", &""),
            Self::Flooded => ("it wrote too much", &""),
            Self::NotStarted(error) => ("cannot start it: ", &Reason(*error)),
            Self::Failed(Ended { by_signal: true, number }) => ("killed by signal ", number),
            Self::Failed(Ended { number: NOT_FOUND, .. }) => ("there is no such program", &""),
            Self::Failed(Ended { number: NOT_EXECUTABLE, .. }) => ("it cannot be executed", &""),
            Self::Failed(Ended { number, .. }) => ("exit status ", number),
        };
        let what = format_args!("event=command_failed option={option} note=\"{text}{value}\"");
        say(Level::Warn, what);
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
    cause: Option<Outcome>,
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
    /// [`Outcome::NotStarted`].
    pub(crate) fn start(
        &mut self,
        program: &Program<'_>,
        limits: Limits,
        now: Instant,
        poll: &Poll,
        token: Token,
    ) -> Result<(), Outcome> {
        let (pid, output) = spawn(program).map_err(Outcome::NotStarted)?;
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
            // Its other end is the program's, which shall not notice that this one never waits.
            let mut fds = [PollFd::new(running.output.as_fd(), PollFlags::POLLIN)];
            if wait(&mut fds, PollTimeout::ZERO) != Ok(1) {
                return;
            }
            let free = running.written % space.len();
            match read(&running.output, &mut space[free..]) {
                Ok(0) | Err(_) => return,
                Ok(n) => running.written += n,
            }
        }
        self.end(now, Outcome::Flooded);
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
            self.end(now, Outcome::TimedOut);
        }
    }

    /// Tells the program to end.
    pub(crate) fn end(&mut self, now: Instant, cause: Outcome) {
        if let Some(running) = &mut self.0
            && running.cause.is_none()
        {
            running.cause = Some(cause);
            running.due = now + GRACE;
            signal(running.pid, Signal::SIGTERM);
        }
    }

    /// A child process has ended, and is not reaped yet: if it is the one here, says how it went,
    /// and how much it has written, the last of it into `space`. Processes that it has left behind
    /// live on, unless it was told to end: then its whole group does.
    pub(crate) fn handle_end(
        &mut self,
        now: Instant,
        pid: Pid,
        ended: Ended,
        space: &mut [u8],
    ) -> Option<(Outcome, usize)> {
        self.0.as_ref().filter(|running| running.pid == pid)?;
        self.handle_output(now, space);
        let running = self.0.take()?;
        let done = ended == Ended { by_signal: false, number: 0 };
        let by_itself = if done { Outcome::Done } else { Outcome::Failed(ended) };
        if running.cause.is_some() {
            signal(pid, Signal::SIGKILL);
        }
        Some((running.cause.unwrap_or(by_itself), running.written))
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
