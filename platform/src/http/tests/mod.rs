//! The engine against real sockets, with a made-up application and made-up time: nothing here
//! waits.

mod answers;
mod guests;
pub(crate) mod harness;
mod hostile;
mod limits;
mod mutated;
mod sockets;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use midge::{Duration, Instant};
use nix::errno::Errno;

use harness::{Client, Timed, get};

use super::reply::BODY_ROOM;
use super::*;
use crate::poll::{Events, Poll, Token};

/// Rows of the long listing: as many as the agent has room for members.
const ROWS: u64 = 8192;

/// The application of the tests.
#[derive(Default)]
struct Fake {
    now: Instant,
    /// What `/wait` waits for.
    open: bool,
    /// Requests seen, in order.
    seen: Vec<String>,
}

const LIST: u8 = 1;
const WAIT: u8 = 2;
const FEED: u8 = 3;

impl App for Fake {
    fn body_limit(&self, request: &Request<'_>) -> Option<usize> {
        match request.path {
            "/echo" => Some(usize::MAX),
            "/small" => Some(10),
            "/hello" => Some(0),
            _ => None,
        }
    }

    fn respond(&mut self, request: &Request<'_>, reply: &mut Reply<'_>) -> Next {
        self.seen.push(request.path.into());
        match (request.path, request.method) {
            ("/hello", Method::Get) => {
                reply.begin(StatusCode::Ok, ContentType::Text).push(b"hello\n");
            }
            ("/full", Method::Get) => {
                let page = reply.begin(StatusCode::Ok, ContentType::Text);
                page.push(&[b'x'; BODY_ROOM]);
            }
            ("/echo" | "/small", Method::Post) => {
                let page = reply.begin(StatusCode::Ok, ContentType::Json);
                page.number(request.body.len() as u64);
                page.push(b" ");
                page.push(&request.body[..request.body.len().min(100)]);
            }
            ("/list", Method::Get) => {
                let page = reply.begin(StatusCode::Ok, ContentType::Text);
                return Self::list(0, page);
            }
            ("/wait", Method::Get) => return self.wait(reply),
            ("/feed", Method::Get) => {
                reply.begin(StatusCode::Ok, ContentType::Text).push(b"begin\n");
                return Next::Wait(cursor(FEED, 0), Instant::FAR_FUTURE);
            }
            ("/escape", Method::Get) => {
                let what = "no `\u{1b}[2J\r\nü\u{85}`";
                reply.error(StatusCode::BadRequest, ContentType::Text, &what);
            }
            ("/hello" | "/list" | "/wait", _) => {
                reply.wrong_method(ContentType::Json, "GET, HEAD");
            }
            _ => reply.error(StatusCode::NotFound, ContentType::Json, &"no such path"),
        }
        Next::Done
    }

    fn resume(&mut self, request: &Request<'_>, cursor: Cursor, reply: &mut Reply<'_>) -> Next {
        assert!(self.seen.iter().any(|path| path == request.path), "the request that was seen");
        match cursor.kind {
            LIST => Self::list(cursor.at, reply.page()),
            WAIT => self.wait(reply),
            FEED => {
                reply.page().push(b"more\n");
                if self.open { Next::Done } else { Next::Wait(cursor, Instant::FAR_FUTURE) }
            }
            _ => unreachable!("a cursor that was never given out"),
        }
    }
}

fn cursor(kind: u8, at: u64) -> Cursor {
    Cursor { kind, mask: 0, at }
}

/// How long `/wait` waits at most.
const PATIENCE: Duration = Duration::from_secs(30);

impl Fake {
    fn list(mut at: u64, page: &mut Page<'_>) -> Next {
        while at < ROWS {
            let mark = page.mark();
            page.number(at);
            page.push(b" a row of the listing, as long as that of a member is\n");
            if !page.keep(mark) {
                return Next::More(cursor(LIST, at));
            }
            at += 1;
        }
        Next::Done
    }

    fn wait(&mut self, reply: &mut Reply<'_>) -> Next {
        if self.open {
            reply.begin(StatusCode::Ok, ContentType::Text).push(b"opened\n");
            return Next::Done;
        }
        if self.now >= Instant::ZERO + PATIENCE {
            reply.begin(StatusCode::Ok, ContentType::Text).push(b"still shut\n");
            return Next::Done;
        }
        Next::Wait(cursor(WAIT, 0), Instant::ZERO + PATIENCE)
    }
}

impl Timed for Fake {
    fn set_now(&mut self, now: Instant) {
        self.now = now;
    }
}

type World = harness::World<Fake>;

impl World {
    fn new() -> Self {
        Self::with(Fake::default())
    }
}
