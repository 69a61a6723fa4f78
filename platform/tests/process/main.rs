//! The built program as processes on loopback: clusters that form, break and heal, and what a
//! person sees of them.
//!
//! `MIDGE_BIN` names the binary; without it, the one that cargo has built.

mod bad_input;
mod clock;
mod command_line;
mod commands;
mod decode;
mod failure;
mod form;
mod harness;
mod hooks;
mod hostile;
mod hostile_http;
mod join_cmd;
mod leave;
mod names;
mod nameserver;
mod seeds;
mod service;
mod socket_access;
mod state_dir;
mod steady;
mod tcp;
mod unread;
mod upgrade;

#[allow(dead_code, unreachable_pub, reason = "other tests use other parts of it")]
#[path = "../clockbound/writer.rs"]
mod writer;
