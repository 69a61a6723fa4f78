//! The connection slots: who is let in, whose turn it is, and whose time is up.

use midge::{Duration, Instant};
use nix::errno::Errno;

use super::connection::{Buffers, Connection, Cursor, Next, Step, Turn};
use super::listener::Listener;
use super::reply::Reply;
use super::request::Request;
use super::{GUESTS, GUESTS_WAITING, LISTENERS, SERVED, SLOTS, WAITING};
use crate::poll::{Event, Interest, Poll, Token};
use crate::socket::Socket;

/// What answers the requests.
pub trait App {
    /// The largest body that is read for this request, bytes, at most
    /// [`BODY_BYTES`](super::BODY_BYTES). `None` when it is answered without reading its body, as
    /// when it will be an error. Asked only about requests with a body.
    fn body_limit(&self, request: &Request<'_>) -> Option<usize>;

    /// Answers a request, or begins to.
    fn respond(&mut self, request: &Request<'_>, reply: &mut Reply<'_>) -> Next;

    /// Goes on with the answer to a request, from where [`Next`] said.
    fn resume(&mut self, request: &Request<'_>, cursor: Cursor, reply: &mut Reply<'_>) -> Next;
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections accepted.
    pub connections: u64,
    /// Requests answered by the application.
    pub requests: u64,
    /// Requests refused as malformed or too large.
    pub refused: u64,
    /// Connections ended because they took too long.
    pub timeouts: u64,
    /// Connections refused because every slot was taken, and requests because too many waited.
    pub busy: u64,
    /// Connections that had been answered, closed in favour of new ones.
    pub evicted: u64,
    /// Failures to accept a connection.
    pub accept_errors: u64,
}

/// A server over one listener or more. Connections through others than the first are guests: they
/// have at most [`GUESTS`] of the [`SERVED`] places.
///
/// The driver hands every event whose token [`owns`](Self::owns) it to
/// [`handle_event`](Self::handle_event), then calls [`run`](Self::run) once, and polls again:
/// without waiting if `run` returned `true`, else until [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Server<'b, L: Listener> {
    listeners: [Option<L>; LISTENERS],
    first: usize,
    buffers: &'b mut Buffers,
    connections: [Option<Connection>; SLOTS],
    /// Slots that may have something to do, a bit each.
    ready: u32,
    /// Whose turn comes first.
    turn: usize,
    /// Listeners with connections that may be waiting to be accepted, a bit each.
    accepting: u8,
    /// When to try to accept again after a failure.
    retry: Option<Instant>,
    stats: Stats,
}

/// Connections accepted in one run of each listener.
const ACCEPTS: usize = 8;

const ALL_LISTENERS: u8 = (1 << LISTENERS) - 1;

/// Pause after a failure to accept, for example because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl<'b, L: Listener> Server<'b, L> {
    /// Tokens that a server uses.
    pub const TOKENS: usize = LISTENERS + SLOTS;

    /// A server that uses the tokens from `first` on.
    ///
    /// # Errors
    /// A listener could not be watched.
    pub fn new(
        listeners: [Option<L>; LISTENERS],
        buffers: &'b mut Buffers,
        poll: &Poll,
        first: Token,
    ) -> Result<Self, Errno> {
        for (at, listener) in listeners.iter().enumerate() {
            if let Some(listener) = listener {
                poll.add(listener, Token(first.0 + at), Interest::Read)?;
            }
        }
        Ok(Self {
            listeners,
            first: first.0,
            buffers,
            connections: [const { None }; SLOTS],
            ready: 0,
            turn: 0,
            accepting: ALL_LISTENERS,
            retry: None,
            stats: Stats::default(),
        })
    }

    /// Whether a token is one of this server's.
    pub fn owns(&self, token: Token) -> bool {
        (self.first..self.first + Self::TOKENS).contains(&token.0)
    }

    /// Takes note of an event; [`run`](Self::run) acts on it. Events of other tokens are ignored.
    pub fn handle_event(&mut self, event: &Event) {
        let Some(offset) = event.token().0.checked_sub(self.first) else { return };
        let Some(slot) = offset.checked_sub(LISTENERS) else {
            self.accepting |= 1 << offset;
            return;
        };
        if let Some(Some(connection)) = self.connections.get_mut(slot) {
            connection.handle_event(event);
            self.ready |= 1 << slot;
        }
    }

    /// Lets every waiting answer look again at what it waits for.
    pub fn wake(&mut self) {
        for (slot, connection) in self.connections.iter_mut().enumerate() {
            if connection.as_mut().is_some_and(Connection::wake) {
                self.ready |= 1 << slot;
            }
        }
    }

    /// Does what is due, within bounds: a few connections are accepted, and every connection that
    /// is ready gets one turn of a few pages. Returns whether there is more to do at once.
    #[must_use]
    pub fn run<A: App>(&mut self, now: Instant, poll: &Poll, app: &mut A) -> bool {
        self.expire(now);
        self.accept_all(now, poll);
        let first = self.turn;
        self.turn = (first + 1) % SLOTS;
        for slot in (first..SLOTS).chain(0..first) {
            if self.ready & 1 << slot != 0 {
                self.serve(slot, now, app);
            }
        }
        self.ready != 0 || self.accepting != 0
    }

    /// When [`run`](Self::run) is due although no event comes.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let mut first = self.retry.unwrap_or(Instant::FAR_FUTURE);
        for connection in self.connections.iter().flatten() {
            first = first.min(connection.until());
        }
        (first < Instant::FAR_FUTURE).then_some(first)
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn serve<A: App>(&mut self, slot: usize, now: Instant, app: &mut A) {
        let (waiting, guests) = self.count(true);
        let Some(connection) = &mut self.connections[slot] else {
            self.ready &= !(1 << slot);
            return;
        };
        let is_place = waiting < WAITING && (!connection.is_guest() || guests < GUESTS_WAITING);
        let mut turn = Turn {
            app,
            now,
            may_wait: is_place || connection.has_waited(),
            stats: &mut self.stats,
        };
        match connection.turn(&mut self.buffers.0[slot], &mut turn) {
            Step::On => {}
            Step::Blocked => self.ready &= !(1 << slot),
            Step::Over => self.remove(slot),
        }
    }

    /// How many wait, or else are served; and how many of these are guests.
    fn count(&self, waiting: bool) -> (usize, usize) {
        let (mut all, mut guests) = (0, 0);
        for connection in self.connections.iter().flatten() {
            if if waiting { connection.has_waited() } else { !connection.is_closing() } {
                all += 1;
                guests += usize::from(connection.is_guest());
            }
        }
        (all, guests)
    }

    fn remove(&mut self, slot: usize) {
        self.connections[slot] = None;
        self.ready &= !(1 << slot);
    }

    fn expire(&mut self, now: Instant) {
        for slot in 0..SLOTS {
            let Some(connection) = &mut self.connections[slot] else { continue };
            if connection.until() > now {
                continue;
            }
            if !connection.is_waiting() && !connection.is_closing() {
                self.stats.timeouts += 1;
            }
            match connection.expire(&mut self.buffers.0[slot], now) {
                Step::Over => self.remove(slot),
                Step::On | Step::Blocked => self.ready |= 1 << slot,
            }
        }
    }

    fn accept_all(&mut self, now: Instant, poll: &Poll) {
        if self.retry.is_some_and(|retry| retry <= now) {
            self.retry = None;
            self.accepting = ALL_LISTENERS;
        }
        for listener in 0..LISTENERS {
            for _ in 0..ACCEPTS {
                if self.accepting & 1 << listener != 0 {
                    self.accept(listener, now, poll);
                }
            }
        }
    }

    fn accept(&mut self, at: usize, now: Instant, poll: &Poll) {
        let next = self.listeners[at].as_ref().map_or(Err(Errno::EAGAIN), Listener::accept);
        match next {
            Ok(stream) => self.admit(stream, at, now, poll),
            Err(Errno::EAGAIN) => self.accepting &= !(1 << at),
            Err(Errno::EINTR | Errno::ECONNABORTED) => {}
            Err(_) => {
                self.stats.accept_errors += 1;
                self.accepting &= !(1 << at);
                self.retry = Some(now + ACCEPT_PAUSE);
            }
        }
    }

    /// Gives a connection a slot, or one of the few places in which it is told that there is none.
    fn admit(&mut self, stream: Socket, listener: usize, now: Instant, poll: &Poll) {
        self.stats.connections += 1;
        let mut connection = Connection::new(stream, listener, now);
        let refused = !self.has_place(connection.is_guest());
        let Some(slot) = self.free_slot() else { return };
        if refused {
            self.stats.busy += 1;
            connection.refuse(&mut self.buffers.0[slot], now);
        }
        let token = Token(self.first + LISTENERS + slot);
        if connection.watch(poll, token).is_err() {
            self.stats.accept_errors += 1;
            return;
        }
        self.connections[slot] = Some(connection);
        self.ready |= 1 << slot;
    }

    /// Whether there is a place for one more, which may be made by evicting another. Guests that
    /// are too many make place among themselves.
    fn has_place(&mut self, guest: bool) -> bool {
        let (served, guests) = self.count(false);
        if guest && guests >= GUESTS {
            return self.evict(true);
        }
        served < SERVED || self.evict(false)
    }

    /// Closes the connection that has been idle for longest; when none is, the one that has been
    /// sending its next request for longest, lest a few that are never done hold every slot.
    fn evict(&mut self, among_guests: bool) -> bool {
        let mut longest = None;
        for (slot, connection) in self.connections.iter().enumerate() {
            let Some(connection) = connection else { continue };
            let Some((partial, since)) = connection.dispensable() else { continue };
            let is_asked = connection.is_guest() || !among_guests;
            if is_asked && longest.is_none_or(|(least, _)| (partial, since) < least) {
                longest = Some(((partial, since), slot));
            }
        }
        let Some((_, slot)) = longest else { return false };
        self.remove(slot);
        self.stats.evicted += 1;
        true
    }

    /// The lowest free slot. When there is none, that of the connection that has been closing for
    /// longest: at most [`SERVED`] others are not.
    fn free_slot(&mut self) -> Option<usize> {
        let (mut oldest, mut first) = (None, Instant::FAR_FUTURE);
        for (slot, connection) in self.connections.iter().enumerate() {
            let Some(connection) = connection else { return Some(slot) };
            if connection.is_closing() && connection.until() < first {
                (oldest, first) = (Some(slot), connection.until());
            }
        }
        self.remove(oldest?);
        oldest
    }
}
