//! The ring and its records, over a real node.

use midge::event::Change;
use midge::wire::Refusal;
use midge::{Address, Config, Duration, Incarnation, Instant, State};
use serde_json::{Value as Json, json};

use super::*;
use crate::api::TrueTime;

const OWN: Address = Address::v4([10, 0, 0, 1], 6434);
const OTHER: Address = Address::v4([10, 0, 0, 2], 6434);

fn node() -> Box<Node<8>> {
    let mut node = Box::new(Node::EMPTY);
    let config = Config {
        tags: "zone=a,note=\"x\"",
        id: 0x12,
        epoch: 1_700_000_000_000,
        ..Config::new("a \"b\"", OWN)
    };
    node.init(&config, [1; 32], 1, Instant::ZERO).unwrap();
    node
}

fn ring() -> Box<Events> {
    let mut events = Box::new(Events::EMPTY);
    events.begin(0x5f3a_9c01);
    events
}

fn text(events: &Events, record: &Record) -> String {
    let mut space = [0; record::JSON_BYTES];
    let mut page = Page::new(&mut space);
    events.json(record, &mut page);
    assert!(!page.is_overfull());
    core::str::from_utf8(page.written()).unwrap().into()
}

/// What is told of an event, in both forms.
fn told(event: Event) -> (String, Json) {
    let (node, mut events) = (node(), ring());
    let record = events.add(&*node, &event, 1_800_000_000_001).clone();
    let json = serde_json::from_str(&text(&events, &record)).unwrap();
    (record.to_string(), json)
}

fn member(change: Change, address: Address) -> Event {
    let incarnation = Incarnation { epoch: 1_700_000_000_000, refutation: 0 };
    Event::Member { change, address, state: State::Failed, incarnation }
}

#[test]
fn an_event_about_a_member() {
    let (line, json) = told(member(Change::Failed, OWN));
    assert_eq!(
        line,
        r#"event=member_failed addr=10.0.0.1:6434 incarnation=1700000000000.0 name="a \"b\"""#
    );
    let expected = json!({
        "id": "5f3a9c01-1", "event": "member_failed", "time_ms": 1_800_000_000_001_u64,
        "member": {
            "name": "a \"b\"", "addr": "10.0.0.1:6434", "id": "0000000000000012",
            "state": "failed", "epoch": 1_700_000_000_000_u64, "refutation": 0,
            "tags": {"zone": "a", "note": "\"x\""},
        },
        "detail": null,
    });
    assert_eq!(json, expected);
}

/// The row is gone, or another life has it: nothing is said that is not of this one.
#[test]
fn an_event_about_a_row_that_is_gone() {
    let gone = member(Change::Forgotten, OTHER);
    let incarnation = Incarnation { epoch: 5, refutation: 6 };
    let change = Change::Forgotten;
    let another = Event::Member { change, address: OWN, state: State::Left, incarnation };
    for (event, line) in [
        (gone, "event=member_forgotten addr=10.0.0.2:6434 incarnation=1700000000000.0 name="),
        (another, "event=member_forgotten addr=10.0.0.1:6434 incarnation=5.6 name="),
    ] {
        let (said, json) = told(event);
        assert_eq!(said, line);
        assert_eq!(json["member"]["id"], Json::Null);
        assert_eq!(json["member"]["tags"], json!({}));
    }
}

#[test]
fn every_other_event() {
    let conflict = |address| Event::AddressConflict { address };
    let refused = |reason| Event::Refused { by: OTHER, reason };
    for (event, line, detail) in [
        (Event::Joined, "joined members=1 note=\"the first", json!({"members": 1})),
        (Event::Isolated, "isolated note=\"nothing", Json::Null),
        (
            Event::NoAnswer,
            "no_answer seeds=0 own_addr=10.0.0.1:6434 note=\"no address",
            json!({"seeds": 0, "own_addr": "10.0.0.1:6434"}),
        ),
        (Event::Left, "left", Json::Null),
        (
            conflict(OWN),
            "address_conflict addr=10.0.0.1:6434 note=\"another live node uses the address of this",
            json!({"addr": "10.0.0.1:6434"}),
        ),
        (
            conflict(OTHER),
            "address_conflict addr=10.0.0.2:6434 note=\"two live",
            json!({"addr": "10.0.0.2:6434"}),
        ),
        (
            Event::NameConflict { first: OWN, second: OTHER },
            "name_conflict addr=10.0.0.1:6434 incarnation=1700000000000.0 name=\"a \\\"b\\\"\" \
             other=10.0.0.2:6434",
            json!({"other": "10.0.0.2:6434"}),
        ),
        (
            Event::ForeignCluster { from: OTHER },
            "foreign_cluster from=10.0.0.2:6434 note=",
            json!({"from": "10.0.0.2:6434"}),
        ),
        (
            Event::ParameterMismatch { address: OWN, period_ms: 7 },
            "parameter_mismatch addr=10.0.0.1:6434 incarnation=1700000000000.0 \
             name=\"a \\\"b\\\"\" period_ms=7 own_period_ms=1000",
            json!({"period_ms": 7, "own_period_ms": 1000}),
        ),
        (
            Event::TableFull { address: OTHER },
            "table_full addr=10.0.0.2:6434 capacity=8 note=",
            json!({"addr": "10.0.0.2:6434", "capacity": 8}),
        ),
        (Event::Partial(true), "partial partial=true", json!({"partial": true})),
        (
            refused(Refusal::Full),
            "refused by=10.0.0.2:6434 reason=full note=\"the table",
            json!({"by": "10.0.0.2:6434", "reason": "full"}),
        ),
        (
            refused(Refusal::Protocol),
            "refused by=10.0.0.2:6434 reason=protocol note=\"no protocol",
            json!({"by": "10.0.0.2:6434", "reason": "protocol"}),
        ),
        (
            refused(Refusal::Conflict),
            "refused by=10.0.0.2:6434 reason=conflict note=\"another live node",
            json!({"by": "10.0.0.2:6434", "reason": "conflict"}),
        ),
    ] {
        let (said, json) = told(event);
        assert!(said.starts_with(&format!("event={line}")), "{said}");
        assert_eq!(json["detail"], detail, "{said}");
        assert!(said.contains(&format!("event={}", json["event"].as_str().unwrap())));
        assert_eq!(json["member"].is_null(), !said.contains("incarnation="), "{said}");
    }
}

#[test]
fn what_is_known_of_the_time() {
    let mut time = TrueTime::new(&["/nowhere/shm1"], "", 500);
    assert!(!time.read());
    let mut events = ring();
    // What the place held before is gone.
    events.add(&*node(), &member(Change::Failed, OWN), 1);
    let record = events.add_clock(&time, 7).clone();
    assert_eq!(
        record.to_string(),
        "event=clock status=unavailable trouble=\"/nowhere/shm1: No such file or directory\" \
         note=\"time is unbounded; midge clock says what to do\""
    );
    assert_eq!((record.kind, record.kind.level()), (Kind::NoClock, log::Level::Warn));
    let json: Json = serde_json::from_str(&text(&events, &record)).unwrap();
    let expected = json!({
        "id": "5f3a9c01-2", "event": "clock", "time_ms": 7, "member": null,
        "detail": {
            "status": "unavailable",
            "trouble": "/nowhere/shm1: No such file or directory",
        },
    });
    assert_eq!(json, expected);
}

#[test]
fn what_changed_of_a_member_has_its_name() {
    for (change, name) in [
        (Change::Joined, "member_joined"),
        (Change::Suspected, "member_suspected"),
        (Change::Recovered, "member_recovered"),
        (Change::Failed, "member_failed"),
        (Change::Left, "member_left"),
        (Change::Updated, "member_updated"),
        (Change::Forgotten, "member_forgotten"),
    ] {
        assert_eq!(told(member(change, OTHER)).1["event"], name);
    }
}

#[test]
fn the_longest_event_fits() {
    let (node, mut events) = (node(), ring());
    let address = Address::v6([0xfd; 16], u16::MAX);
    let mut record =
        events.add(&*node, &Event::ParameterMismatch { address, period_ms: 1 }, u64::MAX).clone();
    record.seq = u64::MAX;
    record.member = Snapshot {
        address,
        state: State::Suspect,
        incarnation: Incarnation { epoch: u64::MAX, refutation: u32::MAX },
        id: u64::MAX,
        name: "\u{1}".repeat(midge::limits::NAME_BYTES).as_str().try_into().unwrap(),
        tags: format!("k={}", "\u{1}".repeat(midge::limits::TAGS_BYTES - 2))
            .as_str()
            .try_into()
            .unwrap(),
    };
    let _: Json = serde_json::from_str(&text(&events, &record)).unwrap();
}

#[test]
fn the_newest_are_kept_and_found_by_their_ids() {
    let (node, mut events) = (node(), ring());
    assert_eq!((events.first(), events.last()), (1, 0));
    assert_eq!(events.after("0"), Some(Place::At(1)));
    assert_eq!(events.after("5f3a9c01-0"), Some(Place::At(1)));
    assert!(events.get(0).is_none() && events.get(1).is_none());
    let count = KEPT as u64 + 10;
    for time_ms in 1..=count {
        assert_eq!(events.add(&*node, &Event::Isolated, time_ms).seq, time_ms);
    }
    assert_eq!((events.first(), events.last()), (11, count));
    assert!(events.get(10).is_none() && events.get(count + 1).is_none());
    for seq in 11..=count {
        assert_eq!(events.get(seq).unwrap().time_ms, seq);
    }
    for (id, place) in [
        ("0", Some(Place::At(11))),
        ("5f3a9c01-0", Some(Place::At(1))),
        ("5f3a9c01-266", Some(Place::At(267))),
        ("5F3A9C01-12", Some(Place::At(13))),
        ("5f3a9c01-267", Some(Place::Unknown)),
        ("5f3a9c02-12", Some(Place::Unknown)),
        ("", None),
        ("12", None),
        ("5f3a9c01-", None),
        ("-12", None),
        ("5f3a9c01-x", None),
        ("x-12", None),
        ("5f3a9c010-12", None),
    ] {
        assert_eq!(events.after(id), place, "{id}");
    }
}

#[test]
fn lost_events_are_told_with_an_id_to_go_on_from() {
    let (node, mut events) = (node(), ring());
    let unknown: Json = serde_json::from_str(&text(&events, &events.lost(None))).unwrap();
    let expected = json!({
        "id": "5f3a9c01-0", "event": "lost", "time_ms": null, "member": null,
        "detail": {"count": null},
    });
    assert_eq!(unknown, expected);
    for time_ms in 1..=KEPT as u64 + 3 {
        events.add(&*node, &Event::Isolated, time_ms);
    }
    let lost = events.lost(Some(2));
    assert_eq!(lost.to_string(), "event=lost count=2");
    let json: Json = serde_json::from_str(&text(&events, &lost)).unwrap();
    assert_eq!((&json["id"], &json["time_ms"]), (&json!("5f3a9c01-3"), &json!(4)));
    assert_eq!(events.after("5f3a9c01-3"), Some(Place::At(events.first())));
}

#[test]
fn a_node_that_hears_of_another() {
    let (mut first, mut second) = (node(), Box::new(Node::<8>::EMPTY));
    second.init(&Config::new("b", OTHER), [2; 32], 2, Instant::ZERO).unwrap();
    second.join(Instant::ZERO, OWN).unwrap();
    let (mut events, mut now) = (ring(), Instant::ZERO);
    let mut names = Vec::new();
    let mut buffer = [0; midge::limits::MTU_BYTES];
    for _ in 0..500 {
        now += Duration::from_millis(10);
        first.handle_timeout(now);
        second.handle_timeout(now);
        while let Some(sent) = second.poll_transmit(now, &mut buffer) {
            let _ = first.handle_datagram(now, OTHER, &buffer[..sent.len]);
        }
        while let Some(sent) = first.poll_transmit(now, &mut buffer) {
            let _ = second.handle_datagram(now, OWN, &buffer[..sent.len]);
        }
        while let Some(event) = first.poll_event() {
            let record = events.add(&*first, &event, now.as_micros() / 1_000);
            names.push((record.kind.name(), record.member.name.as_str().to_owned()));
        }
    }
    assert_eq!(names, [("joined", String::new()), ("member_joined", "b".into())]);
}
