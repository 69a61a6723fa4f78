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

use super::codec::{Builder, Reader, is_v6};
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
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Self {
        let flags = reader.byte();
        let state = State::from_bits(flags);
        let accused = flags & flag::ACCUSER != 0;
        reader.check(flags <= flag::ALL && (!accused || may_be_accused(state)));
        reader.check(accused || flags & flag::ACCUSER_V6 == 0);
        Self {
            state,
            address: reader.address(flags & flag::V6 != 0),
            incarnation: reader.incarnation(),
            accuser: accused.then(|| reader.address(flags & flag::ACCUSER_V6 != 0)),
        }
    }

    /// Appends the rumour to a section that is open; `false`, and nothing appended, if there is no
    /// room.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        debug_assert!(self.accuser.is_none() || may_be_accused(self.state));
        let mut flags = self.state as u8;
        flags |= if is_v6(&self.address) { flag::V6 } else { 0 };
        flags |= match &self.accuser {
            None => 0,
            Some(accuser) if is_v6(accuser) => flag::ACCUSER | flag::ACCUSER_V6,
            Some(_) => flag::ACCUSER,
        };
        builder.all(|b| {
            b.put(&[flags]);
            b.put_address(&self.address);
            b.put_incarnation(self.incarnation);
            if let Some(accuser) = &self.accuser {
                b.put_address(accuser);
            }
        })
    }
}

/// A run of rumours whose encoding has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rumours<'a>(Reader<'a>);

impl<'a> Rumours<'a> {
    /// Takes the whole run, and checks it unless that was done before; in a page, that no row names
    /// an accuser.
    pub(super) fn read(reader: &mut Reader<'a>, in_page: bool, checked: bool) -> Self {
        let run = Self(*reader);
        if checked {
            reader.take_all();
        }
        while !reader.is_empty() {
            let rumour = Rumour::read(reader);
            reader.check(!in_page || rumour.accuser.is_none());
        }
        run
    }
}

impl Iterator for Rumours<'_> {
    type Item = Rumour;

    fn next(&mut self) -> Option<Rumour> {
        if self.0.is_empty() { None } else { Some(Rumour::read(&mut self.0)) }
    }
}
