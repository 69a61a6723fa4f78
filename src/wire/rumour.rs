//! Rumours: what is said about a member.
//!
//! | size | what |
//! |---|---|
//! | 1 | flags: bits 0 and 1 the state, bit 2 IPv6, bit 3 an accuser follows, bit 4 it is IPv6 |
//! | 6 or 18 | the member's address |
//! | 7 to 11 | its incarnation |
//! | 0, 6 or 18 | who accuses it |
//!
//! 14 bytes for an IPv4 member that has refuted less than 128 times, 20 with its accuser.

use super::codec::{Builder, Malformed, is_v6, take_address, take_array, take_incarnation};
use crate::address::Address;
use crate::member::{Incarnation, State};

/// A statement about a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rumour {
    /// Whom it is about.
    pub address: Address,
    /// Which incarnation of it.
    pub incarnation: Incarnation,
    /// What it is said to be.
    pub state: State,
    /// Who says so; only of a suspicion or failure.
    pub accuser: Option<Address>,
}

mod flag {
    pub(super) const V6: u8 = 4;
    pub(super) const ACCUSER: u8 = 8;
    pub(super) const ACCUSER_V6: u8 = 16;
    pub(super) const ALL: u8 = 31;
}

const fn may_be_accused(state: State) -> bool {
    matches!(state, State::Suspect | State::Failed)
}

impl Rumour {
    fn take(bytes: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let ([flags], rest) = take_array(bytes)?;
        let accused = flags & flag::ACCUSER != 0;
        if flags > flag::ALL || (!accused && flags & flag::ACCUSER_V6 != 0) {
            return Err(Malformed);
        }
        let (address, rest) = take_address(flags & flag::V6 != 0, rest)?;
        let (incarnation, rest) = take_incarnation(rest)?;
        let (accuser, rest) = if accused {
            let (accuser, rest) = take_address(flags & flag::ACCUSER_V6 != 0, rest)?;
            (Some(accuser), rest)
        } else {
            (None, rest)
        };
        let state = State::from_bits(flags);
        if accused && !may_be_accused(state) {
            return Err(Malformed);
        }
        Ok((Self { address, incarnation, state, accuser }, rest))
    }

    /// Appends the rumour to a section that is open; `false`, and nothing appended, if there is no
    /// room.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        debug_assert!(self.accuser.is_none() || may_be_accused(self.state));
        let mut flags = self.state as u8;
        flags |= if is_v6(self.address) { flag::V6 } else { 0 };
        flags |= match self.accuser {
            None => 0,
            Some(accuser) if is_v6(accuser) => flag::ACCUSER | flag::ACCUSER_V6,
            Some(_) => flag::ACCUSER,
        };
        builder.all(|b| {
            b.put_bytes(&[flags])
                && b.put_address(self.address)
                && b.put_incarnation(self.incarnation)
                && self.accuser.is_none_or(|accuser| b.put_address(accuser))
        })
    }
}

/// A run of rumours whose encoding has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rumours<'a>(&'a [u8]);

impl<'a> Rumours<'a> {
    /// Checks the whole run; in a page, that no row names an accuser.
    pub(super) fn new(bytes: &'a [u8], in_page: bool) -> Result<Self, Malformed> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (rumour, tail) = Rumour::take(rest)?;
            if in_page && rumour.accuser.is_some() {
                return Err(Malformed);
            }
            rest = tail;
        }
        Ok(Self(bytes))
    }
}

impl Iterator for Rumours<'_> {
    type Item = Rumour;

    fn next(&mut self) -> Option<Rumour> {
        let (rumour, rest) = Rumour::take(self.0).ok()?;
        self.0 = rest;
        Some(rumour)
    }
}
