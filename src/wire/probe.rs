//! Probes: ping, ack, ping request, nack (SWIM section 3.1; nacks: Lifeguard section IV-A).
//!
//! The body of a ping, an ack and a nack is the number alone, 4 bytes; with header and section
//! that is a datagram of 23 bytes.

use super::codec::{Builder, Malformed, Token, is_v6, take_address, take_array};
use super::kind;
use crate::address::Address;

/// Asks a helper to ping a member: 11 or 23 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingReq {
    /// The number that ack and nack give back.
    pub number: Token,
    /// Whom to ping.
    pub target: Address,
}

/// The family byte before an address.
const V4: u8 = 4;
const V6: u8 = 6;

impl PingReq {
    pub(super) fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (number, rest) = take_array(body)?;
        let ([family], rest) = take_array(rest)?;
        let v6 = match family {
            V4 => false,
            V6 => true,
            _ => return Err(Malformed),
        };
        match take_address(v6, rest)? {
            (target, []) => Ok(Self { number: Token(number), target }),
            _ => Err(Malformed),
        }
    }

    /// Appends the section.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        let family = if is_v6(self.target) { V6 } else { V4 };
        builder.section(kind::PING_REQ, |b| {
            b.put_bytes(&self.number.0) && b.put_bytes(&[family]) && b.put_address(self.target)
        })
    }
}

/// Appends a ping, ack or nack.
pub fn encode_number(builder: &mut Builder<'_>, kind: u8, number: Token) -> bool {
    builder.section(kind, |b| b.put_bytes(&number.0))
}
