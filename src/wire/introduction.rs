//! Introductions: hello, challenge, details, refusal.
//!
//! A stranger says hello with a token of its own. The challenge gives it back, which proves that
//! the challenger is where the hello was sent, and carries a token that the second hello gives
//! back, which proves the same of the stranger. Only then does the hello change a row, and is
//! answered by a hello that does the same on the other side. A challenge or a refusal is never
//! longer than what it answers.

use super::codec::{Builder, Reader, Token};
use super::{PROTOCOL, kind};
use crate::address::Address;
use crate::config::{validate_name, validate_tags};

/// What a node says about itself: 17 to 22 bytes, name and tags, later fields. It belongs to the incarnation
/// in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details<'a> {
    /// A random number that tells apart two live nodes at one address.
    pub life: [u8; 4],
    /// The node's id; 0 = none.
    pub id: u64,
    /// The lowest protocol version that it speaks.
    pub protocol_low: u8,
    /// The highest protocol version that it speaks.
    pub protocol_high: u8,
    /// Its protocol period in milliseconds.
    pub period_ms: u32,
    /// Its name.
    pub name: &'a str,
    /// Its tags, `key=value` separated by commas.
    pub tags: &'a str,
    /// Fields that a later protocol has added; empty unless `protocol_high` is beyond
    /// [`PROTOCOL`].
    pub later: &'a [u8],
}

impl<'a> Details<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Self {
        let Token(life) = reader.token();
        let id = reader.u64();
        let protocol_low = reader.byte();
        let protocol_high = reader.byte();
        let period_ms = reader.varint();
        let name = reader.text();
        let tags = reader.text();
        let later = if protocol_high > PROTOCOL { reader.take_all() } else { &[] };
        reader.check((1..=protocol_high).contains(&protocol_low));
        reader.check(validate_name(name).is_ok() && validate_tags(tags).is_ok());
        Self { life, id, protocol_low, protocol_high, period_ms, name, tags, later }
    }

    fn put(&self, b: &mut Builder<'_>) {
        debug_assert!(validate_name(self.name).is_ok() && validate_tags(self.tags).is_ok());
        b.put(&self.life);
        b.put_number(self.id, 8);
        b.put(&[self.protocol_low, self.protocol_high]);
        b.put_varint(self.period_ms);
        b.put_text(self.name);
        b.put_text(self.tags);
        b.put(self.later);
    }

    /// Appends the section.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        builder.section(kind::DETAILS, |b| {
            self.put(b);
            true
        })
    }
}

/// An introduction: 6 to 14 bytes, and the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// To be given back by a challenge.
    pub token: Token,
    /// The token of the receiver's challenge.
    pub echo: Option<Token>,
    /// How long this node has been running, in seconds.
    pub uptime_s: u32,
    /// Who it is.
    pub details: Details<'a>,
}

/// Whether the optional token follows.
const NO_ECHO: u8 = 0;
const ECHO: u8 = 1;

impl<'a> Hello<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Self {
        let token = reader.token();
        let echoes = reader.byte();
        reader.check(echoes == ECHO || echoes == NO_ECHO);
        let echo = (echoes == ECHO).then(|| reader.token());
        let uptime_s = reader.varint();
        Self { token, echo, uptime_s, details: Details::read(reader) }
    }

    /// Appends the section.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        builder.section(kind::HELLO, |b| {
            b.put(&self.token.0);
            match self.echo {
                None => b.put(&[NO_ECHO]),
                Some(Token([w, x, y, z])) => b.put(&[ECHO, w, x, y, z]),
            }
            b.put_varint(self.uptime_s);
            self.details.put(b);
            true
        })
    }
}

/// The answer to a stranger: 4, 8, 14 or 26 bytes, by what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// To be given back by a hello.
    pub token: Token,
    /// The token of the hello that is answered; none if it was no hello.
    pub echo: Option<Token>,
    /// The source address that was seen, if it is not the one that the hello advertises. Only with
    /// an echo.
    pub observed: Option<Address>,
}

const OBSERVED_V6_BYTES: usize = 18;

impl Challenge {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let token = reader.token();
        let echo = (!reader.is_empty()).then(|| reader.token());
        let v6 = reader.len() == OBSERVED_V6_BYTES;
        let observed = (!reader.is_empty()).then(|| reader.address(v6));
        Self { token, echo, observed }
    }

    /// Appends the section.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        builder.section(kind::CHALLENGE, |b| {
            b.put(&self.token.0);
            if let Some(echo) = &self.echo {
                b.put(&echo.0);
                if let Some(observed) = &self.observed {
                    b.put_address(observed);
                }
            }
            true
        })
    }
}

/// An introduction is refused: 5 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The token of the hello that is refused.
    pub echo: Token,
    /// Why.
    pub reason: Refusal,
}

/// Why a node refused an introduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// Every row is taken by a live member.
    Full = 1,
    /// No protocol version in common.
    Protocol = 2,
    /// Another live node uses the address.
    Conflict = 3,
}

impl Refused {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let echo = reader.token();
        let reason = match reader.byte() {
            1 => Refusal::Full,
            2 => Refusal::Protocol,
            3 => Refusal::Conflict,
            _ => {
                reader.check(false);
                Refusal::Full
            }
        };
        Self { echo, reason }
    }

    /// Appends the section.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        builder.section(kind::REFUSED, |b| {
            b.put(&self.echo.0);
            b.put(&[self.reason as u8]);
            true
        })
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Full => "its member table is full",
            Self::Protocol => "no protocol version in common",
            Self::Conflict => "another live node uses this address",
        })
    }
}
