//! Strangers, seeds and refusals.

use std::vec::Vec;

use super::lone::{ALIVE, Lone, craft, details, hello, sections};
use super::world::{N, World, address};
use crate::wire::{Header, Refusal, Refused, Section, Token, kind, probe};
use crate::{Address, Event, Reject, State};

#[test]
fn two_clusters_merge_soon_after_one_member_is_told_to_join() {
    let mut world = World::new();
    for host in 1..=16 {
        let peer = world.start(host, 1_000 + u64::from(host));
        let seed = if host <= 8 { 1 } else { 9 };
        world.peers[peer].node.join(world.now, address(seed)).unwrap();
    }
    world.run_ms(10_000);
    assert!((0..16).all(|at| world.view(at).len() == 8));
    let now = world.now;
    world.peers[0].node.join(now, address(9)).unwrap();
    assert!(world.run_until(2_000, |world| world.is_one_view(16)).is_some());
}

#[test]
fn a_refusal_of_no_hello_is_ignored() {
    let mut lone = Lone::<4>::new();
    lone.swim.join(lone.now, address(9)).unwrap();
    let asked = lone.run_ms(500);
    assert!(asked.iter().all(|(to, _)| *to == address(9)) && !asked.is_empty());
    let refusal = |echo| {
        let refused = Refused { echo, reason: Refusal::Full };
        craft(&Header::default(), |b| assert!(refused.encode(b)))
    };
    assert_eq!(lone.hear(9, &refusal(Token([3; 4]))), Err(Reject::Unproven));
    assert!(lone.send().is_empty(), "no answer");
    let sent = lone.run_ms(20_000);
    assert!(sent.len() >= 2, "it goes on asking");
    let events = lone.events();
    assert!(events.contains(&Event::NoAnswer), "nobody has said a word: {events:?}");
    // The seed itself has read the hello.
    let mut hellos = sent.iter().flat_map(|(_, bytes)| sections(bytes));
    let Some(Section::Hello(hello)) = hellos.next_back() else { panic!("a hello") };
    assert!(lone.hear(9, &refusal(hello.token)).is_err());
    assert_eq!(lone.events(), [Event::Refused { by: address(9), reason: Refusal::Full }]);
}

#[test]
fn who_has_company_takes_a_refusal_for_an_answer() {
    for refuses in [false, true] {
        let mut lone = Lone::<4>::among([2]);
        lone.swim.join(lone.now, address(9)).unwrap();
        let hellos = lone.run_ms(1);
        let [Section::Hello(hello)] = sections(&hellos[0].1)[..] else { panic!("a hello") };
        if refuses {
            let refused = Refused { echo: hello.token, reason: Refusal::Conflict };
            let bytes = craft(&Header::default(), |b| assert!(refused.encode(b)));
            assert!(lone.hear(9, &bytes).is_err());
        }
        let sent = lone.run_ms(900);
        assert_eq!(sent.iter().any(|(to, _)| *to == address(9)), !refuses);
    }
}

#[test]
fn a_newcomer_that_is_refused_has_not_joined() {
    let mut world = World::cluster(N as u8);
    let late = world.start(77, 1_000);
    world.peers[late].node.join(world.now, address(1)).unwrap();
    world.run_ms(15_000);
    let status = world.peers[late].node.status();
    assert!(!status.joined);
    assert_eq!((status.alive, status.suspect), (1, 0));
    let refused = Event::Refused { by: address(1), reason: Refusal::Full };
    let events = &world.peers[late].events;
    assert!(events.contains(&refused), "{events:?}");
    assert!(!events.contains(&Event::Joined), "{events:?}");
    assert!(!events.contains(&Event::NoAnswer), "{events:?}");
    // Somebody leaves; the newcomer goes on asking and finds room.
    let now = world.now;
    world.peers[4].node.leave(now);
    world.run_ms(15_000);
    assert!(world.peers[late].events.contains(&Event::Joined));
}

#[test]
fn silence_of_all_seeds_is_reported_after_ten_seconds_and_then_once_a_minute() {
    let mut lone = Lone::<4>::new();
    lone.swim.join(lone.now, address(9)).unwrap();
    lone.run_ms(9_990);
    assert_eq!(lone.events(), []);
    lone.run_ms(20);
    assert_eq!(lone.events(), [Event::NoAnswer]);
    lone.run_ms(59_970);
    assert_eq!(lone.events(), []);
    lone.run_ms(20);
    assert_eq!(lone.events(), [Event::NoAnswer]);
}

/// A stranger claims to be somewhere: nothing is sent there that it did not ask for by a hello.
#[test]
fn a_claimed_address_is_not_challenged() {
    let mut lone = Lone::<4>::among([2]);
    let victim = Address::v4([10, 99, 0, 1], 53);
    let header = Header { advertised: Some(victim), ..Header::default() };
    let bytes = craft(&header, |b| {
        assert!(probe::encode_number(b, kind::PING, Token([9; 4])));
    });
    assert_eq!(lone.hear(66, &bytes), Err(Reject::Unproven));
    let sent = lone.send();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, address(66), "its source");
    assert!(sent[0].1.len() <= bytes.len());
}

#[test]
fn an_answer_of_a_stranger_is_not_answered() {
    let mut lone = Lone::<4>::among([2]);
    for kind in [kind::ACK, kind::CHALLENGE] {
        let bytes = craft(&Header::default(), |b| {
            assert!(b.section(kind, |b| b.put_bytes(&[9; 4])));
        });
        assert_eq!(lone.hear(66, &bytes), Err(Reject::Unproven));
    }
    assert!(lone.send().is_empty());
}

#[test]
fn a_hello_without_proof_changes_no_row() {
    let mut lone = Lone::<4>::new();
    for echo in [None, Some(Token([5; 4]))] {
        let bytes = hello(0, ALIVE, echo, &details(2));
        assert_eq!(lone.hear(2, &bytes), Ok(()));
        let sent = lone.send();
        assert!(sent.len() == 1 && sent[0].1.len() <= bytes.len(), "a challenge, no longer");
    }
    assert_eq!(lone.state(2), None);
}

/// More seeds than are asked at a time, and the first ones are nobody: the turns go on to the one
/// that answers, at the pace of the joiner's retries.
#[test]
fn every_seed_has_its_turn() {
    let mut world = World::new();
    world.start(9, 1_009);
    let joiner = world.start(1, 1_001);
    for host in [21, 22, 23, 24, 25, 26, 9] {
        world.peers[joiner].node.join(world.now, address(host)).unwrap();
    }
    // Three at once, three after at most 150 ms, the last after 300 ms more.
    world.run_ms(600);
    assert_eq!(world.state(joiner, 9), Some(State::Alive));
}

/// Dropping a seed leaves the others their turns and what `join` asked of them.
#[test]
fn a_seed_that_was_dropped_is_asked_no_more() {
    for gone in 21..=26 {
        let mut lone = Lone::<4>::new();
        for host in 21..=26 {
            lone.swim.join(lone.now, address(host)).unwrap();
        }
        // Three have had their turn.
        let asked = lone.run_ms(1);
        assert_eq!(asked.len(), 3);
        lone.swim.drop_seed(address(gone));
        lone.swim.drop_seed(address(77));
        assert!(!lone.swim.status().seeds.contains(&address(gone)));
        assert_eq!(lone.swim.status().seeds.len(), 5);
        let mut turn: Vec<_> = lone.run_ms(400).iter().map(|(to, _)| *to).collect();
        assert!(!turn.contains(&address(gone)));
        // The next ones, in order: those who have had no turn come first.
        let rest: Vec<_> = (24..=26).chain(21..=23).filter(|host| *host != gone).collect();
        turn.truncate(3);
        assert_eq!(turn, [address(rest[0]), address(rest[1]), address(rest[2])], "{gone}");
    }
}

/// With company only those are asked that `join` named; which of them that are survives a drop.
#[test]
fn the_wanted_seeds_stay_wanted_when_another_is_dropped() {
    for (gone, refused) in [(21, 22), (22, 21), (23, 22), (22, 23)] {
        let mut lone = Lone::<8>::among([2]);
        for host in [21, 22, 23] {
            lone.swim.join(lone.now, address(host)).unwrap();
        }
        let hellos = lone.run_ms(1);
        let (_, bytes) = hellos.iter().find(|(to, _)| *to == address(refused)).expect("a hello");
        let [Section::Hello(hello)] = sections(bytes)[..] else { panic!("a hello") };
        let refusal = Refused { echo: hello.token, reason: Refusal::Conflict };
        let bytes = craft(&Header::default(), |b| assert!(refusal.encode(b)));
        assert!(lone.hear(refused, &bytes).is_err());
        lone.swim.drop_seed(address(gone));
        // A new request, so that the pace is quick again.
        lone.swim.join(lone.now, address(24)).unwrap();
        let mut asked: Vec<_> = lone.run_ms(150).iter().map(|(to, _)| *to).collect();
        asked.retain(|to| *to != address(2));
        asked.sort();
        asked.dedup();
        let mut wanted = std::vec![21, 22, 23, 24];
        wanted.retain(|host| *host != gone && *host != refused);
        let wanted: Vec<_> = wanted.into_iter().map(address).collect();
        assert_eq!(asked, wanted, "{gone} {refused}");
    }
}

#[test]
fn who_seeks_somebody_has_not_joined_without_a_seed() {
    let mut lone = Lone::<4>::new();
    lone.swim.set_seeking(lone.now, true);
    assert!(!lone.swim.status().joined);
    lone.run_ms(9_990);
    assert_eq!(lone.events(), []);
    lone.run_ms(20);
    assert_eq!(lone.events(), [Event::NoAnswer], "nor is anybody to be found");
    lone.swim.join(lone.now, address(9)).unwrap();
    lone.swim.drop_seed(address(9));
    lone.run_ms(59_970);
    assert_eq!(lone.events(), []);
    lone.run_ms(20);
    assert_eq!(lone.events(), [Event::NoAnswer]);
    lone.swim.set_seeking(lone.now, false);
    assert!(lone.swim.status().joined);
    assert_eq!(lone.events(), [Event::Joined]);
    // The last bit there is: dropping shifts nothing out of the word.
    for host in 100..132 {
        lone.swim.join(lone.now, address(host)).unwrap();
    }
    lone.swim.drop_seed(address(131));
    lone.swim.drop_seed(address(100));
    assert_eq!(lone.swim.status().seeds.len(), 30);
}
