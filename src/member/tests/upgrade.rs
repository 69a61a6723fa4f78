//! Which protocol is in use while a fleet is upgraded.

use super::world::{World, address};
use crate::member::State;
use crate::wire::{PROTOCOL, Refusal};
use crate::{Config, ConfigError, Event};

impl World {
    /// Starts a node that speaks these protocols and joins through host 1.
    fn start_speaking(&mut self, host: u8, epoch: u64, (low, high): (u8, u8)) -> usize {
        let peer = self.start_with(host, epoch, |config| {
            (config.protocol_low, config.protocol_high) = (low, high);
        });
        self.peers[peer].node.join(self.now, address(1)).unwrap();
        peer
    }

    fn protocol(&self, at: usize) -> u8 {
        self.peers[at].node.status().protocol
    }

    /// Whether all that run have this protocol in use.
    fn all_use(&self, protocol: u8) -> bool {
        let mut up = (0..self.peers.len()).filter(|at| self.peers[*at].up);
        up.all(|at| self.protocol(at) == protocol)
    }
}

#[test]
fn a_node_speaks_what_the_code_speaks() {
    let world = World::cluster(3);
    assert!(world.all_use(PROTOCOL));
}

#[test]
fn the_protocol_in_use_is_the_last_that_all_live_rows_understand() {
    let mut world = World::new();
    for (host, speaks) in [(1, (1, 3)), (2, (1, 2)), (3, (2, 4))] {
        world.start_speaking(host, 1_000 + u64::from(host), speaks);
    }
    assert_eq!((world.protocol(0), world.protocol(1), world.protocol(2)), (3, 2, 4));
    assert!(world.run_until(5_000, |world| world.is_one_view(3) && world.all_use(2)).is_some());
    // A suspect still counts; once it is taken for dead it does not.
    world.peers[1].up = false;
    while world.state(0, 2) != Some(State::Failed) {
        assert_eq!(world.protocol(0), 2);
        world.run_ms(10);
    }
    assert!(world.run_until(5_000, |world| world.all_use(3)).is_some());
}

/// Whoever is new is spoken to in protocol 1 from the moment at which it is a row, by everybody.
#[test]
fn a_newcomer_counts_as_speaking_protocol_1_until_its_details_are_known() {
    let mut world = World::new();
    for host in 1..=5 {
        world.start_speaking(host, 1_000 + u64::from(host), (1, 2));
    }
    assert!(world.run_until(5_000, |world| world.is_one_view(5) && world.all_use(2)).is_some());
    world.start_speaking(6, 2_000, (1, 1));
    for _ in 0..5_000 {
        world.run_ms(1);
        for at in 0..5 {
            let known = world.state(at, 6).is_some();
            assert_eq!(world.protocol(at), if known { 1 } else { 2 });
        }
    }
    assert!(world.is_one_view(6) && world.all_use(1));
    let now = world.now;
    world.peers[5].node.leave(now);
    let left = |world: &World| (0..5).all(|at| world.protocol(at) == 2);
    assert!(world.run_until(5_000, left).is_some(), "who has left does not count");
}

/// An earlier build may come back at the same address; a refutation is the same process.
#[test]
fn another_life_may_speak_another_protocol_and_a_refutation_may_not() {
    let mut world = World::new();
    for host in 1..=3 {
        world.start_speaking(host, 1_000 + u64::from(host), (1, 2));
    }
    assert!(world.run_until(5_000, |world| world.is_one_view(3) && world.all_use(2)).is_some());
    let now = world.now;
    world.peers[2].node.set_tags(now, "role=web").unwrap();
    for _ in 0..3_000 {
        world.run_ms(1);
        assert!(world.all_use(2));
    }
    assert_eq!(world.peers[0].node.member(address(3)).unwrap().incarnation.refutation, 1);
    world.peers[2].up = false;
    world.start_speaking(3, 9_000, (1, 1));
    let back = |world: &World| world.all_hold(3, State::Alive) && world.all_use(1);
    assert!(world.run_until(5_000, back).is_some());
}

#[test]
fn who_has_no_protocol_in_common_is_refused() {
    for (resident, newcomer) in [((1, 1), (2, 3)), ((2, 3), (1, 1))] {
        let mut world = World::new();
        world.start_speaking(1, 1_000, resident);
        let late = world.start_speaking(2, 2_000, newcomer);
        world.run_ms(2_000);
        let (by, reason) = (address(1), Refusal::Protocol);
        assert!(world.peers[late].events.contains(&Event::Refused { by, reason }));
        assert_eq!(world.state(0, 2), None);
        assert_eq!(world.protocol(0), resident.1);
    }
}

#[test]
fn protocols_are_a_range_that_can_be_counted() {
    let with = |protocol_low, protocol_high| {
        let config = Config { protocol_low, protocol_high, ..Config::new("a", address(1)) };
        config.validate(3)
    };
    for (low, high) in [(1, 1), (1, 4), (4, 4)] {
        assert_eq!(with(low, high), Ok(()));
    }
    for (low, high) in [(0, 1), (0, 0), (2, 1), (1, 5), (5, 5)] {
        assert_eq!(with(low, high), Err(ConfigError::Protocol));
    }
}
