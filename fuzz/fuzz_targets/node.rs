//! A whole node among hostile datagrams, time and requests, beside an honest peer.
//!
//! The input is a program: each of its steps hands the node a datagram (made up, or one of the
//! peer's with bytes changed; from the peer's address or another), lets the peers talk, lets time
//! pass, or asks for something. After each step what the node promises is checked: what it sends
//! is well-formed and ends, its deadlines lie ahead, its counts agree with its rows, a rejected
//! datagram has changed no row, and it never takes itself for dead.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midge::limits::MTU_BYTES;
use midge::{Address, Config, Duration, Instant, Node, State};
use midge_fuzz::{CLUSTER, Input, mend};

/// Few rows, so that a full table is an everyday path.
const ROWS: usize = 6;

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

struct World {
    node: Box<Node<ROWS>>,
    peer: Box<Node<ROWS>>,
    now: Instant,
    /// The last datagram that the peer sent to the node.
    heard: Vec<u8>,
    leaving: bool,
}

fn start(address: Address, name: &str, seed: u64, now: Instant) -> Box<Node<ROWS>> {
    let mut config = Config::new(name, address);
    config.cluster = CLUSTER;
    config.id = seed;
    config.epoch = 1_000_000 + seed;
    let mut node = Box::new(Node::EMPTY);
    node.init(&config, [seed as u8; 32], seed, now).expect("the configuration is valid");
    node
}

impl World {
    fn new() -> Self {
        let now = Instant::ZERO + Duration::from_secs(1);
        let (node, peer) = (start(OWN, "own", 1, now), start(PEER, "peer", 2, now));
        Self { node, peer, now, heard: Vec::new(), leaving: false }
    }

    /// Hands the node a datagram. One that is rejected changes no row.
    fn deliver(&mut self, from: Address, bytes: &[u8]) {
        let before = self.rows();
        if self.node.handle_datagram(self.now, from, bytes).is_err() {
            assert_eq!(self.rows(), before, "a rejected datagram changed a row");
        }
        self.settle(true);
    }

    fn rows(&self) -> Vec<(Address, State, midge::Incarnation)> {
        let rows = self.node.members(0);
        rows.map(|(_, member)| (member.address, member.state, member.incarnation)).collect()
    }

    /// Takes what the node has to send; what is for the peer reaches it if `heard`, and the other
    /// way.
    fn settle(&mut self, heard: bool) {
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
                midge::wire::open(CLUSTER, bytes).expect("what is sent is well-formed");
                if heard && transmit.to == PEER {
                    let _ = self.peer.handle_datagram(self.now, OWN, bytes);
                }
            }
            while let Some(transmit) = self.peer.poll_transmit(self.now, &mut buffer) {
                if transmit.to != OWN {
                    continue;
                }
                self.heard = buffer[..transmit.len].to_vec();
                if heard {
                    quiet = false;
                    let _ = self.node.handle_datagram(self.now, PEER, &self.heard);
                }
            }
            if quiet {
                break;
            }
        }
        while self.node.poll_event().is_some() {}
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
            self.settle(true);
        }
        panic!("a deadline does not move: {:?} at {:?}", self.node.poll_timeout(), self.now);
    }

    fn check(&self) {
        let status = self.node.status();
        let rows = self.rows();
        let count = |state| rows.iter().filter(|row| row.1 == state).count() as u32;
        assert_eq!(status.alive, count(State::Alive));
        assert_eq!(status.suspect, count(State::Suspect));
        assert_eq!(status.failed, count(State::Failed));
        assert_eq!(status.left, count(State::Left));
        assert!(rows.len() <= ROWS && status.health <= 7);
        for (at, row) in rows.iter().enumerate() {
            assert!(row.0.is_usable(), "a row of {}", row.0);
            assert!(rows[..at].iter().all(|other| other.0 != row.0), "two rows of {}", row.0);
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
                let mut bytes = self.heard.clone();
                for _ in 0..input.byte() % 8 {
                    let at = usize::from(input.number()) % bytes.len().max(1);
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = input.byte();
                    }
                }
                let cut = usize::from(input.byte());
                if cut < 16 {
                    bytes.truncate(bytes.len().saturating_sub(cut));
                }
                mend(&mut bytes);
                self.deliver(from, &bytes);
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
                self.settle(true);
            }
            _ => match input.byte() {
                0xff => {
                    self.leaving = true;
                    self.node.leave(self.now);
                    self.settle(true);
                }
                0xfe => {
                    self.peer.leave(self.now);
                    self.settle(true);
                }
                0xfd => {
                    // A new life of the peer.
                    self.peer = start(PEER, "peer", 3, self.now);
                    let _ = self.peer.join(self.now, OWN);
                    self.settle(true);
                }
                len => {
                    let tags = String::from_utf8_lossy(input.bytes(usize::from(len) % 140));
                    let _ = self.node.set_tags(self.now, &tags);
                    self.settle(true);
                }
            },
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut world = World::new();
    let _ = world.node.join(world.now, PEER);
    world.settle(true);
    let mut input = Input(input);
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
    }
});
