//! The state machine.

use crate::address::Address;
use crate::config::{Config, ConfigError};
use crate::event::Event;
use crate::limits::MTU_BYTES;
use crate::member::{ForgetError, JoinError, Member, Stats, Status};
use crate::node::Transmit;
use crate::reject::Reject;
use crate::time::Instant;

/// SWIM.
#[derive(Debug)]
pub struct Swim<const N: usize> {}
#[allow(unused, missing_docs, clippy::all)]
impl<const N: usize> Swim<N> {
    pub const EMPTY: Self = Self {};
    pub fn init(
        &mut self,
        config: &Config<'_>,
        entropy: [u8; 32],
        seed: u64,
        now: Instant,
    ) -> Result<(), ConfigError> {
        Ok(())
    }
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: Address,
        bytes: &[u8],
    ) -> Result<(), Reject> {
        Ok(())
    }
    pub fn handle_timeout(&mut self, now: Instant) {}
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        buffer: &mut [u8; MTU_BYTES],
    ) -> Option<Transmit> {
        None
    }
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    pub fn join(&mut self, now: Instant, seed: Address) -> Result<(), JoinError> {
        Ok(())
    }
    pub fn leave(&mut self, now: Instant) {}
    pub fn has_left(&self) -> bool {
        false
    }
    pub fn forget(&mut self, now: Instant, address: Address) -> Result<(), ForgetError> {
        Ok(())
    }
    pub fn set_tags(&mut self, now: Instant, tags: &str) -> Result<(), ConfigError> {
        Ok(())
    }
    pub fn members(&self, first: usize) -> impl Iterator<Item = (usize, Member<'_>)> {
        core::iter::empty()
    }
    pub fn member(&self, address: Address) -> Option<Member<'_>> {
        None
    }
    pub fn status(&self) -> Status<'_> {
        unreachable!()
    }
    pub fn stats(&self) -> Stats {
        Stats::ZERO
    }
}
