//! The state machine, node against node in a world that loses nothing, and one node alone against
//! datagrams made by hand.

mod cluster;
mod doubles;
mod events;
mod forged;
mod joining;
mod lone;
mod probing;
mod random;
mod requests;
mod upgrade;
mod world;
