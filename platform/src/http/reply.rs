//! The answer to a request: its status, the page of its body, and how both are framed.

use core::fmt;

use super::PAGE_BYTES;
use super::page::Page;
use super::template::{Values, fill_form, show};

/// The statuses that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCode {
    /// 200
    Ok,
    /// 202
    Accepted,
    /// 400
    BadRequest,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 405
    Method,
    /// 408
    Timeout,
    /// 409
    Conflict,
    /// 413
    BodyTooLarge,
    /// 417
    Expectation,
    /// 431
    HeadTooLarge,
    /// 501
    NotImplemented,
    /// 503
    Busy,
    /// 503, too
    NotReady,
    /// 503, too
    NoClock,
    /// 505
    Version,
}

impl StatusCode {
    /// The number and the reason phrase.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::Accepted => "202 Accepted",
            Self::BadRequest => "400 Bad Request",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::Method => "405 Method Not Allowed",
            Self::Timeout => "408 Request Timeout",
            Self::Conflict => "409 Conflict",
            Self::BodyTooLarge => "413 Content Too Large",
            Self::Expectation => "417 Expectation Failed",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::NotImplemented => "501 Not Implemented",
            Self::Busy | Self::NotReady | Self::NoClock => "503 Service Unavailable",
            Self::Version => "505 HTTP Version Not Supported",
        }
    }

    /// The `code` of an error of this status.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ok | Self::Accepted => "ok",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Method => "method",
            Self::Conflict => "conflict",
            Self::BodyTooLarge | Self::HeadTooLarge => "too_large",
            Self::Busy => "busy",
            Self::NotReady => "not_ready",
            Self::NoClock => "no_clock",
            Self::BadRequest
            | Self::Timeout
            | Self::Expectation
            | Self::NotImplemented
            | Self::Version => "bad_request",
        }
    }
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// `application/json`
    Json,
    /// `text/plain` in UTF-8
    Text,
    /// `application/x-ndjson`: one JSON object a line
    JsonLines,
    /// `text/event-stream`
    Events,
    /// The text format of Prometheus
    Metrics,
}

impl ContentType {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
            Self::JsonLines => "application/x-ndjson",
            Self::Events => "text/event-stream",
            Self::Metrics => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// What the head of an answer says.
#[derive(Clone, Copy, Debug)]
struct Start {
    status: StatusCode,
    content: ContentType,
    allow: Option<&'static str>,
}

/// An answer, or the next page of one.
#[derive(Debug)]
pub struct Reply<'a> {
    page: Page<'a>,
    start: Option<Start>,
    may_wait: bool,
}

impl<'a> Reply<'a> {
    /// Begins the answer; then its body goes to the page that is returned, and the rest of it to
    /// [`page`](Self::page) of later replies. Said once for each answer.
    pub fn begin(&mut self, status: StatusCode, content: ContentType) -> &mut Page<'a> {
        self.start = Some(Start { status, content, allow: None });
        &mut self.page
    }

    /// The page to fill. It has room for [`BODY_ROOM`] bytes.
    pub fn page(&mut self) -> &mut Page<'a> {
        &mut self.page
    }

    /// Answers with an error: one line in plain text, or else `{"error": ..., "code": ...}`.
    pub fn error(&mut self, status: StatusCode, content: ContentType, what: &dyn fmt::Display) {
        let write = |page: &mut Page<'_>, _, in_json| show(page, in_json, what);
        let values = Values { texts: &[status.code()], write: &write, ..Values::NONE };
        let content = if content == ContentType::Text { content } else { ContentType::Json };
        self.answer(status, content, "!a\n|{\"error\":!a,\"code\":$a}\n", &values);
    }

    /// Answers with one of two templates, see [`fill_form`].
    #[inline(never)]
    pub fn answer(
        &mut self,
        status: StatusCode,
        content: ContentType,
        templates: &str,
        values: &Values<'_>,
    ) {
        let in_json = content != ContentType::Text;
        fill_form(self.begin(status, content), in_json, templates, values);
    }

    /// Answers 405 and says which methods there are.
    pub fn wrong_method(&mut self, content: ContentType, allow: &'static str) {
        self.error(StatusCode::Method, content, &format_args!("use {allow} here"));
        if let Some(start) = &mut self.start {
            start.allow = Some(allow);
        }
    }

    /// Whether the answer may wait for something: fewer than
    /// [`WAITING`](super::WAITING) others do. Asked before an action whose answer would wait.
    pub fn may_wait(&self) -> bool {
        self.may_wait
    }
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// By its length: the whole body is in one page.
    Sized,
    /// By the last chunk (RFC 9112 section 7.1).
    Chunked,
    /// By the end of the connection (HTTP/1.0).
    UntilClose,
}

/// What the client can take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// HTTP/1.0.
    pub(super) old: bool,
    /// Only the head of the answer is wanted.
    pub(super) head_only: bool,
    /// The connection ends after this answer.
    pub(super) close: bool,
}

/// Room for the head of an answer and the line of a chunk, in front of the body.
const BEFORE: usize = 256;
/// Room behind the body for the end of a chunk and the last chunk.
const BEHIND: usize = 7;
/// The room for a body in one page, bytes.
pub const BODY_ROOM: usize = PAGE_BYTES - BEFORE - BEHIND;

/// A reply that has been written: what it says, and how much.
#[derive(Debug)]
pub(super) struct Written {
    start: Option<Start>,
    len: usize,
    overfull: bool,
}

impl Written {
    /// Whether the answer has been begun in this reply.
    pub(super) fn begins(&self) -> bool {
        self.start.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn is_overfull(&self) -> bool {
        self.overfull
    }
}

/// Lets `write` fill a reply in the output buffer. What it returns is passed on.
pub(super) fn compose<T>(
    output: &mut [u8; PAGE_BYTES],
    may_wait: bool,
    write: impl FnOnce(&mut Reply<'_>) -> T,
) -> (Written, T) {
    let page = Page::new(&mut output[BEFORE..PAGE_BYTES - BEHIND]);
    let mut reply = Reply { page, start: None, may_wait };
    let result = write(&mut reply);
    let Reply { page, start, .. } = reply;
    (Written { start, len: page.len(), overfull: page.is_overfull() }, result)
}

/// Puts the head and the framing around a written page. Returns the bytes of `output` to send.
/// `last` says that nothing of this answer follows.
pub(super) fn frame(
    output: &mut [u8; PAGE_BYTES],
    written: &Written,
    framing: Framing,
    client: Client,
    last: bool,
) -> (usize, usize) {
    let mut space = [0; BEFORE];
    let mut before = Page::new(&mut space);
    if let Some(start) = &written.start {
        head(&mut before, start, framing, client, written.len);
    }
    let mut end = BEFORE;
    if !client.head_only {
        end += written.len;
        if framing == Framing::Chunked {
            if written.len > 0 {
                before.hex(written.len as u64, 3);
                before.push(b"\r\n");
            }
            let behind: &[u8] = match (written.len > 0, last) {
                (true, true) => b"\r\n0\r\n\r\n",
                (true, false) => b"\r\n",
                (false, true) => b"0\r\n\r\n",
                (false, false) => b"",
            };
            output[end..end + behind.len()].copy_from_slice(behind);
            end += behind.len();
        }
    }
    assert!(!before.is_overfull(), "the longest head fits");
    let begin = BEFORE - before.len();
    output[begin..BEFORE].copy_from_slice(before.written());
    (begin, end)
}

fn head(page: &mut Page<'_>, start: &Start, framing: Framing, client: Client, len: usize) {
    page.push(b"HTTP/1.1 ");
    page.push(start.status.line().as_bytes());
    page.push(b"\r\nContent-Type: ");
    page.push(start.content.name().as_bytes());
    match framing {
        Framing::Sized => {
            page.push(b"\r\nContent-Length: ");
            page.number(len as u64);
        }
        Framing::Chunked => page.push(b"\r\nTransfer-Encoding: chunked"),
        Framing::UntilClose => {}
    }
    if let Some(allow) = start.allow {
        page.push(b"\r\nAllow: ");
        page.push(allow.as_bytes());
    }
    if start.status == StatusCode::Busy {
        page.push(b"\r\nRetry-After: 1");
    }
    if client.close {
        page.push(b"\r\nConnection: close");
    } else if client.old {
        page.push(b"\r\nConnection: keep-alive");
    }
    // Texts in it may be others' choice: no browser is to guess that they are more than text.
    page.push(b"\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n");
}
