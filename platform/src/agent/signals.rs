//! Signals as input of the loop.
//!
//! They are blocked and read from a signalfd, so that no handler ever interrupts a system call.
//! SIGPIPE is not here: it is blocked for good when the program starts.

use core::mem::MaybeUninit;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::os;
use crate::poll::{Interest, Poll, Token};

/// What an operator asks for by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// SIGTERM: leave, then stop.
    Terminate,
    /// SIGINT: leave, then stop; while leaving, stop at once.
    Interrupt,
    /// SIGHUP: read files again.
    Reload,
    /// SIGUSR1: write the state to the log.
    Dump,
    /// SIGCHLD: a program has ended, or several have.
    Child,
}

/// Whether a signal that ends the agent waits to be taken. It goes on waiting.
pub(super) fn is_told_to_end() -> bool {
    let mut pending = MaybeUninit::zeroed();
    // SAFETY: the system writes one set of signals, and none is in a set that is all zero.
    let pending = unsafe {
        libc::sigpending(pending.as_mut_ptr());
        SigSet::from_sigset_t_unchecked(pending.assume_init())
    };
    pending.contains(Signal::SIGTERM) || pending.contains(Signal::SIGINT)
}

/// What is asked for by which signal; the mask admits these alone.
const REQUESTS: [(Signal, Request); 5] = [
    (Signal::SIGTERM, Request::Terminate),
    (Signal::SIGINT, Request::Interrupt),
    (Signal::SIGHUP, Request::Reload),
    (Signal::SIGUSR1, Request::Dump),
    (Signal::SIGCHLD, Request::Child),
];

pub(super) struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Takes the signals over from here on.
    pub(super) fn new(poll: &Poll, token: Token) -> Result<Self, Errno> {
        let mut mask = SigSet::empty();
        for (signal, _) in REQUESTS {
            mask.add(signal);
        }
        mask.thread_block()?;
        // Ignored, it would let children that end be gone without a word.
        os::reset_signal(libc::SIGCHLD);
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let fd = SignalFd::with_flags(&mask, flags)?;
        poll.add(&fd, token, Interest::Read)?;
        Ok(Self { fd })
    }

    /// The next signal that came, until there is none.
    pub(super) fn next(&self) -> Option<Request> {
        let info = self.fd.read_signal().ok()??;
        let is_it = |(signal, _): &&(Signal, Request)| *signal as u32 == info.ssi_signo;
        REQUESTS.iter().find(is_it).map(|(_, request)| *request)
    }
}
