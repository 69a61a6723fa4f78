//! The state machine, node against node, over a network that loses nothing unless told to.

use std::collections::VecDeque;
use std::vec::Vec;

use super::{Incarnation, State};
use crate::limits::MTU_BYTES;
use crate::{Address, Change, Config, Duration, Event, Instant, Node, Reject};

const N: usize = 16;

fn address(host: u8) -> Address {
    Address::v4([10, 0, 0, host], 6434)
}

struct Peer {
    node: std::boxed::Box<Node<N>>,
    address: Address,
    up: bool,
    events: Vec<Event>,
}

/// Nodes that are called when they ask for it, and datagrams that take a millisecond.
struct World {
    now: Instant,
    peers: Vec<Peer>,
    wire: VecDeque<(Instant, Address, Address, Vec<u8>)>,
}

impl World {
    fn new() -> Self {
        Self { now: Instant::from_micros(5_000_000), peers: Vec::new(), wire: VecDeque::new() }
    }

    fn start(&mut self, host: u8, epoch: u64) -> usize {
        self.start_with(host, epoch, |_| {})
    }

    fn start_with(&mut self, host: u8, epoch: u64, adapt: impl FnOnce(&mut Config<'_>)) -> usize {
        let name = std::format!("node-{host}");
        let mut config = Config { epoch, ..Config::new(&name, address(host)) };
        adapt(&mut config);
        let mut node = std::boxed::Box::new(Node::EMPTY);
        let entropy = [host.wrapping_add(epoch as u8); 32];
        node.init(&config, entropy, u64::from(host) + epoch, self.now).unwrap();
        self.peers.push(Peer { node, address: config.advertise, up: true, events: Vec::new() });
        self.peers.len() - 1
    }

    /// A cluster of this many, settled.
    fn cluster(size: u8) -> Self {
        let mut world = Self::new();
        for host in 1..=size {
            let peer = world.start(host, 1_000 + u64::from(host));
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

    fn run_ms(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            for at in 0..self.peers.len() {
                self.drain(at);
            }
            let up = self.peers.iter().filter(|peer| peer.up);
            let timer = up.filter_map(|peer| peer.node.poll_timeout()).min();
            let packet = self.wire.front().map(|(at, ..)| *at);
            let Some(next) = timer.into_iter().chain(packet).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            while self.wire.front().is_some_and(|(at, ..)| *at <= self.now) {
                let (_, from, to, bytes) = self.wire.pop_front().unwrap();
                for at in 0..self.peers.len() {
                    if self.peers[at].up && self.peers[at].address == to {
                        let _ = self.peers[at].node.handle_datagram(self.now, from, &bytes);
                        self.drain(at);
                    }
                }
            }
            for peer in self.peers.iter_mut().filter(|peer| peer.up) {
                peer.node.handle_timeout(self.now);
                let next = peer.node.poll_timeout();
                assert!(next.is_none_or(|at| at > self.now), "a deadline is left behind");
            }
        }
        self.now = end;
    }

    /// Sorted addresses of alive and suspect rows.
    fn view(&self, at: usize) -> Vec<Address> {
        let live = self.peers[at].node.members(0).filter(|(_, member)| member.state.is_live());
        let mut view: Vec<Address> = live.map(|(_, member)| member.address).collect();
        view.sort();
        view
    }

    fn is_one_view(&self, size: usize) -> bool {
        let up: Vec<usize> = (0..self.peers.len()).filter(|at| self.peers[*at].up).collect();
        let views: Vec<Vec<Address>> = up.iter().map(|at| self.view(*at)).collect();
        let digests = up.iter().map(|at| self.peers[*at].node.status().digest);
        let equal_digests = digests.collect::<std::collections::BTreeSet<_>>().len() == 1;
        equal_digests && views.iter().all(|view| *view == views[0] && view.len() == size)
    }

    fn state(&self, at: usize, host: u8) -> Option<State> {
        self.peers[at].node.member(address(host)).map(|member| member.state)
    }

    fn changes(&self, at: usize, host: u8) -> Vec<Change> {
        let changes = self.peers[at].events.iter().filter_map(|event| match event {
            Event::Member { change, address: about, .. } if *about == address(host) => {
                Some(*change)
            }
            _ => None,
        });
        changes.collect()
    }
}

#[test]
fn two_nodes_meet() {
    let mut world = World::new();
    let a = world.start(1, 1_000);
    let b = world.start(2, 2_000);
    world.peers[b].node.join(world.now, address(1)).unwrap();
    world.run_ms(2_500);
    assert!(world.is_one_view(2));
    let member = world.peers[a].node.member(address(2)).unwrap();
    assert_eq!((member.name, member.incarnation.epoch), ("node-2", 2_000));
    assert!(world.peers[a].node.member(address(2)).unwrap().rtt_us > 0);
    assert_eq!(world.peers[b].node.member(address(1)).unwrap().name, "node-1");
    assert!(world.peers[b].events.contains(&Event::Joined));
    assert_eq!(world.changes(a, 2), [Change::Joined]);
    assert_eq!(world.changes(b, 1), [Change::Joined]);
}

#[test]
fn many_nodes_meet_through_one() {
    let world = World::cluster(12);
    for at in 0..12 {
        for host in 1..=12 {
            let member = world.peers[at].node.member(address(host)).unwrap();
            assert_eq!(member.name, std::format!("node-{host}"), "details at {at}");
        }
    }
}

#[test]
fn a_crash_is_suspected_then_failed_everywhere() {
    let mut world = World::cluster(5);
    world.peers[4].up = false;
    world.run_ms(20_000);
    for at in 0..4 {
        assert_eq!(world.state(at, 5), Some(State::Failed));
        let changes = world.changes(at, 5);
        assert_eq!(
            changes[changes.len() - 2..],
            [Change::Suspected, Change::Failed],
            "{changes:?}"
        );
    }
    assert!(world.is_one_view(4));
}

#[test]
fn a_restart_wins_over_its_earlier_life() {
    let mut world = World::cluster(4);
    world.peers[3].up = false;
    world.run_ms(20_000);
    let again = world.start(4, 9_000);
    world.peers[again].node.join(world.now, address(1)).unwrap();
    world.run_ms(3_000);
    assert!(world.is_one_view(4));
    assert_eq!(world.peers[0].node.member(address(4)).unwrap().incarnation.epoch, 9_000);
}

#[test]
fn a_clock_that_went_backwards_is_repaired() {
    for epoch in [0, 7] {
        let mut world = World::cluster(4);
        world.peers[3].up = false;
        world.run_ms(20_000);
        let again = world.start(4, epoch);
        world.peers[again].node.join(world.now, address(1)).unwrap();
        world.run_ms(3_000);
        assert!(world.is_one_view(4), "epoch {epoch}");
        let incarnation = world.peers[0].node.member(address(4)).unwrap().incarnation;
        assert!(incarnation > Incarnation { epoch: 1_004, refutation: 0 });
    }
}

#[test]
fn a_leaver_is_not_failed() {
    let mut world = World::cluster(5);
    let now = world.now;
    world.peers[2].node.leave(now);
    world.run_ms(3_500);
    assert!(world.peers[2].node.has_left());
    assert!(world.peers[2].events.contains(&Event::Left));
    world.peers[2].up = false;
    for at in [0, 1, 3, 4] {
        assert_eq!(world.state(at, 3), Some(State::Left));
        assert_eq!(world.changes(at, 3).last(), Some(&Change::Left));
    }
    world.run_ms(20_000);
    for at in [0, 1, 3, 4] {
        assert_eq!(world.changes(at, 3).last(), Some(&Change::Left));
    }
}

#[test]
fn both_sides_of_a_partition_merge() {
    let mut world = World::cluster(6);
    // Half of the nodes are paused for so long that the others declare them failed.
    for at in 3..6 {
        world.peers[at].up = false;
    }
    world.run_ms(60_000);
    assert!((0..3).all(|at| world.view(at).len() == 3));
    for at in 3..6 {
        world.peers[at].up = true;
    }
    world.run_ms(10_000);
    assert!(world.is_one_view(6));
    assert_eq!(world.peers[0].node.status().suspect, 0);
}

#[test]
fn a_full_table_refuses_and_says_so() {
    let mut world = World::new();
    for host in 1..=20 {
        let peer = world.start(host, 1_000);
        world.peers[peer].node.join(world.now, address(1)).unwrap();
    }
    world.run_ms(15_000);
    let status = world.peers[0].node.status();
    assert_eq!(status.alive as usize, N);
    assert!(status.partial);
    let events = &world.peers[0].events;
    assert!(events.contains(&Event::Partial(true)));
    assert!(events.iter().any(|event| matches!(event, Event::TableFull { .. })));
}

#[test]
fn hostile_sources_and_sizes_are_rejected() {
    let mut world = World::cluster(2);
    let now = world.now;
    let node = &mut world.peers[0].node;
    let usable = Address::v4([10, 9, 9, 9], 1);
    for (from, bytes, reject) in [
        (Address::v4([10, 0, 0, 2], 0), &[0_u8; 30][..], Reject::Source),
        (Address::v4([224, 0, 0, 1], 9), &[0; 30], Reject::Source),
        (Address::v4([255; 4], 9), &[0; 30], Reject::Source),
        (address(1), &[0; 30], Reject::Own),
        (usable, &[0; 16], Reject::Short),
        (usable, &[0; 1_201], Reject::Long),
        (usable, &[0; 30], Reject::Version),
        (usable, &[1; 30], Reject::Tag),
    ] {
        let before = node.stats().rejects[reject.index()];
        assert_eq!(node.handle_datagram(now, from, bytes), Err(reject));
        assert_eq!(node.stats().rejects[reject.index()], before + 1);
    }
    assert!(node.poll_transmit(now, &mut [0; MTU_BYTES]).is_none(), "no answer");
}
