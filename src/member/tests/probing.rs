//! The probe cycle, helpers, and knocking at the dead.

use std::collections::BTreeSet;
use std::vec::Vec;

use super::lone::{ALIVE, Lone, craft, rumour, rumours, sections};
use super::world::address;
use crate::limits::HELPERS;
use crate::member::State;
use crate::member::probe::Stage;
use crate::wire::{Header, Rumour, Section, Token, kind, probe};
use crate::{Address, Duration};

/// Who was pinged, and by which number.
fn pings(sent: &[(Address, Vec<u8>)]) -> Vec<(Address, Token)> {
    let pings = sent.iter().flat_map(|(to, bytes)| {
        sections(bytes).into_iter().filter_map(|section| match section {
            Section::Ping(number) => Some((*to, number)),
            _ => None,
        })
    });
    pings.collect()
}

/// Lets the node sleep until it pings somebody.
fn next_ping<const M: usize>(lone: &mut Lone<M>) -> (Address, Token) {
    for _ in 0..100 {
        lone.wake(Duration::ZERO);
        if let Some(ping) = pings(&lone.send()).first() {
            return *ping;
        }
    }
    panic!("it pings nobody");
}

fn answer<const M: usize>(lone: &mut Lone<M>, from: Address, kind: u8, number: Token) {
    let header = Header { incarnation: ALIVE, ..Header::default() };
    let bytes = craft(&header, |b| assert!(probe::encode_number(b, kind, number)));
    lone.swim.handle_datagram(lone.now, from, &bytes).unwrap();
}

fn ack<const M: usize>(lone: &mut Lone<M>, from: Address, number: Token) {
    answer(lone, from, kind::ACK, number);
}

/// Lets the direct ping go unanswered; the helpers that are asked.
fn ask_helpers<const M: usize>(lone: &mut Lone<M>) -> Vec<Address> {
    while lone.swim.probe.stage == Stage::Direct {
        lone.wake(Duration::ZERO);
    }
    let asked = |(to, bytes): &(Address, Vec<u8>)| {
        let mut sections = sections(bytes).into_iter();
        sections.any(|section| matches!(section, Section::PingReq(_))).then_some(*to)
    };
    let helpers: BTreeSet<Address> = lone.send().iter().filter_map(asked).collect();
    helpers.into_iter().collect()
}

/// Lets the time of the probe run out.
fn fail_probe<const M: usize>(lone: &mut Lone<M>) {
    let failed = lone.swim.stats().probes_failed;
    while lone.swim.stats().probes_failed == failed {
        lone.wake(Duration::ZERO);
    }
}

fn suspects<const M: usize>(lone: &Lone<M>) -> Vec<Address> {
    let rows = lone.swim.members(0).filter(|(_, member)| member.state == State::Suspect);
    let mut suspects: Vec<Address> = rows.map(|(_, member)| member.address).collect();
    suspects.sort();
    suspects
}

#[test]
fn only_its_target_answers_a_direct_ping() {
    let mut lone = Lone::<8>::among(2..=7);
    let (target, number) = next_ping(&mut lone);
    for other in (2..=7).map(address).filter(|other| *other != target) {
        ack(&mut lone, other, number);
        assert_eq!(lone.swim.probe.stage, Stage::Direct, "an ack of {other}, who was not asked");
    }
    ack(&mut lone, target, Token([0xAA; 4]));
    assert_eq!(lone.swim.probe.stage, Stage::Direct, "an ack of another ping");
    ack(&mut lone, target, number);
    assert_eq!(lone.swim.probe.stage, Stage::Idle);
}

#[test]
fn only_its_target_and_the_helpers_that_were_asked_answer_an_indirect_ping() {
    let mut lone = Lone::<8>::among(2..=7);
    let (target, number) = next_ping(&mut lone);
    let helpers = ask_helpers(&mut lone);
    assert_eq!(helpers.len(), HELPERS);
    assert!(!helpers.contains(&target));
    let idle = |host: &Address| *host != target && !helpers.contains(host);
    for other in (2..=7).map(address).filter(idle) {
        ack(&mut lone, other, number);
        assert_eq!(lone.swim.probe.stage, Stage::Indirect, "an ack of {other}, who was not asked");
    }
    ack(&mut lone, helpers[0], number);
    assert_eq!(lone.swim.probe.stage, Stage::Idle);
}

/// They did not answer either.
#[test]
fn helpers_that_are_silent_to_a_man_are_accused_with_the_target() {
    let mut lone = Lone::<8>::among(2..=7);
    let (target, _) = next_ping(&mut lone);
    let mut accused = ask_helpers(&mut lone);
    fail_probe(&mut lone);
    accused.push(target);
    accused.sort();
    assert_eq!(suspects(&lone), accused);
}

/// One that answers shows that this node is well. One that does not may have missed the question;
/// so may two, where not much else goes wrong.
#[test]
fn silent_helpers_are_accused_if_they_are_more_than_one_and_probes_keep_failing() {
    for (answering, failing) in (1..=HELPERS).flat_map(|n| [(n, false), (n, true)]) {
        let mut lone = Lone::<8>::among(2..=7);
        lone.swim.failing = failing;
        let (target, number) = next_ping(&mut lone);
        let mut accused = ask_helpers(&mut lone);
        for helper in accused.drain(..answering) {
            answer(&mut lone, helper, kind::NACK, number);
        }
        fail_probe(&mut lone);
        if accused.len() == 1 || !failing {
            accused.clear();
        }
        accused.push(target);
        accused.sort();
        assert_eq!(suspects(&lone), accused, "{answering} answer");
        assert_eq!(lone.swim.status().health, 0, "{answering} answer");
        assert!(lone.swim.failing);
        let (target, number) = next_ping(&mut lone);
        ack(&mut lone, target, number);
        assert!(!lone.swim.failing);
    }
}

/// If anybody is left, it is the one that was heard last: its answer shows that this node is well.
#[test]
fn who_was_heard_last_is_asked_for_help() {
    for host in 2..=30 {
        let mut lone = Lone::<32>::among(2..=30);
        lone.hear_member(host, |_| {});
        let (target, number) = next_ping(&mut lone);
        let helpers = ask_helpers(&mut lone);
        assert_eq!(helpers.len(), HELPERS);
        assert_eq!(helpers.contains(&address(host)), target != address(host));
        answer(&mut lone, helpers[0], kind::NACK, number);
    }
}

/// A node that hears nobody but one that answers in time is not slower for it: most of the fleet
/// has crashed.
#[test]
fn one_that_answers_in_time_makes_up_for_the_silence_of_others() {
    let mut lone = Lone::<32>::among(2..=30);
    next_ping(&mut lone);
    assert_eq!(ask_helpers(&mut lone).len(), HELPERS);
    fail_probe(&mut lone);
    assert_eq!(lone.swim.status().health, 2);
    let survivor = (2..=30).map(address).find(|host| !suspects(&lone).contains(host)).unwrap();
    lone.hear_member(survivor.octets()[15], |_| {});
    for health in [1, 0, 0] {
        let (target, number) = next_ping(&mut lone);
        assert_ne!(target, survivor, "another seed");
        assert!(ask_helpers(&mut lone).contains(&survivor));
        answer(&mut lone, survivor, kind::NACK, number);
        fail_probe(&mut lone);
        assert_eq!(lone.swim.status().health, health);
    }
}

/// Silence may be that of a fleet that crashed; an answer that comes late cannot.
#[test]
fn silence_worsens_the_health_by_little_and_late_answers_in_full() {
    let mut lone = Lone::<8>::among(2..=7);
    let mut late = Vec::new();
    for _ in 0..2 {
        late.push(next_ping(&mut lone));
        assert_eq!(ask_helpers(&mut lone).len(), HELPERS.min(6 - suspects(&lone).len()));
        fail_probe(&mut lone);
        assert_eq!(lone.swim.status().health, 2);
    }
    for (health, (target, number)) in (3..).zip(late) {
        ack(&mut lone, target, number);
        assert_eq!(lone.swim.status().health, health);
        ack(&mut lone, target, number);
        assert_eq!(lone.swim.status().health, health, "each counts once");
    }
}

#[test]
fn nacks_of_all_helpers_end_a_probe_once_the_second_ping_has_had_its_time() {
    let mut lone = Lone::<8>::among(2..=7);
    let (target, number) = next_ping(&mut lone);
    let (helpers, asked_at) = (ask_helpers(&mut lone), lone.now);
    for helper in helpers {
        answer(&mut lone, helper, kind::NACK, number);
    }
    assert_eq!(suspects(&lone), [], "the second ping may still be answered");
    fail_probe(&mut lone);
    assert_eq!(suspects(&lone), [target]);
    let took_ms = lone.now.since(asked_at).as_millis();
    assert_eq!(took_ms, 200, "the first time-out, and not the whole period");
    assert_eq!(lone.swim.status().health, 0, "they speak for it");
}

/// Where nobody can help, the probe ends with its period all the same, however late the driver
/// wakes up.
#[test]
fn a_probe_without_helpers_is_decided_within_its_period() {
    for period_ms in [100, 200, 400, 1_000] {
        for late_us in [0, 300, 2_000] {
            let mut lone = Lone::<2>::with(|config| config.period_ms = period_ms);
            lone.introduce(2, ALIVE, &super::lone::details(2)).unwrap();
            let late = Duration::from_micros(late_us);
            while lone.swim.stats().probes == 0 {
                lone.wake(late);
                lone.send();
            }
            let (begun, mut wakes) = (lone.now, 0);
            while lone.swim.stats().probes_failed == 0 {
                lone.wake(late);
                lone.send();
                wakes += 1;
                assert!(wakes < 50, "{period_ms} ms, {late_us} us late: never decided");
            }
            let took = lone.now.since(begun);
            let period = Duration::from_millis(u64::from(period_ms));
            let bound = period + late.times(2);
            assert!(took <= bound, "{period_ms} ms, {late_us} us late: {took:?}");
            assert_eq!(lone.state(2), Some(State::Suspect));
        }
    }
}

/// With helpers, too, whether they answer or not.
#[test]
fn a_probe_with_silent_helpers_is_decided_within_its_period() {
    for late_us in [0, 300, 2_000] {
        let mut lone = Lone::<8>::among(2..=5);
        let late = Duration::from_micros(late_us);
        while lone.swim.stats().probes == 0 {
            lone.wake(late);
            lone.send();
        }
        let begun = lone.now;
        while lone.swim.stats().probes == 1 {
            lone.wake(late);
            lone.send();
        }
        assert_eq!(lone.swim.stats().probes_failed, 1, "{late_us} us late");
        assert!(lone.now.since(begun) <= Duration::from_secs(1) + late.times(2));
    }
}

/// Who passes on to this node what it said itself adds nothing, until it says so of its own.
#[test]
fn the_echo_of_an_accusation_confirms_nothing() {
    let own = Some(address(1));
    for echoes in [true, false] {
        let mut lone = Lone::<8>::among(2..=7);
        let (target, _) = next_ping(&mut lone);
        ask_helpers(&mut lone);
        fail_probe(&mut lone);
        let host = target.octets()[15];
        for other in (2..=7).filter(|other| *other != host) {
            let accuser = if echoes { own } else { None };
            let said = Rumour { accuser, ..rumour(host, ALIVE, State::Suspect) };
            lone.hear_member(other, rumours(&[said]));
        }
        let slot = lone.swim.find(&target).unwrap();
        let confirmed = lone.swim.row(slot).accuser_count() > 1;
        assert_eq!(confirmed, !echoes, "echoes: {echoes}");
    }
}

/// Confirmations that come late may end a suspicion at once, or tell that its member should have
/// been told again. Neither means that this node was paused.
#[test]
fn a_confirmation_that_comes_late_is_no_pause() {
    let mut lone = Lone::<8>::among(2..=7);
    lone.hear_member(2, rumours(&[rumour(7, ALIVE, State::Suspect)]));
    lone.run_ms(5_500);
    assert_eq!(lone.state(7), Some(State::Suspect));
    let before = lone.swim.status().health;
    for host in 3..=5 {
        lone.hear_member(host, rumours(&[rumour(7, ALIVE, State::Suspect)]));
    }
    lone.wake(Duration::ZERO);
    assert_eq!(lone.state(7), Some(State::Failed));
    assert!(lone.swim.status().health <= before.max(2), "{}", lone.swim.status().health);
}

#[test]
fn knocks_reach_all_who_failed_though_they_did_so_in_the_same_instant() {
    let mut lone = Lone::<8>::among(2..=6);
    let all = |state| -> Vec<Rumour> { (3..=6).map(|host| rumour(host, ALIVE, state)).collect() };
    lone.hear_member(2, rumours(&all(State::Suspect)));
    // What is said in one breath is not believed.
    lone.now += Duration::from_millis(1_001);
    lone.hear_member(2, rumours(&all(State::Failed)));
    assert_eq!(lone.swim.status().failed, 4);
    let mut knocked = Vec::new();
    // Host 2 does not answer either and joins them; then it is one knock a period.
    for (to, bytes) in lone.run_ms(40_000) {
        let hello = sections(&bytes).into_iter().any(|s| matches!(s, Section::Hello(_)));
        if hello {
            knocked.push(to);
        }
    }
    assert_eq!(lone.swim.status().failed, 5);
    let last_rounds = &knocked[knocked.len() - 10..];
    for host in 2..=6 {
        let knocks = last_rounds.iter().filter(|to| **to == address(host)).count();
        assert_eq!(knocks, 2, "at {host} in the last two rounds: {knocked:?}");
    }
}
