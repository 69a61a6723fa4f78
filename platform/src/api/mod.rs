//! The endpoints of the local API. What they take and give is specified in `docs/api.md`.
//!
//! - [`members`], [`status`], [`clock`], [`stats`]: what is known, as JSON and as text for people;
//!   metrics
//! - [`command`], [`forget`], [`settings`]: what can be done
//! - [`guest`]: what is refused to those who come over TCP
//! - [`events`]: what has happened
//! - [`address`]: addresses as people write them
//! - [`table`]: text in columns

pub mod address;
pub mod events;

pub(crate) mod clock;
mod command;
mod forget;
mod guest;
mod members;
mod settings;
mod stats;
mod status;
mod table;

use core::fmt;

use events::Events;
use midge::{Instant, Node};

use crate::http::{App, ContentType, Cursor, Method, Next, Page, Reply, Request, StatusCode};
use crate::seeds::Seeds;
use crate::text::same_word;

pub use address::{
    AddressError, DEFAULT_PORT, HOST_BYTES, HTTP_PORT, Target, parse_address, parse_target,
};
pub use clock::TrueTime;
pub(crate) use stats::Figure;
pub use stats::{Counters, Hooks as HookStats};

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
    /// What has happened.
    pub events: &'a Events,
    /// Its clock.
    pub true_time: &'a mut TrueTime<'static>,
    /// What the agent counts.
    pub counters: &'a Counters,
    /// The node has joined, if only once: who has lost sight of all others is still of use.
    pub ready: bool,
    /// The time now.
    pub now: Instant,
}

/// The listener over TCP that shows all there is to read.
pub const HTTP: usize = 1;

/// The listener over TCP for metrics and health alone.
pub const METRICS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Members,
    Status,
    Clock,
    Stats,
    Events,
    Metrics,
    Health,
    Ready,
    Join,
    Leave,
    Forget,
    Tags,
    Log,
}

const ENDPOINTS: [(&str, Endpoint); 13] = [
    ("/v1/members", Endpoint::Members),
    ("/v1/status", Endpoint::Status),
    ("/v1/clock", Endpoint::Clock),
    ("/v1/stats", Endpoint::Stats),
    ("/v1/events", Endpoint::Events),
    ("/metrics", Endpoint::Metrics),
    ("/healthz", Endpoint::Health),
    ("/readyz", Endpoint::Ready),
    ("/v1/join", Endpoint::Join),
    ("/v1/leave", Endpoint::Leave),
    ("/v1/forget", Endpoint::Forget),
    ("/v1/tags", Endpoint::Tags),
    ("/v1/log", Endpoint::Log),
];

impl Endpoint {
    /// Which one is asked for, if the listener has it.
    fn of(request: &Request<'_>) -> Option<Self> {
        let (_, endpoint) = ENDPOINTS.iter().find(|(path, _)| *path == request.path)?;
        let of_metrics = matches!(endpoint, Self::Metrics | Self::Health | Self::Ready);
        (request.listener != METRICS || of_metrics).then_some(*endpoint)
    }

    const fn method(self) -> Method {
        match self {
            Self::Members
            | Self::Status
            | Self::Clock
            | Self::Stats
            | Self::Events
            | Self::Metrics
            | Self::Health
            | Self::Ready => Method::Get,
            Self::Join | Self::Leave | Self::Forget | Self::Tags | Self::Log => Method::Post,
        }
    }
}

impl<const N: usize> App for Api<'_, N> {
    fn body_limit(&self, request: &Request<'_>) -> Option<usize> {
        let endpoint = Endpoint::of(request)?;
        if guest::refusal(request, endpoint.method(), self.node.status().own.name).is_some() {
            return None;
        }
        (endpoint.method() == request.method).then_some(0)
    }

    fn respond(&mut self, request: &Request<'_>, reply: &mut Reply<'_>) -> Next {
        let content = content_type(request);
        let endpoint = Endpoint::of(request);
        let method = endpoint.map_or(Method::Get, Endpoint::method);
        if let Some(why) = guest::refusal(request, method, self.node.status().own.name) {
            reply.error(StatusCode::Forbidden, content, &why);
            return Next::Done;
        }
        let Some(endpoint) = endpoint else {
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
            Endpoint::Events => return self.events(request, content, reply),
            Endpoint::Metrics => {
                let page = reply.begin(StatusCode::Ok, ContentType::Metrics);
                return self.metrics_page(Cursor::default(), page);
            }
            Endpoint::Status => self.status(content, reply),
            Endpoint::Clock => self.clock(content, reply),
            Endpoint::Stats => self.stats(content, reply),
            Endpoint::Join => self.join(request, content, reply),
            Endpoint::Leave => self.leave(content, reply),
            Endpoint::Forget => self.forget(request, content, reply),
            Endpoint::Tags => self.change_tags(request, content, reply),
            Endpoint::Log => self.change_log(request, content, reply),
            Endpoint::Health => reply.begin(StatusCode::Ok, ContentType::Text).push(b"ok\n"),
            Endpoint::Ready => self.readiness(content, reply),
        }
        Next::Done
    }

    fn resume(&mut self, request: &Request<'_>, cursor: Cursor, reply: &mut Reply<'_>) -> Next {
        match Endpoint::of(request) {
            Some(Endpoint::Members) => self.more_members(request, cursor, reply.page()),
            Some(Endpoint::Events) => self.more_events(cursor, reply.page()),
            _ => self.metrics_page(cursor, reply.page()),
        }
    }
}

impl<const N: usize> Api<'_, N> {
    /// Whether this node is of use to others. Once it has joined it stays so until it leaves: a
    /// fleet that falls apart must not be drained on top of it.
    fn readiness(&self, content: ContentType, reply: &mut Reply<'_>) {
        let status = self.node.status();
        let why = match (status.leaving, self.ready) {
            (false, true) => return reply.begin(StatusCode::Ok, ContentType::Text).push(b"ok\n"),
            (true, _) => "leaving",
            _ if status.seeds.is_empty() && self.seeds.has_unresolved() => {
                "not joined yet: names do not resolve"
            }
            _ => "not joined yet: no seed has answered",
        };
        reply.error(StatusCode::NotReady, content, &why);
    }
}

/// Text for people when that is what is asked for, else JSON.
fn content_type(request: &Request<'_>) -> ContentType {
    if accepts(request, b"text/plain") && !accepts(request, b"application/json") {
        ContentType::Text
    } else {
        ContentType::Json
    }
}

fn accepts(request: &Request<'_>, name: &[u8]) -> bool {
    request.header("accept").any(|value| contains_ignoring_case(value, name))
}

fn contains_ignoring_case(value: &[u8], part: &[u8]) -> bool {
    value.windows(part.len()).any(|window| same_word(window, part))
}

/// An argument that must be given. If it is not, or cannot be read, answers so.
#[inline(never)]
fn required<'s>(
    request: &Request<'_>,
    name: &str,
    space: &'s mut [u8],
    content: ContentType,
    reply: &mut Reply<'_>,
    missing: &str,
) -> Option<&'s str> {
    match request.argument(name, space) {
        Ok(Some(value)) => return Some(value),
        Ok(None) => reply.error(StatusCode::BadRequest, content, &missing),
        Err(error) => {
            let what = format_args!("{name}: {error}");
            reply.error(StatusCode::BadRequest, content, &what);
        }
    }
    None
}

/// Answers what is wrong with a value that was given: `WHAT 'VALUE': WHY`.
#[inline(never)]
fn refuse(
    reply: &mut Reply<'_>,
    content: ContentType,
    status: StatusCode,
    (what, value): (&str, &str),
    why: &dyn fmt::Display,
) {
    reply.error(status, content, &format_args!("{what} '{}': {why}", shown(value)));
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
