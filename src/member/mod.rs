//! Who is alive: SWIM (Das, Gupta, Motivala, DSN 2002) with the Lifeguard extensions (Dadgar,
//! Phillips, Currey, DSN-W 2018).
//!
//! Pure rules and structures:
//! - [`incarnation`]: which statement about a member holds
//! - `suspicion`: how long a suspicion lasts, how often news is sent
//! - `row`, `table`, `order`, `heap`, `news`, `list`: the member rows and what is kept over them
//!
//! The state machine [`Swim`], by what happens:
//! - `swim`: its state, start, and requests of the application
//! - `receive`: a datagram comes in
//! - `introduce`: a stranger; joining and knocking
//! - `hear`: a statement about a member, and what it changes; refutation
//! - `probe`, `relay`: the probe cycle, and probes for others
//! - `reconcile`: two tables that differ
//! - `tick`: time passes
//! - `transmit`: a datagram goes out
//! - `notify`: events

mod heap;
mod hear;
pub mod incarnation;
mod introduce;
mod list;
mod news;
mod notify;
mod order;
mod probe;
mod receive;
mod reconcile;
mod relay;
mod row;
mod suspicion;
mod swim;
mod table;
#[cfg(test)]
mod tests;
mod tick;
mod timers;
mod transmit;
pub mod view;

pub use incarnation::{Incarnation, State};
pub use swim::Swim;
pub use view::{ForgetError, JoinError, Member, Stats, Status};
