//! A later protocol, invented for tests: what a build that speaks it adds to the datagrams of this
//! one, and takes off again.
//!
//! It is protocol 2, and has what `docs/wire.md` 1.8 lets a later protocol have:
//!
//! - a section [`EXTRA`] in every datagram with room for it, and a field behind the details: both
//!   are dispensable and go to anybody;
//! - a ping and an ack of other types, [`PING_2`] and [`ACK_2`]. Whoever does not know them does not
//!   answer, so they go out only while protocol 2 is in use.

use midge::limits::MTU_BYTES;
use midge::wire::{self, Builder, Datagram, Details, Header, Hello, Section, header, kind};

/// The highest protocol that the later build speaks.
pub(crate) const LATER: u8 = 2;

/// The section that goes along with everything.
pub(crate) const EXTRA: u8 = 31;
/// Ping and ack of protocol 2.
pub(crate) const PING_2: u8 = 13;
pub(crate) const ACK_2: u8 = 14;

const EXTRA_BODY: &[u8] = b"of a later protocol";
const FIELD: &[u8] = &[0x2a, 0x07];

/// What of protocol 2 a node has heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) extras: u64,
    pub(crate) fields: u64,
    pub(crate) pings: u64,
    pub(crate) acks: u64,
}

/// The datagram as the later build sends it, while this protocol is in use.
pub(crate) fn dress(cluster: &str, bytes: &[u8], in_use: u8) -> Vec<u8> {
    let datagram = wire::open(cluster, bytes).expect("a node sends what can be read");
    let newest = in_use >= LATER;
    let mut buffer = [0; MTU_BYTES];
    let mut builder = begin(&mut buffer, &datagram);
    let mut answers = false;
    let sections: Vec<_> = datagram.sections().zip(bodies(&datagram, bytes)).collect();
    // Challenge and refusal must not be longer than what they answer.
    for (section, _) in &sections {
        answers |= matches!(section, Section::Challenge(_) | Section::Refused(_));
    }
    for (section, (kind, body)) in sections {
        let details = |details| Details { later: FIELD, ..details };
        let fits = match section {
            Section::Ping(_) if newest => put(&mut builder, PING_2, body),
            Section::Ack(_) if newest => put(&mut builder, ACK_2, body),
            Section::Details(it) => details(it).encode(&mut builder),
            Section::Hello(it) => Hello { details: details(it.details), ..it }.encode(&mut builder),
            _ => put(&mut builder, kind, body),
        };
        if !fits {
            // Rather without what is dispensable.
            return bytes.to_vec();
        }
    }
    // Where there is no room, it goes without.
    let _ = !answers && put(&mut builder, EXTRA, EXTRA_BODY);
    end(cluster, builder)
}

/// The datagram as this build would have sent it, and a note of what was taken off. One that
/// cannot be read stays as it is.
pub(crate) fn undress(cluster: &str, bytes: &[u8], heard: &mut Heard) -> Vec<u8> {
    let Ok(datagram) = wire::open(cluster, bytes) else { return bytes.to_vec() };
    let mut buffer = [0; MTU_BYTES];
    let mut builder = begin(&mut buffer, &datagram);
    for (section, (kind, body)) in datagram.sections().zip(bodies(&datagram, bytes)) {
        let kind = match (section, kind) {
            (_, EXTRA) => {
                assert_eq!(body, EXTRA_BODY);
                heard.extras += 1;
                continue;
            }
            (_, PING_2) => {
                heard.pings += 1;
                kind::PING
            }
            (_, ACK_2) => {
                heard.acks += 1;
                kind::ACK
            }
            (Section::Details(details) | Section::Hello(Hello { details, .. }), _) => {
                // Nobody passes on what others say of themselves: it is all there, or it is of
                // one who speaks protocol 1.
                let field = if details.protocol_high >= LATER { FIELD } else { &[] };
                assert_eq!(details.later, field);
                heard.fields += u64::from(!field.is_empty());
                kind
            }
            _ => kind,
        };
        assert!(put(&mut builder, kind, body), "no section has grown");
    }
    end(cluster, builder)
}

fn begin<'a>(buffer: &'a mut [u8; MTU_BYTES], datagram: &Datagram<'_>) -> Builder<'a> {
    let mut builder = Builder::new(buffer);
    assert!(datagram.header.encode(&mut builder), "it was in a datagram");
    builder
}

fn put(builder: &mut Builder<'_>, kind: u8, body: &[u8]) -> bool {
    builder.section(kind, |b| b.put_bytes(body))
}

fn end(cluster: &str, mut builder: Builder<'_>) -> Vec<u8> {
    header::seal(cluster, &mut builder);
    builder.bytes().to_vec()
}

/// Type and body of each section of a datagram that can be read.
fn bodies<'a>(datagram: &Datagram<'_>, bytes: &'a [u8]) -> Vec<(u8, &'a [u8])> {
    let mut rest = &bytes[header_bytes(&datagram.header)..];
    let mut all = Vec::new();
    while let [kind, low, tail @ ..] = rest {
        let (length, tail) = match tail {
            [high, tail @ ..] if *low >= 0x80 => {
                (usize::from(*low & 0x7f) | usize::from(*high) << 7, tail)
            }
            tail => (usize::from(*low), tail),
        };
        let (body, tail) = tail.split_at(length);
        all.push((*kind, body));
        rest = tail;
    }
    all
}

fn header_bytes(header: &Header) -> usize {
    let mut buffer = [0; MTU_BYTES];
    let mut builder = Builder::new(&mut buffer);
    assert!(header.encode(&mut builder), "a header fits");
    builder.len()
}
