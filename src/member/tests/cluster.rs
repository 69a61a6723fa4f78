//! What a fleet in good order does, and what its operators ask of it.

use super::lone::{ALIVE, Lone, details};
use super::world::{N, World, address};
use crate::limits::MTU_BYTES;
use crate::member::{Incarnation, State};
use crate::{Address, Change, ConfigError, Event, ForgetError, Reject};

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

#[test]
fn a_forgotten_member_has_left_everywhere() {
    let mut world = World::cluster(4);
    let now = world.now;
    let node = &mut world.peers[0].node;
    assert_eq!(node.forget(now, address(9)), Err(ForgetError::Unknown));
    assert_eq!(node.forget(now, address(4)), Err(ForgetError::Live));
    world.peers[3].up = false;
    assert!(world.run_until(30_000, |world| world.all_hold(4, State::Failed)).is_some());
    // Until the failure is news no longer.
    world.run_ms(10_000);
    let now = world.now;
    assert_eq!(world.peers[0].node.forget(now, address(4)), Ok(()));
    assert!(world.run_until(2_000, |world| world.all_hold(4, State::Left)).is_some());
    for at in 0..3 {
        assert_eq!(world.changes(at, 4).last(), Some(&Change::Left));
    }
    let now = world.now;
    assert_eq!(world.peers[1].node.forget(now, address(4)), Ok(()), "a second time");
}

#[test]
fn new_tags_are_seen_by_all_and_are_a_newer_statement() {
    let mut world = World::cluster(5);
    let (now, before) = (world.now, world.own(2));
    let node = &mut world.peers[2].node;
    assert_eq!(node.set_tags(now, "role"), Err(ConfigError::Tags));
    assert_eq!(node.set_tags(now, ""), Ok(()), "as they are");
    assert_eq!(world.own(2), before);
    assert_eq!(world.peers[2].node.set_tags(now, "role=web"), Ok(()));
    let after = Incarnation { refutation: before.refutation + 1, ..before };
    assert_eq!(world.own(2), after);
    let seen = |world: &World| {
        let mut members = world.peers.iter().map(|peer| peer.node.member(address(3)).unwrap());
        members.all(|member| member.tags == "role=web" && member.incarnation == after)
    };
    assert!(world.run_until(2_000, seen).is_some());
    for at in [0, 1, 3, 4] {
        assert_eq!(world.changes(at, 3).last(), Some(&Change::Updated));
    }
    let now = world.now;
    world.peers[2].node.leave(now);
    assert_eq!(world.peers[2].node.set_tags(now, "role=db"), Err(ConfigError::Leaving));
}

/// It lingers until it has said so often enough, and no longer than it was told to.
#[test]
fn a_leaver_whom_nobody_hears_is_gone_after_its_linger_time() {
    for (linger_ms, gone_after_ms) in [(300, 300), (3_000, 600)] {
        let mut lone = Lone::<4>::with(|config| config.linger_ms = linger_ms);
        for host in [2, 3] {
            lone.introduce(host, ALIVE, &details(host)).unwrap();
        }
        lone.events();
        lone.swim.leave(lone.now);
        let sent = lone.run_ms(gone_after_ms - 1);
        assert!(sent.len() >= 4 && !lone.swim.has_left(), "it has somebody to tell");
        lone.run_ms(2);
        assert!(lone.swim.has_left(), "{linger_ms}");
        assert_eq!(lone.swim.poll_timeout(), None);
        assert_eq!(lone.events(), [Event::Left]);
    }
}

#[test]
fn who_is_alone_leaves_at_once() {
    let mut world = World::new();
    let alone = world.start(1, 1_000);
    let now = world.now;
    world.peers[alone].node.leave(now);
    assert!(world.peers[alone].node.has_left());
    world.run_ms(1);
    assert!(world.peers[alone].events.contains(&Event::Left));
    assert_eq!(world.sent(), 0);
}

#[test]
fn who_has_left_ignores_all_input() {
    let mut world = World::cluster(3);
    let now = world.now;
    world.peers[0].node.leave(now);
    world.run_ms(3_500);
    let before = world.peers[0].node.stats();
    world.run_ms(5_000);
    assert_eq!(world.peers[0].node.stats(), before);
    let now = world.now;
    assert!(world.peers[0].node.join(now, address(2)).is_err());
}
