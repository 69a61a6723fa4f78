//! A whole node among hostile datagrams, time and requests, beside an honest peer.
//!
//! The input is a program: each of its steps hands the node a datagram (made up, or one of the
//! peer's with bytes changed; from the peer's address or another), lets the peers talk, lets time
//! pass, or asks for something. After each step what the node promises is checked: what it sends
//! is well-formed and ends, its deadlines lie ahead, its counts agree with its rows, a rejected
//! datagram has changed no row, and it never takes itself for dead.

use midge::limits::MTU_BYTES;
use midge::wire::open;
use midge::{Address, Config, Duration, Event, Incarnation, Instant, Node, State};

use crate::tally::{REFUSED, Tally};
use crate::{CLUSTER, Input, mend};

/// Few rows, so that a full table is an everyday path.
const ROWS: usize = 6;

/// Longer programs end here.
const STEPS_MAX: usize = 64;

/// More datagrams than these without time passing never end.
const SENT_MAX: usize = 2_000;

const OWN: Address = Address::v4([10, 0, 0, 1], 6434);
const PEER: Address = Address::v4([10, 0, 0, 2], 6434);

/// Sources and seeds.
const ADDRESSES: [Address; 12] = [
    PEER,
    PEER,
    OWN,
    Address::v4([10, 0, 0, 3], 6434),
    Address::v4([10, 0, 0, 4], 6434),
    Address::v4([10, 0, 0, 5], 1),
    Address::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6], 6434),
    Address::v4([10, 0, 0, 7], 0),
    Address::v4([255, 255, 255, 255], 6434),
    Address::v4([224, 0, 0, 1], 6434),
    Address::v4([0, 0, 0, 0], 6434),
    Address::NONE,
];

/// Sections that have passed the node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passed {
    /// It took them in: nothing was wrong with their datagrams.
    pub taken: Tally,
    /// It sent them.
    pub sent: Tally,
}

/// What is compared of the rows: of each its address, state and incarnation.
#[derive(PartialEq, Debug)]
struct Rows {
    rows: [(Address, State, Incarnation); ROWS],
    len: usize,
}

impl Rows {
    fn of(node: &Node<ROWS>) -> Self {
        let none = (Address::NONE, State::Alive, Incarnation::default());
        let mut rows = Self { rows: [none; ROWS], len: 0 };
        for (_, member) in node.members(0) {
            assert!(rows.len < ROWS, "more rows than there is room for");
            rows.rows[rows.len] = (member.address, member.state, member.incarnation);
            rows.len += 1;
        }
        rows
    }

    fn iter(&self) -> impl Iterator<Item = &(Address, State, Incarnation)> {
        self.rows[..self.len].iter()
    }
}

struct World<'p> {
    node: Box<Node<ROWS>>,
    peer: Box<Node<ROWS>>,
    now: Instant,
    /// The last datagram that the peer sent to the node, and its length.
    heard: [u8; MTU_BYTES],
    heard_len: usize,
    leaving: bool,
    passed: Option<&'p mut Passed>,
}

fn start(address: Address, name: &str, seed: u64, now: Instant) -> Box<Node<ROWS>> {
    start_speaking((1, 1), address, name, seed, now)
}

/// Starts a node that speaks the protocols from one to another.
fn start_speaking(
    protocols: (u8, u8),
    address: Address,
    name: &str,
    seed: u64,
    now: Instant,
) -> Box<Node<ROWS>> {
    let mut config = Config::new(name, address);
    (config.protocol_low, config.protocol_high) = protocols;
    config.cluster = CLUSTER;
    config.id = seed;
    config.epoch = 1_000_000 + seed;
    let mut node = Box::new(Node::EMPTY);
    node.init(&config, [seed as u8; 32], seed, now).expect("the configuration is valid");
    node
}

impl<'p> World<'p> {
    fn new(passed: Option<&'p mut Passed>) -> Self {
        let now = Instant::ZERO + Duration::from_secs(1);
        let (node, peer) = (start(OWN, "own", 1, now), start(PEER, "peer", 2, now));
        Self { node, peer, now, heard: [0; MTU_BYTES], heard_len: 0, leaving: false, passed }
    }

    /// Hands the node a datagram that it may reject; then no row has changed.
    fn deliver(&mut self, from: Address, bytes: &[u8]) {
        let before = Rows::of(&self.node);
        match self.node.handle_datagram(self.now, from, bytes) {
            Ok(()) => self.count_taken(bytes),
            Err(_) => {
                assert_eq!(Rows::of(&self.node), before, "a rejected datagram changed a row");
            }
        }
        self.settle();
    }

    fn count_taken(&mut self, bytes: &[u8]) {
        if let Some(passed) = &mut self.passed
            && let Ok(datagram) = open(CLUSTER, bytes)
        {
            passed.taken.add(&datagram);
        }
    }

    /// Lets the two talk until neither has anything to send.
    fn settle(&mut self) {
        let mut buffer = [0; MTU_BYTES];
        let mut sent = 0;
        loop {
            let mut quiet = true;
            while let Some(transmit) = self.node.poll_transmit(self.now, &mut buffer) {
                quiet = false;
                sent += 1;
                assert!(sent < SENT_MAX, "it never ends");
                assert!(transmit.to.is_usable() && transmit.to != OWN, "sent to {}", transmit.to);
                let bytes = &buffer[..transmit.len];
                let datagram = open(CLUSTER, bytes).expect("what is sent is well-formed");
                if let Some(passed) = &mut self.passed {
                    passed.sent.add(&datagram);
                }
                if transmit.to == PEER {
                    let _ = self.peer.handle_datagram(self.now, OWN, bytes);
                }
            }
            while let Some(transmit) = self.peer.poll_transmit(self.now, &mut buffer) {
                if transmit.to != OWN {
                    continue;
                }
                quiet = false;
                let bytes = &buffer[..transmit.len];
                self.heard[..bytes.len()].copy_from_slice(bytes);
                self.heard_len = bytes.len();
                if self.node.handle_datagram(self.now, PEER, bytes).is_ok() {
                    self.count_taken(bytes);
                }
            }
            if quiet {
                break;
            }
        }
        while let Some(event) = self.node.poll_event() {
            // A refusal mostly comes from a stranger, whose datagram is rejected all the same: that
            // it was heard, the event says.
            if let (Event::Refused { .. }, Some(passed)) = (event, &mut self.passed) {
                passed.taken.0[REFUSED] += 1;
            }
        }
        while self.peer.poll_event().is_some() {}
        self.check();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for _ in 0..100 {
            let due = self.node.poll_timeout().is_some_and(|due| due <= self.now);
            let peer_due = self.peer.poll_timeout().is_some_and(|due| due <= self.now);
            if !due && !peer_due {
                return self.check();
            }
            self.node.handle_timeout(self.now);
            self.peer.handle_timeout(self.now);
            self.settle();
        }
        panic!("a deadline does not move: {:?} at {:?}", self.node.poll_timeout(), self.now);
    }

    fn check(&self) {
        let status = self.node.status();
        let rows = Rows::of(&self.node);
        let count = |state| rows.iter().filter(|row| row.1 == state).count() as u32;
        assert_eq!(status.alive, count(State::Alive));
        assert_eq!(status.suspect, count(State::Suspect));
        assert_eq!(status.failed, count(State::Failed));
        assert_eq!(status.left, count(State::Left));
        assert!(status.health <= 7);
        for (at, row) in rows.iter().enumerate() {
            assert!(row.0.is_usable(), "a row of {}", row.0);
            assert!(rows.iter().take(at).all(|other| other.0 != row.0), "two rows of {}", row.0);
        }
        assert!(self.leaving || status.own.state == State::Alive, "{:?}", status.own.state);
        assert_eq!(status.own.address, OWN);
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let kind = input.byte();
        match kind % 10 {
            // A datagram that is made up.
            0..=2 => {
                let from = ADDRESSES[usize::from(input.byte()) % ADDRESSES.len()];
                let len = usize::from(input.number()) % (MTU_BYTES + 8);
                let mut bytes = input.bytes(len).to_vec();
                if kind & 0x80 == 0 {
                    mend(&mut bytes);
                }
                self.deliver(from, &bytes);
            }
            // One of the peer's, changed: its tokens are right.
            3..=5 => {
                let from = ADDRESSES[usize::from(input.byte()) % ADDRESSES.len()];
                let mut heard = self.heard;
                let mut bytes = &mut heard[..self.heard_len];
                for _ in 0..input.byte() % 8 {
                    let at = usize::from(input.number()) % bytes.len().max(1);
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = input.byte();
                    }
                }
                let cut = usize::from(input.byte());
                if cut < 16 {
                    let len = bytes.len().saturating_sub(cut);
                    bytes = &mut bytes[..len];
                }
                mend(bytes);
                self.deliver(from, bytes);
            }
            6 | 7 => {
                let ms = [0, 1, 20, 100, 200, 500, 1_000, 5_000, 30_000, 3_600_000];
                self.pass(Duration::from_millis(ms[usize::from(input.byte()) % ms.len()]));
            }
            8 => {
                let address = ADDRESSES[usize::from(input.byte()) % ADDRESSES.len()];
                match kind / 10 % 4 {
                    0 | 1 => drop(self.node.join(self.now, address)),
                    2 => self.node.drop_seed(address),
                    _ => drop(self.node.forget(self.now, address)),
                }
                self.settle();
            }
            _ => match input.byte() {
                0xff => {
                    self.leaving = true;
                    self.node.leave(self.now);
                    self.settle();
                }
                0xfe => {
                    self.peer.leave(self.now);
                    self.settle();
                }
                // A new life of the peer, which may know later protocols only.
                life @ 0xfc..=0xfd => {
                    let protocols = if life == 0xfc { (2, 3) } else { (1, 1) };
                    self.peer = start_speaking(protocols, PEER, "peer", 3, self.now);
                    let _ = self.peer.join(self.now, OWN);
                    self.settle();
                }
                len => {
                    let tags = String::from_utf8_lossy(input.bytes(usize::from(len) % 140));
                    let _ = self.node.set_tags(self.now, &tags);
                    self.settle();
                }
            },
        }
    }
}

/// Runs the program that the input is, and counts what passes if that is asked for.
pub fn run(input: &[u8], passed: Option<&mut Passed>) {
    let mut world = World::new(passed);
    let _ = world.node.join(world.now, PEER);
    world.settle();
    let mut input = Input(input);
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
    }
}
