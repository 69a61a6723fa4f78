//! A server, its clients and the time, in one thread: a test decides who acts next.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use midge::{Duration, Instant};
use nix::errno::Errno;

use super::super::*;
use crate::poll::{Events, Poll, Token};
use crate::socket::Socket;

/// An application that is told the time before every run.
pub(crate) trait Timed: App {
    fn set_now(&mut self, now: Instant);
}

/// A listener that yields the far ends of socket pairs. A byte at its bell makes it readable.
pub(crate) struct Pairs {
    queue: Rc<RefCell<Queue>>,
    bell: UnixStream,
}

type Queue = VecDeque<Result<Socket, Errno>>;

impl Listener for Pairs {
    fn accept(&self) -> Result<Socket, Errno> {
        let next = self.queue.borrow_mut().pop_front();
        next.unwrap_or_else(|| {
            let _ = (&self.bell).read(&mut [0; 64]);
            Err(Errno::EAGAIN)
        })
    }
}

impl AsFd for Pairs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// What the tests have of a listener: what it yields next, and what rings its bell.
struct Door {
    queue: Rc<RefCell<Queue>>,
    hammer: UnixStream,
}

impl Door {
    fn new() -> (Pairs, Self) {
        let queue = Rc::default();
        let (bell, hammer) = UnixStream::pair().unwrap();
        bell.set_nonblocking(true).unwrap();
        (Pairs { queue: Rc::clone(&queue), bell }, Self { queue, hammer })
    }

    fn offer(&mut self, stream: Result<Socket, Errno>) {
        self.queue.borrow_mut().push_back(stream);
        assert_eq!(self.hammer.write(b"!").unwrap(), 1);
    }
}

/// The server, and the world around it.
pub(crate) struct World<A> {
    poll: Poll,
    events: Events,
    pub(crate) server: Server<'static, Pairs>,
    doors: [Door; LISTENERS],
    pub(crate) app: A,
    pub(crate) now: Instant,
}

impl<A: Timed> World<A> {
    pub(crate) fn with(app: A) -> Self {
        let poll = Poll::new().unwrap();
        let (listeners, doors): (Vec<_>, Vec<_>) = (0..LISTENERS).map(|_| Door::new()).unzip();
        let listeners = listeners.into_iter().map(Some).collect::<Vec<_>>().try_into();
        let listeners: [Option<Pairs>; LISTENERS] = listeners.ok().unwrap();
        let doors = doors.try_into().ok().unwrap();
        let buffers = Box::leak(Box::new(Buffers::EMPTY));
        let server = Server::new(listeners, buffers, &poll, Token(5)).unwrap();
        let events = Events::new();
        Self { poll, events, server, doors, app, now: Instant::ZERO }
    }

    /// A new connection. The server has not seen it yet.
    pub(crate) fn connect(&mut self) -> Client {
        self.connect_to(0)
    }

    /// A new connection through one of the listeners.
    pub(crate) fn connect_to(&mut self, listener: usize) -> Client {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        self.doors[listener].offer(Ok(OwnedFd::from(theirs).into()));
        Client { stream: ours, received: Vec::new(), ended: false }
    }

    /// What the first listener yields next.
    pub(crate) fn offer(&mut self, stream: Result<Socket, Errno>) {
        self.doors[0].offer(stream);
    }

    /// One round of the driver's loop. Returns whether anything may be left to do.
    pub(crate) fn round(&mut self) -> bool {
        self.poll.wait(&mut self.events, Some(Duration::ZERO)).unwrap();
        let mut busy = false;
        for event in self.events.iter() {
            assert!(self.server.owns(event.token()));
            self.server.handle_event(&event);
            busy = true;
        }
        self.app.set_now(self.now);
        self.server.run(self.now, &self.poll, &mut self.app) || busy
    }

    /// Lets the server work until it has nothing left to do without the clients.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.round() {
                return;
            }
        }
        panic!("the server is never done");
    }

    /// Lets the server and a client work until neither has anything left to do.
    pub(crate) fn exchange(&mut self, client: &mut Client) {
        loop {
            self.settle();
            if client.read(usize::MAX) == 0 {
                return;
            }
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    /// One request on a connection of its own, and everything that comes back until it is quiet.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Client {
        let mut client = self.connect();
        client.send(request);
        self.exchange(&mut client);
        client
    }
}

pub(crate) struct Client {
    stream: UnixStream,
    pub(crate) received: Vec<u8>,
    pub(crate) ended: bool,
}

impl Client {
    /// Sends all of it; the tests send no more than a socket buffer at once.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends, if the server still listens.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    /// Reads up to so many bytes of what is there.
    pub(crate) fn read(&mut self, limit: usize) -> usize {
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

    pub(crate) fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(&self.received).unwrap()
    }

    /// Takes one whole answer off what was received; `None` when there is none.
    pub(crate) fn take(&mut self) -> Option<Answer> {
        let (answer, len) = Answer::parse(&self.received, self.ended)?;
        self.received.drain(..len);
        Some(answer)
    }

    /// The one answer that was received, with nothing after it.
    #[track_caller]
    pub(crate) fn only(&mut self) -> Answer {
        let answer = self.take().expect("an answer");
        assert_eq!(self.text(), "", "nothing follows");
        answer
    }
}

/// An answer as a client understands it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
    pub(crate) chunks: usize,
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

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        field(&self.headers, name)
    }

    pub(crate) fn text(&self) -> &str {
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
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}
