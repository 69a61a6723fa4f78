//! Nodes that are called when they ask for it, or a little later, and datagrams that take a
//! millisecond.

use std::boxed::Box;
use std::collections::{BTreeSet, VecDeque};
use std::vec::Vec;

use super::lone::{craft, rumours};
use crate::limits::MTU_BYTES;
use crate::member::{Incarnation, State};
use crate::rng::Rng;
use crate::wire::{Header, Rumour};
use crate::{Address, Change, Config, Duration, Event, Instant, Node, Reject};

/// Rows of every table.
pub(super) const N: usize = 16;

/// A driver sleeps in the kernel, which rounds up and schedules late.
const LATE_US: u32 = 2_000;

pub(super) fn address(host: u8) -> Address {
    Address::v4([10, 0, 0, host], 6434)
}

pub(super) struct Peer {
    pub(super) node: Box<Node<N>>,
    pub(super) address: Address,
    pub(super) up: bool,
    pub(super) events: Vec<Event>,
    /// How late it wakes up next.
    late: Duration,
}

impl Peer {
    fn wakes_at(&self) -> Option<Instant> {
        self.node.poll_timeout().map(|due| due + self.late)
    }
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) peers: Vec<Peer>,
    wire: VecDeque<(Instant, Address, Address, Vec<u8>)>,
    rng: Rng,
}

impl World {
    pub(super) fn new() -> Self {
        let now = Instant::from_micros(5_000_000);
        Self { now, peers: Vec::new(), wire: VecDeque::new(), rng: Rng::new(1) }
    }

    pub(super) fn start(&mut self, host: u8, epoch: u64) -> usize {
        self.start_with(host, epoch, |_| {})
    }

    pub(super) fn start_with(
        &mut self,
        host: u8,
        epoch: u64,
        adapt: impl FnOnce(&mut Config<'_>),
    ) -> usize {
        let name = std::format!("node-{host}");
        let mut config = Config { epoch, ..Config::new(&name, address(host)) };
        adapt(&mut config);
        let mut node = Box::new(Node::EMPTY);
        // No two are the same, though host and epoch may be.
        let number = self.peers.len();
        node.init(&config, [number as u8; 32], number as u64, self.now).unwrap();
        let (address, late) = (config.advertise, Duration::ZERO);
        self.peers.push(Peer { node, address, up: true, events: Vec::new(), late });
        self.peers.len() - 1
    }

    /// A cluster of this many, settled.
    pub(super) fn cluster(size: u8) -> Self {
        Self::cluster_of_epoch(size, 1_000)
    }

    /// The same, with epochs from here on.
    pub(super) fn cluster_of_epoch(size: u8, epoch: u64) -> Self {
        let mut world = Self::new();
        for host in 1..=size {
            let peer = world.start(host, epoch + u64::from(host));
            world.peers[peer].node.join(world.now, address(1)).unwrap();
        }
        world.run_ms(5_000);
        assert!(world.is_one_view(usize::from(size)), "{:?}", world.view(0));
        world
    }

    fn drain(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        let mut buffer = [0; MTU_BYTES];
        while let Some(transmit) = peer.node.poll_transmit(self.now, &mut buffer) {
            let bytes = buffer[..transmit.len].to_vec();
            let arrives = self.now + Duration::from_millis(1);
            self.wire.push_back((arrives, peer.address, transmit.to, bytes));
        }
        while let Some(event) = peer.node.poll_event() {
            peer.events.push(event);
        }
    }

    pub(super) fn run_ms(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            for at in 0..self.peers.len() {
                self.drain(at);
            }
            let up = self.peers.iter().filter(|peer| peer.up);
            let timer = up.filter_map(Peer::wakes_at).min();
            let packet = self.wire.front().map(|(at, ..)| *at);
            let Some(next) = timer.into_iter().chain(packet).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.deliver();
            for peer in self.peers.iter_mut().filter(|peer| peer.up) {
                if peer.wakes_at().is_none_or(|at| at > self.now) {
                    continue;
                }
                peer.node.handle_timeout(self.now);
                let next = peer.node.poll_timeout();
                assert!(next.is_none_or(|at| at > self.now), "a deadline is left behind");
                peer.late = Duration::from_micros(u64::from(self.rng.below(LATE_US + 1)));
            }
        }
        self.now = end;
    }

    /// Hands over what has arrived: to all who live at the address.
    fn deliver(&mut self) {
        while self.wire.front().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, from, to, bytes) = self.wire.pop_front().unwrap();
            for at in 0..self.peers.len() {
                if self.peers[at].up && self.peers[at].address == to {
                    let _ = self.peers[at].node.handle_datagram(self.now, from, &bytes);
                    self.drain(at);
                }
            }
        }
    }

    /// Runs until `done`, for `limit_ms` at most, and says how long it took.
    pub(super) fn run_until(&mut self, limit_ms: u64, done: impl Fn(&Self) -> bool) -> Option<u64> {
        let begin = self.now;
        while !done(self) {
            let spent_ms = self.now.since(begin).as_millis();
            if spent_ms >= limit_ms {
                return None;
            }
            self.run_ms(10);
        }
        Some(self.now.since(begin).as_millis())
    }

    /// Sorted addresses of alive and suspect rows.
    pub(super) fn view(&self, at: usize) -> Vec<Address> {
        let live = self.peers[at].node.members(0).filter(|(_, member)| member.state.is_live());
        let mut view: Vec<Address> = live.map(|(_, member)| member.address).collect();
        view.sort();
        view
    }

    pub(super) fn is_one_view(&self, size: usize) -> bool {
        let up: Vec<usize> = (0..self.peers.len()).filter(|at| self.peers[*at].up).collect();
        let views: Vec<Vec<Address>> = up.iter().map(|at| self.view(*at)).collect();
        let digests = up.iter().map(|at| self.peers[*at].node.status().digest);
        let equal_digests = digests.collect::<BTreeSet<_>>().len() == 1;
        equal_digests && views.iter().all(|view| *view == views[0] && view.len() == size)
    }

    pub(super) fn state(&self, at: usize, host: u8) -> Option<State> {
        self.peers[at].node.member(address(host)).map(|member| member.state)
    }

    /// Whether all others that run hold a host to be in this state.
    pub(super) fn all_hold(&self, host: u8, state: State) -> bool {
        let others = (0..self.peers.len()).filter(|at| self.peers[*at].address != address(host));
        let mut up = others.filter(|at| self.peers[*at].up);
        up.all(|at| self.state(at, host) == Some(state))
    }

    pub(super) fn changes(&self, at: usize, host: u8) -> Vec<Change> {
        let changes = self.peers[at].events.iter().filter_map(|event| match event {
            Event::Member { change, address: about, .. } if *about == address(host) => {
                Some(*change)
            }
            _ => None,
        });
        changes.collect()
    }

    /// The incarnation that a node gives itself.
    pub(super) fn own(&self, at: usize) -> Incarnation {
        self.peers[at].node.status().own.incarnation
    }

    /// A header as the node itself would send it.
    pub(super) fn header_of(&self, at: usize) -> Header {
        let digest = self.peers[at].node.status().digest;
        Header { incarnation: self.own(at), digest, ..Header::default() }
    }

    /// Hands a datagram to a node, from any source.
    pub(super) fn inject(&mut self, to: usize, from: Address, bytes: &[u8]) -> Result<(), Reject> {
        let outcome = self.peers[to].node.handle_datagram(self.now, from, bytes);
        self.drain(to);
        outcome
    }

    /// Rumours in the name of one node, handed to another.
    pub(super) fn inject_rumours(&mut self, to: usize, sender: usize, list: &[Rumour]) {
        let bytes = craft(&self.header_of(sender), rumours(list));
        let from = self.peers[sender].address;
        self.inject(to, from, &bytes).unwrap();
    }

    /// Datagrams that all nodes together have sent.
    pub(super) fn sent(&self) -> u64 {
        self.peers.iter().map(|peer| peer.node.stats().datagrams_out).sum()
    }

    /// Runs for so many seconds; the most datagrams that were sent in one of them.
    pub(super) fn busiest_second(&mut self, seconds: u64) -> u64 {
        let mut busiest = 0;
        for _ in 0..seconds {
            let before = self.sent();
            self.run_ms(1_000);
            busiest = busiest.max(self.sent() - before);
        }
        busiest
    }
}
