//! A small HTTP/1.1 server in fixed memory: the engine under the local API.
//!
//! It reads requests (RFC 9112), asks an [`App`] for the answer, and writes it. It knows nothing
//! of members or of the agent. It never blocks, never allocates after [`Server::new`], and reads
//! no clock: the time is handed in.
//!
//! - [`server`]: the connection slots, the ready list, deadlines, and who is refused or evicted
//! - [`connection`]: one connection as a state machine over its two buffers
//! - [`request`]: from bytes to a [`Request`], and everything that makes one malformed
//! - [`reply`]: the head of an answer and its framing (sized, chunked, or until the end)
//! - [`page`], [`json`], [`template`]: writing text into one page of 4 KiB
//! - [`listener`]: where connections come from; [`bind`]: the Unix socket
//!
//! An answer is produced in pages. The application fills a page, and says with [`Next`] whether
//! that was all, whether there is more (it is asked again when the page has been written), or
//! whether it must wait for something (it is asked again after [`Server::wake`] or at a deadline).

pub mod bind;
pub mod json;
pub mod listener;
pub mod page;
pub mod reply;
pub mod request;
pub mod server;
pub mod template;

mod connection;

pub use bind::{Access, BindError, UnixSocket, bind_unix};
pub use connection::{Buffers, Cursor, Next};
pub use listener::Listener;
pub use page::Page;
pub use reply::{ContentType, Reply, StatusCode};
pub use request::{ArgumentError, Method, Request};
pub use server::{App, Server, Stats};
pub use template::{Values, fill, fill_form, none, show};

#[cfg(test)]
pub(crate) mod tests;

/// The head of a request: its line and its headers, bytes.
pub const HEAD_BYTES: usize = 4096;

/// Headers of a request.
pub const HEADERS: usize = 24;

/// The body of a request, bytes; an application may allow less.
pub const BODY_BYTES: usize = 4096;

/// One page of an answer with its framing, bytes.
pub const PAGE_BYTES: usize = 4096;

/// Connections that are served at the same time. One more is told `busy`.
pub const SERVED: usize = 16;

/// Connections among them whose answers may wait ([`Next::Wait`]).
pub const WAITING: usize = 8;

/// Connections that are only being told why they are closed, on top of those that are served.
pub const CLOSING: usize = 4;

/// How long a request may take from its first byte until its answer has been read, waiting not
/// counted; and how long a new connection may stay silent.
pub const REQUEST_TIME: midge::Duration = midge::Duration::from_secs(10);

/// How long a connection that is being closed may take to read why.
pub const CLOSING_TIME: midge::Duration = midge::Duration::from_secs(2);

/// Listeners of one server. The first is the one at home; connections to the others are guests.
pub const LISTENERS: usize = 3;

/// Guests among the connections that are served: places are left for those at home although as many
/// others as may are waiting.
pub const GUESTS: usize = 6;

/// Guests among the connections whose answers may wait.
pub const GUESTS_WAITING: usize = 4;

const SLOTS: usize = SERVED + CLOSING;
const _: () = assert!(WAITING < SERVED, "requests are answered while others wait");
const _: () = assert!(GUESTS + WAITING < SERVED, "requests from home are answered");
const _: () = assert!(GUESTS_WAITING < WAITING, "places to wait are left at home");
const _: () = assert!(SLOTS <= 32, "the ready list is a u32");
