use std::vec::Vec;

use super::*;
use crate::wire::Section;

fn term(token: u64) -> Term {
    Term::from_token(token).unwrap()
}

/// The longest term that others accept.
fn last_term() -> Term {
    term(0x1fff << 40 | ((1 << 39) - 1))
}

const LONGEST: Told = Told { true_ns: i64::MAX, hold: Duration::from_micros(HOLD_US_MAX) };

/// As large as it gets: two sets of voters at addresses of IPv6, and all numbers long.
fn largest() -> State {
    let voter = |id: u64| Voter { id, address: Address::v6([id as u8; 16], u16::MAX) };
    let set = |from: u64| (from..from + VOTERS as u64).map(voter).collect();
    let constants = Constants {
        lease_ms: 600_000,
        promise_ms: 600_000,
        drift_ppm: 100_000,
        heartbeat_ms: 150_000,
        voters: 7,
    };
    State {
        id: Id { term: last_term(), seq: u64::MAX },
        configuration: Configuration::from_parts(set(32), set(64)).unwrap(),
        constants,
        release: Some(Release { term: last_term(), holder: u64::MAX, told: LONGEST }),
    }
}

fn small() -> State {
    let voter = |id: u8| Voter { id: u64::from(id), address: Address::v4([10, 0, 0, id], 6434) };
    State {
        id: Id { term: term(7), seq: 300 },
        configuration: Configuration::of([1, 2, 3].map(voter).into_iter().collect()),
        constants: Constants::DEFAULT,
        release: None,
    }
}

fn whole(state: State) -> Append {
    Append {
        number: u64::MAX,
        id: state.id,
        committed: Id { seq: u64::MAX - 1, term: state.id.term },
        promise: LONGEST,
        floor: LONGEST,
        stand: true,
        state: Some(state),
    }
}

/// A heartbeat that changes nothing, in the second month of a leadership.
fn idle() -> Append {
    let id = Id { term: term(100), seq: 100 };
    Append {
        number: 10_000_000,
        id,
        committed: id,
        promise: Told {
            true_ns: 1_700_000_000_000_000_000,
            hold: Duration::from_micros(2_000_000),
        },
        floor: Told::NONE,
        stand: false,
        state: None,
    }
}

fn bodies() -> Vec<Body> {
    let told = Told { true_ns: 5_000, hold: Duration::from_micros(2_000_000) };
    let id = Id { term: term(7), seq: 300 };
    let report = Report { holder: 9, term: term(3), value: told, floor: Told::NONE };
    std::vec![
        Body::PreVote { id },
        Body::PreVoted { granted: true },
        Body::PreVoted { granted: false },
        Body::Vote { id, transfer: true },
        Body::Voted { report: None },
        Body::Voted { report: Some(report) },
        Body::Append(idle()),
        Body::Append(Append { stand: true, committed: Id::ZERO, ..idle() }),
        Body::Append(whole(small())),
        Body::Append(whole(largest())),
        Body::Ack(Ack { number: 70_000, id, bounded: true }),
        Body::Ack(Ack { number: 0, id: Id::ZERO, bounded: false }),
    ]
}

fn message(body: Body) -> Message {
    let voter = |id| Voter { id, address: Address::v4([10, 0, 0, 1], id as u16) };
    Message { cluster: 77, from: voter(1), to: voter(2), term: term(7), body }
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut buffer = [0xAA; MTU_BYTES];
    let mut builder = Builder::new(&mut buffer);
    assert!(encode(message, &mut builder), "{message:?}");
    builder.bytes().to_vec()
}

/// The message of the bytes of one section, nothing more.
fn decoded(bytes: &[u8]) -> Option<Message> {
    let mut reader = Reader::new(bytes);
    let section = Section::read(&mut reader, false);
    let whole = reader.is_empty() && reader.failure().is_none();
    match section {
        Section::Council(section) if whole => {
            let Message { from, to, .. } = message(Body::PreVoted { granted: true });
            section.decode(from.address, to.address)
        }
        _ => None,
    }
}

#[test]
fn what_is_encoded_is_decoded() {
    for body in bodies() {
        let message = message(body);
        assert_eq!(decoded(&encoded(&message)).as_ref(), Some(&message));
    }
}

#[test]
fn what_is_cut_or_longer_is_no_message() {
    for body in bodies() {
        let bytes = encoded(&message(body));
        for end in 0..bytes.len() {
            assert_eq!(decoded(&bytes[..end]), None);
        }
        // Also where the section is as long as it says.
        let body_at = if bytes.len() < 2 + 128 { 2 } else { 3 };
        let (head, said) = bytes.split_at(body_at);
        for end in (0..said.len()).filter(|end| (*end < 128) == (body_at == 2)) {
            let mut cut = [head, &said[..end]].concat();
            cut[1] = (end & 0x7f) as u8 | if body_at == 2 { 0 } else { 0x80 };
            if body_at == 3 {
                cut[2] = (end >> 7) as u8;
            }
            assert_eq!(decoded(&cut), None);
        }
    }
}

/// Every single bit, and what is accepted is the one encoding of what it says.
#[test]
fn what_is_flipped_is_refused_or_another_message() {
    let (mut refused, mut accepted) = (0, 0);
    for body in bodies() {
        let message = message(body);
        let bytes = encoded(&message);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match decoded(&flipped) {
                None => refused += 1,
                Some(other) => {
                    accepted += 1;
                    assert_ne!(other, message);
                    assert_eq!(encoded(&other), flipped);
                }
            }
        }
    }
    assert!(refused > 500 && accepted > 5_000, "{refused} {accepted}");
}

/// The offset of the flags of an append, of the bool of the others.
const FIRST: usize = 2 + 3 * 8 + 1;

#[track_caller]
fn assert_refused_when(body: Body, at: usize, byte: u8) {
    let mut bytes = encoded(&message(body));
    assert_ne!(bytes[at], byte);
    bytes[at] = byte;
    assert_eq!(decoded(&bytes), None);
}

#[test]
fn there_is_one_encoding() {
    let id = Id::ZERO;
    for (body, byte) in [
        (Body::PreVoted { granted: true }, 2),
        (Body::Vote { id, transfer: true }, 3),
        (Body::Voted { report: None }, 0x80),
        (Body::Ack(Ack { number: 1, id, bounded: false }), 2),
        (Body::Append(idle()), 2 | 8),
    ] {
        assert_refused_when(body, FIRST, byte);
    }
    // What is committed is the id, but not said by the flag.
    let twice = Append { committed: Id { seq: 101, ..idle().id }, ..idle() };
    let mut bytes = encoded(&message(Body::Append(twice)));
    // Behind flags, number, id and a term.
    let seq = FIRST + 1 + 4 + 2 + 1;
    assert_eq!(bytes[seq], 101);
    bytes[seq] = 100;
    assert_eq!(decoded(&bytes), None);
}

fn with_promise(promise: Told) -> Vec<u8> {
    encoded(&message(Body::Append(Append { number: 1, promise, ..idle() })))
}

#[test]
fn holds_and_instants_are_in_their_ranges() {
    let at = FIRST + 1 + 1 + 2;
    let mut bytes = with_promise(Told { true_ns: NEVER_NS + 1, ..LONGEST });
    assert!(decoded(&bytes).is_some());
    assert_eq!(bytes[at + 5..at + 13], [1, 0, 0, 0, 0, 0, 0, 0]);
    bytes[at + 5] = 0;
    assert_eq!(decoded(&bytes), None, "an instant that is none");
    bytes[at + 12] = 0x80;
    assert_eq!(decoded(&bytes), None, "one before 1970");

    let mut bytes = with_promise(LONGEST);
    let one = 1 << 1;
    bytes[at] += one;
    assert_eq!(decoded(&bytes), None, "a microsecond more than the longest");
}

#[test]
fn the_longest_hold_is_longer_than_any_promise() {
    let State { constants, .. } = largest();
    assert!(constants.are_valid());
    assert!(!Constants { promise_ms: constants.promise_ms + 1, ..constants }.are_valid());
    assert!(!Constants { drift_ppm: constants.drift_ppm + 1, ..constants }.are_valid());
    assert!(constants.stretched(constants.promise()).as_micros() < HOLD_US_MAX);
}

#[test]
fn registers_are_checked() {
    let bytes = encoded(&message(Body::Append(whole(small()))));
    // Behind its id it ends the message: three voters, no second set, constants, no release.
    let [voter, constants] = [8 + 1 + 6, 2 + 2 + 2 + 2 + 1];
    let at = bytes.len() - (1 + 3 * voter + 1 + constants + 1);
    let old_count = at;
    let first_id = at + 1;
    let second_id = first_id + voter;
    let family = first_id + 8;
    let port = family + 1 + 4;
    let new_count = first_id + 3 * voter;
    let lease = new_count + 1;
    let [heartbeat, voters, release] = [lease + 6, lease + 8, lease + 9];
    assert_eq!(bytes[old_count], 3);
    for (at, byte, why) in [
        (old_count, 8, "more voters than there can be"),
        (old_count, 2, "a voter more than is said"),
        (first_id, 0, "nobody votes"),
        (second_id, 1, "one votes twice"),
        (family, 5, "no family"),
        (new_count, 7, "voters that are not there"),
        (lease + 1, 0x00, "a lease that could be shorter written"),
        (lease + 1, 0x7f, "a lease above the longest promise"),
        (heartbeat + 1, 0x7f, "a heartbeat above a quarter of the lease"),
        (voters, 2, "an even number of voters"),
        (release, 2, "neither a release nor none"),
        (release, 1, "a release that is not there"),
    ] {
        let mut bad = bytes.clone();
        assert_ne!(bad[at], byte, "{why}");
        bad[at] = byte;
        assert_eq!(decoded(&bad), None, "{why}");
    }
    let mut bad = bytes;
    bad[port..port + 2].fill(0);
    assert_eq!(decoded(&bad), None, "a port that is none");
}

#[test]
fn the_largest_are_as_large_as_is_said() {
    let section = encoded(&message(Body::Append(whole(largest()))));
    // The term of these messages is short.
    assert_eq!(section.len() + TERM_BYTES - 1, SECTION_BYTES_MAX);
    let record = Record {
        cluster: u64::MAX,
        node: u64::MAX,
        term: last_term(),
        voted_for: u64::MAX,
        state: largest(),
    };
    let mut buffer = [0; RECORD_BYTES_MAX];
    assert_eq!(encode_record(&record, &mut buffer), Some(RECORD_BYTES_MAX));
    assert_eq!(encode_record(&record, &mut buffer[1..]), None);
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let none = State { constants: Constants::DEFAULT, ..State::EMPTY };
    for state in [none, small(), largest()] {
        let record = Record { cluster: 1, node: 2, term: term(300), voted_for: 4, state };
        let mut buffer = [0xAA; RECORD_BYTES_MAX + 1];
        let length = encode_record(&record, &mut buffer).unwrap();
        let bytes = &buffer[..length];
        assert_eq!(decode_record(bytes).as_ref(), Some(&record));
        assert_eq!(decode_record(&buffer[..=length]), None);
        for end in 0..length {
            assert_eq!(decode_record(&bytes[..end]), None);
        }
        for bit in 0..length * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Some(other) = decode_record(&flipped) {
                let mut again = [0; RECORD_BYTES_MAX];
                let length = encode_record(&other, &mut again).unwrap();
                assert_eq!(again[..length], flipped);
            }
        }
    }
}
