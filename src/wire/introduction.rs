//! Introductions: hello, challenge, details, refusal.
//!
//! A stranger says hello with a token of its own. The challenge gives it back, which proves that
//! the challenger is where the hello was sent, and carries a token that the second hello gives
//! back, which proves the same of the stranger. Only then does the hello change a row, and is
//! answered by a hello that does the same on the other side. A challenge or a refusal is never
//! longer than what it answers.

use super::codec::{
    Builder, Malformed, Token, take_address, take_array, take_text, take_varint, whole_array,
};
use super::kind;
use crate::address::Address;
use crate::config::{validate_name, validate_tags};

/// What a node says about itself: 17 to 22 bytes, and name and tags. It belongs to the incarnation
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
}

impl<'a> Details<'a> {
    /// Details and nothing behind them.
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        let (life, rest) = take_array(body)?;
        let (id, rest) = take_array(rest)?;
        let ([protocol_low, protocol_high], rest) = take_array(rest)?;
        let (period_ms, rest) = take_varint(rest)?;
        let (name, rest) = take_text(rest)?;
        let (tags, rest) = take_text(rest)?;
        let ordered = (1..=protocol_high).contains(&protocol_low);
        let valid = ordered && validate_name(name).is_ok() && validate_tags(tags).is_ok();
        if !valid || !rest.is_empty() {
            return Err(Malformed);
        }
        let id = u64::from_le_bytes(id);
        Ok(Self { life, id, protocol_low, protocol_high, period_ms, name, tags })
    }

    fn put(&self, builder: &mut Builder<'_>) -> bool {
        debug_assert!(validate_name(self.name).is_ok() && validate_tags(self.tags).is_ok());
        builder.all(|b| {
            b.put_bytes(&self.life)
                && b.put_bytes(&self.id.to_le_bytes())
                && b.put_bytes(&[self.protocol_low, self.protocol_high])
                && b.put_varint(self.period_ms)
                && b.put_text(self.name)
                && b.put_text(self.tags)
        })
    }

    /// Appends the section.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        builder.section(kind::DETAILS, |b| self.put(b))
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
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        let (token, rest) = take_array(body)?;
        let ([echoes], rest) = take_array(rest)?;
        let (echo, rest) = match echoes {
            NO_ECHO => (None, rest),
            ECHO => take_array(rest).map(|(echo, rest)| (Some(Token(echo)), rest))?,
            _ => return Err(Malformed),
        };
        let (uptime_s, rest) = take_varint(rest)?;
        Ok(Self { token: Token(token), echo, uptime_s, details: Details::decode(rest)? })
    }

    /// Appends the section.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        builder.section(kind::HELLO, |b| {
            b.put_bytes(&self.token.0)
                && match self.echo {
                    None => b.put_bytes(&[NO_ECHO]),
                    Some(echo) => b.put_bytes(&[ECHO]) && b.put_bytes(&echo.0),
                }
                && b.put_varint(self.uptime_s)
                && self.details.put(b)
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

const OBSERVED_V4_BYTES: usize = 6;
const OBSERVED_V6_BYTES: usize = 18;

impl Challenge {
    pub(super) fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (token, rest) = take_array(body)?;
        let token = Token(token);
        if rest.is_empty() {
            return Ok(Self { token, echo: None, observed: None });
        }
        let (echo, rest) = take_array(rest)?;
        let observed = match rest.len() {
            0 => None,
            OBSERVED_V4_BYTES => Some(take_address(false, rest)?.0),
            OBSERVED_V6_BYTES => Some(take_address(true, rest)?.0),
            _ => return Err(Malformed),
        };
        Ok(Self { token, echo: Some(Token(echo)), observed })
    }

    /// Appends the section.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        builder.section(kind::CHALLENGE, |b| {
            b.put_bytes(&self.token.0)
                && self.echo.is_none_or(|echo| {
                    b.put_bytes(&echo.0)
                        && self.observed.is_none_or(|observed| b.put_address(observed))
                })
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
    pub(super) fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let [a, b, c, d, reason] = whole_array(body)?;
        let reason = match reason {
            1 => Refusal::Full,
            2 => Refusal::Protocol,
            3 => Refusal::Conflict,
            _ => return Err(Malformed),
        };
        Ok(Self { echo: Token([a, b, c, d]), reason })
    }

    /// Appends the section.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        builder.section(kind::REFUSED, |b| {
            b.put_bytes(&self.echo.0) && b.put_bytes(&[self.reason as u8])
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
