//! What is not the one encoding of something valid is malformed.

use std::vec::Vec;

use super::{CLUSTER, HEADER, HEADER_BYTES, join, sealed, with_section};
use crate::limits::MTU_BYTES;
use crate::reject::Reject;
use crate::wire::{Flaw, Malformed, Section, kind, open, read};

const V4: [u8; 6] = [10, 0, 0, 1, 0x22, 0x19];
const V6: [u8; 18] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x22, 0x19];
const INCARNATION: [u8; 7] = [0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 5];

fn verdict(datagram: &[u8]) -> Result<(), Reject> {
    open(CLUSTER, datagram).map(|_| ())
}

#[track_caller]
fn accepted(kind: u8, body: &[u8]) {
    assert_eq!(verdict(&with_section(kind, body)), Ok(()), "section {kind}: {body:02x?}");
}

#[track_caller]
fn malformed(kind: u8, body: &[u8]) {
    let datagram = with_section(kind, body);
    assert_eq!(verdict(&datagram), Err(Reject::Malformed), "section {kind}: {body:02x?}");
}

/// Addresses that are not one host's, as they travel, without a port.
const NO_HOST_V4: [[u8; 4]; 4] =
    [[0, 0, 0, 0], [224, 0, 0, 1], [239, 255, 255, 255], [255, 255, 255, 255]];
const NO_HOST_V6: [[u8; 16]; 3] = [
    [0; 16],
    [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    // IPv4 in the form of IPv6
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1],
];

/// Every address that is to be malformed, with its port; and whether it is IPv6.
fn bad_addresses() -> impl Iterator<Item = (bool, Vec<u8>)> {
    let v4 = NO_HOST_V4.iter().map(|ip| (false, join(&[ip, &[0x22, 0x19]])));
    let v6 = NO_HOST_V6.iter().map(|ip| (true, join(&[ip, &[0x22, 0x19]])));
    let port_0 = [(false, join(&[&V4[..4], &[0, 0]])), (true, join(&[&V6[..16], &[0, 0]]))];
    v4.chain(v6).chain(port_0)
}

#[test]
fn the_smallest_datagram_is_a_header() {
    assert_eq!(verdict(&sealed(&HEADER_BYTES)), Ok(()));
    assert_eq!(open(CLUSTER, &sealed(&HEADER_BYTES)).unwrap().header, HEADER);
    assert_eq!(verdict(&sealed(&HEADER_BYTES[..11])), Err(Reject::Short));
    assert_eq!(verdict(&[]), Err(Reject::Short));
}

#[test]
fn longer_than_a_datagram_is_rejected_before_it_is_read() {
    // A header of 17 bytes, a section's type and length of 3, and its body.
    for (length, expected) in [(MTU_BYTES, Ok(())), (MTU_BYTES + 1, Err(Reject::Long))] {
        let body = length - 20;
        let prefix = [99, (body & 0x7f) as u8 | 0x80, (body >> 7) as u8];
        let datagram = sealed(&join(&[&HEADER_BYTES, &prefix, &std::vec![0; body]]));
        assert_eq!(datagram.len(), length);
        assert_eq!(verdict(&datagram), expected);
    }
}

#[test]
fn other_versions_are_not_read() {
    for version in (0..=255).filter(|version| *version != 1) {
        let mut datagram = sealed(&HEADER_BYTES);
        datagram[0] = version;
        assert_eq!(verdict(&datagram), Err(Reject::Version), "{version}");
    }
}

#[test]
fn header_flags_that_have_no_meaning_are_ignored() {
    for flags in 0..=255_u8 {
        let advertised: &[u8] = match flags & 3 {
            1 => &V4,
            2 => &V6,
            _ => &[],
        };
        let datagram = sealed(&join(&[&[flags], advertised, &HEADER_BYTES[1..]]));
        if flags & 3 == 3 {
            assert_eq!(verdict(&datagram), Err(Reject::Malformed));
            continue;
        }
        let header = open(CLUSTER, &datagram).unwrap().header;
        assert_eq!(header.partial, flags & 4 != 0);
        assert_eq!(header.wants_details, flags & 8 != 0);
        assert_eq!(header.leaving, flags & 16 != 0);
        assert_eq!(header.advertised.is_some(), flags & 3 != 0);
        assert_eq!(header.incarnation, HEADER.incarnation);
    }
}

#[test]
fn header_fields_out_of_range_are_malformed() {
    let bad_epoch = [0, 0, 0, 0, 0, 0, 4, 5, 1, 2, 3, 4];
    assert_eq!(verdict(&sealed(&bad_epoch)), Err(Reject::Malformed), "2^42");
    let last_epoch = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 3, 5, 1, 2, 3, 4];
    assert_eq!(verdict(&sealed(&last_epoch)), Ok(()), "2^42 - 1");
    let last_refutation = [0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x07, 1, 2, 3, 4];
    assert_eq!(verdict(&sealed(&last_refutation)), Ok(()), "2^31 - 1");
    let bad_refutation = [0, 0, 0, 0, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x08, 1, 2, 3, 4];
    assert_eq!(verdict(&sealed(&bad_refutation)), Err(Reject::Malformed), "2^31");
    let long_refutation = [0, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 0x85, 0, 1, 2, 3, 4];
    assert_eq!(verdict(&sealed(&long_refutation)), Err(Reject::Malformed));
    for (v6, address) in bad_addresses() {
        let datagram = sealed(&join(&[&[1 + u8::from(v6)], &address, &HEADER_BYTES[1..]]));
        assert_eq!(verdict(&datagram), Err(Reject::Malformed), "{address:02x?}");
    }
}

#[test]
fn sections_end_with_the_datagram() {
    for tail in [&[1][..], &[1, 4, 0, 0, 0], &[99, 0x80], &[99, 0x80, 0x00], &[99, 1]] {
        let datagram = sealed(&join(&[&HEADER_BYTES, tail]));
        assert_eq!(verdict(&datagram), Err(Reject::Malformed), "{tail:02x?}");
    }
    // A bad section behind a good one is found before anything acts on the good one.
    let datagram = sealed(&join(&[&HEADER_BYTES, &[1, 4, 0, 0, 0, 0], &[12, 1, 9]]));
    assert_eq!(verdict(&datagram), Err(Reject::Malformed));
}

/// What one datagram can ask for is bounded by the number of types. Types from 64 on, which no
/// version has, are only counted.
#[test]
fn a_type_below_64_comes_once() {
    for kind in 0..=255 {
        // A body that a section of this type may have.
        let body: &[u8] = match kind {
            kind::PING | kind::ACK | kind::NACK | kind::CHALLENGE => &[1; 4],
            kind::PING_REQ => &[1, 2, 3, 4, 4, 10, 0, 0, 1, 0x22, 0x19],
            kind::DETAILS => &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, b'a', 0],
            kind::HELLO => {
                &[1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, b'a', 0]
            }
            kind::PAGE_REQUEST => &[0; 10],
            kind::PAGE => &[0; 12],
            kind::BUCKETS => continue, // longer than `with_section` makes; below
            kind::REFUSED => &[1; 5],
            kind::PRE_VOTE => &[1; 24 + 3],
            kind::PRE_VOTED | kind::VOTED => &[0; 24 + 2],
            kind::VOTE => &[1; 24 + 4],
            kind::APPEND => &[2; 24 + 7],
            kind::APPEND_ACK => &[1; 24 + 5],
            _ => &[],
        };
        accepted(kind, body);
        let section = join(&[&[kind, body.len() as u8], body]);
        let expected = if kind < 64 { Err(Reject::Malformed) } else { Ok(()) };
        for between in [&[][..], &[200, 0]] {
            let datagram = sealed(&join(&[&HEADER_BYTES, &section, between, &section]));
            assert_eq!(verdict(&datagram), expected, "{kind}");
        }
    }
    let buckets = join(&[&[kind::BUCKETS, 0x80, 2], &[0; 256]]);
    assert_eq!(verdict(&sealed(&join(&[&HEADER_BYTES, &buckets]))), Ok(()));
    let twice = sealed(&join(&[&HEADER_BYTES, &buckets, &buckets]));
    assert_eq!(verdict(&twice), Err(Reject::Malformed));
}

#[test]
fn unknown_sections_are_skipped() {
    for unknown in [0, 13, 31, 38, 48, 255] {
        let datagram = with_section(unknown, &[0xa5; 100]);
        let datagram = open(CLUSTER, &datagram).unwrap();
        assert_eq!(datagram.sections().collect::<Vec<_>>(), [Section::Unknown(unknown, 100)]);
        accepted(unknown, &[]);
    }
}

#[test]
fn bodies_of_a_fixed_size_have_that_size() {
    for length in 0..100 {
        let body = std::vec![1; length];
        for (kind, right) in [(kind::PING, 4), (kind::ACK, 4), (kind::NACK, 4)] {
            if length == right { accepted(kind, &body) } else { malformed(kind, &body) }
        }
        if length == 10 {
            accepted(kind::PAGE_REQUEST, &body);
        } else {
            malformed(kind::PAGE_REQUEST, &body);
        }
        // 4 a token, 8 an echo too, 14 and 26 an address too
        if [4, 8, 14, 26].contains(&length) {
            accepted(kind::CHALLENGE, &body);
        } else {
            malformed(kind::CHALLENGE, &body);
        }
        malformed(kind::BUCKETS, &body);
    }
    for length in [255, 256, 257] {
        let prefix = [kind::BUCKETS, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
        let datagram = sealed(&join(&[&HEADER_BYTES, &prefix, &std::vec![0; length]]));
        assert_eq!(verdict(&datagram).is_ok(), length == 256);
    }
    for reason in 0..=255 {
        if (1..=3).contains(&reason) {
            accepted(kind::REFUSED, &[9, 9, 9, 9, reason]);
        } else {
            malformed(kind::REFUSED, &[9, 9, 9, 9, reason]);
        }
    }
    malformed(kind::REFUSED, &[]);
    malformed(kind::REFUSED, &[9, 9, 9, 9]);
    malformed(kind::REFUSED, &[9, 9, 9, 9, 1, 1]);
}

#[test]
fn a_ping_request_names_the_family_of_its_target() {
    let number = [1, 2, 3, 4];
    accepted(kind::PING_REQ, &join(&[&number, &[4], &V4]));
    accepted(kind::PING_REQ, &join(&[&number, &[6], &V6]));
    malformed(kind::PING_REQ, &join(&[&number, &[6], &V4]));
    malformed(kind::PING_REQ, &join(&[&number, &[4], &V6]));
    malformed(kind::PING_REQ, &join(&[&number, &[4], &V4, &[0]]));
    for family in [0, 1, 2, 3, 5, 7, 0x84, 255] {
        malformed(kind::PING_REQ, &join(&[&number, &[family], &V4]));
    }
    for (v6, address) in bad_addresses() {
        malformed(kind::PING_REQ, &join(&[&number, &[if v6 { 6 } else { 4 }], &address]));
    }
}

#[test]
fn a_challenge_shows_only_usable_addresses() {
    for (_, address) in bad_addresses() {
        malformed(kind::CHALLENGE, &join(&[&[1; 8], &address]));
    }
}

#[test]
fn rumours_have_no_flags_but_those_of_the_specification() {
    for flags in 0..=255_u8 {
        let address: &[u8] = if flags & 4 != 0 { &V6 } else { &V4 };
        let accuser: &[u8] = match flags & 24 {
            8 => &V4,
            24 => &V6,
            _ => &[],
        };
        let body = join(&[&[flags], address, &INCARNATION, accuser]);
        let accusable = matches!(flags & 3, 1 | 2);
        let valid = flags < 32 && flags & 24 != 16 && (flags & 8 == 0 || accusable);
        if valid { accepted(kind::RUMOURS, &body) } else { malformed(kind::RUMOURS, &body) }
    }
}

#[test]
fn rumours_are_about_usable_addresses_and_possible_incarnations() {
    for (v6, address) in bad_addresses() {
        let flags = if v6 { 4 } else { 0 };
        malformed(kind::RUMOURS, &join(&[&[flags], &address, &INCARNATION]));
        let flags = if v6 { 8 + 16 + 1 } else { 8 + 1 };
        malformed(kind::RUMOURS, &join(&[&[flags], &V4, &INCARNATION, &address]));
    }
    malformed(kind::RUMOURS, &join(&[&[0], &V4, &[0, 0, 0, 0, 0, 4, 0]]));
    accepted(kind::RUMOURS, &join(&[&[0], &V4, &[0xff, 0xff, 0xff, 0xff, 0xff, 3, 0]]));
    malformed(kind::RUMOURS, &join(&[&[0], &V4, &[0, 0, 0, 0, 0, 0, 0x80, 0]]));
    accepted(kind::RUMOURS, &join(&[&[0], &V4, &[0; 6], &[0xff, 0xff, 0xff, 0xff, 0x07]]));
    malformed(kind::RUMOURS, &join(&[&[0], &V4, &[0; 6], &[0x80, 0x80, 0x80, 0x80, 0x08]]));
    malformed(kind::RUMOURS, &join(&[&[0], &V4, &[0; 6], &[0xff, 0xff, 0xff, 0xff, 0x0f]]));
}

#[test]
fn a_run_of_rumours_is_checked_to_its_end() {
    let rumour = join(&[&[0], &V4, &INCARNATION]);
    assert_eq!(rumour.len(), 14);
    accepted(kind::RUMOURS, &[]);
    accepted(kind::RUMOURS, &join(&[&rumour, &rumour, &rumour]));
    for cut in 1..14 {
        malformed(kind::RUMOURS, &join(&[&rumour, &rumour[..cut]]));
    }
}

#[test]
fn pages_go_forward_and_rows_have_no_accuser() {
    let page =
        |first: u16, next: u16| join(&[&[0xff; 8], &first.to_le_bytes(), &next.to_le_bytes()]);
    for (first, next) in [(0, 0), (0, 1), (5, 0), (5, 6), (65_534, 65_535), (65_535, 0)] {
        accepted(kind::PAGE, &page(first, next));
    }
    for (first, next) in [(1, 1), (5, 5), (5, 4), (65_535, 1), (65_535, 65_535)] {
        malformed(kind::PAGE, &page(first, next));
    }
    malformed(kind::PAGE, &page(0, 0)[..11]);
    let row = join(&[&[1], &V4, &INCARNATION]);
    accepted(kind::PAGE, &join(&[&page(0, 0), &row, &row]));
    malformed(kind::PAGE, &join(&[&page(0, 0), &row, &row[..13]]));
    let accused = join(&[&[8 + 1], &V4, &INCARNATION, &V4]);
    accepted(kind::RUMOURS, &accused);
    malformed(kind::PAGE, &join(&[&page(0, 0), &row, &accused]));
}

/// The body of a details section.
fn details(low: u8, high: u8, period: &[u8], name: &[u8], tags: &[u8]) -> Vec<u8> {
    assert!(name.len() < 128 && tags.len() < 128);
    let lengths = [&[name.len() as u8][..], &[tags.len() as u8]];
    join(&[&[7; 4], &[8; 8], &[low, high], period, lengths[0], name, lengths[1], tags])
}

const PERIOD: &[u8] = &[0xe8, 7];

#[test]
fn details_hold_what_a_configuration_would_accept() {
    accepted(kind::DETAILS, &details(1, 1, PERIOD, b"a", b""));
    accepted(kind::DETAILS, &details(1, 255, &[0], &[b'n'; 32], b"k=v,l="));
    accepted(kind::DETAILS, &details(255, 255, PERIOD, "ä\u{2603}".as_bytes(), b"a.b-c_D9=="));
}

#[test]
fn details_that_no_configuration_would_accept_are_malformed() {
    for (low, high) in [(0, 0), (0, 1), (2, 1), (255, 254)] {
        malformed(kind::DETAILS, &details(low, high, PERIOD, b"a", b""));
    }
    for period in [&[0x80, 0][..], &[0xe8, 0x87, 0], &[0xff, 0xff, 0xff, 0xff, 0x10]] {
        malformed(kind::DETAILS, &details(1, 1, period, b"a", b""));
    }
    for name in [&b""[..], &[b'n'; 33], b"a\nb", b"\x7f", "\u{85}".as_bytes(), b"\xff", b"\0"] {
        malformed(kind::DETAILS, &details(1, 1, PERIOD, name, b""));
    }
    for tags in [
        &b"k"[..],
        b"=v",
        b"k=v,",
        b"k=v,k=w",
        b"k k=v",
        b",",
        b"k=\n",
        b"k=\xc3",
        "ä=v".as_bytes(),
    ] {
        malformed(kind::DETAILS, &details(1, 1, PERIOD, b"a", tags));
    }
    malformed(kind::DETAILS, &join(&[&details(1, 1, PERIOD, b"a", b""), &[0]]));
}

#[test]
fn only_who_speaks_a_later_protocol_has_more_to_say_in_details() {
    for high in [2, 3, 255] {
        for later in [&[0][..], &[0xff; 40]] {
            let body = join(&[&details(1, high, PERIOD, b"a", b"k=v"), later]);
            accepted(kind::DETAILS, &body);
            accepted(kind::HELLO, &join(&[&[1; 4], &[0, 9], &body]));
            let datagram = with_section(kind::DETAILS, &body);
            let Some(Section::Details(read)) = open(CLUSTER, &datagram).unwrap().sections().next()
            else {
                panic!("details are what was sent");
            };
            assert_eq!((read.tags, read.later), ("k=v", later));
        }
    }
}

/// The header of these tests takes 17 bytes, a section's type and length two more.
#[test]
fn what_is_malformed_is_so_at_a_place_and_for_a_reason() {
    let flaw = |body: &[u8]| {
        let datagram = sealed(&join(&[&HEADER_BYTES, body]));
        let Malformed { offset, section, flaw } = read(&datagram).unwrap_err();
        (offset, section, flaw)
    };
    let ping: &[u8] = &[kind::PING, 4, 1, 2, 3, 4];
    let rumour = join(&[&[0], &V4, &INCARNATION]);
    let rumours = |tail: &[u8]| join(&[&[kind::RUMOURS, 14 + tail.len() as u8], &rumour, tail]);
    for (body, expected) in [
        (&[9][..], (18, Some(9), Flaw::Cut)),
        (&[kind::PING, 4, 1, 2, 3], (19, Some(kind::PING), Flaw::Cut)),
        (&[kind::PING, 3, 1, 2, 3], (19, Some(kind::PING), Flaw::Cut)),
        (&[kind::PING, 5, 1, 2, 3, 4, 5], (23, Some(kind::PING), Flaw::Behind)),
        (&[kind::PING, 0x80, 0], (20, Some(kind::PING), Flaw::Value)),
        (&join(&[ping, ping]), (23, Some(kind::PING), Flaw::Twice)),
        (&join(&[ping, &[99, 2, 0]]), (25, Some(99), Flaw::Cut)),
        (&rumours(&[0x40]), (34, Some(kind::RUMOURS), Flaw::Value)),
        (&rumours(&[0, 10, 0]), (34, Some(kind::RUMOURS), Flaw::Cut)),
        (&join(&[&rumours(&[0x40]), ping]), (34, Some(kind::RUMOURS), Flaw::Value)),
    ] {
        assert_eq!(flaw(body), expected, "{body:02x?}");
    }
    let header = |bytes: &[u8]| read(bytes).unwrap_err();
    for (bytes, offset, flaw) in [
        (&[1, 0, 0, 0, 0][..], 5, Flaw::Cut),
        (&[1, 0, 0, 0, 0, 3], 6, Flaw::Value),
        (&sealed(&HEADER_BYTES)[..15], 13, Flaw::Cut),
        (&[], 0, Flaw::Cut),
    ] {
        assert_eq!(header(bytes), Malformed { offset, section: None, flaw }, "{bytes:02x?}");
    }
}

/// Tools show what a datagram of another cluster says.
#[test]
fn a_datagram_is_read_whatever_its_tag() {
    let mut datagram = with_section(kind::PING, &[1, 2, 3, 4]);
    datagram[1] ^= 1;
    assert_eq!(verdict(&datagram), Err(Reject::Tag));
    assert_eq!(read(&datagram).unwrap().header, HEADER);
}

#[test]
fn tags_of_128_bytes_are_the_longest() {
    for length in [128_usize, 129] {
        let body = join(&[
            &[7; 4],
            &[8; 8],
            &[1, 1, 0, 1, b'a'],
            &[(length & 0x7f) as u8 | 0x80, 1],
            b"k=",
            &std::vec![b'v'; length - 2],
        ]);
        let prefix = [kind::DETAILS, (body.len() & 0x7f) as u8 | 0x80, (body.len() >> 7) as u8];
        let datagram = sealed(&join(&[&HEADER_BYTES, &prefix, &body]));
        assert_eq!(verdict(&datagram).is_ok(), length == 128);
    }
}

#[test]
fn a_hello_echoes_or_does_not() {
    let details = details(1, 1, PERIOD, b"a", b"");
    accepted(kind::HELLO, &join(&[&[1; 4], &[0, 9], &details]));
    accepted(kind::HELLO, &join(&[&[1; 4], &[1], &[2; 4], &[9], &details]));
    malformed(kind::HELLO, &join(&[&[1; 4], &[2], &[2; 4], &[9], &details]));
    malformed(kind::HELLO, &join(&[&[1; 4], &[0, 0x89, 0], &details]));
    malformed(kind::HELLO, &join(&[&[1; 4], &[0, 9], &details, &[0]]));
    for cut in 0..6 + details.len() {
        malformed(kind::HELLO, &join(&[&[1; 4], &[0, 9], &details])[..cut]);
    }
}
