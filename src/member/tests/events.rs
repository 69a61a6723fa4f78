//! Events about the fleet as a whole.

use std::vec::Vec;

use super::lone::{ALIVE, Lone, details};
use super::world::{N, World, address};
use crate::wire::Details;
use crate::{Event, State};

#[test]
fn two_members_of_one_name_are_both_kept_and_reported() {
    let mut lone = Lone::<4>::new();
    for host in [2, 3] {
        let details = Details { name: "twin", ..details(host) };
        lone.introduce(host, ALIVE, &details).unwrap();
    }
    let conflict = Event::NameConflict { first: address(2), second: address(3) };
    assert!(lone.events().contains(&conflict));
    assert_eq!(lone.swim.status().alive, 3);
    let details = Details { name: "node-1", ..details(4) };
    lone.run_ms(61_000);
    lone.introduce(4, ALIVE, &details).unwrap();
    let conflict = Event::NameConflict { first: address(1), second: address(4) };
    assert!(lone.events().contains(&conflict), "of this node's own name");
}

#[test]
fn another_protocol_period_is_reported_and_not_fought() {
    let mut world = World::cluster(3);
    let odd = world.start_with(4, 1_000, |config| config.period_ms = 500);
    world.peers[odd].node.join(world.now, address(1)).unwrap();
    world.run_ms(10_000);
    assert!(world.is_one_view(4));
    let theirs = Event::ParameterMismatch { address: address(4), period_ms: 500 };
    for at in 0..3 {
        assert!(world.peers[at].events.contains(&theirs), "{at}");
    }
    let at_odd =
        |event: &&Event| matches!(event, Event::ParameterMismatch { period_ms: 1_000, .. });
    assert_eq!(world.peers[odd].events.iter().filter(at_odd).count(), 1, "at most once a minute");
}

fn partial_events(world: &World, at: usize) -> Vec<bool> {
    let partial = world.peers[at].events.iter().filter_map(|event| match event {
        Event::Partial(partial) => Some(*partial),
        _ => None,
    });
    partial.collect()
}

#[test]
fn a_table_that_is_too_small_is_partial_until_the_fleet_fits_again() {
    let mut world = World::cluster(N as u8);
    assert_eq!(partial_events(&world, 0), []);
    let late = world.start(77, 1_000);
    world.peers[late].node.join(world.now, address(1)).unwrap();
    world.run_ms(20_000);
    assert!(world.peers[0].node.status().partial);
    assert_eq!(partial_events(&world, 0), [true]);
    world.peers[late].up = false;
    world.run_ms(120_000);
    assert!(world.peers[0].node.status().partial, "still not a row to spare");
    assert_eq!(partial_events(&world, 0), [true]);
    let now = world.now;
    world.peers[7].node.leave(now);
    world.run_ms(5_000);
    assert!(!world.peers[0].node.status().partial);
    assert_eq!(partial_events(&world, 0), [true, false]);
    assert_eq!(world.state(0, 8), Some(State::Left));
}

#[test]
fn a_node_that_hears_nothing_is_isolated_until_it_does() {
    let mut world = World::cluster(3);
    world.peers[1].up = false;
    world.peers[2].up = false;
    world.run_ms(9_000);
    assert!(!world.peers[0].events.contains(&Event::Isolated));
    world.run_ms(5_000);
    let isolated = |world: &World| {
        world.peers[0].events.iter().filter(|event| **event == Event::Isolated).count()
    };
    assert_eq!(isolated(&world), 1);
    assert!(world.peers[0].node.status().isolated);
    world.run_ms(60_000);
    assert_eq!(isolated(&world), 1, "said once");
    world.peers[1].up = true;
    assert!(world.run_until(5_000, |w| !w.peers[0].node.status().isolated).is_some());
}
