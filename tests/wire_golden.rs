//! The bytes that travel: golden vectors both ways, and what becomes of them when they are cut,
//! flipped or invented.

#[path = "wire_golden/council.rs"]
mod council;
#[path = "wire_golden/model.rs"]
mod model;
#[path = "wire_golden/vectors.rs"]
mod vectors;

use std::io::Write;

use midge::Reject;
use midge::limits::MTU_BYTES;
use midge::wire::{self, open};
use model::{Message, Packet, retag};
use proptest::prelude::*;
use vectors::{malformed, vector, vectors};

/// Bits of the header's flags byte that mean something; the others are ignored.
const MEANT_FLAGS: u8 = 0b1_1111;

/// Reads a datagram from the middle of a buffer that is not clean.
fn read(cluster: &str, bytes: &[u8]) -> Result<Packet, Reject> {
    let mut buffer = vec![0xa5; 64 + bytes.len() + 64];
    buffer[64..64 + bytes.len()].copy_from_slice(bytes);
    let bytes = &buffer[64..64 + bytes.len()];
    open(cluster, bytes)?;
    // It looks into the council's messages as well.
    let datagram = wire::read(bytes).map_err(|_| Reject::Malformed)?;
    Ok(Packet::of(&datagram, bytes))
}

/// Reads a datagram that has the right tag. Whatever is accepted is what we would have sent,
/// apart from flags of the header that are ignored. Returns whether it was accepted.
#[track_caller]
fn read_tagged(cluster: &str, bytes: &[u8]) -> bool {
    match read(cluster, bytes) {
        Ok(packet) => {
            let mut canonical = bytes.to_vec();
            canonical[5] &= MEANT_FLAGS;
            retag(cluster, &mut canonical);
            assert_eq!(packet.encode(cluster), Some(canonical), "{bytes:02x?}");
            true
        }
        Err(Reject::Malformed) => false,
        Err(reject) => panic!("{reject} of {bytes:02x?}"),
    }
}

#[test]
fn values_encode_to_the_golden_bytes() {
    for vector in vectors() {
        let bytes = vector.packet.encode(vector.cluster).expect(vector.name);
        assert_eq!(bytes, vector.bytes, "{}: {bytes:02x?}", vector.name);
    }
}

#[test]
fn golden_bytes_decode_to_the_values() {
    for vector in vectors() {
        assert_eq!(read(vector.cluster, &vector.bytes), Ok(vector.packet), "{}", vector.name);
    }
}

#[test]
fn malformed_vectors_are_rejected_as_such() {
    for vector in malformed() {
        let verdict = read(vector.cluster, &vector.bytes);
        assert_eq!(verdict, Err(Reject::Malformed), "{}", vector.name);
    }
}

/// A second section of a type is malformed wherever it stands, also if it is the same.
#[test]
fn datagrams_with_two_sections_of_a_type_are_malformed() {
    for vector in vectors() {
        for message in vector.packet.messages.iter().filter(|message| message.kind() < 64) {
            for at in 0..=vector.packet.messages.len() {
                let mut packet =
                    Packet { messages: vector.packet.messages.clone(), ..vector.packet };
                packet.messages.insert(at, message.clone());
                let bytes = packet.encode(vector.cluster).expect("room for another");
                let verdict = read(vector.cluster, &bytes);
                assert_eq!(verdict, Err(Reject::Malformed), "{} {at}", vector.name);
            }
        }
    }
}

#[test]
fn sizes_are_within_their_targets() {
    let len = |name: &str| vector(name).bytes.len();
    assert_eq!(len("ping"), 23, "at most 26");
    assert_eq!(len("ack"), 23);
    assert_eq!(len("challenge"), 23, "not longer than a ping");
    assert!(len("refused_full") + 6 <= len("hello"), "with an ack not longer than a hello");
    assert_eq!(len("rumour_alive_v4") - len("rumours_none"), 14, "at most 14");
    assert_eq!(len("rumour_suspect_accuser_v4") - len("rumours_none"), 20, "at most 20");
    // A challenge to the shortest hello is not longer than that, unless the address that was
    // seen is to be shown in it.
    assert!(len("challenge_echo") <= len("hello"));
    assert!(len("challenge_observed_v4") <= len("hello"));
    assert!(len("hello_longest") <= MTU_BYTES);
    let of_rumour = |name: &str| len(name) - len("rumours_none");
    // A leader of three voters, twice a second with either of the two others; IPv4 and UDP add 28
    // bytes. Both clocks are bounded, and the term is in its second month.
    let a_second = 2 * 2 * (len("append") + 28 + len("append_ack") + 28);
    assert!(a_second <= 700, "at most 700: {a_second}");
    let measured = [
        ("ping", len("ping"), "B"),
        ("rumour", of_rumour("rumour_alive_v4"), "B"),
        ("suspicion", of_rumour("rumour_suspect_accuser_v4"), "B"),
        ("council", a_second, "B/s"),
    ];
    for (row, bytes, unit) in measured {
        let test = concat!(file!(), "::sizes_are_within_their_targets");
        let line = format!("numbers: {test}/{row} {bytes} {unit}\n");
        // Past the harness that keeps the output of a test that passes.
        std::io::stderr().write_all(line.as_bytes()).expect("stderr");
    }
}

#[test]
fn the_example_of_the_specification_is_a_golden_vector() {
    let specification = include_str!("../docs/wire.md");
    let bytes = vector("ping").bytes;
    let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(specification.contains(&format!("sent     {}\n", hex.join(" "))));
    let tag = u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
    assert!(specification.contains(&format!("CRC-32C  {tag:#010x}\n")));
}

#[test]
fn another_cluster_is_a_wrong_tag() {
    for vector in vectors() {
        for other in ["", "defaul", "default2", "Default", "prod-7", "another"] {
            assert_eq!(read(other, &vector.bytes), Err(Reject::Tag), "{}", vector.name);
        }
    }
}

#[test]
fn datagrams_that_are_cut_or_grow_are_rejected() {
    for vector in vectors() {
        for length in 0..vector.bytes.len() {
            let expected = if length < 17 { Reject::Short } else { Reject::Tag };
            let cut = &vector.bytes[..length];
            assert_eq!(read(vector.cluster, cut), Err(expected), "{} {length}", vector.name);
        }
        for byte in [0, 1, 0xff] {
            let longer = [&vector.bytes[..], &[byte]].concat();
            assert_eq!(read(vector.cluster, &longer), Err(Reject::Tag), "{}", vector.name);
        }
    }
}

#[test]
fn datagrams_that_are_cut_with_the_right_tag_are_malformed_or_whole() {
    let mut accepted = 0;
    for vector in vectors() {
        for length in 17..vector.bytes.len() {
            let mut cut = vector.bytes[..length].to_vec();
            retag(vector.cluster, &mut cut);
            accepted += u32::from(read_tagged(vector.cluster, &cut));
        }
    }
    assert!(accepted > 0, "cut between sections, a datagram is whole");
}

fn flip(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

#[test]
fn every_flipped_bit_is_found() {
    for vector in vectors() {
        for bit in 0..vector.bytes.len() * 8 {
            let expected = if bit < 8 { Reject::Version } else { Reject::Tag };
            let flipped = flip(&vector.bytes, bit);
            assert_eq!(read(vector.cluster, &flipped), Err(expected), "{} {bit}", vector.name);
        }
    }
}

#[test]
fn flipped_bits_with_the_right_tag_are_malformed_or_mean_something_else() {
    let (mut accepted, mut malformed) = (0, 0);
    for vector in vectors() {
        let original = read(vector.cluster, &vector.bytes).expect(vector.name);
        for bit in 40..vector.bytes.len() * 8 {
            let mut flipped = flip(&vector.bytes, bit);
            retag(vector.cluster, &mut flipped);
            if !read_tagged(vector.cluster, &flipped) {
                malformed += 1;
                continue;
            }
            accepted += 1;
            let ignored = bit / 8 == 5 && 1 << (bit % 8) & MEANT_FLAGS == 0;
            let same = read(vector.cluster, &flipped).as_ref() == Ok(&original);
            assert_eq!(same, ignored, "{} {bit}: two encodings of one value", vector.name);
        }
    }
    assert!(accepted > 0 && malformed > 0, "both happen: {accepted}, {malformed}");
}

#[test]
fn other_versions_are_rejected_whatever_their_tag() {
    for vector in vectors() {
        for version in (0..=255).filter(|version| *version != 1) {
            let mut other = vector.bytes.clone();
            other[0] = version;
            retag(vector.cluster, &mut other);
            assert_eq!(read(vector.cluster, &other), Err(Reject::Version), "{}", vector.name);
        }
    }
}

#[test]
fn unknown_sections_are_skipped() {
    let known = vector("several").packet.messages;
    for at in 0..=known.len() {
        for kind in [0, 13, 30, 47, 255] {
            let mut packet = vector("several").packet;
            packet.messages.insert(at, Message::Unknown(kind, vec![0xa5; 130]));
            let bytes = packet.encode("default").unwrap();
            assert_eq!(read("default", &bytes), Ok(packet));
        }
    }
}

mod arbitrary {
    //! Values of every kind, as proptest makes them.

    use super::council;
    use super::model::{Message, OwnDetails, Packet};
    use midge::wire::{Challenge, Header, PageRequest, PingReq, Refusal, Refused, Rumour, Token};
    use midge::{Address, Incarnation, State};
    use proptest::prelude::*;

    fn address() -> impl Strategy<Value = Address> {
        let v4 = (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| Address::v4(ip, port));
        let v6 = (any::<[u8; 16]>(), any::<u16>()).prop_map(|(ip, port)| Address::v6(ip, port));
        prop_oneof![2 => v4, 1 => v6].prop_filter("usable", Address::is_usable)
    }

    /// Numbers of every length.
    fn number() -> impl Strategy<Value = u32> {
        (any::<u32>(), 0_u32..32).prop_map(|(value, shift)| value >> shift)
    }

    fn incarnation() -> impl Strategy<Value = Incarnation> {
        (0_u64..1 << 42, number()).prop_map(|(epoch, number)| {
            let refutation = number & ((1 << 31) - 1);
            Incarnation { epoch, refutation }
        })
    }

    fn rumour(accusers: bool) -> impl Strategy<Value = Rumour> {
        let accuser = prop::option::of(address());
        (address(), incarnation(), 0_u8..4, accuser).prop_map(
            move |(address, incarnation, state, accuser)| {
                let state = State::from_bits(state);
                let may = accusers && matches!(state, State::Suspect | State::Failed);
                Rumour { address, incarnation, state, accuser: accuser.filter(|_| may) }
            },
        )
    }

    fn details() -> impl Strategy<Value = OwnDetails> {
        let protocol = (1_u8..=255, 1_u8..=255).prop_map(|(a, b)| (a.min(b), a.max(b)));
        let tag = "[A-Za-z0-9._-]{1,8}=[^\\p{C},]{0,8}";
        let tags = prop::collection::vec(tag, 0..4).prop_map(|tags| {
            let numbered = tags.iter().enumerate().map(|(i, tag)| format!("{i}-{tag}"));
            numbered.collect::<Vec<_>>().join(",")
        });
        let tags = tags.prop_filter("128 bytes", |tags| tags.len() <= 128);
        let later = prop::collection::vec(any::<u8>(), 0..8);
        (any::<[u8; 4]>(), any::<u64>(), protocol, number(), "[^\\p{C}]{1,8}", tags, later)
            .prop_map(|(life, id, protocol, period_ms, name, tags, mut later)| {
                if protocol.1 == 1 {
                    later.clear();
                }
                OwnDetails { life, id, protocol, period_ms, name, tags, later }
            })
    }

    fn page() -> impl Strategy<Value = Message> {
        let rows = prop::collection::vec(rumour(false), 0..30);
        (any::<u64>(), any::<u16>(), any::<u16>(), rows).prop_map(|(buckets, a, b, rows)| {
            let (first, next) = (a.min(b), a.max(b));
            let next = if next == first { 0 } else { next };
            Message::Page { buckets, first, next, rows }
        })
    }

    fn reason() -> impl Strategy<Value = Refusal> {
        prop::sample::select(vec![Refusal::Full, Refusal::Protocol, Refusal::Conflict])
    }

    /// The first of each type that may come only once, and all others.
    fn once_each(mut messages: Vec<Message>) -> Vec<Message> {
        let mut seen = [false; 64];
        messages.retain(|message| match seen.get_mut(usize::from(message.kind())) {
            Some(seen) => !std::mem::replace(seen, true),
            None => true,
        });
        messages
    }

    /// A type that no section has.
    fn unknown() -> impl Strategy<Value = u8> {
        prop_oneof![13_u8..32, 38_u8..=255]
    }

    fn message() -> impl Strategy<Value = Message> {
        let token = any::<[u8; 4]>;
        prop_oneof![
            token().prop_map(Message::Ping),
            token().prop_map(Message::Ack),
            token().prop_map(Message::Nack),
            (token(), address()).prop_map(|(number, target)| {
                Message::PingReq(PingReq { number: Token(number), target })
            }),
            prop::collection::vec(rumour(true), 0..20).prop_map(Message::Rumours),
            details().prop_map(Message::Details),
            (token(), any::<Option<[u8; 4]>>(), number(), details()).prop_map(
                |(token, echo, uptime_s, details)| Message::Hello {
                    token,
                    echo,
                    uptime_s,
                    details
                }
            ),
            (token(), prop::option::of((token(), prop::option::of(address())))).prop_map(
                |(token, echo)| Message::Challenge(Challenge {
                    token: Token(token),
                    echo: echo.map(|(echo, _)| Token(echo)),
                    observed: echo.and_then(|(_, observed)| observed),
                })
            ),
            (any::<u64>(), any::<u16>()).prop_map(|(buckets, first)| {
                Message::PageRequest(PageRequest { buckets, first })
            }),
            page(),
            prop::collection::vec(any::<u32>(), 64).prop_map(Message::Buckets),
            (token(), reason()).prop_map(|(echo, reason)| {
                Message::Refused(Refused { echo: Token(echo), reason })
            }),
            council::arbitrary().prop_map(|message| Message::Council(Box::new(message))),
            (unknown(), prop::collection::vec(any::<u8>(), 0..200))
                .prop_map(|(kind, body)| Message::Unknown(kind, body)),
        ]
    }

    /// A datagram, which may be too long.
    pub(crate) fn packet() -> impl Strategy<Value = Packet> {
        let flags = any::<[bool; 3]>();
        let header = (prop::option::of(address()), flags, incarnation(), any::<u32>()).prop_map(
            |(advertised, [partial, wants_details, leaving], incarnation, digest)| Header {
                advertised,
                partial,
                wants_details,
                leaving,
                incarnation,
                digest,
            },
        );
        (header, prop::collection::vec(message(), 0..5))
            .prop_map(|(header, messages)| Packet { header, messages: once_each(messages) })
    }
}

proptest! {
    #[test]
    fn whatever_is_said_is_understood(packet in arbitrary::packet()) {
        if let Some(bytes) = packet.encode("default") {
            prop_assert_eq!(read("default", &bytes), Ok(packet));
        }
    }

    #[test]
    fn arbitrary_bytes_with_the_right_tag_are_malformed_or_canonical(
        after_tag in prop::collection::vec(any::<u8>(), 12..200),
    ) {
        let mut bytes = [&[1, 0, 0, 0, 0], &after_tag[..]].concat();
        retag("default", &mut bytes);
        read_tagged("default", &bytes);
    }

    /// Most arbitrary bytes fail at the header; so here they follow a good one.
    #[test]
    fn arbitrary_sections_are_malformed_or_canonical(
        sections in prop::collection::vec(
            (prop_oneof![0_u8..14, 31_u8..39], prop::collection::vec(any::<u8>(), 0..40)), 0..4),
    ) {
        let mut bytes = vector("empty").bytes;
        for (kind, body) in sections {
            bytes.extend_from_slice(&[kind, body.len() as u8]);
            bytes.extend_from_slice(&body);
        }
        retag("default", &mut bytes);
        read_tagged("default", &bytes);
    }

    /// Valid datagrams with some bytes replaced reach deepest.
    #[test]
    fn damaged_datagrams_with_the_right_tag_are_malformed_or_canonical(
        packet in arbitrary::packet(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        if let Some(mut bytes) = packet.encode("default") {
            for (at, byte) in damage {
                let at = 5 + at.index(bytes.len() - 5);
                bytes[at] = byte;
            }
            retag("default", &mut bytes);
            read_tagged("default", &bytes);
        }
    }
}
