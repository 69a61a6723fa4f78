//! A node of any table size behind one trait, so that one fleet can mix them.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::cell::RefCell;

use midge::limits::MTU_BYTES;
use midge::{
    Address, Config, ConfigError, Event, Instant, JoinError, Member, Node, Reject, Stats, Status,
    Transmit,
};

/// The table sizes that are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capacity {
    /// 3 rows: "table full" is an everyday path.
    Three,
    /// 16 rows.
    Sixteen,
    /// 8,192 rows, as the released agent has.
    Shipped,
}

impl Capacity {
    const COUNT: usize = 3;

    /// How many rows.
    pub(crate) fn rows(self) -> usize {
        match self {
            Self::Three => 3,
            Self::Sixteen => 16,
            Self::Shipped => 8_192,
        }
    }
}

/// What [`Node`] offers, without its table size.
pub(crate) trait Machine {
    fn init(
        &mut self,
        config: &Config<'_>,
        entropy: [u8; 32],
        seed: u64,
        now: Instant,
    ) -> Result<(), ConfigError>;
    fn handle_datagram(&mut self, now: Instant, from: Address, bytes: &[u8]) -> Result<(), Reject>;
    fn handle_timeout(&mut self, now: Instant);
    fn poll_transmit(&mut self, now: Instant, buffer: &mut [u8; MTU_BYTES]) -> Option<Transmit>;
    fn poll_event(&mut self) -> Option<Event>;
    fn poll_timeout(&self) -> Option<Instant>;
    fn join(&mut self, now: Instant, seed: Address) -> Result<(), JoinError>;
    fn leave(&mut self, now: Instant);
    fn has_left(&self) -> bool;
    fn set_tags(&mut self, now: Instant, tags: &str) -> Result<(), ConfigError>;
    fn visit_members(&self, visit: &mut dyn FnMut(Member<'_>));
    fn status(&self) -> Status<'_>;
    fn stats(&self) -> Stats;
}

impl<const N: usize> Machine for Node<N> {
    fn init(
        &mut self,
        config: &Config<'_>,
        entropy: [u8; 32],
        seed: u64,
        now: Instant,
    ) -> Result<(), ConfigError> {
        Self::init(self, config, entropy, seed, now)
    }

    fn handle_datagram(&mut self, now: Instant, from: Address, bytes: &[u8]) -> Result<(), Reject> {
        Self::handle_datagram(self, now, from, bytes)
    }

    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn poll_transmit(&mut self, now: Instant, buffer: &mut [u8; MTU_BYTES]) -> Option<Transmit> {
        Self::poll_transmit(self, now, buffer)
    }

    fn poll_event(&mut self) -> Option<Event> {
        Self::poll_event(self)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Self::poll_timeout(self)
    }

    fn join(&mut self, now: Instant, seed: Address) -> Result<(), JoinError> {
        Self::join(self, now, seed)
    }

    fn leave(&mut self, now: Instant) {
        Self::leave(self, now);
    }

    fn has_left(&self) -> bool {
        Self::has_left(self)
    }

    fn set_tags(&mut self, now: Instant, tags: &str) -> Result<(), ConfigError> {
        Self::set_tags(self, now, tags)
    }

    fn visit_members(&self, visit: &mut dyn FnMut(Member<'_>)) {
        for (_, member) in self.members(0) {
            visit(member);
        }
    }

    fn status(&self) -> Status<'_> {
        Self::status(self)
    }

    fn stats(&self) -> Stats {
        Self::stats(self)
    }
}

/// A node in memory that the kernel hands out zeroed and page by page, as a static of the agent
/// is: a table of 8,192 rows then costs what its rows in use cost.
fn zeroed<const N: usize>() -> Box<Node<N>> {
    let layout = Layout::new::<Node<N>>();
    assert!(layout.size() > 0, "a node has state");
    // SAFETY: the layout is not of size zero, and a null pointer is not used. `Node::EMPTY` is
    // documented as all zero bytes, so zeroed memory of this layout is an initialised node. The
    // box frees with the same allocator and layout.
    unsafe {
        let memory = alloc_zeroed(layout).cast::<Node<N>>();
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        Box::from_raw(memory)
    }
}

type Shelf = Vec<Box<dyn Machine>>;

thread_local! {
    /// Stopped nodes, to be started anew. `init` promises to begin from nothing, and as a node
    /// from here is as dirty as can be, every scenario tests that; runs of equal seeds compare it.
    static SHELVES: RefCell<[Shelf; Capacity::COUNT]> = const {
        RefCell::new([Vec::new(), Vec::new(), Vec::new()])
    };
}

/// A node that has to be initialised: a used one, or a new one.
pub(crate) fn take(capacity: Capacity) -> Box<dyn Machine> {
    let used = SHELVES.with_borrow_mut(|shelves| shelves[capacity as usize].pop());
    used.unwrap_or_else(|| match capacity {
        Capacity::Three => zeroed::<3>(),
        Capacity::Sixteen => zeroed::<16>(),
        Capacity::Shipped => zeroed::<8_192>(),
    })
}

/// Gives a node back.
pub(crate) fn put(capacity: Capacity, node: Box<dyn Machine>) {
    SHELVES.with_borrow_mut(|shelves| shelves[capacity as usize].push(node));
}
