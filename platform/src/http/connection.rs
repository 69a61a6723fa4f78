//! One connection: a state machine over a stream and two buffers.
//!
//! Requests are answered in order. The next one is looked at when the answer to the one before
//! has been written; until then its bytes stay in the input buffer, and when that is full, in the
//! socket, so a client that only sends holds up nobody but itself.

use core::fmt;

use midge::Instant;
use nix::errno::Errno;

use super::reply::{self, Client, ContentType, Framing, StatusCode, Written};
use super::request::{self, Found, Head, Request, Scan};
use super::server::{App, Stats};
use super::{BODY_BYTES, CLOSING_TIME, HEAD_BYTES, PAGE_BYTES, REQUEST_TIME, SLOTS};
use crate::poll::{Event, Interest, Poll, Token};
use crate::socket::Socket;

const INPUT_BYTES: usize = HEAD_BYTES + BODY_BYTES;

/// The buffers of all connections, 240 KiB. All bytes are zero at first, and a connection touches
/// only the pages it uses, the lowest free ones first: in zeroed static memory or a fresh mapping
/// they cost nothing until then.
#[derive(Debug)]
pub struct Buffers(pub(super) [Buffer; SLOTS]);

#[derive(Debug)]
#[repr(C, align(4096))]
pub(super) struct Buffer {
    pub(super) output: [u8; PAGE_BYTES],
    input: [u8; INPUT_BYTES],
}

impl Buffers {
    /// All zero.
    pub const EMPTY: Self =
        Self([const { Buffer { output: [0; PAGE_BYTES], input: [0; INPUT_BYTES] } }; SLOTS]);
}

/// Where an answer goes on. The application gives the fields their meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Which kind of answer.
    pub kind: u8,
    /// What was asked of it.
    pub mask: u8,
    /// Where in it.
    pub at: u64,
}

/// What follows a page of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the answer is whole.
    Done,
    /// More at once: [`App::resume`] is called when this page has been written. The page must
    /// not be empty.
    More(Cursor),
    /// More, or the answer itself, when something has happened: [`App::resume`] is called after
    /// [`Server::wake`](super::Server::wake), or at the instant.
    Wait(Cursor, Instant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Idle, or a request is coming in.
    Request,
    /// `100 Continue` is being written.
    Interim,
    /// A page of the answer is being written.
    Answer,
    /// The answer waits for the application.
    Wait(Cursor),
    /// Everything has been said; the rest of the input is thrown away, so that closing does not
    /// destroy an answer that is still on its way (RFC 9112 section 9.6).
    Drain,
}

/// What a part of the work has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something was done; there may be more to do.
    On,
    /// Nothing to do before the next event or deadline.
    Blocked,
    /// The connection is over.
    Over,
}

/// Reads, writes and pages in one turn of a connection: about four requests, or 16 KiB.
const STEPS: usize = 12;

#[derive(Debug)]
pub(super) struct Connection {
    stream: Socket,
    /// Which listener it came through.
    listener: usize,
    phase: Phase,
    /// When it is over, or when waiting ends.
    until: Instant,
    /// Since when it is idle, or the next request is coming in.
    since: Instant,
    /// The input that has not been answered: from, to.
    input: (usize, usize),
    /// Input bytes without which there is no use in looking at them again.
    need: usize,
    scan: Scan,
    /// The length of the head; 0 = not found yet.
    head: usize,
    /// The length of the request that is being answered.
    request: usize,
    client: Client,
    framing: Framing,
    /// The output that has not been written: from, to.
    output: (usize, usize),
    next: Next,
    can_read: bool,
    can_write: bool,
    /// The client has ended its side, as epoll says; reading goes on until it shows.
    ending: bool,
    /// The client has ended its side.
    ended: bool,
    /// Both sides are closed.
    hung_up: bool,
    /// The head of the answer has been written.
    begun: bool,
    /// The answer has waited.
    waited: bool,
    /// There may be news for an answer that waits, or that will.
    woken: bool,
    continued: bool,
    /// A request has been answered.
    served: bool,
    closing: bool,
}

/// What a turn is given.
pub(super) struct Turn<'t, A> {
    pub(super) app: &'t mut A,
    pub(super) now: Instant,
    /// Another answer may begin to wait.
    pub(super) may_wait: bool,
    pub(super) stats: &'t mut Stats,
}

impl Connection {
    pub(super) fn new(stream: Socket, listener: usize, now: Instant) -> Self {
        Self {
            stream,
            listener,
            phase: Phase::Request,
            until: now + REQUEST_TIME,
            since: now,
            input: (0, 0),
            need: 1,
            scan: Scan::START,
            head: 0,
            request: 0,
            client: Client { old: false, head_only: false, close: false },
            framing: Framing::Sized,
            output: (0, 0),
            next: Next::Done,
            can_read: true,
            can_write: true,
            ending: false,
            ended: false,
            hung_up: false,
            begun: false,
            waited: false,
            woken: false,
            continued: false,
            served: false,
            closing: false,
        }
    }

    pub(super) fn watch(&self, poll: &Poll, token: Token) -> Result<(), Errno> {
        poll.add(&self.stream, token, Interest::ReadWrite)
    }

    /// When [`expire`](Self::expire) is due.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// It is only being told why it is closed.
    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    /// It came through another listener than the first.
    pub(super) fn is_guest(&self) -> bool {
        self.listener > 0
    }

    /// Its answer waits, or has waited.
    pub(super) fn has_waited(&self) -> bool {
        self.waited
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Wait(_))
    }

    /// Lets a waiting answer go on. Returns whether there is one.
    pub(super) fn wake(&mut self) -> bool {
        self.woken = self.waited;
        self.woken
    }

    /// Whether and since when it may be closed in favour of another: it has had an answer, and is
    /// idle (`false`), or has not sent the whole of its next request (`true`).
    pub(super) fn dispensable(&self) -> Option<(bool, Instant)> {
        let partial = self.have() > 0;
        let unasked = self.phase == Phase::Request && self.served && self.have() < self.need;
        (unasked && (partial || !self.can_read)).then_some((partial, self.since))
    }

    pub(super) fn handle_event(&mut self, event: &Event) {
        self.ending |= event.is_read_closed();
        self.hung_up |= event.is_closed() || event.is_error();
        self.can_read |= event.is_readable() || self.ending || self.hung_up;
        self.can_write |= event.is_writable() || self.hung_up;
    }

    /// Tells a client that every slot is taken. At once: its place may be needed for the next.
    pub(super) fn refuse(&mut self, buffer: &mut Buffer, now: Instant) {
        let what = "all connections are in use; try again";
        self.fail(&mut buffer.output, StatusCode::Busy, &what);
        self.close_by(now);
        // What a new socket does not take now is tried again in its turn.
        let _ = self.write(&buffer.output);
    }

    /// The deadline has passed.
    pub(super) fn expire(&mut self, buffer: &mut Buffer, now: Instant) -> Step {
        match self.phase {
            Phase::Wait(_) => Step::On,
            Phase::Request if self.have() > 0 => {
                let what = "the request took longer than 10 s";
                self.fail(&mut buffer.output, StatusCode::Timeout, &what);
                self.close_by(now);
                Step::On
            }
            Phase::Request | Phase::Interim | Phase::Answer | Phase::Drain => Step::Over,
        }
    }

    /// Does what can be done now, within bounds.
    pub(super) fn turn<A: App>(&mut self, buffer: &mut Buffer, turn: &mut Turn<'_, A>) -> Step {
        for _ in 0..STEPS {
            let step = match self.phase {
                Phase::Request => self.receive(buffer, turn),
                Phase::Interim | Phase::Answer if self.output.0 < self.output.1 => {
                    self.write(&buffer.output)
                }
                Phase::Interim => {
                    self.phase = Phase::Request;
                    Step::On
                }
                Phase::Answer => self.answered(buffer, turn),
                Phase::Wait(_) if self.hung_up => Step::Over,
                Phase::Wait(_) if !self.woken && turn.now < self.until => Step::Blocked,
                Phase::Wait(cursor) => self.resume(cursor, buffer, turn),
                Phase::Drain => self.drain(buffer),
            };
            if step != Step::On {
                return step;
            }
        }
        Step::On
    }

    fn have(&self) -> usize {
        self.input.1 - self.input.0
    }

    /// Takes in what has come, and answers when it is a request.
    fn receive<A: App>(&mut self, buffer: &mut Buffer, turn: &mut Turn<'_, A>) -> Step {
        let examined = if self.have() >= self.need { self.examine(buffer, turn) } else { None };
        if let Some(step) = examined {
            return step;
        }
        if self.ended {
            if self.have() == 0 {
                return Step::Over;
            }
            turn.stats.refused += 1;
            let what = "the request ended before it was whole";
            return self.fail(&mut buffer.output, StatusCode::BadRequest, &what);
        }
        if self.input.0 > 0 && self.input.1 == INPUT_BYTES {
            buffer.input.copy_within(self.input.0.., 0);
            self.input = (0, self.have());
        }
        let first = self.have() == 0;
        match self.read(&mut buffer.input[self.input.1..]) {
            Ok(bytes) => {
                self.input.1 += bytes;
                if first && self.served {
                    self.since = turn.now;
                    self.until = turn.now + REQUEST_TIME;
                }
                Step::On
            }
            Err(step) => step,
        }
    }

    /// Looks at the input: a whole request is answered, a wrong one refused. `None` when more
    /// input is needed.
    fn examine<A: App>(&mut self, buffer: &mut Buffer, turn: &mut Turn<'_, A>) -> Option<Step> {
        let Buffer { input, output } = buffer;
        let input = &input[self.input.0..self.input.1];
        if self.head == 0 {
            match self.scan.go_on(input) {
                Found::Nothing => {
                    self.need = input.len() + 1;
                    return None;
                }
                Found::End(end) => self.head = end,
                Found::Wrong((status, what)) => {
                    turn.stats.refused += 1;
                    return Some(self.fail(output, status, &what));
                }
            }
        }
        let mut head = match request::parse(&input[..self.head]) {
            Ok(head) => head,
            Err((status, what)) => {
                turn.stats.refused += 1;
                return Some(self.fail(output, status, &what));
            }
        };
        head.request.listener = self.listener;
        self.request = self.head;
        if head.body_bytes > 0 {
            match self.body(&head, input, output, turn) {
                Body::Whole(body) => {
                    self.request += body.len();
                    head.request.body = body;
                }
                Body::Unwanted => head.close = true,
                Body::Coming => return None,
                Body::Answered(step) => return Some(step),
            }
        }
        self.client = Client { old: head.old, head_only: head.head_only, close: head.close };
        Some(self.respond(&head.request, output, turn))
    }

    fn body<'i, A: App>(
        &mut self,
        head: &Head<'_>,
        input: &'i [u8],
        output: &mut [u8; PAGE_BYTES],
        turn: &mut Turn<'_, A>,
    ) -> Body<'i> {
        let Some(limit) = turn.app.body_limit(&head.request) else { return Body::Unwanted };
        let limit = limit.min(BODY_BYTES);
        if head.body_bytes > limit {
            turn.stats.refused += 1;
            let status = StatusCode::BodyTooLarge;
            return Body::Answered(match limit {
                0 => self.fail(output, status, &"no body here: arguments go in the query"),
                _ => self.fail(output, status, &format_args!("the body exceeds {limit} bytes")),
            });
        }
        let received = &input[self.head..];
        if let Some(body) = received.get(..head.body_bytes) {
            return Body::Whole(body);
        }
        self.need = self.head + head.body_bytes;
        if !head.expects || self.continued || !received.is_empty() {
            return Body::Coming;
        }
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
        output[..interim.len()].copy_from_slice(interim);
        self.output = (0, interim.len());
        self.continued = true;
        self.phase = Phase::Interim;
        Body::Answered(Step::On)
    }

    fn respond<A: App>(
        &mut self,
        request: &Request<'_>,
        output: &mut [u8; PAGE_BYTES],
        turn: &mut Turn<'_, A>,
    ) -> Step {
        turn.stats.requests += 1;
        let (written, next) =
            reply::compose(output, turn.may_wait, |reply| turn.app.respond(request, reply));
        self.settle(output, &written, next, turn)
    }

    /// The request is still in the input: reading it again takes less than keeping what it said.
    fn resume<A: App>(
        &mut self,
        cursor: Cursor,
        buffer: &mut Buffer,
        turn: &mut Turn<'_, A>,
    ) -> Step {
        self.woken = false;
        let Buffer { input, output } = buffer;
        let input = &input[self.input.0..][..self.request];
        // It could be read before.
        let Ok(Head { mut request, .. }) = request::parse(&input[..self.head]) else {
            return Step::Over;
        };
        request.listener = self.listener;
        request.body = &input[self.head..];
        let (written, next) =
            reply::compose(output, turn.may_wait, |reply| turn.app.resume(&request, cursor, reply));
        self.settle(output, &written, next, turn)
    }

    /// Frames what the application has written, and begins to send it.
    fn settle<A>(
        &mut self,
        output: &mut [u8; PAGE_BYTES],
        written: &Written,
        next: Next,
        turn: &mut Turn<'_, A>,
    ) -> Step {
        if let Next::Wait(cursor, until) = next {
            if !self.waited && !turn.may_wait {
                turn.stats.busy += 1;
                let what = "too many requests are waiting already; try again";
                return self.fail(output, StatusCode::Busy, &what);
            }
            self.waited = true;
            if !written.begins() && written.is_empty() {
                self.phase = Phase::Wait(cursor);
                self.until = until;
                return Step::Blocked;
            }
        }
        let stuck = written.is_empty() && !written.begins() && next != Next::Done;
        let unbegun = !self.begun && !written.begins();
        if stuck || unbegun || written.is_overfull() {
            debug_assert!(false, "the application breaks the contract of Next");
            return Step::Over;
        }
        if written.begins() {
            self.framing = match next {
                Next::Done => Framing::Sized,
                _ if self.client.old => Framing::UntilClose,
                _ => Framing::Chunked,
            };
            self.client.close |= self.framing == Framing::UntilClose;
            self.begun = true;
        }
        if self.waited {
            self.until = turn.now + REQUEST_TIME;
        }
        self.next = if self.client.head_only { Next::Done } else { next };
        let last = self.next == Next::Done;
        self.output = reply::frame(output, written, self.framing, self.client, last);
        self.phase = Phase::Answer;
        Step::On
    }

    /// Answers with an error of the engine's own. The connection ends with it: what follows such
    /// a request cannot be told from it.
    fn fail(
        &mut self,
        output: &mut [u8; PAGE_BYTES],
        status: StatusCode,
        what: &dyn fmt::Display,
    ) -> Step {
        self.client = Client { old: false, head_only: false, close: true };
        let (written, ()) =
            reply::compose(output, false, |reply| reply.error(status, ContentType::Json, what));
        self.output = reply::frame(output, &written, Framing::Sized, self.client, true);
        self.next = Next::Done;
        self.phase = Phase::Answer;
        Step::On
    }

    /// A page has been written whole.
    fn answered<A: App>(&mut self, buffer: &mut Buffer, turn: &mut Turn<'_, A>) -> Step {
        match self.next {
            Next::More(cursor) => self.resume(cursor, buffer, turn),
            Next::Wait(cursor, until) => {
                self.phase = Phase::Wait(cursor);
                self.until = until;
                Step::On
            }
            Next::Done if self.client.close => self.begin_drain(turn.now),
            Next::Done => {
                self.next_request(turn.now);
                Step::On
            }
        }
    }

    fn next_request(&mut self, now: Instant) {
        self.input.0 += self.request;
        if self.have() == 0 {
            self.input = (0, 0);
        }
        self.phase = Phase::Request;
        self.since = now;
        self.until = if self.have() == 0 { Instant::FAR_FUTURE } else { now + REQUEST_TIME };
        self.need = 1;
        self.scan = Scan::START;
        self.head = 0;
        self.begun = false;
        self.waited = false;
        self.woken = false;
        self.continued = false;
        self.served = true;
    }

    fn begin_drain(&mut self, now: Instant) -> Step {
        if self.ended || self.stream.shutdown_write().is_err() {
            return Step::Over;
        }
        self.phase = Phase::Drain;
        self.close_by(now);
        Step::On
    }

    /// From here on it does not count among those that are served.
    fn close_by(&mut self, now: Instant) {
        self.closing = true;
        self.waited = false;
        self.until = now + CLOSING_TIME;
    }

    fn drain(&mut self, buffer: &mut Buffer) -> Step {
        match self.read(&mut buffer.input) {
            Ok(_) if self.ended => Step::Over,
            Ok(_) => Step::On,
            Err(step) => step,
        }
    }

    /// Reads once. At the end of the input, notes it and returns 0.
    fn read(&mut self, space: &mut [u8]) -> Result<usize, Step> {
        if !self.can_read {
            return Err(Step::Blocked);
        }
        debug_assert!(!space.is_empty(), "a request that fills the buffer is whole");
        match self.stream.receive(space) {
            Ok(bytes) => {
                self.ended = bytes == 0;
                // A short read has emptied the socket, and epoll tells of what comes later
                // (epoll(7), question 9), so the read that would only say so is saved. An end
                // that has been announced already is not told again.
                self.can_read = bytes == space.len() || self.ending;
                Ok(bytes)
            }
            Err(error) => match trouble(error) {
                Step::Blocked => {
                    self.can_read = false;
                    Err(Step::Blocked)
                }
                step => Err(step),
            },
        }
    }

    fn write(&mut self, output: &[u8; PAGE_BYTES]) -> Step {
        if !self.can_write {
            return Step::Blocked;
        }
        match self.stream.send(&output[self.output.0..self.output.1]) {
            Ok(0) => Step::Over,
            Ok(bytes) => {
                self.output.0 += bytes;
                Step::On
            }
            Err(error) => {
                let step = trouble(error);
                self.can_write = step != Step::Blocked;
                step
            }
        }
    }
}

fn trouble(error: Errno) -> Step {
    match error {
        Errno::EAGAIN => Step::Blocked,
        Errno::EINTR => Step::On,
        _ => Step::Over,
    }
}

/// What has become of the body of a request.
enum Body<'i> {
    /// All of it is here.
    Whole(&'i [u8]),
    /// The application answers without it.
    Unwanted,
    /// Some of it is missing.
    Coming,
    /// There is something to send first, or instead.
    Answered(Step),
}
