//! Numbers, strings and the checksum against plain twins.

use proptest::prelude::*;
use serde::Serialize;
use std::vec::Vec;

use super::{CLUSTER, HEADER, HEADER_BYTES, checksum, dirty, sealed};
use crate::member::Incarnation;
use crate::wire::codec::{Builder, Reader, Token};
use crate::wire::crc_32c::Crc32c;
use crate::wire::{Details, Hello, Section, header, open};

/// What is read from these bytes and how many are left; `None` if they are malformed.
fn read<'a, T>(bytes: &'a [u8], part: impl FnOnce(&mut Reader<'a>) -> T) -> Option<(T, &'a [u8])> {
    let mut reader = Reader::new(bytes);
    let value = part(&mut reader);
    let rest = reader.take_all();
    reader.failure().is_none().then_some((value, rest))
}

fn crc_32c(bytes: &[u8]) -> u32 {
    crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(bytes)
}

#[test]
fn checksum_has_the_check_value_of_crc_32c() {
    assert_eq!(checksum(b"123456789"), 0xe306_9283);
    // RFC 3720 appendix B.4
    assert_eq!(checksum(&[0; 32]), 0x8a91_36aa);
    assert_eq!(checksum(&[0xff; 32]), 0x62a8_ab43);
}

#[test]
fn tag_covers_cluster_zero_version_and_what_follows_it() {
    let mut buffer = dirty(64);
    let mut builder = Builder::new(&mut buffer);
    assert!(HEADER.encode(&mut builder));
    header::seal(CLUSTER, &mut builder);
    let covered = [CLUSTER.as_bytes(), &[0, 1], &HEADER_BYTES].concat();
    let tag = crc_32c(&covered).to_le_bytes();
    assert_eq!(builder.bytes(), [&[1], &tag[..], &HEADER_BYTES].concat());
    assert_eq!(builder.bytes(), sealed(&HEADER_BYTES));
}

proptest! {
    #[test]
    fn checksum_is_that_of_another_implementation(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        at in 0..300_usize,
    ) {
        let (front, back) = bytes.split_at(at.min(bytes.len()));
        let mut crc = Crc32c::NEW;
        crc.update(front);
        crc.update(back);
        prop_assert_eq!(crc.value(), crc_32c(&bytes));
    }

    #[test]
    fn numbers_round_trip(value in any::<u32>(), bits in 0_u32..32) {
        let value = value >> bits;
        let mut buffer = dirty(8);
        let mut builder = Builder::new(&mut buffer);
        prop_assert!(builder.all(|b| b.put_varint(u64::from(value))));
        let significant = 32 - value.leading_zeros();
        prop_assert_eq!(builder.len(), significant.div_ceil(7).max(1) as usize);
        prop_assert_eq!(read(builder.bytes(), Reader::varint), Some((value, &[][..])));
    }

    #[test]
    fn accepted_numbers_are_the_shortest(bytes in prop::collection::vec(any::<u8>(), 0..8)) {
        if let Some((value, rest)) = read(&bytes, Reader::varint) {
            let mut buffer = dirty(8);
            let mut builder = Builder::new(&mut buffer);
            prop_assert!(builder.all(|b| b.put_varint(u64::from(value))));
            prop_assert_eq!(builder.bytes(), &bytes[..bytes.len() - rest.len()]);
        }
    }
}

#[test]
fn longer_numbers_than_need_be_are_malformed() {
    let bad: [&[u8]; 9] = [
        &[],
        &[0x80],
        &[0x80, 0x00],
        &[0x85, 0x00],
        &[0xff, 0x80, 0x00],
        &[0x80, 0x80, 0x80, 0x80, 0x00],
        &[0xff, 0xff, 0xff, 0xff, 0x10], // 2^32 and more
        &[0xff, 0xff, 0xff, 0xff, 0x8f], // goes on
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    ];
    for bytes in bad {
        assert_eq!(read(bytes, Reader::varint), None, "{bytes:02x?}");
        assert_eq!(read(bytes, Reader::counted), None, "{bytes:02x?}");
    }
    assert_eq!(read(&[0, 9], Reader::varint), Some((0, &[9][..])));
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f], Reader::varint), Some((u32::MAX, &[][..])));
}

#[test]
fn counted_bytes_end_where_they_say() {
    assert_eq!(read(&[2, 7, 8, 9], Reader::counted), Some((&[7, 8][..], &[9][..])));
    assert_eq!(read(&[2, 7], Reader::counted), None);
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f, 7], Reader::counted), None);
    assert_eq!(read(&[2, b'a', b'b'], Reader::text), Some(("ab", &[][..])));
    assert_eq!(read(&[2, 0xc3, 0x28], Reader::text), None, "not UTF-8");
    assert_eq!(read(&[1, 0xc3, 0xa4], Reader::text), None, "half a character");
}

/// The structures as postcard derives them.
#[derive(Serialize)]
struct TwinDetails<'a> {
    life: [u8; 4],
    id: [u8; 8],
    protocol_low: u8,
    protocol_high: u8,
    period_ms: u32,
    name: &'a str,
    tags: &'a str,
}

#[derive(Serialize)]
struct TwinHello<'a> {
    token: [u8; 4],
    echo: Option<[u8; 4]>,
    uptime_s: u32,
    details: TwinDetails<'a>,
}

proptest! {
    #[test]
    fn hello_is_what_postcard_makes_of_it(
        token in any::<[u8; 4]>(),
        echo in any::<Option<[u8; 4]>>(),
        uptime_s in any::<u32>(),
        life in any::<[u8; 4]>(),
        id in any::<u64>(),
        protocol_low in 1_u8..=255,
        period_ms in any::<u32>(),
        name in "[a-zäß☃]{1,10}",
        value in "[^\\p{C},]{0,40}",
    ) {
        prop_assume!(value.len() <= 125);
        let tags = std::format!("k1={value}");
        let twin = TwinHello {
            token,
            echo,
            uptime_s,
            details: TwinDetails {
                life,
                id: id.to_le_bytes(),
                protocol_low,
                protocol_high: 255,
                period_ms,
                name: &name,
                tags: &tags,
            },
        };
        let mut twin_bytes = [0; 256];
        let twin_bytes = postcard::to_slice(&twin, &mut twin_bytes).unwrap();
        let hello = Hello {
            token: Token(token),
            echo: echo.map(Token),
            uptime_s,
            details: Details {
                life,
                id,
                protocol_low,
                protocol_high: 255,
                period_ms,
                name: &name,
                tags: &tags,
                later: &[],
            },
        };
        let mut buffer = dirty(300);
        let mut builder = Builder::new(&mut buffer);
        prop_assert!(HEADER.encode(&mut builder));
        let header_bytes = builder.len();
        prop_assert!(hello.encode(&mut builder));
        header::seal(CLUSTER, &mut builder);
        let (body, rest) = read(&builder.bytes()[header_bytes + 1..], Reader::counted).unwrap();
        prop_assert_eq!(body, &*twin_bytes);
        prop_assert!(rest.is_empty());
        let datagram = open(CLUSTER, builder.bytes()).unwrap();
        prop_assert_eq!(datagram.sections().collect::<Vec<_>>(), [Section::Hello(hello)]);
    }
}

#[test]
fn an_incarnation_is_6_bytes_and_a_number() {
    let mut buffer = dirty(16);
    let mut builder = Builder::new(&mut buffer);
    let incarnation = Incarnation { epoch: 0x0102_0304_0506, refutation: 300 };
    assert!(builder.all(|b| b.put_incarnation(incarnation)));
    assert_eq!(builder.bytes(), [6, 5, 4, 3, 2, 1, 0xac, 0x02]);
}
