//! Probes: ping, ack, ping request, nack (SWIM section 3.1; nacks: Lifeguard section IV-A).
//!
//! The body of a ping, an ack and a nack is the number alone, 4 bytes; with header and section
//! that is a datagram of 23 bytes.

use super::codec::{Builder, Reader, Token};
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

impl PingReq {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self { number: reader.token(), target: reader.address_of_family() }
    }

    /// Appends the section.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        builder.section(kind::PING_REQ, |b| {
            b.put(&self.number.0);
            b.put_address_of_family(&self.target);
            true
        })
    }
}

/// Appends a ping, ack or nack.
pub fn encode_number(builder: &mut Builder<'_>, kind: u8, number: Token) -> bool {
    builder.section(kind, |b| {
        b.put(&number.0);
        true
    })
}
