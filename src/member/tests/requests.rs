//! What members may ask of a node, and the room that it has for it.

use std::vec::Vec;

use super::lone::{ALIVE, Lone, craft, details, rumour, rumours, sections};
use super::world::address;
use crate::council::{Body, Id, Message, Term, Voter};
use crate::limits::{RELAYS, REQUESTS_PER_PERIOD};
use crate::member::State;
use crate::wire::{Builder, Header, PageRequest, PingReq, Section, Token, council, kind, probe};
use crate::{Address, Reject, Stats};

/// What a ping for another costs.
const COST_OF_PING: usize = 16;
const PINGS_PER_PERIOD: usize = REQUESTS_PER_PERIOD as usize / COST_OF_PING;

fn ping_request(number: u8, target: u8) -> impl FnOnce(&mut Builder<'_>) {
    let request = PingReq { number: Token([number; 4]), target: address(target) };
    move |b| assert!(request.encode(b))
}

/// Who was sent a ping.
fn pinged(sent: &[(Address, Vec<u8>)]) -> Vec<Address> {
    let is_ping = |bytes: &[u8]| sections(bytes).iter().any(|s| matches!(s, Section::Ping(_)));
    sent.iter().filter(|(_, bytes)| is_ping(bytes)).map(|(to, _)| *to).collect()
}

#[test]
fn one_member_does_not_use_up_the_relays_of_the_others() {
    let mut lone = Lone::<8>::among(2..=5);
    for number in 0..20 {
        lone.hear_member(3, ping_request(number, 5));
    }
    assert_eq!(lone.swim.stats().requests_ignored as usize, 20 - PINGS_PER_PERIOD);
    assert_eq!(pinged(&lone.send()), [address(5); PINGS_PER_PERIOD]);
    lone.hear_member(2, ping_request(99, 4));
    assert_eq!(pinged(&lone.send()), [address(4)]);
    assert_eq!(lone.swim.stats().overflows, 0);
}

#[test]
fn relays_beyond_their_places_are_dropped_and_counted() {
    let mut lone = Lone::<8>::among(2..=5);
    for requester in [2, 3, 4] {
        for number in 0..PINGS_PER_PERIOD as u8 {
            lone.hear_member(requester, ping_request(number, 5));
        }
    }
    assert_eq!(pinged(&lone.send()).len(), RELAYS);
    assert_eq!(lone.swim.stats().overflows as usize, 3 * PINGS_PER_PERIOD - RELAYS);
    // Every requester that was taken on hears that there was no answer; then there is room again.
    let sent = lone.run_ms(1_010);
    let nacks = sent.iter().flat_map(|(_, bytes)| sections(bytes));
    assert_eq!(nacks.filter(|section| matches!(section, Section::Nack(_))).count(), RELAYS);
    lone.hear_member(4, ping_request(77, 5));
    assert_eq!(pinged(&lone.send()), [address(5)]);
    assert_eq!(lone.swim.stats().overflows as usize, 3 * PINGS_PER_PERIOD - RELAYS);
}

#[test]
fn nobody_is_pinged_for_another_who_is_no_row() {
    let mut lone = Lone::<8>::among(2..=5);
    for target in [1, 2, 77] {
        lone.hear_member(2, ping_request(1, target));
    }
    let sent = lone.send();
    assert!(pinged(&sent).is_empty());
    let nacks = sent.iter().flat_map(|(_, bytes)| sections(bytes));
    let nacks = nacks.filter(|section| matches!(section, Section::Nack(_))).count();
    assert_eq!(nacks, 1, "the one who asked need not wait for what is no row");
}

#[test]
fn pages_and_details_are_rationed() {
    let mut lone = Lone::<4>::among([2]);
    let (mut pages, mut answers) = (0, 0);
    for _ in 0..2 * usize::from(REQUESTS_PER_PERIOD) {
        lone.hear_member(2, |b| {
            assert!(PageRequest { buckets: u64::MAX, first: 0 }.encode(b));
        });
        pages += lone.send().len();
    }
    assert_eq!(pages, usize::from(REQUESTS_PER_PERIOD));
    lone.run_ms(1_000);
    let header = Header { incarnation: ALIVE, wants_details: true, ..Header::default() };
    for _ in 0..20 {
        lone.hear(2, &craft(&header, |_| {})).unwrap();
        let sent = lone.send();
        let details = sent.iter().flat_map(|(_, bytes)| sections(bytes));
        answers += details.filter(|section| matches!(section, Section::Details(_))).count();
    }
    assert_eq!(answers, PINGS_PER_PERIOD);
}

/// In a full table, a leaver's row is the first to make room; not while its datagram is read.
#[test]
fn a_row_is_not_evicted_under_its_own_datagram() {
    let mut lone = Lone::<3>::among([2, 3]);
    let header = Header { incarnation: ALIVE, leaving: true, ..Header::default() };
    let bytes = craft(&header, |b| {
        rumours(&[rumour(66, ALIVE, State::Alive)])(b);
        assert!(probe::encode_number(b, kind::PING, Token([9; 4])));
    });
    lone.hear(3, &bytes).unwrap();
    assert_eq!((lone.state(3), lone.state(66)), (Some(State::Left), None));
    let sent = lone.send();
    let acks = sent.iter().filter(|(_, bytes)| {
        sections(bytes).iter().any(|section| matches!(section, Section::Ack(_)))
    });
    let acked: Vec<Address> = acks.map(|(to, _)| *to).collect();
    assert_eq!(acked, [address(3)], "the ack is its own");
    // Later it makes room.
    lone.hear_member(2, rumours(&[rumour(66, ALIVE, State::Alive)]));
    assert_eq!((lone.state(3), lone.state(66)), (None, Some(State::Alive)));
}

#[test]
fn a_section_that_is_repeated_makes_the_datagram_malformed() {
    let mut lone = Lone::<4>::among([2]);
    let header = Header { incarnation: ALIVE, ..Header::default() };
    let twice = craft(&header, |b| {
        ping_request(1, 2)(b);
        ping_request(2, 2)(b);
    });
    assert_eq!(lone.hear(2, &twice), Err(Reject::Malformed));
    let again = craft(&header, |b| {
        assert!(details(2).encode(b));
        assert!(details(3).encode(b));
    });
    assert_eq!(lone.hear(2, &again), Err(Reject::Malformed));
}

fn council_message() -> Message {
    let voter = |host| Voter { id: u64::from(host), address: address(host) };
    let body = Body::PreVote { id: Id::ZERO };
    Message { cluster: 1, from: voter(2), to: voter(1), term: Term::ZERO.next(), body }
}

/// What the council hears is not about membership, and no member is taken for a later build.
#[test]
fn messages_of_the_council_change_nothing_beside_it() {
    let ping = |b: &mut Builder<'_>| assert!(probe::encode_number(b, kind::PING, Token([7; 4])));
    let (mut without, mut with) = (Lone::<8>::among(2..=4), Lone::<8>::among(2..=4));
    without.hear_member(2, ping);
    with.hear_member(2, |b| {
        assert!(council::encode(&council_message(), b));
        ping(b);
    });
    assert_eq!(with.send(), without.send());
    let bytes_in = without.swim.stats().bytes_in;
    assert_eq!(Stats { bytes_in, ..with.swim.stats() }, without.swim.stats());

    // Of a stranger it is not read, and it is asked who it is.
    let stranger = craft(&Header::default(), |b| assert!(council::encode(&council_message(), b)));
    assert_eq!(with.hear(9, &stranger), Err(Reject::Unproven));
    let sent = with.send();
    assert!(matches!(sections(&sent[0].1)[..], [Section::Challenge(_)]));
    assert_eq!(sent.len(), 1);
}
