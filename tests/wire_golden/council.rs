//! What the golden vectors of the council say, and messages as proptest makes them.

use midge::council::{
    Ack, Append, Body, Configuration, Constants, Id, Message, Release, Report, State, Term, Told,
    Voter, Voters,
};
use midge::{Address, Duration};
use proptest::prelude::*;

use crate::model::{RECEIVER, SENDER};

const CLUSTER: u64 = 0x1122_3344_5566_7788;
const A: u64 = 0xa1a2_a3a4_a5a6_a7a8;
const B: u64 = 0xb1b2_b3b4_b5b6_b7b8;
const C: u64 = 0xc1c2_c3c4_c5c6_c7c8;

/// An instant of true time.
const AT_NS: i64 = 1_700_000_000_000_000_000;
const HOUR_US: u64 = 3_600_000_000;

fn term(token: u64) -> Term {
    Term::from_token(token).expect("a term that others accept")
}

/// The greatest that others accept.
fn last_term() -> Term {
    term(8_191 << 40 | ((1 << 39) - 1))
}

fn id(of: u64, seq: u64) -> Id {
    Id { term: term(of), seq }
}

fn hold(micros: u64) -> Told {
    Told { hold: Duration::from_micros(micros), ..Told::NONE }
}

fn told(micros: u64, true_ns: i64) -> Told {
    Told { true_ns, ..hold(micros) }
}

fn message(from: u64, to: u64, term: Term, body: Body) -> Message {
    let from = Voter { id: from, address: SENDER };
    let to = Voter { id: to, address: RECEIVER };
    Message { cluster: CLUSTER, from, to, term, body }
}

/// What each vector says.
pub(crate) fn vectors() -> Vec<(&'static str, Message)> {
    let ask = |body| message(A, B, term(7), body);
    let answer = |body| message(B, A, term(7), body);
    let value = told(1_500_000, AT_NS);
    let some = Report { holder: C, term: term(5), value, floor: hold(250_000) };
    let none = Report { holder: 0, term: Term::ZERO, value: Told::NONE, floor: Told::NONE };
    let refused = message(B, A, term(1 << 40 | 9), Body::PreVoted { granted: false });
    let recorded = Ack { number: 10_000_000, id: id(100, 100), bounded: true };
    let over = Ack { number: 0, id: Id::ZERO, bounded: false };
    let mut all = vec![
        ("pre_vote", ask(Body::PreVote { id: id(5, 300) })),
        ("pre_voted", answer(Body::PreVoted { granted: true })),
        ("pre_voted_refused", refused),
        ("vote", ask(Body::Vote { id: id(5, 300), transfer: false })),
        ("vote_transfer", ask(Body::Vote { id: id(5, 300), transfer: true })),
        ("voted", answer(Body::Voted { report: Some(some) })),
        ("voted_of_none", answer(Body::Voted { report: Some(none) })),
        ("voted_refused", answer(Body::Voted { report: None })),
        ("append_ack", message(B, A, term(100), Body::Ack(recorded))),
        (
            "append_ack_unbounded",
            answer(Body::Ack(Ack { number: 1, id: id(7, 301), bounded: false })),
        ),
        ("append_ack_over", message(B, A, term(8), Body::Ack(over))),
    ];
    for (name, append) in appends() {
        all.push((name, message(A, B, append.id.term, Body::Append(append))));
    }
    all
}

/// A heartbeat whose id is committed, and nothing else.
fn plain(number: u64, id: Id) -> Append {
    let (promise, floor) = (Told::NONE, Told::NONE);
    Append { number, id, committed: id, promise, floor, stand: false, state: None }
}

fn with(state: State, append: Append) -> Append {
    Append { state: Some(state), ..append }
}

fn appends() -> [(&'static str, Append); 6] {
    let promise = told(2_000_000, AT_NS);
    let uncommitted = Append {
        committed: id(5, 300),
        promise: hold(2_000_000),
        floor: hold(1_999_999),
        ..plain(1, id(7, 301))
    };
    let (first, joint, largest) = (register(), joint(), largest());
    let largest_append = Append {
        committed: Id { seq: u64::MAX - 1, ..largest.id },
        promise: told(HOUR_US, i64::MAX),
        floor: told(HOUR_US, i64::MAX),
        stand: true,
        ..plain(u64::MAX, largest.id)
    };
    let floor = told(150_000, AT_NS - 5);
    let joint_append = Append { promise, floor, committed: id(7, 302), ..plain(70_000, joint.id) };
    [
        ("append", Append { promise, ..plain(10_000_000, id(100, 100)) }),
        ("append_stand", Append { stand: true, ..plain(900, id(7, 310)) }),
        ("append_uncommitted", uncommitted),
        ("append_register", with(first, Append { promise, ..plain(3, id(7, 302)) })),
        ("append_joint", with(joint, joint_append)),
        ("append_largest", with(largest, largest_append)),
    ]
}

const V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn old_voters() -> Voters {
    let c = Address::v4([192, 168, 255, 254], 65_535);
    [(A, SENDER), (B, RECEIVER), (C, c)]
        .into_iter()
        .map(|(id, address)| Voter { id, address })
        .collect()
}

fn register() -> State {
    State {
        id: id(7, 302),
        configuration: Configuration::of(old_voters()),
        constants: Constants::DEFAULT,
        release: None,
    }
}

fn joint() -> State {
    let link_local = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0x12, 0x34];
    let new = [(B, RECEIVER), (0xd1, Address::v6(V6, 6434)), (0xe1, Address::v6(link_local, 1))];
    let new = new.into_iter().map(|(id, address)| Voter { id, address }).collect();
    State {
        id: id(7, 303),
        configuration: Configuration::of(old_voters()).joint(&new).expect("a change"),
        constants: Constants {
            lease_ms: 10_000,
            promise_ms: 20_000,
            drift_ppm: 1_000,
            heartbeat_ms: 2_500,
            voters: 3,
        },
        release: Some(Release { term: term(5), holder: C, told: told(400_000, AT_NS + 1) }),
    }
}

/// Two sets of 7 voters at addresses of IPv6, and the longest numbers.
fn largest() -> State {
    let voter = |i: u8| {
        let mut ip = V6;
        ip[15] = i;
        Voter { id: u64::MAX - u64::from(i), address: Address::v6(ip, 65_535) }
    };
    let set = |from: u8| (from..from + 7).map(voter).collect();
    State {
        id: Id { term: last_term(), seq: u64::MAX },
        configuration: Configuration::from_parts(set(1), set(8)).expect("two sets"),
        constants: Constants {
            lease_ms: 600_000,
            promise_ms: 600_000,
            drift_ppm: 100_000,
            heartbeat_ms: 150_000,
            voters: 7,
        },
        release: Some(Release {
            term: last_term(),
            holder: u64::MAX,
            told: told(HOUR_US, i64::MAX),
        }),
    }
}

/// A number of any length.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0_u32..64).prop_map(|(value, shift)| value >> shift)
}

fn any_term() -> impl Strategy<Value = Term> {
    (0_u64..8_192, 0_u64..1 << 39, 0_u32..40)
        .prop_map(|(generation, number, shift)| term(generation << 40 | number >> shift))
}

fn any_id() -> impl Strategy<Value = Id> {
    (any_term(), number()).prop_map(|(term, seq)| Id { term, seq })
}

fn any_told() -> impl Strategy<Value = Told> {
    let instant = prop_oneof![Just(0), 1..=i64::MAX];
    (0..=HOUR_US, 0_u32..33, instant).prop_map(|(micros, shift, ns)| told(micros >> shift, ns))
}

fn constants() -> impl Strategy<Value = Constants> {
    let voters = prop::sample::select(vec![0, 1, 3, 5, 7]);
    (200..=600_000_u32, 0..=600_000_u32, 1..=100_000_u32, 4..=32_u32, voters)
        .prop_map(|(lease_ms, more, drift_ppm, in_a_lease, voters)| Constants {
            lease_ms,
            promise_ms: (lease_ms + more).min(600_000),
            drift_ppm,
            heartbeat_ms: (lease_ms / in_a_lease).max(20),
            voters,
        })
        .prop_filter("constants that fit each other", Constants::are_valid)
}

/// One set, or two that may share voters.
fn configuration() -> impl Strategy<Value = Configuration> {
    let address = |i: usize, v6: bool| {
        let i = i as u8 + 1;
        if v6 { Address::v6([i; 16], 1) } else { Address::v4([10, 0, 0, i], 65_535) }
    };
    (prop::collection::vec(any::<bool>(), 14), 0_usize..8, 0_usize..14, 0_usize..8).prop_map(
        move |(v6, old, from, new)| {
            let set = |from: usize, len: usize| {
                let places = from..(from + len).min(v6.len());
                places.map(|i| Voter { id: i as u64 + 1, address: address(i, v6[i]) }).collect()
            };
            let new = if old == 0 { 0 } else { new };
            Configuration::from_parts(set(0, old), set(from, new)).expect("a voter once a set")
        },
    )
}

fn state() -> impl Strategy<Value = State> {
    let release = (any_term(), any::<u64>(), any_told()).prop_map(|(term, holder, told)| Release {
        term,
        holder,
        told,
    });
    (any_id(), configuration(), constants(), prop::option::of(release)).prop_map(
        |(id, configuration, constants, release)| State { id, configuration, constants, release },
    )
}

fn append() -> impl Strategy<Value = Append> {
    let numbers = (number(), any_id(), prop::option::of(any_id()));
    (numbers, any_told(), any_told(), any::<bool>(), prop::option::of(state())).prop_map(
        |((number, id, committed), promise, floor, stand, state)| {
            let id = state.as_ref().map_or(id, |state| state.id);
            let committed = committed.unwrap_or(id);
            Append { number, id, committed, promise, floor, stand, state }
        },
    )
}

fn report() -> impl Strategy<Value = Report> {
    (any::<u64>(), any_term(), any_told(), any_told())
        .prop_map(|(holder, term, value, floor)| Report { holder, term, value, floor })
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        any_id().prop_map(|id| Body::PreVote { id }),
        any::<bool>().prop_map(|granted| Body::PreVoted { granted }),
        (any_id(), any::<bool>()).prop_map(|(id, transfer)| Body::Vote { id, transfer }),
        prop::option::of(report()).prop_map(|report| Body::Voted { report }),
        append().prop_map(Body::Append),
        (number(), any_id(), any::<bool>()).prop_map(|(number, id, bounded)| Body::Ack(Ack {
            number,
            id,
            bounded
        })),
    ]
}

/// A message, between the addresses that tests take for those of the datagram.
pub(crate) fn arbitrary() -> impl Strategy<Value = Message> {
    (any::<u64>(), any::<u64>(), any::<u64>(), any_term(), body()).prop_map(
        |(cluster, from, to, term, body)| Message { cluster, ..message(from, to, term, body) },
    )
}
