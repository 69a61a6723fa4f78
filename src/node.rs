//! The wiring: composes the parts of midge into one node.

use crate::address::Address;
use crate::config::{Config, ConfigError};
use crate::event::Event;
use crate::limits::MTU_BYTES;
use crate::member::{ForgetError, JoinError, Member, Stats, Status, Swim};
use crate::reject::Reject;
use crate::time::{Instant, TimeWindow};

/// A datagram to send: the first `len` bytes of the buffer that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: Address,
    /// How many bytes.
    pub len: usize,
}

/// One node of a cluster: hand in datagrams and time, take out datagrams, deadlines and events.
///
/// After each `handle_*` call and each request, the driver calls [`poll_transmit`] until it
/// returns `None`, [`poll_event`] until it returns `None`, then [`poll_timeout`]; any of the
/// `handle_*` calls and requests invalidates what `poll_timeout` said before.
///
/// `N` is how many members the node has room for, itself included.
///
/// [`poll_transmit`]: Self::poll_transmit
/// [`poll_event`]: Self::poll_event
/// [`poll_timeout`]: Self::poll_timeout
#[derive(Debug)]
pub struct Node<const N: usize> {
    swim: Swim<N>,
    /// The last reading of true time, and when it was made.
    clock: Option<(Instant, TimeWindow)>,
}

impl<const N: usize> Default for Node<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> Node<N> {
    /// A node that has not been initialised: all bytes zero, so that a static costs no memory
    /// until rows are used. It ignores all input.
    pub const EMPTY: Self = Self { swim: Swim::EMPTY, clock: None };

    /// Starts the node. `entropy` comes from the operating system or a hardware generator and
    /// keys its tokens and probe numbers; `seed` drives its fair choices. On an error nothing has
    /// changed. Called again, it starts anew.
    pub fn init(
        &mut self,
        config: &Config<'_>,
        entropy: [u8; 32],
        seed: u64,
        now: Instant,
    ) -> Result<(), ConfigError> {
        self.swim.init(config, entropy, seed, now)?;
        self.clock = None;
        Ok(())
    }

    /// Takes in one datagram. Work is bounded by its size: at most 84 statements about members,
    /// each at the cost of a look-up by hash and of log N steps for a deadline. Only details with
    /// another name than before cost a look at all N rows, at most twice a datagram: whether a
    /// member has that name already.
    ///
    /// # Errors
    /// A [`Reject`], which has been counted; no row has changed.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: Address,
        bytes: &[u8],
    ) -> Result<(), Reject> {
        self.swim.handle_datagram(now, from, bytes)
    }

    /// Counts a datagram that the driver has dropped because of where it came from.
    pub fn note_not_allowed(&mut self) {
        self.swim.note_not_allowed();
    }

    /// Does what is due at `now`. Calling it early, late or twice is harmless. Work is bounded by
    /// constants, and log N steps for each row whose deadline has passed: all rows at worst, when
    /// all are suspected at the same time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.swim.handle_timeout(now);
    }

    /// Takes in a reading of true time: a window that certainly contains it, or `None` while nothing
    /// is certain. `now` is taken right after the reading, not before. Membership does without.
    pub fn handle_clock(&mut self, now: Instant, window: Option<TimeWindow>) {
        self.clock = window.map(|window| (now, window));
    }

    /// Builds the next datagram that is owed into `buffer`; `None` when nothing is. Work is bounded
    /// by the size of a datagram, and by N rows for a page.
    #[must_use]
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        buffer: &mut [u8; MTU_BYTES],
    ) -> Option<Transmit> {
        self.swim.poll_transmit(now, buffer)
    }

    /// The next thing that changed.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.swim.poll_event()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` only before `init` and after
    /// leaving has ended.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.swim.poll_timeout()
    }

    /// Adds an address to join through, and asks it soon. The node's own address and one that is
    /// a seed already are accepted and change nothing.
    ///
    /// # Errors
    /// A [`JoinError`]; nothing has changed.
    pub fn join(&mut self, now: Instant, seed: Address) -> Result<(), JoinError> {
        self.swim.join(now, seed)
    }

    /// Gives up an address to join through. What is known of the member there stays.
    pub fn drop_seed(&mut self, seed: Address) {
        self.swim.drop_seed(seed);
    }

    /// The addresses to join through.
    #[must_use]
    pub fn seeds(&self) -> &[Address] {
        self.swim.seeds()
    }

    /// Whether there is somebody to join even while the list of seeds is empty, as when they are
    /// known by names that are still to be resolved. Without seeds, a node that seeks nobody is the
    /// first one and has joined; one that does hears [`Event::NoAnswer`] as it would with seeds.
    /// `false` at the start.
    pub fn set_seeking(&mut self, now: Instant, seeking: bool) {
        self.swim.set_seeking(now, seeking);
    }

    /// Leaves the cluster: tells the others, goes on answering for the linger time, then reports
    /// [`Event::Left`]. Alone, at once. A second call changes nothing.
    pub fn leave(&mut self, now: Instant) {
        self.swim.leave(now);
    }

    /// Whether leaving has ended: the node may be stopped.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.swim.has_left()
    }

    /// Turns a failed member into one that has left, and tells the others.
    ///
    /// # Errors
    /// A [`ForgetError`]; nothing has changed.
    pub fn forget(&mut self, now: Instant, address: Address) -> Result<(), ForgetError> {
        self.swim.forget(now, address)
    }

    /// Replaces the node's tags (`key=value` separated by commas) and tells the others.
    ///
    /// # Errors
    /// [`ConfigError::Tags`] or [`ConfigError::Leaving`]; nothing has changed.
    pub fn set_tags(&mut self, now: Instant, tags: &str) -> Result<(), ConfigError> {
        self.swim.set_tags(now, tags)
    }

    /// The rows in the order of their slots, from slot `first` on, each with its slot. A reader
    /// that stops and goes on at the next slot later sees every row that was there all the time
    /// exactly once.
    pub fn members(&self, first: usize) -> impl Iterator<Item = (usize, Member<'_>)> {
        self.swim.members(first)
    }

    /// One row by its address.
    #[must_use]
    pub fn member(&self, address: Address) -> Option<Member<'_>> {
        self.swim.member(address)
    }

    /// The node at a glance.
    #[must_use]
    pub fn status(&self) -> Status<'_> {
        self.swim.status()
    }

    /// The last reading of true time, and when it was made; `None` if nothing was certain then.
    #[must_use]
    pub fn clock(&self) -> Option<(Instant, TimeWindow)> {
        self.clock
    }

    /// Counters since start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.swim.stats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reading_of_true_time_counts() {
        let mut node = Node::<4>::EMPTY;
        let config = Config::new("a", Address::v4([10, 0, 0, 1], 6434));
        let start = Instant::from_micros(1);
        let window = |earliest_ns| TimeWindow::new(earliest_ns, earliest_ns + 1);
        for init_again in [false, true] {
            node.init(&config, [1; 32], 1, start).expect("the configuration is valid");
            assert_eq!(node.clock(), None);
            let due = node.poll_timeout();
            for micros in 2..4 {
                let now = Instant::from_micros(micros);
                node.handle_clock(now, window(micros as i64));
                assert_eq!(node.clock(), Some(now).zip(window(micros as i64)));
            }
            if !init_again {
                node.handle_clock(start, None);
                assert_eq!(node.clock(), None);
                node.handle_clock(start, window(1));
            }
            assert_eq!(node.poll_timeout(), due);
        }
    }
}
