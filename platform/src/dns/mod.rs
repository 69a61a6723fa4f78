//! Names to addresses: a stub resolver (RFC 1034 section 5.3.1) as a state machine without input or
//! output. Datagrams and time go in, datagrams, deadlines and results come out.
//!
//! - [`config`]: `/etc/resolv.conf`; [`hosts`]: `/etc/hosts`
//! - [`message`]: queries and answers as bytes
//! - [`resolver`]: what is asked, and whom
//!
//! Why no crate, and why all nameservers are asked at once: `docs/decisions/names.md`.

use heapless::Vec;
use midge::Address;

pub mod config;
pub mod hosts;
pub(crate) mod message;
pub mod resolver;

/// The addresses of a name: all that an answer for each type has room for. Which of them are of use
/// is not for the resolver to say.
pub type Addresses = Vec<Address, 128>;

#[cfg(test)]
mod tests;
