//! Datagrams as values that own what they hold, and the independent parts of the tests: a plain
//! checksum, a splitter of sections.

use midge::Address;
use midge::council::{self, Body};
use midge::limits::{BUCKETS, MTU_BYTES};
use midge::wire::{
    self, Buckets, Builder, Challenge, Datagram, Details, Header, Hello, Page, PageRequest,
    PingReq, Refused, Rumour, Section, Token, header, kind, probe,
};

/// Details that own their strings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnDetails {
    pub life: [u8; 4],
    pub id: u64,
    pub protocol: (u8, u8),
    pub period_ms: u32,
    pub name: String,
    pub tags: String,
    pub later: Vec<u8>,
}

impl OwnDetails {
    fn of(details: Details<'_>) -> Self {
        let Details { life, id, protocol_low, protocol_high, period_ms, name, tags, later } =
            details;
        let protocol = (protocol_low, protocol_high);
        let (name, tags, later) = (name.to_owned(), tags.to_owned(), later.to_owned());
        Self { life, id, protocol, period_ms, name, tags, later }
    }

    fn borrow(&self) -> Details<'_> {
        let &Self { life, id, protocol: (protocol_low, protocol_high), period_ms, .. } = self;
        let (name, tags, later) = (&self.name, &self.tags, &self.later);
        Details { life, id, protocol_low, protocol_high, period_ms, name, tags, later }
    }
}

/// Where the council's messages come from and go to, which they do not say themselves.
pub(crate) const SENDER: Address = Address::v4([10, 0, 0, 1], 6434);
pub(crate) const RECEIVER: Address = Address::v4([10, 0, 0, 2], 6434);

/// A section that owns what it holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    Ping([u8; 4]),
    Ack([u8; 4]),
    PingReq(PingReq),
    Nack([u8; 4]),
    Rumours(Vec<Rumour>),
    Details(OwnDetails),
    Hello { token: [u8; 4], echo: Option<[u8; 4]>, uptime_s: u32, details: OwnDetails },
    Challenge(Challenge),
    PageRequest(PageRequest),
    Page { buckets: u64, first: u16, next: u16, rows: Vec<Rumour> },
    Buckets(Vec<u32>),
    Refused(Refused),
    Council(Box<council::Message>),
    Unknown(u8, Vec<u8>),
}

impl Message {
    /// The type of its section.
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Ping(_) => kind::PING,
            Self::Ack(_) => kind::ACK,
            Self::PingReq(_) => kind::PING_REQ,
            Self::Nack(_) => kind::NACK,
            Self::Rumours(_) => kind::RUMOURS,
            Self::Details(_) => kind::DETAILS,
            Self::Hello { .. } => kind::HELLO,
            Self::Challenge(_) => kind::CHALLENGE,
            Self::PageRequest(_) => kind::PAGE_REQUEST,
            Self::Page { .. } => kind::PAGE,
            Self::Buckets(_) => kind::BUCKETS,
            Self::Refused(_) => kind::REFUSED,
            Self::Council(message) => match &message.body {
                Body::PreVote { .. } => kind::PRE_VOTE,
                Body::PreVoted { .. } => kind::PRE_VOTED,
                Body::Vote { .. } => kind::VOTE,
                Body::Voted { .. } => kind::VOTED,
                Body::Append(_) => kind::APPEND,
                Body::Ack(_) => kind::APPEND_ACK,
            },
            Self::Unknown(kind, _) => *kind,
        }
    }

    /// `body` is what the section was decoded from.
    fn of(section: Section<'_>, body: &[u8]) -> Self {
        match section {
            Section::Ping(Token(number)) => Self::Ping(number),
            Section::Ack(Token(number)) => Self::Ack(number),
            Section::PingReq(request) => Self::PingReq(request),
            Section::Nack(Token(number)) => Self::Nack(number),
            Section::Rumours(rumours) => Self::Rumours(rumours.collect()),
            Section::Details(details) => Self::Details(OwnDetails::of(details)),
            Section::Hello(Hello { token: Token(token), echo, uptime_s, details }) => {
                let echo = echo.map(|Token(echo)| echo);
                Self::Hello { token, echo, uptime_s, details: OwnDetails::of(details) }
            }
            Section::Challenge(challenge) => Self::Challenge(challenge),
            Section::PageRequest(request) => Self::PageRequest(request),
            Section::Page(Page { buckets, first, next, rows }) => {
                Self::Page { buckets, first, next, rows: rows.collect() }
            }
            Section::Buckets(buckets) => Self::Buckets(buckets.digests().collect()),
            Section::Refused(refused) => Self::Refused(refused),
            Section::Council(message) => {
                let message = message.decode(SENDER, RECEIVER);
                Self::Council(Box::new(message.expect("it has been checked")))
            }
            Section::Unknown(kind, _) => Self::Unknown(kind, body.to_vec()),
        }
    }

    fn encode(&self, builder: &mut Builder<'_>) -> bool {
        match self {
            Self::Ping(number) => probe::encode_number(builder, kind::PING, Token(*number)),
            Self::Ack(number) => probe::encode_number(builder, kind::ACK, Token(*number)),
            Self::PingReq(request) => request.encode(builder),
            Self::Nack(number) => probe::encode_number(builder, kind::NACK, Token(*number)),
            Self::Rumours(rumours) => {
                builder.section(kind::RUMOURS, |b| rumours.iter().all(|r| r.encode(b)))
            }
            Self::Details(details) => details.borrow().encode(builder),
            Self::Hello { token, echo, uptime_s, details } => {
                let details = details.borrow();
                let (token, echo) = (Token(*token), echo.map(Token));
                Hello { token, echo, uptime_s: *uptime_s, details }.encode(builder)
            }
            Self::Challenge(challenge) => challenge.encode(builder),
            Self::PageRequest(request) => request.encode(builder),
            Self::Page { buckets, first, next, rows } => {
                let mut complete = true;
                let page = Page::encode(builder, *buckets, *first, |b| {
                    complete = rows.iter().all(|row| row.encode(b));
                    *next
                });
                page && complete
            }
            Self::Buckets(digests) => {
                let digests: [u32; BUCKETS] = digests.as_slice().try_into().unwrap();
                Buckets::encode(builder, &digests)
            }
            Self::Refused(refused) => refused.encode(builder),
            Self::Council(message) => wire::council::encode(message, builder),
            Self::Unknown(kind, body) => builder.section(*kind, |b| b.put_bytes(body)),
        }
    }
}

/// What a datagram says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    pub header: Header,
    pub messages: Vec<Message>,
}

impl Packet {
    pub(crate) fn of(datagram: &Datagram<'_>, bytes: &[u8]) -> Self {
        let header = datagram.header;
        let sections: Vec<_> = datagram.sections().collect();
        let bodies = bodies(&bytes[header_bytes(&header)..]);
        assert_eq!(sections.len(), bodies.len(), "no section is lost");
        let messages = sections.into_iter().zip(bodies).map(|(s, body)| Message::of(s, body));
        Self { header, messages: messages.collect() }
    }

    /// The datagram, from a buffer that is not clean; `None` if it would be too long.
    pub(crate) fn encode(&self, cluster: &str) -> Option<Vec<u8>> {
        let mut buffer = [0xa5; MTU_BYTES];
        let mut builder = Builder::new(&mut buffer);
        let fits = self.header.encode(&mut builder)
            && self.messages.iter().all(|message| message.encode(&mut builder));
        if !fits {
            return None;
        }
        header::seal(cluster, &mut builder);
        let len = builder.len();
        assert!(buffer[len..].iter().all(|byte| *byte == 0xa5), "written beyond the end");
        Some(buffer[..len].to_vec())
    }
}

/// How long the header is, from the specification.
fn header_bytes(header: &Header) -> usize {
    let advertised = header.advertised.map_or(0, |a| if a.ip().is_ipv4() { 6 } else { 18 });
    let significant_bits = 32 - header.incarnation.refutation.leading_zeros() as usize;
    1 + 4 + 1 + advertised + 6 + significant_bits.div_ceil(7).max(1) + 4
}

/// The bodies of well-formed sections.
fn bodies(mut sections: &[u8]) -> Vec<&[u8]> {
    let mut bodies = Vec::new();
    while let [_, length, rest @ ..] = sections {
        let (length, rest) = match (length, rest) {
            (0..=127, rest) => (usize::from(*length), rest),
            (low, [high @ 0..=127, rest @ ..]) => {
                (usize::from(low & 127) | usize::from(*high) << 7, rest)
            }
            _ => panic!("no datagram has a section of 16,384 bytes"),
        };
        let (body, rest) = rest.split_at(length);
        bodies.push(body);
        sections = rest;
    }
    assert!(sections.is_empty());
    bodies
}

/// CRC-32C bit by bit, from RFC 3720 section 12.1.
fn crc_32c(bytes: impl IntoIterator<Item = u8>) -> u32 {
    !bytes.into_iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 }
        })
    })
}

/// Gives a datagram the tag that it should have.
pub(crate) fn retag(cluster: &str, datagram: &mut [u8]) {
    let [version, _, _, _, _, rest @ ..] = &*datagram else { panic!("no room for a tag") };
    let covered = cluster.bytes().chain([0, *version]).chain(rest.iter().copied());
    let tag = crc_32c(covered).to_le_bytes();
    datagram[1..5].copy_from_slice(&tag);
}
