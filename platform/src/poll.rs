//! What the loop waits for: `epoll(7)`, edge-triggered.
//!
//! An edge is told once. A source that was not drained must be remembered as ready.

use std::os::fd::AsFd;

use midge::Duration;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// Events that are taken at once; more stay in the kernel until the next time.
const EVENTS: usize = 32;

/// Which source an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(pub usize);

/// What is to be told about a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// That it can be read.
    Read,
    /// That it can be read or written.
    ReadWrite,
}

impl Interest {
    fn event(self, token: Token) -> EpollEvent {
        let mut flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        if self == Self::ReadWrite {
            flags |= EpollFlags::EPOLLOUT;
        }
        EpollEvent::new(flags, token.0 as u64)
    }
}

/// The sources that are watched. One that is closed is forgotten by itself.
#[derive(Debug)]
pub struct Poll(Epoll);

impl Poll {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// No file descriptor or memory is left.
    pub fn new() -> Result<Self, Errno> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Begins to watch a source.
    ///
    /// # Errors
    /// It is watched already, or no memory is left.
    pub fn add(&self, source: impl AsFd, token: Token, interest: Interest) -> Result<(), Errno> {
        self.0.add(source.as_fd(), interest.event(token))
    }

    /// Changes what is to be told. What is true already is told again.
    ///
    /// # Errors
    /// The source is not watched.
    pub fn modify(&self, source: impl AsFd, token: Token, interest: Interest) -> Result<(), Errno> {
        self.0.modify(source.as_fd(), &mut interest.event(token))
    }

    /// Waits until something happens, or for so long (a minute at most), or for ever.
    ///
    /// # Errors
    /// A signal came (`EINTR`).
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> Result<(), Errno> {
        let timeout = timeout.map_or(EpollTimeout::NONE, |time| {
            // Rounded up: what is due then must be due when it returns.
            let ms = time.as_micros().div_ceil(1_000);
            EpollTimeout::from(ms.min(60_000) as u16)
        });
        events.len = 0;
        events.len = self.0.wait(&mut events.list, timeout)?;
        Ok(())
    }
}

/// What happened.
#[derive(Debug)]
pub struct Events {
    list: [EpollEvent; EVENTS],
    len: usize,
}

impl Events {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { list: [EpollEvent::new(EpollFlags::empty(), 0); EVENTS], len: 0 }
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Event> {
        self.list[..self.len].iter().map(|event| Event(*event))
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

/// What happened to one source.
#[derive(Clone, Copy, Debug)]
pub struct Event(EpollEvent);

impl Event {
    /// To which source.
    pub fn token(&self) -> Token {
        Token(self.0.data() as usize)
    }

    /// It can be read.
    pub fn is_readable(&self) -> bool {
        self.has(EpollFlags::EPOLLIN)
    }

    /// It can be written.
    pub fn is_writable(&self) -> bool {
        self.has(EpollFlags::EPOLLOUT)
    }

    /// The other side sends nothing more.
    pub fn is_read_closed(&self) -> bool {
        self.has(EpollFlags::EPOLLRDHUP) || self.is_closed()
    }

    /// Neither side can send any more.
    pub fn is_closed(&self) -> bool {
        self.has(EpollFlags::EPOLLHUP)
    }

    /// An error is to be read.
    pub fn is_error(&self) -> bool {
        self.has(EpollFlags::EPOLLERR)
    }

    fn has(&self, flag: EpollFlags) -> bool {
        self.0.events().contains(flag)
    }
}
