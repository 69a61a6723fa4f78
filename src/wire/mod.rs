//! What travels: the bytes of a datagram, both ways. `docs/wire.md` is the specification.
//!
//! A datagram is a [`header`] and then sections: a type byte, a length, a body in postcard. This
//! module only says what the bytes mean; it holds no state and knows no time. Everything that it
//! decodes may come from an attacker: [`open`] checks a datagram whole, down to the last rumour,
//! before anything acts on it, and accepts only the one encoding that it would produce itself.

pub mod codec;
pub mod council;
mod crc_32c;
pub mod header;
pub mod introduction;
pub mod probe;
pub mod reconcile;
pub mod rumour;
#[cfg(test)]
mod tests;

pub use codec::{Builder, Flaw, Token};
pub use council::CouncilSection;
pub use crc_32c::crc_32c;
pub(crate) use header::Cluster;
pub use header::Header;
pub use introduction::{Challenge, Details, Hello, Refusal, Refused};
pub use probe::PingReq;
pub use reconcile::{Buckets, Page, PageRequest};
pub use rumour::{Rumour, Rumours};

use crate::limits::MTU_BYTES;
use crate::reject::Reject;
use codec::Reader;

/// The version of the datagram format: how header and sections are told apart.
pub const VERSION: u8 = 1;

/// The protocol that this code speaks: which sections and fields it knows. Nodes tell each other
/// the lowest and the highest that they speak.
pub const PROTOCOL: u8 = 1;

/// Section types.
pub mod kind {
    /// A probe.
    pub const PING: u8 = 1;
    /// The answer to a probe.
    pub const ACK: u8 = 2;
    /// Asks a helper to probe.
    pub const PING_REQ: u8 = 3;
    /// A helper's answer that its probe got none.
    pub const NACK: u8 = 4;
    /// What is said about members.
    pub const RUMOURS: u8 = 5;
    /// What the sender is called.
    pub const DETAILS: u8 = 6;
    /// An introduction.
    pub const HELLO: u8 = 7;
    /// Asks for an introduction that echoes a token.
    pub const CHALLENGE: u8 = 8;
    /// Asks for rows of some buckets.
    pub const PAGE_REQUEST: u8 = 9;
    /// Rows of some buckets.
    pub const PAGE: u8 = 10;
    /// The digests of all buckets.
    pub const BUCKETS: u8 = 11;
    /// An introduction is refused.
    pub const REFUSED: u8 = 12;
    /// Council: asks whether it would be voted for.
    pub const PRE_VOTE: u8 = 32;
    /// Council: the answer.
    pub const PRE_VOTED: u8 = 33;
    /// Council: asks for a vote.
    pub const VOTE: u8 = 34;
    /// Council: the answer.
    pub const VOTED: u8 = 35;
    /// Council: a leader's heartbeat.
    pub const APPEND: u8 = 36;
    /// Council: the answer.
    pub const APPEND_ACK: u8 = 37;
}

/// One section, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section<'a> {
    /// [`kind::PING`]: its number.
    Ping(Token),
    /// [`kind::ACK`]: the number that is answered.
    Ack(Token),
    /// [`kind::PING_REQ`].
    PingReq(PingReq),
    /// [`kind::NACK`]: the number of the request.
    Nack(Token),
    /// [`kind::RUMOURS`].
    Rumours(Rumours<'a>),
    /// [`kind::DETAILS`].
    Details(Details<'a>),
    /// [`kind::HELLO`].
    Hello(Hello<'a>),
    /// [`kind::CHALLENGE`].
    Challenge(Challenge),
    /// [`kind::PAGE_REQUEST`].
    PageRequest(PageRequest),
    /// [`kind::PAGE`].
    Page(Page<'a>),
    /// [`kind::BUCKETS`].
    Buckets(Buckets<'a>),
    /// [`kind::REFUSED`].
    Refused(Refused),
    /// [`kind::PRE_VOTE`] to [`kind::APPEND_ACK`].
    Council(CouncilSection<'a>),
    /// A type that this version does not know, and how many bytes its body has.
    Unknown(u8, usize),
}

impl Section<'_> {
    /// Its type, one of [`kind`] or an unknown one.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Ping(_) => kind::PING,
            Self::Ack(_) => kind::ACK,
            Self::PingReq(_) => kind::PING_REQ,
            Self::Nack(_) => kind::NACK,
            Self::Rumours(_) => kind::RUMOURS,
            Self::Details(_) => kind::DETAILS,
            Self::Hello(_) => kind::HELLO,
            Self::Challenge(_) => kind::CHALLENGE,
            Self::PageRequest(_) => kind::PAGE_REQUEST,
            Self::Page(_) => kind::PAGE,
            Self::Buckets(_) => kind::BUCKETS,
            Self::Refused(_) => kind::REFUSED,
            Self::Council(section) => section.kind(),
            Self::Unknown(kind, _) => *kind,
        }
    }
}

impl<'a> Section<'a> {
    /// Takes type, length and body. In one that has been checked before, runs of rumours, which are
    /// nearly all of what travels, are not looked into again.
    fn read(reader: &mut Reader<'a>, checked: bool) -> Self {
        let kind = reader.byte();
        let mut body = Reader::new(reader.counted());
        let b = &mut body;
        let section = match kind {
            kind::PING => Self::Ping(b.token()),
            kind::ACK => Self::Ack(b.token()),
            kind::PING_REQ => Self::PingReq(PingReq::read(b)),
            kind::NACK => Self::Nack(b.token()),
            kind::RUMOURS => Self::Rumours(Rumours::read(b, false, checked)),
            kind::DETAILS => Self::Details(Details::read(b)),
            kind::HELLO => Self::Hello(Hello::read(b)),
            kind::CHALLENGE => Self::Challenge(Challenge::read(b)),
            kind::PAGE_REQUEST => Self::PageRequest(PageRequest::read(b)),
            kind::PAGE => Self::Page(Page::read(b, checked)),
            kind::BUCKETS => Self::Buckets(Buckets::read(b)),
            kind::REFUSED => Self::Refused(Refused::read(b)),
            kind::PRE_VOTE..=kind::APPEND_ACK => Self::Council(CouncilSection::read(kind, b)),
            unknown => Self::Unknown(unknown, b.take_all().len()),
        };
        // Nothing may stand behind what is known.
        reader.expect_whole(body);
        section
    }
}

/// The sections of a datagram, in order.
#[derive(Clone, Copy, Debug)]
pub struct Sections<'a>(Reader<'a>);

impl<'a> Iterator for Sections<'a> {
    type Item = Section<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() { None } else { Some(Section::read(&mut self.0, true)) }
    }
}

/// A type of section as a bit; those from 64 on have none.
const fn bit_of(kind: u8) -> u64 {
    if kind < 64 { 1 << kind } else { 0 }
}

/// A datagram whose tag and sections have been checked.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub header: Header,
    sections: Sections<'a>,
    /// Which types below 64 there are, as bits.
    kinds: u64,
}

impl<'a> Datagram<'a> {
    /// Whether there is a section of this type below 64.
    pub(crate) const fn has(&self, kind: u8) -> bool {
        self.kinds & bit_of(kind) != 0
    }

    /// Its sections, in order.
    pub fn sections(&self) -> Sections<'a> {
        self.sections
    }
}

/// Checks a datagram of this cluster whole.
///
/// # Errors
/// [`Reject::Short`], [`Reject::Long`], [`Reject::Version`], [`Reject::Tag`] or
/// [`Reject::Malformed`].
pub fn open<'a>(cluster: &str, bytes: &'a [u8]) -> Result<Datagram<'a>, Reject> {
    open_in(Cluster::of(cluster), bytes)
}

/// The same for a cluster whose name has been looked at.
pub(crate) fn open_in(cluster: Cluster, bytes: &[u8]) -> Result<Datagram<'_>, Reject> {
    if bytes.len() < header::BYTES_MIN {
        return Err(Reject::Short);
    }
    if bytes.len() > MTU_BYTES {
        return Err(Reject::Long);
    }
    header::check(cluster, bytes)?;
    read_sections(bytes).map_err(|_| Reject::Malformed)
}

/// Where and why a datagram does not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// How many of its bytes could be read.
    pub offset: usize,
    /// The type of the section that it is in; `None` in the header.
    pub section: Option<u8>,
    /// What is wrong there.
    pub flaw: Flaw,
}

/// Reads a datagram of any cluster: its version and its tag are not looked at. For tools; what
/// others send is for [`open`].
///
/// # Errors
/// Where and why it is [`Malformed`].
pub fn read(bytes: &[u8]) -> Result<Datagram<'_>, Malformed> {
    let datagram = read_sections(bytes)?;
    let mut sections = datagram.sections();
    while let Some(section) = sections.next() {
        if let Section::Council(message) = section
            && let Some((left, flaw)) = message.failure()
        {
            let offset = bytes.len() - sections.0.len() - left;
            return Err(Malformed { offset, section: Some(message.kind()), flaw });
        }
    }
    Ok(datagram)
}

/// The same without a look into the messages of the council.
fn read_sections(bytes: &[u8]) -> Result<Datagram<'_>, Malformed> {
    let mut reader = Reader::new(bytes.get(header::FRONT_BYTES..).unwrap_or_default());
    let header = Header::read(&mut reader);
    let sections = Sections(reader);
    // At most one section of each type: what one datagram can ask for is bounded.
    let mut kinds = 0_u64;
    let mut section = None;
    while let Some(kind) = reader.peek() {
        section = Some(kind);
        if kinds & bit_of(kind) != 0 {
            reader.fail(Flaw::Twice);
        }
        kinds |= bit_of(kind);
        Section::read(&mut reader, false);
    }
    match reader.failure() {
        None => Ok(Datagram { header, sections, kinds }),
        Some((left, flaw)) => Err(Malformed { offset: bytes.len() - left, section, flaw }),
    }
}
