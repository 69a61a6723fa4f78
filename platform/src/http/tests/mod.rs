//! The engine against real sockets, with a made-up application and made-up time: nothing here
//! waits. Everything runs in one thread, so a test decides who acts next.

mod answers;
mod hostile;
mod limits;
mod mutated;
mod sockets;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use midge::{Duration, Instant};
use mio::event::Source;
use mio::{Events, Interest, Poll, Registry, Token};

use super::reply::BODY_ROOM;
use super::*;

/// Rows of the long listing: as many as the agent has room for members.
const ROWS: u32 = 8192;

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
            ("/hello" | "/list" | "/wait", _) => {
                reply.wrong_method(ContentType::Json, "GET, HEAD");
            }
            _ => reply.error(StatusCode::NotFound, ContentType::Json, &"no such path"),
        }
        Next::Done
    }

    fn resume(&mut self, cursor: Cursor, reply: &mut Reply<'_>) -> Next {
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

fn cursor(kind: u8, at: u32) -> Cursor {
    Cursor { kind, mask: 0, at }
}

/// How long `/wait` waits at most.
const PATIENCE: Duration = Duration::from_secs(30);

impl Fake {
    fn list(mut at: u32, page: &mut Page<'_>) -> Next {
        while at < ROWS {
            let mark = page.mark();
            page.number(u64::from(at));
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

/// A listener that yields the far ends of socket pairs. A byte at its bell makes it readable.
struct Pairs {
    queue: Rc<RefCell<Queue>>,
    bell: mio::net::UnixStream,
}

type Queue = VecDeque<io::Result<mio::net::UnixStream>>;

impl Listener for Pairs {
    type Stream = mio::net::UnixStream;

    fn accept(&self) -> io::Result<mio::net::UnixStream> {
        let next = self.queue.borrow_mut().pop_front();
        next.unwrap_or_else(|| {
            let _ = (&self.bell).read(&mut [0; 64]);
            Err(ErrorKind::WouldBlock.into())
        })
    }
}

impl Source for Pairs {
    fn register(&mut self, to: &Registry, token: Token, what: Interest) -> io::Result<()> {
        self.bell.register(to, token, what)
    }
    fn reregister(&mut self, to: &Registry, token: Token, what: Interest) -> io::Result<()> {
        self.bell.reregister(to, token, what)
    }
    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        self.bell.deregister(from)
    }
}

/// The server, and the world around it.
struct World {
    poll: Poll,
    events: Events,
    server: Server<'static, Pairs>,
    queue: Rc<RefCell<Queue>>,
    bell: mio::net::UnixStream,
    app: Fake,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let queue = Rc::default();
        let (bell, hammer) = mio::net::UnixStream::pair().unwrap();
        let pairs = Pairs { queue: Rc::clone(&queue), bell };
        let buffers = Box::leak(Box::new(Buffers::EMPTY));
        let server = Server::new(pairs, buffers, poll.registry(), Token(5)).unwrap();
        let events = Events::with_capacity(64);
        let app = Fake::default();
        Self { poll, events, server, queue, bell: hammer, app, now: Instant::ZERO }
    }

    /// A new connection. The server has not seen it yet.
    fn connect(&mut self) -> Client {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        self.offer(Ok(mio::net::UnixStream::from_std(theirs)));
        Client { stream: ours, received: Vec::new(), ended: false }
    }

    /// What the listener yields next.
    fn offer(&mut self, stream: io::Result<mio::net::UnixStream>) {
        self.queue.borrow_mut().push_back(stream);
        assert_eq!(self.bell.write(b"!").unwrap(), 1);
    }

    /// One round of the driver's loop. Returns whether anything may be left to do.
    fn round(&mut self) -> bool {
        self.poll.poll(&mut self.events, Some(core::time::Duration::ZERO)).unwrap();
        let mut busy = false;
        for event in &self.events {
            assert!(self.server.owns(event.token()));
            self.server.handle_event(event);
            busy = true;
        }
        self.app.now = self.now;
        self.server.run(self.now, &mut self.app) || busy
    }

    /// Lets the server work until it has nothing left to do without the clients.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.round() {
                return;
            }
        }
        panic!("the server is never done");
    }

    /// Lets the server and a client work until neither has anything left to do.
    fn exchange(&mut self, client: &mut Client) {
        loop {
            self.settle();
            if client.read(usize::MAX) == 0 {
                return;
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    /// One request on a connection of its own, and everything that comes back until it is quiet.
    fn ask(&mut self, request: &[u8]) -> Client {
        let mut client = self.connect();
        client.send(request);
        self.exchange(&mut client);
        client
    }
}

struct Client {
    stream: UnixStream,
    received: Vec<u8>,
    ended: bool,
}

impl Client {
    /// Sends all of it; the tests send no more than a socket buffer at once.
    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends, if the server still listens.
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    /// Reads up to so many bytes of what is there.
    fn read(&mut self, limit: usize) -> usize {
        let mut space = [0; 16_384];
        let mut sum = 0;
        while sum < limit {
            let want = space.len().min(limit - sum);
            match self.stream.read(&mut space[..want]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(bytes) => {
                    self.received.extend_from_slice(&space[..bytes]);
                    sum += bytes;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Closed with unread input: what had been sent has arrived before this.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    self.ended = true;
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        sum
    }

    fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.received).unwrap()
    }

    /// Takes one whole answer off what was received; `None` when there is none.
    fn take(&mut self) -> Option<Answer> {
        let (answer, len) = Answer::parse(&self.received, self.ended)?;
        self.received.drain(..len);
        Some(answer)
    }

    /// The one answer that was received, with nothing after it.
    #[track_caller]
    fn only(&mut self) -> Answer {
        let answer = self.take().expect("an answer");
        assert_eq!(self.text(), "", "nothing follows");
        answer
    }
}

/// An answer as a client understands it.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
    chunks: usize,
}

impl Answer {
    fn parse(bytes: &[u8], ended: bool) -> Option<(Self, usize)> {
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let headers = String::from_utf8(bytes[..head].into()).unwrap();
        assert!(headers.starts_with("HTTP/1.1 "), "{headers}");
        let status = headers[9..12].parse().unwrap();
        let rest = &bytes[head..];
        let (body, chunks, len) = if let Some(length) = field(&headers, "Content-Length") {
            let length = length.parse().unwrap();
            (rest.get(..length)?.to_vec(), 0, length)
        } else if field(&headers, "Transfer-Encoding").is_some() {
            unchunk(rest)?
        } else if status == 100 {
            (Vec::new(), 0, 0)
        } else if ended {
            (rest.to_vec(), 0, rest.len())
        } else {
            return None;
        };
        Some((Self { status, headers, body, chunks }, head + len))
    }

    fn header(&self, name: &str) -> Option<&str> {
        field(&self.headers, name)
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.body).unwrap()
    }
}

fn field<'h>(headers: &'h str, name: &str) -> Option<&'h str> {
    headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The body, the number of its chunks, and the length of all that.
fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize, usize)> {
    let (mut body, mut chunks, mut at) = (Vec::new(), 0, 0);
    loop {
        let line = bytes[at..].windows(2).position(|two| two == b"\r\n")?;
        let digits = core::str::from_utf8(&bytes[at..at + line]).unwrap();
        let length = usize::from_str_radix(digits, 16).unwrap();
        at += line + 2;
        body.extend_from_slice(bytes.get(at..at + length)?);
        at += length;
        assert_eq!(bytes.get(at..at + 2)?, b"\r\n");
        at += 2;
        if length == 0 {
            return Some((body, chunks, at));
        }
        chunks += 1;
        assert!(length <= PAGE_BYTES, "no page is larger than the buffer");
    }
}

/// A request for a path, with the header that HTTP/1.1 demands.
fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}
