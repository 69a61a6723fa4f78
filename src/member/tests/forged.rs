//! Statements that are not true: who can send datagrams with another's source address may say
//! anything, and the damage has to stay small and pass.

use super::lone::{ALIVE, Lone, craft, details, rumour, rumours, sections};
use super::world::{World, address};
use crate::limits::{ACCUSATIONS_PER_PERIOD, EPOCH_END, EPOCH_HEARSAY_END, REFUTATION_END};
use crate::member::{Incarnation, State};
use crate::rng::Rng;
use crate::wire::{Header, Rumour, Section};
use crate::{Change, Duration, Instant};
use std::vec::Vec;

/// Unix milliseconds of the year 2025.
const CLOCK: u64 = 1_750_000_000_000;
const DAY_MS: u64 = 24 * 3_600_000;

/// What five nodes may send in a second, whatever they were told: each gossips 5 times to 3
/// members, pings twice, asks 3 helpers, answers as much, and tells the one it disagrees with at
/// most 5 times.
const DATAGRAMS_OF_FIVE: u64 = 5 * (15 + 5 + 5 + 5);

#[test]
fn nodes_that_disagree_do_not_answer_each_other_without_end() {
    let mut world = World::cluster(5);
    world.run_ms(15_000);
    for jump in [1_000, 5_000] {
        let Incarnation { epoch, refutation } = world.own(1);
        let ahead = Incarnation { epoch, refutation: refutation + jump };
        world.inject_rumours(0, 2, &[rumour(2, ahead, State::Alive)]);
        let busiest = world.busiest_second(10);
        assert!(busiest <= DATAGRAMS_OF_FIVE, "{busiest} in a second");
    }
    world.run_ms(30_000);
    assert!(world.is_one_view(5), "in the end they agree");
}

#[test]
fn what_a_member_says_of_itself_is_answered_five_times_a_period() {
    let mut lone = Lone::<4>::among([2, 3]);
    let newer = Incarnation { refutation: 7, ..ALIVE };
    lone.hear_member(3, rumours(&[rumour(2, newer, State::Alive)]));
    lone.send();
    // Its own datagrams go on to say the older one.
    let mut told = 0;
    for _ in 0..1_000 {
        lone.hear_member(2, |_| {});
        told += lone.send().iter().filter(|(to, _)| *to == address(2)).count();
        lone.now += Duration::from_millis(1);
    }
    assert_eq!(told, 5);
}

/// A forged rumour at the highest incarnation that is believed, and then the fleet's repair.
fn bury_and_repair(first_epoch: u64, highest_epoch: u64) {
    let mut world = World::cluster_of_epoch(5, first_epoch);
    let forged = Incarnation { epoch: highest_epoch, refutation: REFUTATION_END - 1 };
    world.inject_rumours(0, 2, &[rumour(2, forged, State::Suspect)]);
    assert_eq!(world.peers[0].node.stats().epochs_ignored, 0, "it is believed");
    let alive = |world: &World| world.all_hold(2, State::Alive);
    assert!(world.run_until(3_000, alive).is_some(), "refuted");
    assert!(world.own(1) > forged);
    world.peers[1].up = false;
    world.run_ms(30_000);
    let again = world.start(2, first_epoch + 60_000);
    world.peers[again].node.join(world.now, address(1)).unwrap();
    assert!(world.run_until(10_000, alive).is_some(), "its next life is believed");
    for _ in 0..60 {
        world.run_ms(1_000);
        assert!(alive(&world), "and stays");
    }
    assert!(world.is_one_view(5));
}

#[test]
fn a_forged_rumour_does_not_bury_an_address_where_there_is_no_clock() {
    bury_and_repair(1_000, EPOCH_HEARSAY_END - 1);
}

#[test]
fn a_forged_rumour_does_not_bury_an_address_where_there_is_a_clock() {
    bury_and_repair(CLOCK, CLOCK + DAY_MS);
}

/// In its own name, a member is believed whatever it says: a forger can say the last there is.
#[test]
fn a_forged_header_does_not_outlive_its_subject() {
    for first_epoch in [1_000, CLOCK] {
        let mut world = World::cluster_of_epoch(5, first_epoch);
        let last = Incarnation { epoch: EPOCH_END - 1, refutation: REFUTATION_END - 1 };
        let header = Header { incarnation: last, ..world.header_of(1) };
        world.inject(0, address(2), &craft(&header, |_| {})).unwrap();
        assert_eq!(world.peers[0].node.member(address(2)).unwrap().incarnation, last);
        world.run_ms(5_000);
        assert!(world.all_hold(2, State::Alive));
        world.peers[1].up = false;
        world.run_ms(30_000);
        assert!(world.all_hold(2, State::Failed));
        let again = world.start(2, first_epoch + 60_000);
        world.peers[again].node.join(world.now, address(1)).unwrap();
        let repaired = |world: &World| world.is_one_view(5);
        assert!(world.run_until(10_000, repaired).is_some(), "its next life is believed");
        assert!(world.peers[0].node.member(address(2)).unwrap().incarnation < last);
    }
}

/// Who was cut off suspected everybody, and tells of the suspicion and of its end in one breath.
#[test]
fn a_suspicion_that_has_only_just_been_heard_of_does_not_end_by_hearsay() {
    let mut lone = Lone::<8>::among(2..=6);
    for state in [State::Suspect, State::Failed] {
        lone.hear_member(2, rumours(&[rumour(3, ALIVE, state)]));
        assert_eq!(lone.state(3), Some(State::Suspect));
    }
    lone.now += Duration::from_millis(999);
    lone.hear_member(2, rumours(&[rumour(3, ALIVE, State::Failed)]));
    assert_eq!(lone.state(3), Some(State::Suspect), "it has a period to refute");
    lone.now += Duration::from_millis(1);
    lone.hear_member(2, rumours(&[rumour(3, ALIVE, State::Failed)]));
    assert_eq!(lone.state(3), Some(State::Failed));
}

#[test]
fn hearsay_of_an_epoch_beyond_every_clock_is_ignored() {
    for (first_epoch, too_late) in
        [(1_000, EPOCH_HEARSAY_END), (1_000, EPOCH_END - 1), (CLOCK, CLOCK + DAY_MS + 10_000)]
    {
        let mut world = World::cluster_of_epoch(3, first_epoch);
        let before = world.peers[0].node.member(address(2)).unwrap().incarnation;
        let forged = Incarnation { epoch: too_late, refutation: 0 };
        for state in [State::Alive, State::Suspect, State::Failed, State::Left] {
            world.inject_rumours(0, 2, &[rumour(2, forged, state), rumour(1, forged, state)]);
        }
        let node = &world.peers[0].node;
        assert_eq!(node.stats().epochs_ignored, 8, "of another and of itself");
        let member = node.member(address(2)).unwrap();
        assert_eq!((member.incarnation, member.state), (before, State::Alive));
    }
}

/// Incarnations end; whatever is believed from others has one above it.
#[test]
fn every_incarnation_that_is_believed_can_be_refuted() {
    let mut rng = Rng::new(1);
    for first_epoch in [0, 1_000, CLOCK] {
        let mut lone = Lone::<4>::with(|config| config.epoch = first_epoch);
        lone.introduce(2, ALIVE, &details(2)).unwrap();
        for _ in 0..2_000 {
            let spread = rng.below(43);
            let forged = Incarnation {
                epoch: rng.next() & ((1 << spread) - 1),
                refutation: if rng.below(2) == 0 { REFUTATION_END - 1 } else { rng.below(9) },
            };
            lone.now += Duration::from_secs(1);
            let before = lone.swim.status().own.incarnation;
            lone.hear_member(2, rumours(&[rumour(1, forged, State::Suspect)]));
            let own = lone.swim.status().own.incarnation;
            let ignored = forged < before || lone.swim.stats().epochs_ignored > 0;
            assert!(own > forged || ignored, "{forged} leaves nothing to refute with: {own}");
            lone.swim.stats.epochs_ignored = 0;
        }
    }
}

#[test]
fn a_false_left_is_refuted() {
    let mut world = World::cluster(8);
    world.run_ms(5_000);
    let victim = 4;
    let bytes = craft(&Header { leaving: true, ..world.header_of(victim) }, |_| {});
    world.inject(0, address(5), &bytes).unwrap();
    assert_eq!(world.state(0, 5), Some(State::Left));
    let repaired = |world: &World| world.all_hold(5, State::Alive) && world.is_one_view(8);
    assert!(world.run_until(2_000, repaired).is_some());
    world.run_ms(20_000);
    for host in 1..=8 {
        assert!(!world.changes(victim, host).contains(&Change::Failed), "no revenge");
    }
}

#[test]
fn who_is_said_to_have_left_hears_of_it_at_once() {
    let mut lone = Lone::<4>::among([2, 3]);
    let left = rumour(3, ALIVE, State::Left);
    lone.hear_member(2, rumours(&[left]));
    let told = lone.send().into_iter().any(|(to, bytes)| {
        let mut sections = sections(&bytes).into_iter();
        to == address(3)
            && sections.any(|section| match section {
                Section::Rumours(mut rumours) => rumours.any(|rumour| rumour == left),
                _ => false,
            })
    });
    assert!(told);
}

#[test]
fn accusations_of_oneself_cost_one_health_point_a_period() {
    let mut lone = Lone::<4>::among([2, 3]);
    let accusations = |own: Incarnation| -> Vec<Rumour> {
        let later = |more| Incarnation { refutation: own.refutation + more, ..own };
        (0..60).map(|more| rumour(1, later(more), State::Suspect)).collect()
    };
    let start = Instant::from_micros(5_000_000);
    let mut refutations = 0;
    for period in 1..=3 {
        // In the middle of a period, so that nothing is due between the two datagrams.
        lone.now = start + Duration::from_millis(1_000 * u64::from(period) + 500);
        for accuser in [2, 3] {
            let list = accusations(lone.swim.status().own.incarnation);
            lone.hear_member(accuser, rumours(&list));
            refutations += u32::from(ACCUSATIONS_PER_PERIOD);
        }
        assert_eq!(lone.swim.status().health, period);
        assert_eq!(lone.swim.stats().refutations, refutations);
    }
}

#[test]
fn accusations_count_against_their_sender_only_if_they_change_something() {
    let mut lone = Lone::<16>::among(2..=14);
    let suspects = |hosts: core::ops::Range<u8>| -> Vec<Rumour> {
        hosts.map(|host| rumour(host, ALIVE, State::Suspect)).collect()
    };
    let last = 4 + ACCUSATIONS_PER_PERIOD;
    for _ in 0..4 {
        lone.hear_member(2, rumours(&suspects(4..7)));
    }
    lone.hear_member(2, rumours(&suspects(7..last)));
    assert_eq!(lone.swim.stats().accusations_ignored, 0, "repetition is no accusation");
    assert_eq!(lone.state(last - 1), Some(State::Suspect));
    lone.hear_member(2, rumours(&suspects(last..last + 1)));
    assert_eq!(lone.state(last), Some(State::Alive), "one more than counts");
    assert_eq!(lone.swim.stats().accusations_ignored, 1);
    lone.hear_member(3, rumours(&suspects(last..last + 1)));
    assert_eq!(lone.state(last), Some(State::Suspect), "from somebody else");
}

#[test]
fn a_member_is_failed_only_by_way_of_suspicion() {
    let mut lone = Lone::<4>::among([2, 3]);
    lone.hear_member(2, rumours(&[rumour(3, ALIVE, State::Failed)]));
    assert_eq!(lone.state(3), Some(State::Suspect), "an accusation");
    let told = lone.send().into_iter().any(|(to, _)| to == address(3));
    assert!(told, "it may refute");
}
