//! The golden vectors: bytes from `vectors.txt`, and what they mean; bytes from `malformed.txt`,
//! which mean nothing.

use midge::wire::{Challenge, Header, PageRequest, PingReq, Refusal, Refused, Rumour, Token};
use midge::{Address, Incarnation, State};

use crate::council;
use crate::model::{Message, OwnDetails, Packet};

/// A datagram and what it says.
pub(crate) struct Vector {
    pub name: &'static str,
    pub cluster: &'static str,
    pub bytes: Vec<u8>,
    pub packet: Packet,
}

/// A datagram of a file.
pub(crate) struct Block {
    pub name: &'static str,
    pub cluster: &'static str,
    pub bytes: Vec<u8>,
}

/// The datagrams of a file: their names, clusters and bytes.
fn blocks(text: &'static str) -> impl Iterator<Item = Block> {
    let text = text.split_once('[').expect("there are vectors").1;
    text.split("\n[").map(|block| {
        let (name, rest) = block.split_once("]\n").expect("a name in brackets");
        let mut lines = rest.lines().map(|line| line.split('#').next().unwrap().trim());
        let cluster = lines.find_map(|line| line.strip_prefix("cluster ")).expect("a cluster");
        let digits: String = lines.collect::<Vec<_>>().join(" ");
        let bytes = digits.split_whitespace().map(|b| u8::from_str_radix(b, 16).expect(name));
        Block { name, cluster, bytes: bytes.collect() }
    })
}

/// Every vector that is malformed.
pub(crate) fn malformed() -> Vec<Block> {
    blocks(include_str!("malformed.txt")).collect()
}

/// Every vector that says something.
pub(crate) fn vectors() -> Vec<Vector> {
    let mut named = values();
    let vectors = blocks(include_str!("vectors.txt")).map(|Block { name, cluster, bytes }| {
        let at = named.iter().position(|(known, _)| *known == name);
        let packet = named.remove(at.unwrap_or_else(|| panic!("no value for {name}"))).1;
        Vector { name, cluster, bytes, packet }
    });
    let vectors = vectors.collect();
    assert!(named.is_empty(), "no bytes for {:?}", named[0].0);
    vectors
}

/// One vector by its name.
pub(crate) fn vector(name: &str) -> Vector {
    vectors().into_iter().find(|vector| vector.name == name).expect(name)
}

const EPOCH: u64 = 1_700_000_000_000;
const HEADER: Header = Header {
    advertised: None,
    partial: false,
    wants_details: false,
    leaving: false,
    incarnation: Incarnation { epoch: EPOCH, refutation: 5 },
    digest: 0x0403_0201,
};

const A: Address = Address::v4([10, 0, 0, 1], 6434);
const B: Address = Address::v4([10, 0, 0, 2], 6434);
const C: Address = Address::v4([192, 168, 255, 254], 65_535);
const A6: Address = Address::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 6434);
const B6: Address =
    Address::v6([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0x12, 0x34], 1);

const TOKEN: [u8; 4] = [0x11, 0x12, 0x13, 0x14];
const OTHER: [u8; 4] = [0x21, 0x22, 0x23, 0x24];

fn rumour(state: State, address: Address, epoch: u64, refutation: u32) -> Rumour {
    Rumour { address, incarnation: Incarnation { epoch, refutation }, state, accuser: None }
}

fn accused(by: Address, rumour: Rumour) -> Rumour {
    Rumour { accuser: Some(by), ..rumour }
}

fn small() -> OwnDetails {
    let (name, tags) = ("a".to_owned(), String::new());
    let later = Vec::new();
    OwnDetails { life: [1, 2, 3, 4], id: 0, protocol: (1, 1), period_ms: 1_000, name, tags, later }
}

/// Of one who speaks a later protocol, which has added two bytes.
fn later() -> OwnDetails {
    OwnDetails { protocol: (1, 2), later: vec![0x2a, 0x07], ..small() }
}

fn full() -> OwnDetails {
    OwnDetails {
        life: [1, 2, 3, 4],
        id: 0x1122_3344_5566_7788,
        protocol: (1, 3),
        period_ms: 60_000,
        name: "node-ä-7".to_owned(),
        tags: "zone=eu-1,rack=17".to_owned(),
        later: Vec::new(),
    }
}

fn longest() -> OwnDetails {
    OwnDetails {
        life: [0xff; 4],
        id: u64::MAX,
        protocol: (255, 255),
        period_ms: u32::MAX,
        name: "n".repeat(32),
        tags: format!("k={}", "v".repeat(126)),
        later: Vec::new(),
    }
}

fn challenge(echo: Option<[u8; 4]>, observed: Option<Address>) -> Message {
    Message::Challenge(Challenge { token: Token(OTHER), echo: echo.map(Token), observed })
}

/// What each vector says.
fn values() -> Vec<(&'static str, Packet)> {
    let mut all = Vec::new();
    for (name, header) in headers() {
        all.push((name, Packet { header, messages: vec![Message::Ping(TOKEN)] }));
    }
    for (name, header, number) in extreme_headers() {
        all.push((name, Packet { header, messages: vec![Message::Ping(number)] }));
    }
    let hello_longest =
        Message::Hello { token: TOKEN, echo: Some(OTHER), uptime_s: u32::MAX, details: longest() };
    let header = Header { advertised: Some(A6), ..HEADER };
    all.push(("hello_longest", Packet { header, messages: vec![hello_longest] }));
    all.push(("empty", Packet { header: HEADER, messages: vec![] }));
    all.push(("several", several()));
    let messages = [0xaa, 0xbb].map(|byte| Message::Unknown(64, vec![byte])).into();
    all.push(("unknown_twice", Packet { header: HEADER, messages }));
    let plain = probes().into_iter().chain(rumours()).chain(introductions()).chain(tables());
    let council = council::vectors().into_iter();
    let council = council.map(|(name, message)| (name, Message::Council(Box::new(message))));
    for (name, message) in plain.chain(council) {
        all.push((name, Packet { header: HEADER, messages: vec![message] }));
    }
    all
}

fn headers() -> [(&'static str, Header); 7] {
    [
        ("ping", HEADER),
        ("ping_other_cluster", HEADER),
        ("ping_advertised_v4", Header { advertised: Some(A), ..HEADER }),
        ("ping_advertised_v6", Header { advertised: Some(A6), ..HEADER }),
        ("ping_partial", Header { partial: true, ..HEADER }),
        ("ping_wants_details", Header { wants_details: true, ..HEADER }),
        ("ping_leaving", Header { leaving: true, ..HEADER }),
    ]
}

fn extreme_headers() -> [(&'static str, Header, [u8; 4]); 2] {
    let greatest = Header {
        advertised: Some(A6),
        partial: true,
        wants_details: true,
        leaving: true,
        incarnation: Incarnation { epoch: (1 << 42) - 1, refutation: (1 << 31) - 1 },
        digest: u32::MAX,
    };
    [("ping_all_flags", greatest, [0xff; 4]), ("ping_zero", Header::default(), [0; 4])]
}

fn probes() -> Vec<(&'static str, Message)> {
    let request = |target| Message::PingReq(PingReq { number: Token(TOKEN), target });
    vec![
        ("ack", Message::Ack(TOKEN)),
        ("ping_req_v4", request(B)),
        ("ping_req_v6", request(B6)),
        ("nack", Message::Nack(TOKEN)),
        ("unknown", Message::Unknown(200, vec![0, 1, 2, 3, 4])),
        ("unknown_empty", Message::Unknown(0, vec![])),
    ]
}

fn rumours() -> Vec<(&'static str, Message)> {
    use State::{Alive, Failed, Left, Suspect};
    let one = |rumour| Message::Rumours(vec![rumour]);
    vec![
        ("rumours_none", Message::Rumours(vec![])),
        ("rumour_alive_v4", one(rumour(Alive, B, EPOCH, 0))),
        ("rumour_alive_v6", one(rumour(Alive, B6, EPOCH, 127))),
        ("rumour_alive_long", one(rumour(Alive, C, (1 << 42) - 1, (1 << 31) - 1))),
        ("rumour_suspect", one(rumour(Suspect, B, EPOCH, 128))),
        ("rumour_suspect_accuser_v4", one(accused(A, rumour(Suspect, B, EPOCH, 0)))),
        ("rumour_suspect_accuser_v6", one(accused(A6, rumour(Suspect, B, EPOCH, 0)))),
        ("rumour_suspect_v6_accuser_v4", one(accused(A, rumour(Suspect, B6, EPOCH, 0)))),
        ("rumour_failed", one(rumour(Failed, B, EPOCH, 0))),
        ("rumour_failed_v6_accuser_v6", one(accused(A6, rumour(Failed, B6, 1, 0)))),
        ("rumour_left", one(rumour(Left, B, 0, 0))),
    ]
}

fn introductions() -> Vec<(&'static str, Message)> {
    let refused = |reason| Message::Refused(Refused { echo: Token(TOKEN), reason });
    let hello = |echo, uptime_s, details| Message::Hello { token: TOKEN, echo, uptime_s, details };
    vec![
        ("details_small", Message::Details(small())),
        ("details_full", Message::Details(full())),
        ("details_longest", Message::Details(longest())),
        ("details_later", Message::Details(later())),
        ("hello", hello(None, 0, small())),
        ("hello_later", hello(None, 0, later())),
        ("hello_echo", hello(Some(OTHER), 300, full())),
        ("challenge", challenge(None, None)),
        ("challenge_echo", challenge(Some(TOKEN), None)),
        ("challenge_observed_v4", challenge(Some(TOKEN), Some(C))),
        ("challenge_observed_v6", challenge(Some(TOKEN), Some(B6))),
        ("refused_full", refused(Refusal::Full)),
        ("refused_protocol", refused(Refusal::Protocol)),
        ("refused_conflict", refused(Refusal::Conflict)),
    ]
}

fn tables() -> Vec<(&'static str, Message)> {
    use State::{Alive, Failed, Left, Suspect};
    let request = |buckets, first| Message::PageRequest(PageRequest { buckets, first });
    let page = |buckets, first, next, rows| Message::Page { buckets, first, next, rows };
    let every_state = vec![
        rumour(Alive, A, EPOCH, 1),
        rumour(Suspect, B, EPOCH, 0),
        rumour(Failed, B6, EPOCH, 0),
        rumour(Left, C, EPOCH, 0),
    ];
    let ten = (1..=10).map(|i| rumour(Alive, Address::v4([10, 0, 1, i], 6434), EPOCH, 0));
    vec![
        ("page_request", request(u64::MAX, 0)),
        ("page_request_on", request(1 << 63 | 2, 1_234)),
        ("page_empty", page(1, 0, 0, vec![])),
        ("page", page(u64::MAX, 0, 700, every_state)),
        ("page_long", page(u64::MAX, 700, 65_535, ten.collect())),
        ("buckets", Message::Buckets((0..64).map(|i| i * 0x0101_0101 + 0x80).collect())),
    ]
}

fn several() -> Packet {
    let rumours =
        vec![accused(A, rumour(State::Suspect, B, EPOCH, 0)), rumour(State::Alive, C, EPOCH, 0)];
    Packet {
        header: Header { advertised: Some(B), ..HEADER },
        messages: vec![
            Message::Ack(TOKEN),
            Message::Rumours(rumours),
            Message::Unknown(31, vec![0xff]),
            Message::Details(small()),
        ],
    }
}
