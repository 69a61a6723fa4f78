//! Numbers, strings and the checksum against plain twins.

use proptest::prelude::*;
use serde::Serialize;
use std::vec::Vec;

use super::{CLUSTER, HEADER, HEADER_BYTES, dirty, sealed};
use crate::member::Incarnation;
use crate::wire::codec::{Builder, Malformed, Token, take_counted, take_text, take_varint};
use crate::wire::{Details, Hello, Section, header, open};

/// CRC-32C bit by bit, from RFC 3720 section 12.1: the polynomial 0x11EDC6F41, reflected.
fn crc_32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn checksum_has_the_check_value_of_crc_32c() {
    assert_eq!(crc_32c(b"123456789"), 0xe306_9283);
    assert_eq!(header::CRC.checksum(b"123456789"), 0xe306_9283);
    // RFC 3720 appendix B.4
    assert_eq!(header::CRC.checksum(&[0; 32]), 0x8a91_36aa);
    assert_eq!(header::CRC.checksum(&[0xff; 32]), 0x62a8_ab43);
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
    fn checksum_agrees_with_the_plain_one(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(header::CRC.checksum(&bytes), crc_32c(&bytes));
    }

    #[test]
    fn numbers_round_trip(value in any::<u32>(), bits in 0_u32..32) {
        let value = value >> bits;
        let mut buffer = dirty(8);
        let mut builder = Builder::new(&mut buffer);
        prop_assert!(builder.put_varint(value));
        let significant = 32 - value.leading_zeros();
        prop_assert_eq!(builder.len(), significant.div_ceil(7).max(1) as usize);
        prop_assert_eq!(take_varint(builder.bytes()), Ok((value, &[][..])));
    }

    #[test]
    fn accepted_numbers_are_the_shortest(bytes in prop::collection::vec(any::<u8>(), 0..8)) {
        if let Ok((value, rest)) = take_varint(&bytes) {
            let mut buffer = dirty(8);
            let mut builder = Builder::new(&mut buffer);
            prop_assert!(builder.put_varint(value));
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
        assert_eq!(take_varint(bytes), Err(Malformed), "{bytes:02x?}");
        assert_eq!(take_counted(bytes), Err(Malformed), "{bytes:02x?}");
    }
    assert_eq!(take_varint(&[0, 9]), Ok((0, &[9][..])));
    assert_eq!(take_varint(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok((u32::MAX, &[][..])));
}

#[test]
fn counted_bytes_end_where_they_say() {
    assert_eq!(take_counted(&[2, 7, 8, 9]), Ok((&[7, 8][..], &[9][..])));
    assert_eq!(take_counted(&[2, 7]), Err(Malformed));
    assert_eq!(take_counted(&[0xff, 0xff, 0xff, 0xff, 0x0f, 7]), Err(Malformed));
    assert_eq!(take_text(&[2, b'a', b'b']), Ok(("ab", &[][..])));
    assert_eq!(take_text(&[2, 0xc3, 0x28]), Err(Malformed), "not UTF-8");
    assert_eq!(take_text(&[1, 0xc3, 0xa4]), Err(Malformed), "half a character");
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
                life, id, protocol_low, protocol_high: 255, period_ms, name: &name, tags: &tags,
            },
        };
        let mut buffer = dirty(300);
        let mut builder = Builder::new(&mut buffer);
        prop_assert!(HEADER.encode(&mut builder));
        let header_bytes = builder.len();
        prop_assert!(hello.encode(&mut builder));
        header::seal(CLUSTER, &mut builder);
        let (body, rest) = take_counted(&builder.bytes()[header_bytes + 1..]).unwrap();
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
    assert!(builder.put_incarnation(Incarnation { epoch: 0x0102_0304_0506, refutation: 300 }));
    assert_eq!(builder.bytes(), [6, 5, 4, 3, 2, 1, 0xac, 0x02]);
}
