//! Who is alive: SWIM (Das, Gupta, Motivala, DSN 2002) with the Lifeguard extensions (Dadgar,
//! Phillips, Currey, DSN-W 2018).
//!
//! - [`incarnation`]: what a rumour may change, as one pure function
//! - [`table`]: the member rows, the index over them, and the digest
//! - [`swim`]: the state machine [`Swim`] that composes the rest

pub mod incarnation;
pub mod swim;
pub mod view;

pub use incarnation::{Incarnation, State};
pub use swim::Swim;
pub use view::{ForgetError, JoinError, Member, Stats, Status};
