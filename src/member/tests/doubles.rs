//! Two nodes at one address, and what only looks like it.

use super::lone::{ALIVE, Lone, craft, details, rumour, rumours};
use super::world::{World, address};
use crate::member::{Incarnation, State};
use crate::wire::Header;
use crate::{Duration, Event, Reject};

/// What a fleet of five, and the double, may send in a second: as in a fleet that only disagrees,
/// and what is said to one of the two reaches both.
const DATAGRAMS_IN_A_SECOND: u64 = 2 * 5 * (15 + 5 + 5 + 5);

fn is_conflict(event: &Event) -> bool {
    *event == Event::AddressConflict { address: address(2) }
}

/// Starts a second host 2 with this epoch in a settled fleet, and lets both live.
fn add_double(world: &mut World, epoch: u64) {
    let double = world.start_with(2, epoch, |config| config.name = "double");
    world.peers[double].node.join(world.now, address(1)).unwrap();
    let busiest = world.busiest_second(180);
    assert!(busiest <= DATAGRAMS_IN_A_SECOND, "{busiest} in a second");
    for at in [0, 2, 3, 4] {
        let state = world.state(at, 2);
        assert!(state.is_some_and(State::is_live), "the address stays one live member");
        assert_eq!(world.view(at).len(), 5);
        assert_eq!(world.own(at).refutation, 0, "nobody else is accused");
    }
}

fn conflicts(world: &World) -> usize {
    let events = world.peers.iter().flat_map(|peer| &peer.events);
    events.filter(|event| is_conflict(event)).count()
}

#[test]
fn two_nodes_at_one_address_do_not_outbid_each_other() {
    let mut world = World::cluster(5);
    world.run_ms(15_000);
    add_double(&mut world, 50_000);
    let told = conflicts(&world);
    // Six nodes, at most one a minute each.
    assert!((1..=6 * 4).contains(&told), "{told}");
}

/// Without a clock they begin with the same incarnation, and say the same until one changes.
#[test]
fn two_nodes_at_one_address_without_a_clock_do_not_outbid_each_other() {
    let mut world = World::new();
    for host in 1..=5 {
        let peer = world.start(host, 0);
        world.peers[peer].node.join(world.now, address(1)).unwrap();
    }
    world.run_ms(20_000);
    assert!(world.is_one_view(5));
    add_double(&mut world, 0);
    let now = world.now;
    world.peers[1].node.set_tags(now, "role=web").unwrap();
    let busiest = world.busiest_second(180);
    assert!(busiest <= DATAGRAMS_IN_A_SECOND, "{busiest} in a second");
    assert!(conflicts(&world) > 0, "nobody says so");
}

/// A node that has settled has met its earlier life; what it hears of later is another's.
#[test]
fn a_settled_node_outbids_another_life_once_in_ten_periods() {
    let mut lone = Lone::<4>::among([2]);
    lone.swim.synced = true;
    let mut outbids = |after_ms| {
        lone.now += Duration::from_millis(after_ms);
        let Incarnation { epoch, refutation } = lone.swim.status().own.incarnation;
        let newer = Incarnation { epoch, refutation: refutation + 1 };
        lone.hear_member(2, rumours(&[rumour(1, newer, State::Alive)]));
        lone.swim.status().own.incarnation > newer
    };
    assert!(outbids(1_000) && outbids(1_000), "settling: that was an earlier life");
    assert!(outbids(9_000));
    assert!(!outbids(1) && !outbids(9_998));
    assert!(outbids(1));
}

#[test]
fn another_life_at_a_live_address_is_refused() {
    let mut lone = Lone::<4>::among([2]);
    lone.events();
    lone.now += Duration::from_millis(10);
    lone.hear_member(2, |_| {});
    lone.now += Duration::from_secs(1);
    // It began before the other was heard last, so it is no restart of that.
    assert_eq!(lone.introduce_after(2, 2, ALIVE, &details(77)), Err(Reject::Refused));
    assert_eq!(lone.events(), [Event::AddressConflict { address: address(2) }]);
}

/// Where there is no clock, a restart may have the same epoch; it began after the last that was
/// heard of its earlier life.
#[test]
fn a_restart_with_the_same_epoch_is_no_conflict() {
    let mut lone = Lone::<4>::among([2]);
    lone.now += Duration::from_secs(3);
    lone.events();
    assert_eq!(lone.introduce_after(2, 2, ALIVE, &details(77)), Ok(()));
    assert!(!lone.events().iter().any(is_conflict));
}

/// The datagrams of a new life may come before its hello: they are not those of another node.
#[test]
fn a_quick_restart_is_no_conflict() {
    let mut lone = Lone::<4>::among([2]);
    let newer = Incarnation { epoch: ALIVE.epoch + 1_000, refutation: 0 };
    lone.now += Duration::from_millis(1_500);
    lone.hear(2, &craft(&Header { incarnation: newer, ..Header::default() }, |_| {})).unwrap();
    lone.now += Duration::from_millis(10);
    lone.events();
    assert_eq!(lone.introduce_after(1, 2, newer, &details(77)), Ok(()));
    assert!(!lone.events().iter().any(is_conflict));
    assert_eq!(lone.swim.member(address(2)).unwrap().incarnation, newer);
}
