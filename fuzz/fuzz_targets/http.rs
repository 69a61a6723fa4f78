//! The HTTP server of the local API over real socket pairs, with an application that answers
//! whatever it is asked in each of the ways there are.
//!
//! The input is cut into pieces that a client sends one after the other, with time passing in
//! between. Whatever it was: no slot is lost, and the next client is served.
#![no_main]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use midge::{Duration, Instant};
use midge_agent::http::{
    App, Buffers, ContentType, Cursor, Listener, Method, Next, Reply, Request, Server, StatusCode,
};
use midge_agent::poll::{Events, Poll, Token};
use midge_agent::socket::Socket;
use midge_fuzz::Input;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

/// Yields the far ends of socket pairs; its bell is never rung, because the server tries to accept
/// whenever it is told of an event.
struct Pairs(Rc<RefCell<VecDeque<Socket>>>, UnixStream);

impl Listener for Pairs {
    fn accept(&self) -> Result<Socket, Errno> {
        let next = self.0.borrow_mut().pop_front();
        next.ok_or_else(|| {
            let _ = (&self.1).read(&mut [0; 64]);
            Errno::EAGAIN
        })
    }
}

impl AsFd for Pairs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.1.as_fd()
    }
}

struct Echo;

fn cursor(request: &Request<'_>) -> Cursor {
    Cursor { at: (request.path.len() << 16 | request.body.len()) as u64, ..Cursor::default() }
}

impl App for Echo {
    fn body_limit(&self, request: &Request<'_>) -> Option<usize> {
        (request.method == Method::Post).then_some(64)
    }

    fn respond(&mut self, request: &Request<'_>, reply: &mut Reply<'_>) -> Next {
        let mut space = [0; 32];
        let argument = request.argument("a", &mut space);
        if argument.is_err() {
            reply.error(StatusCode::BadRequest, ContentType::Json, &"argument");
            return Next::Done;
        }
        let fields = request.header("accept").count();
        let page = reply.begin(StatusCode::Ok, ContentType::Text);
        page.push(request.path.as_bytes());
        page.push(request.body);
        page.push(&[b'0' + (fields % 10) as u8]);
        if request.path.len().is_multiple_of(2) { Next::More(cursor(request)) } else { Next::Done }
    }

    fn resume(&mut self, request: &Request<'_>, at: Cursor, reply: &mut Reply<'_>) -> Next {
        assert_eq!(cursor(request), at, "the request that it began with");
        reply.page().push(request.body);
        reply.page().push(b"!");
        Next::Done
    }
}

struct World {
    poll: Poll,
    events: Events,
    server: Server<'static, Pairs>,
    queue: Rc<RefCell<VecDeque<Socket>>>,
    bell: UnixStream,
    now: Instant,
    /// What a client has read.
    answer: Box<[u8; ANSWER_BYTES]>,
}

/// More than the answers to an input.
const ANSWER_BYTES: usize = 65_536;

impl World {
    fn new() -> Self {
        let poll = Poll::new().expect("a poll");
        let queue = Rc::default();
        let (near, bell) = pair();
        let buffers = Box::leak(Box::new(Buffers::EMPTY));
        let pairs = Pairs(Rc::clone(&queue), near);
        let server = Server::new([Some(pairs), None, None], buffers, &poll, Token(1))
            .expect("it is watched");
        let (events, answer) = (Events::new(), Box::new([0; ANSWER_BYTES]));
        Self { poll, events, server, queue, bell, now: Instant::ZERO, answer }
    }

    /// A client, which the server accepts when it settles.
    fn connect(&mut self) -> UnixStream {
        let (ours, theirs) = pair();
        self.queue.borrow_mut().push_back(OwnedFd::from(theirs).into());
        self.bell.write_all(b"!").expect("there is room");
        ours
    }

    /// What there is to be read.
    fn read(&mut self, client: &mut UnixStream) -> &[u8] {
        let mut len = 0;
        while let Ok(count @ 1..) = client.read(&mut self.answer[len..]) {
            len += count;
        }
        &self.answer[..len]
    }

    fn settle(&mut self) {
        self.settle_in(Duration::ZERO);
    }

    /// Waits so long for something to happen, and lets the server do all that follows.
    fn settle_in(&mut self, mut wait: Duration) {
        for _ in 0..10_000 {
            self.poll.wait(&mut self.events, Some(wait)).expect("events");
            wait = Duration::ZERO;
            let mut busy = false;
            for event in self.events.iter() {
                self.server.handle_event(&event);
                busy = true;
            }
            if !self.server.run(self.now, &self.poll, &mut Echo) && !busy {
                return;
            }
        }
        panic!("the server is never done");
    }
}

/// How long an end that is closed may take to show: whoever looks at the files of this process
/// meanwhile (in /proc) has a hold on the socket, too, and it is closed when the last one lets go.
const CLOSING_MS: u64 = 2_000;

/// Two ends that never wait.
fn pair() -> (UnixStream, UnixStream) {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let (one, other) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, flags).expect("a pair");
    (one.into(), other.into())
}

thread_local! {
    /// Kept from input to input: what one of them breaks shows in the next.
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|input: &[u8]| {
    WORLD.with_borrow_mut(|world| {
        let mut client = world.connect();
        let mut input = Input(input);
        let pieces = input.byte() % 4 + 1;
        for piece in (0..pieces).rev() {
            let len = if piece == 0 { usize::MAX } else { usize::from(input.byte()) };
            let _ = client.write(input.bytes(len));
            world.settle();
            world.read(&mut client);
        }
        drop(client);
        world.now += Duration::from_millis(500);
        let mut other = world.connect();
        other
            .write_all(b"GET /anew HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .expect("room");
        world.settle();
        let answer = world.read(&mut other);
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(answer));
        assert!(answer.ends_with(b"/anew0"), "{}", String::from_utf8_lossy(answer));
        drop(other);
        world.settle();
        for _ in 0..CLOSING_MS {
            if world.server.poll_timeout().is_none() {
                return;
            }
            world.settle_in(Duration::from_millis(1));
        }
        panic!("a slot is held");
    });
});
