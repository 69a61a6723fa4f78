//! From bytes to a request (RFC 9112), strictly: whatever two parsers could read differently is
//! refused, because that is how requests are smuggled. Why not a parser of the registry, and how
//! this one is checked against one: `docs/decisions/request-heads.md`.

use core::fmt;

use super::reply::StatusCode;
use super::{HEAD_BYTES, HEADERS};
use crate::text::{cut, parse_number, parts, same_word, trim};

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
    /// Which listener it came through.
    pub listener: usize,
    headers: Headers<'a>,
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
        Named { headers: self.headers, name }
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

/// The values of the headers of one name.
struct Named<'a> {
    headers: Headers<'a>,
    name: &'a str,
}

impl<'a> Iterator for Named<'a> {
    type Item = &'a [u8];

    #[inline(never)]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let header = self.headers.next()?;
            if same_word(header.name, self.name.as_bytes()) {
                return Some(header.value);
            }
        }
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

/// One header line.
#[derive(Clone, Copy, Debug)]
struct Header<'a> {
    /// Empty when the line has no colon.
    name: &'a [u8],
    /// Without the spaces and tabs around it.
    value: &'a [u8],
}

/// The header lines of a head, which ends with an empty line.
#[derive(Clone, Copy, Debug)]
struct Headers<'a>(&'a [u8]);

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    #[inline(never)]
    fn next(&mut self) -> Option<Header<'a>> {
        let line = take_line(&mut self.0);
        if line.is_empty() {
            return None;
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(0));
        Some(Header { name, value: trim(value.get(1..).unwrap_or_default()) })
    }
}

/// The next line, without its end. Every line of a head has one, as [`Scan`] has seen; empty
/// without.
#[inline(never)]
fn take_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return &[] };
    let (line, after) = rest.split_at(end);
    *rest = &after[1..];
    line.strip_suffix(b"\r").unwrap_or(line)
}

impl Header<'_> {
    /// RFC 9110 sections 5.1 and 5.5.
    fn check(&self) -> Result<(), Wrong> {
        if !is_token(self.name) || self.name.is_empty() {
            return Err(bad("a header name has an invalid character, or no colon follows it"));
        }
        if self.value.iter().any(|&byte| byte != b'\t' && byte.is_ascii_control()) {
            return Err(bad("a header value has an invalid character"));
        }
        Ok(())
    }
}
/// Parses a whole head, as found by [`Scan`].
pub(super) fn parse(mut rest: &[u8]) -> Result<Head<'_>, Wrong> {
    let mut line = take_line(&mut rest);
    while line.is_empty() && !rest.is_empty() {
        line = take_line(&mut rest);
    }
    let (method, target, old) = split_line(line)?;
    let headers = Headers(rest);
    let fields = Fields::read(headers, old)?;
    let (path, query) = split_target(target)?;
    Ok(Head {
        request: Request {
            method: method_of(method),
            path,
            query,
            body: &[],
            listener: 0,
            headers,
        },
        head_only: method == "HEAD",
        old,
        close: fields.close || (old && !fields.keep),
        expects: fields.expects && !old,
        body_bytes: fields.body_bytes.unwrap_or(0),
    })
}

/// The method, the target, and whether the version is HTTP/1.0 (RFC 9112 section 3).
fn split_line(line: &[u8]) -> Result<(&str, &str, bool), Wrong> {
    const MALFORMED: Wrong = bad("the request line is malformed");
    let line = core::str::from_utf8(line).map_err(|_| MALFORMED)?;
    let (method, rest) = cut(line, b' ').ok_or(MALFORMED)?;
    let (target, version) = cut(rest, b' ').ok_or(MALFORMED)?;
    let visible = target.bytes().all(|byte| byte.is_ascii_graphic());
    if method.is_empty() || target.is_empty() || !is_token(method.as_bytes()) || !visible {
        return Err(MALFORMED);
    }
    match version {
        "HTTP/1.1" => Ok((method, target, false)),
        "HTTP/1.0" => Ok((method, target, true)),
        _ if version.len() > "HTTP/1.1".len() => Err(MALFORMED),
        _ => Err((StatusCode::Version, "the version must be HTTP/1.1 or HTTP/1.0")),
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// What the headers say about the request itself.
#[derive(Default)]
struct Fields {
    hosts: u8,
    close: bool,
    keep: bool,
    expects: bool,
    body_bytes: Option<usize>,
}

impl Fields {
    fn read(headers: Headers<'_>, old: bool) -> Result<Self, Wrong> {
        let mut fields = Self::default();
        for (at, header) in headers.enumerate() {
            if at == HEADERS {
                return Err((StatusCode::HeadTooLarge, "more than 24 headers"));
            }
            header.check()?;
            fields.take(&header)?;
        }
        // RFC 9112 section 3.2: exactly one, which HTTP/1.0 may leave out.
        match fields.hosts {
            1 => Ok(fields),
            0 if old => Ok(fields),
            _ => Err(bad("a request needs one Host header")),
        }
    }

    fn take(&mut self, header: &Header<'_>) -> Result<(), Wrong> {
        let is = |name: &str| same_word(header.name, name.as_bytes());
        if is("host") {
            self.hosts += 1;
        } else if is("connection") {
            for token in header.value.split(|&byte| byte == b',') {
                self.close |= same_word(trim(token), b"close");
                self.keep |= same_word(trim(token), b"keep-alive");
            }
        } else if is("content-length") {
            // RFC 9112 section 6.3. Refused even when the values agree.
            if self.body_bytes.is_some() {
                return Err(bad("Content-Length is given more than once"));
            }
            let length = parse_number(header.value).ok_or(bad("Content-Length is not a number"))?;
            self.body_bytes = Some(usize::try_from(length).unwrap_or(usize::MAX));
        } else if is("transfer-encoding") {
            let what = "send the body with Content-Length, not chunked";
            return Err((StatusCode::NotImplemented, what));
        } else if is("expect") {
            if !same_word(header.value, b"100-continue") {
                return Err((StatusCode::Expectation, "only Expect: 100-continue is understood"));
            }
            self.expects = true;
        }
        Ok(())
    }
}

const fn bad(why: &'static str) -> Wrong {
    (StatusCode::BadRequest, why)
}

fn method_of(method: &str) -> Method {
    match method {
        "GET" | "HEAD" => Method::Get,
        "POST" => Method::Post,
        _ => Method::Other,
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
