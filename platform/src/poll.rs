//! What the loop waits for: `mio`, edge-triggered.
//!
//! An edge is told once. A source that was not drained must be remembered as ready.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time;

use midge::Duration;
use mio::event::Event as MioEvent;
use mio::unix::SourceFd;
use nix::errno::Errno;

pub use mio::Token;

/// Events that are taken at once; more stay in the kernel until the next time.
const EVENTS: usize = 32;

/// What is to be told about a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// That it can be read.
    Read,
    /// That it can be read or written.
    ReadWrite,
}

impl From<Interest> for mio::Interest {
    fn from(interest: Interest) -> Self {
        match interest {
            Interest::Read => Self::READABLE,
            Interest::ReadWrite => Self::READABLE.add(Self::WRITABLE),
        }
    }
}

/// Errors of the system are numbers here.
pub(crate) fn number(error: io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}

/// The sources that are watched. One that is closed is forgotten by itself.
#[derive(Debug)]
pub struct Poll(mio::Poll);

impl Poll {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// No file descriptor or memory is left.
    pub fn new() -> Result<Self, Errno> {
        mio::Poll::new().map(Self).map_err(number)
    }

    /// Begins to watch a source.
    ///
    /// # Errors
    /// It is watched already, or no memory is left.
    pub fn add(&self, source: impl AsFd, token: Token, interest: Interest) -> Result<(), Errno> {
        let fd = source.as_fd().as_raw_fd();
        let watched = self.0.registry().register(&mut SourceFd(&fd), token, interest.into());
        watched.map_err(number)
    }

    /// Changes what is to be told. What is true already is told again.
    ///
    /// # Errors
    /// The source is not watched.
    pub fn modify(&self, source: impl AsFd, token: Token, interest: Interest) -> Result<(), Errno> {
        let fd = source.as_fd().as_raw_fd();
        let watched = self.0.registry().reregister(&mut SourceFd(&fd), token, interest.into());
        watched.map_err(number)
    }

    /// Waits until something happens, or for so long, or for ever.
    ///
    /// # Errors
    /// A signal came (`EINTR`).
    pub fn wait(&mut self, events: &mut Events, timeout: Option<Duration>) -> Result<(), Errno> {
        // mio rounds up to the system's milliseconds: what is due then is due when it returns.
        let timeout = timeout.map(|time| time::Duration::from_micros(time.as_micros()));
        self.0.poll(&mut events.0, timeout).map_err(number)
    }
}

/// What happened.
#[derive(Debug)]
pub struct Events(mio::Events);

impl Events {
    /// Nothing yet. This allocates, once.
    pub fn new() -> Self {
        Self(mio::Events::with_capacity(EVENTS))
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Event<'_>> {
        self.0.iter().map(Event)
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

/// What happened to one source.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a>(&'a MioEvent);

impl Event<'_> {
    /// To which source.
    pub fn token(&self) -> Token {
        self.0.token()
    }

    /// It can be read.
    pub fn is_readable(&self) -> bool {
        self.0.is_readable()
    }

    /// It can be written.
    pub fn is_writable(&self) -> bool {
        self.0.is_writable()
    }

    /// The other side sends nothing more.
    pub fn is_read_closed(&self) -> bool {
        self.0.is_read_closed()
    }

    /// Neither side can send any more.
    pub fn is_closed(&self) -> bool {
        self.0.is_read_closed() && self.0.is_write_closed()
    }

    /// An error is to be read.
    pub fn is_error(&self) -> bool {
        self.0.is_error()
    }
}
