//! The builder: all or nothing, at every size.

use std::vec::Vec;

use super::{CLUSTER, HEADER, dirty};
use crate::address::Address;
use crate::limits::{BUCKETS, MTU_BYTES};
use crate::member::{Incarnation, State};
use crate::wire::codec::{Builder, Token};
use crate::wire::{
    Buckets, Challenge, Details, Header, Hello, Page, PageRequest, PingReq, Refusal, Refused,
    Rumour, Section, header, kind, open, probe,
};

const V4: Address = Address::v4([10, 0, 0, 1], 6434);
const V6: Address = Address::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 6434);

const SUSPICION: Rumour = Rumour {
    address: V6,
    incarnation: Incarnation { epoch: 1_700_000_000_000, refutation: 200 },
    state: State::Suspect,
    accuser: Some(V4),
};

const HELLO: Hello<'_> = Hello {
    token: Token([1; 4]),
    echo: Some(Token([2; 4])),
    uptime_s: 1 << 31,
    details: Details {
        life: [3; 4],
        id: 4,
        protocol_low: 1,
        protocol_high: 2,
        period_ms: 60_000,
        name: "thirty-two-bytes-are-the-longest",
        tags: "zone=a,rack=17,this=makes-the-body-of-the-hello-longer-than-127-bytes-altogether-ok",
        later: &[5; 3],
    },
};

type Encode = fn(&mut Builder<'_>) -> bool;

/// Everything that can be appended, in its longest form.
const ENCODERS: [(&str, Encode); 13] = [
    ("header", |b| Header { advertised: Some(V6), ..HEADER }.encode(b)),
    ("ping", |b| probe::encode_number(b, kind::PING, Token([1; 4]))),
    ("ping-req", |b| PingReq { number: Token([1; 4]), target: V6 }.encode(b)),
    ("rumour", |b| SUSPICION.encode(b)),
    ("rumours", |b| b.section(kind::RUMOURS, |b| (0..9).all(|_| SUSPICION.encode(b)))),
    ("details", |b| HELLO.details.encode(b)),
    ("hello", |b| HELLO.encode(b)),
    ("challenge", |b| {
        Challenge { token: Token([1; 4]), echo: Some(Token([2; 4])), observed: Some(V6) }.encode(b)
    }),
    ("page request", |b| PageRequest { buckets: 5, first: 6 }.encode(b)),
    ("page", |b| {
        let mut complete = true;
        Page::encode(b, 1, 2, |b| {
            complete = SUSPICION.encode(b);
            3
        }) && complete
    }),
    ("buckets", |b| Buckets::encode(b, &[7; BUCKETS])),
    ("refused", |b| Refused { echo: Token([1; 4]), reason: Refusal::Full }.encode(b)),
    ("address", |b| b.all(|b| b.put_address(&V6))),
];

#[test]
fn what_does_not_fit_is_not_written_at_all() {
    for (what, encode) in ENCODERS {
        let mut buffer = dirty(MTU_BYTES);
        let mut builder = Builder::new(&mut buffer);
        assert!(encode(&mut builder), "{what}");
        let bytes = Vec::from(builder.bytes());
        for before in [0, 3] {
            for room in (0..bytes.len()).step_by(crate::SHORTER as usize) {
                if what == "page" && room >= 14 {
                    continue; // a page with fewer rows is a page
                }
                let mut buffer = dirty(before + room);
                let mut builder = Builder::new(&mut buffer);
                assert!(builder.put_bytes(&[9, 8, 7][..before]));
                assert!(!encode(&mut builder), "{what} in {room} of {}", bytes.len());
                assert_eq!(builder.bytes(), &[9, 8, 7][..before], "{what} in {room}");
                assert_eq!(builder.room(), room, "{what}: room is given back");
            }
            let mut buffer = dirty(before + bytes.len());
            let mut builder = Builder::new(&mut buffer);
            assert!(builder.put_bytes(&[9, 8, 7][..before]));
            assert!(encode(&mut builder), "{what} fits exactly");
            assert_eq!(&builder.bytes()[before..], bytes, "{what}");
            assert_eq!(builder.room(), 0);
        }
    }
}

#[test]
fn length_of_a_section_takes_a_second_byte_from_128_on() {
    for (length, prefix) in [
        (0, &[77, 0][..]),
        (127, &[77, 127]),
        (128, &[77, 0x80, 1]),
        (1_000, &[77, 0xe8, 7]),
        (1_197, &[77, 0xad, 9]),
    ] {
        let body: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let mut buffer = dirty(MTU_BYTES);
        let mut builder = Builder::new(&mut buffer);
        assert!(builder.section(77, |b| b.put_bytes(&body)));
        assert_eq!(builder.bytes(), [prefix, &body].concat(), "{length}");
    }
}

/// A body may fill all the room that it finds, whatever that is: its section then fits.
#[test]
fn a_section_that_fills_its_room_fits() {
    for room in 0..=300 {
        let mut buffer = dirty(room);
        let mut builder = Builder::new(&mut buffer);
        let mut filled = None;
        let done = builder.section(77, |b| {
            let body = dirty(b.room());
            filled = Some(body.len());
            b.put_bytes(&body)
        });
        assert_eq!(done, room >= 2, "{room}");
        let Some(filled) = filled else { continue };
        assert_eq!(builder.len(), 2 + filled + usize::from(filled >= 128));
        // At most one byte is lost: 127 bytes of body need 129, 128 need 131.
        assert_eq!(builder.room(), usize::from(room == 130), "{room}");
    }
}

#[test]
fn a_datagram_takes_as_many_rumours_as_fit() {
    for room in 2..=400 {
        let mut buffer = dirty(room);
        let mut builder = Builder::new(&mut buffer);
        let mut count = 0;
        assert!(builder.section(kind::RUMOURS, |b| {
            while SUSPICION.encode(b) {
                count += 1;
            }
            true
        }));
        let each = 33;
        let length = |rows: usize| 2 + rows * each + usize::from(rows * each >= 128);
        assert_eq!(builder.len(), length(count));
        assert!(length(count + 1) > room, "{room}: {count} rows, and one more would fit");
    }
}

#[test]
fn a_builder_never_exceeds_a_datagram() {
    let mut buffer = dirty(2 * MTU_BYTES);
    let mut builder = Builder::new(&mut buffer);
    assert_eq!(builder.room(), MTU_BYTES);
    assert!(!builder.put_bytes(&dirty(MTU_BYTES + 1)));
    assert!(builder.is_empty());
    assert!(builder.put_bytes(&dirty(MTU_BYTES)));
    assert_eq!((builder.len(), builder.room()), (MTU_BYTES, 0));
}

#[test]
fn what_is_not_written_cannot_be_replaced() {
    let mut buffer = dirty(16);
    let mut builder = Builder::new(&mut buffer);
    header::seal(CLUSTER, &mut builder);
    builder.patch(0, &[1, 2]);
    assert!(builder.put_bytes(&[5; 3]));
    builder.patch(2, &[1, 2]);
    builder.patch(9, &[1, 2]);
    assert_eq!(builder.bytes(), [5; 3]);
    builder.patch(1, &[1, 2]);
    assert_eq!(builder.bytes(), [5, 1, 2]);
    assert_eq!(buffer[3..], [0xa5; 13]);
}

/// One datagram with one of each: the order is kept.
#[test]
fn sections_come_out_in_the_order_that_they_went_in() {
    let mut buffer = dirty(MTU_BYTES);
    let mut builder = Builder::new(&mut buffer);
    assert!(HEADER.encode(&mut builder));
    assert!(HELLO.encode(&mut builder));
    assert!(probe::encode_number(&mut builder, kind::ACK, Token([6; 4])));
    assert!(builder.section(200, |b| b.put_bytes(&[1, 2, 3])));
    let refused = Refused { echo: Token([3; 4]), reason: Refusal::Conflict };
    assert!(refused.encode(&mut builder));
    header::seal(CLUSTER, &mut builder);
    let datagram = open(CLUSTER, builder.bytes()).unwrap();
    assert_eq!(datagram.header, HEADER);
    assert_eq!(
        datagram.sections().collect::<Vec<_>>(),
        [
            Section::Hello(HELLO),
            Section::Ack(Token([6; 4])),
            Section::Unknown(200, 3),
            Section::Refused(refused),
        ]
    );
}
