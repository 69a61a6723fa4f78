//! The endpoints of the local API. What they take and give is specified in `docs/api.md`.
//!
//! - [`members`], [`status`]: what is known, as JSON and as text for people
//! - [`command`]: join and leave
//! - [`events`]: what has happened
//! - [`address`]: addresses as people write them
//! - [`table`]: text in columns

pub mod address;
pub mod events;

mod command;
mod members;
mod status;
mod table;

use core::fmt;

use midge::{Instant, Node};

use crate::http::{App, ContentType, Cursor, Method, Next, Page, Reply, Request, StatusCode};
use crate::seeds::Seeds;
use crate::text::same_word;

pub use address::{AddressError, DEFAULT_PORT, HOST_BYTES, Target, parse_address, parse_target};

#[cfg(test)]
mod tests;

/// What the API says about the agent itself.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The version of the program.
    pub version: &'static str,
    /// When it started.
    pub started: Instant,
}

/// The endpoints over one node, made anew for every run of the server.
#[derive(Debug)]
pub struct Api<'a, const N: usize> {
    /// The node that is asked.
    pub node: &'a mut Node<N>,
    /// Where it looks for others.
    pub seeds: &'a mut Seeds,
    /// The agent around it.
    pub about: &'a About,
    /// The time now.
    pub now: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Members,
    Status,
    Join,
    Leave,
    Health,
}

impl Endpoint {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/members" => Self::Members,
            "/v1/status" => Self::Status,
            "/v1/join" => Self::Join,
            "/v1/leave" => Self::Leave,
            "/healthz" => Self::Health,
            _ => return None,
        })
    }

    const fn method(self) -> Method {
        match self {
            Self::Members | Self::Status | Self::Health => Method::Get,
            Self::Join | Self::Leave => Method::Post,
        }
    }
}

impl<const N: usize> App for Api<'_, N> {
    fn body_limit(&self, request: &Request<'_>) -> Option<usize> {
        let endpoint = Endpoint::of(request.path)?;
        (endpoint.method() == request.method).then_some(0)
    }

    fn respond(&mut self, request: &Request<'_>, reply: &mut Reply<'_>) -> Next {
        let content = content_type(request);
        let Some(endpoint) = Endpoint::of(request.path) else {
            let what = "no such path; see docs/api.md, or midge --help for the commands";
            reply.error(StatusCode::NotFound, content, &what);
            return Next::Done;
        };
        if endpoint.method() != request.method {
            let allow = if endpoint.method() == Method::Get { "GET, HEAD" } else { "POST" };
            reply.wrong_method(content, allow);
            return Next::Done;
        }
        match endpoint {
            Endpoint::Members => return self.members(request, content, reply),
            Endpoint::Status => self.status(content, reply),
            Endpoint::Join => self.join(request, content, reply),
            Endpoint::Leave => self.leave(content, reply),
            Endpoint::Health => reply.begin(StatusCode::Ok, ContentType::Text).push(b"ok\n"),
        }
        Next::Done
    }

    fn resume(&mut self, cursor: Cursor, reply: &mut Reply<'_>) -> Next {
        self.members_page(cursor, reply.page())
    }
}

/// Text for people when that is what is asked for, else JSON.
fn content_type(request: &Request<'_>) -> ContentType {
    let accepts =
        |name: &[u8]| request.header("accept").any(|value| contains_ignoring_case(value, name));
    if accepts(b"text/plain") && !accepts(b"application/json") {
        ContentType::Text
    } else {
        ContentType::Json
    }
}

fn contains_ignoring_case(value: &[u8], part: &[u8]) -> bool {
    value.windows(part.len()).any(|window| same_word(window, part))
}

/// Writes a formatted value.
fn put(page: &mut Page<'_>, value: &dyn fmt::Display) {
    // The page cannot fail, nor do the values of midge.
    let _ = fmt::write(page, format_args!("{value}"));
}

/// A value from a request as an error shows it: its beginning.
fn shown(value: &str) -> &str {
    match value.char_indices().nth(64) {
        Some((end, _)) => &value[..end],
        None => value,
    }
}
