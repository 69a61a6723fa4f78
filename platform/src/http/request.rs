//! From bytes to a request (RFC 9112), strictly: whatever two parsers could read differently is
//! refused, because that is how requests are smuggled.

use core::fmt;

use httparse::Header;

use super::reply::StatusCode;
use super::{HEAD_BYTES, HEADERS};
use crate::text::{cut, parse_number, parts};

/// What is asked for. `HEAD` is a `GET` whose answer the engine cuts after the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Act.
    Post,
    /// A method that nothing here answers.
    Other,
}

/// A request, borrowed from the connection's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The path, from its first `/` to before the `?`, as it was sent.
    pub path: &'a str,
    /// What follows the `?`, as it was sent.
    pub query: &'a str,
    /// The body; empty when there is none.
    pub body: &'a [u8],
    headers: &'a [Header<'a>],
}

/// What is wrong with an argument in the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentError {
    /// It is given twice.
    Repeated,
    /// It is longer than any valid value.
    Long,
    /// A `%` that is not followed by two hexadecimal digits, or bytes that are not UTF-8.
    Encoding,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repeated => "given more than once",
            Self::Long => "too long",
            Self::Encoding => "not percent-encoded UTF-8",
        })
    }
}

impl core::error::Error for ArgumentError {}

impl<'a> Request<'a> {
    /// The values of all headers of this name (in any case).
    pub fn header(&self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        values(self.headers, name)
    }

    /// The argument of this name in the query, decoded into `space`: `None` if it is not given.
    /// `%XX` is decoded; `+` is a plus (RFC 3986, not HTML forms).
    ///
    /// # Errors
    /// An [`ArgumentError`].
    pub fn argument<'s>(
        &self,
        name: &str,
        space: &'s mut [u8],
    ) -> Result<Option<&'s str>, ArgumentError> {
        let mut given = None;
        for pair in parts(self.query, b'&') {
            let (key, value) = cut(pair, b'=').unwrap_or((pair, ""));
            if key == name && given.replace(value).is_some() {
                return Err(ArgumentError::Repeated);
            }
        }
        let Some(value) = given else { return Ok(None) };
        let len = decode(value.as_bytes(), space)?;
        core::str::from_utf8(&space[..len]).map(Some).map_err(|_| ArgumentError::Encoding)
    }
}

fn decode(value: &[u8], space: &mut [u8]) -> Result<usize, ArgumentError> {
    let mut len = 0;
    let mut rest = value.iter();
    while let Some(&byte) = rest.next() {
        let decoded = match byte {
            b'%' => match (hex(rest.next()), hex(rest.next())) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(ArgumentError::Encoding),
            },
            _ => byte,
        };
        *space.get_mut(len).ok_or(ArgumentError::Long)? = decoded;
        len += 1;
    }
    Ok(len)
}

fn hex(digit: Option<&u8>) -> Option<u8> {
    (*digit? as char).to_digit(16).map(|value| value as u8)
}

/// Where the search for the end of a head has come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    at: usize,
    line: usize,
    begun: bool,
}

/// What a [`Scan`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No end yet.
    Nothing,
    /// The head ends before this byte.
    End(usize),
    /// Not a head: the answer to give.
    Wrong(Wrong),
}

/// A status and a sentence.
pub(super) type Wrong = (StatusCode, &'static str);

impl Scan {
    pub(super) const START: Self = Self { at: 0, line: 0, begun: false };

    /// Goes on over `bytes`, the input from the beginning of the request. Empty lines before a
    /// request are part of its head (RFC 9112 section 2.2). A line feed alone ends no line here,
    /// although it may elsewhere; so it is refused.
    pub(super) fn go_on(&mut self, bytes: &[u8]) -> Found {
        let head = &bytes[..bytes.len().min(HEAD_BYTES)];
        while let Some(step) = head[self.at..].iter().position(|&byte| byte == b'\n') {
            let end = self.at + step;
            if end == self.line || head[end - 1] != b'\r' {
                return Found::Wrong((StatusCode::BadRequest, "a line must end with CR LF"));
            }
            let empty = end - 1 == self.line;
            self.at = end + 1;
            self.line = end + 1;
            if empty && self.begun {
                return Found::End(end + 1);
            }
            self.begun |= !empty;
        }
        self.at = head.len();
        if head.len() == HEAD_BYTES {
            return Found::Wrong((StatusCode::HeadTooLarge, "the request head exceeds 4096 bytes"));
        }
        Found::Nothing
    }
}

/// A parsed head.
#[derive(Debug)]
pub(super) struct Head<'a> {
    /// The request, without its body.
    pub(super) request: Request<'a>,
    /// Only the head of the answer is wanted.
    pub(super) head_only: bool,
    /// HTTP/1.0: no chunks.
    pub(super) old: bool,
    /// The connection ends after the answer.
    pub(super) close: bool,
    /// The client waits to be told to send the body.
    pub(super) expects: bool,
    /// The length of the body.
    pub(super) body_bytes: usize,
}

/// Parses a whole head, as found by [`Scan`].
pub(super) fn parse<'h, 'b: 'h>(
    head: &'b [u8],
    headers: &'h mut [Header<'b>; HEADERS],
) -> Result<Head<'h>, Wrong> {
    let mut raw = httparse::Request::new(headers);
    match raw.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(bad("the request head is not whole")),
        Err(error) => return Err(malformed(error)),
    }
    let (Some(method), Some(target), Some(version)) = (raw.method, raw.path, raw.version) else {
        return Err(bad("the request line is not whole"));
    };
    let headers: &[Header<'b>] = raw.headers;
    let old = version == 0;
    check_host(headers, old)?;
    if values(headers, "transfer-encoding").next().is_some() {
        return Err((StatusCode::NotImplemented, "send the body with Content-Length, not chunked"));
    }
    let (path, query) = split_target(target)?;
    Ok(Head {
        request: Request { method: method_of(method), path, query, body: &[], headers },
        head_only: method == "HEAD",
        old,
        close: closes(headers, old),
        expects: !old && expects(headers)?,
        body_bytes: content_length(headers)?,
    })
}

const fn bad(why: &'static str) -> Wrong {
    (StatusCode::BadRequest, why)
}

fn malformed(error: httparse::Error) -> Wrong {
    use httparse::Error;
    match error {
        Error::HeaderName => bad("a header name has an invalid character, or no colon follows it"),
        Error::HeaderValue => bad("a header value has an invalid character"),
        Error::NewLine => bad("a line must end with CR LF"),
        Error::Token | Error::Status => bad("the request line is malformed"),
        Error::TooManyHeaders => (StatusCode::HeadTooLarge, "more than 24 headers"),
        Error::Version => (StatusCode::Version, "the version must be HTTP/1.1 or HTTP/1.0"),
    }
}

fn method_of(method: &str) -> Method {
    match method {
        "GET" | "HEAD" => Method::Get,
        "POST" => Method::Post,
        _ => Method::Other,
    }
}

/// RFC 9112 section 3.2: exactly one `Host`, which HTTP/1.0 may leave out.
fn check_host(headers: &[Header<'_>], old: bool) -> Result<(), Wrong> {
    match values(headers, "host").count() {
        1 => Ok(()),
        0 if old => Ok(()),
        _ => Err(bad("a request needs one Host header")),
    }
}

/// The path and the query. A whole URL is accepted too, and its host ignored (RFC 9112 section
/// 3.2.2).
fn split_target(target: &str) -> Result<(&str, &str), Wrong> {
    let path = match target.strip_prefix("http://") {
        Some(rest) => {
            let at = rest.bytes().position(|byte| byte == b'/' || byte == b'?');
            at.map_or("/", |at| &rest[at..])
        }
        None => target,
    };
    if !path.starts_with('/') && path != "*" {
        return Err(bad("the request target must begin with a slash"));
    }
    Ok(cut(path, b'?').unwrap_or((path, "")))
}

fn closes(headers: &[Header<'_>], old: bool) -> bool {
    let (mut close, mut keep) = (false, false);
    for value in values(headers, "connection") {
        for token in value.split(|&byte| byte == b',') {
            let token = token.trim_ascii();
            close |= token.eq_ignore_ascii_case(b"close");
            keep |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    close || (old && !keep)
}

fn expects(headers: &[Header<'_>]) -> Result<bool, Wrong> {
    let mut given = false;
    for value in values(headers, "expect") {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err((StatusCode::Expectation, "only Expect: 100-continue is understood"));
        }
        given = true;
    }
    Ok(given)
}

/// RFC 9112 section 6.3. A repeated header is refused even when its values agree.
fn content_length(headers: &[Header<'_>]) -> Result<usize, Wrong> {
    let mut lengths = values(headers, "content-length");
    let Some(value) = lengths.next() else { return Ok(0) };
    if lengths.next().is_some() {
        return Err(bad("Content-Length is given more than once"));
    }
    let length = parse_number(value).ok_or(bad("Content-Length is not a number"))?;
    Ok(usize::try_from(length).unwrap_or(usize::MAX))
}

fn values<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value)
}
