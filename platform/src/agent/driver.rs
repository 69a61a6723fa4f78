//! The loop: one thread that gives the node its datagrams and its time, and carries out what it
//! asks for.
//!
//! Each round takes what has come in bounded batches: datagrams, then what is due in time, then
//! signals, then the API, so that none starves another and probes come before requests. The
//! events are edges: a source that was not drained is remembered as ready, and the round after
//! does not wait. A datagram costs at most five system calls: waiting, reading it, reading that
//! there is no other, and sending the answer; the clock is read without one.

use log::Level;
use midge::{Duration, Instant, Node};
use nix::errno::Errno;

use super::api_socket::Door;
use super::children::Children;
use super::clock::Watch;
use super::joining::Joining;
use super::networks::allows;
use super::signals::{Request, Signals};
use super::systemd::Manager;
use super::udp::{Buffer, Received, Sent, Udp};
use super::{API, CAPACITY, NAMES, PROGRAM, SIGNALS, UDP, cannot, fill_random, take, words};
use crate::api::events::{Events as Ring, Kind};
use crate::api::{About, Api, Counters};
use crate::arena::allocations;
use crate::http::{Buffers, LISTENERS, Server};
use crate::logger::{dropped, say};
use crate::os::{self, Slot};
use crate::poll::{Events, Poll};

/// Datagrams that are taken in one round.
const BATCH: usize = 64;

/// How often the log tells at most that clients of the API were refused.
const REFUSALS_PAUSE: Duration = Duration::from_secs(60);

/// The buffers of API connections, which cost nothing until one is used.
static BUFFERS: Slot<Buffers> = Slot::new(Buffers::EMPTY);

/// The last events, likewise.
static EVENTS: Slot<Ring> = Slot::new(Ring::EMPTY);

/// Why the loop ended although the node has not left.
#[derive(Clone, Copy, Debug)]
pub(super) enum Halt {
    /// By SIGINT.
    Interrupted,
    /// There are no more events.
    Wait(Errno),
}

/// What the loop works with.
pub(super) struct Parts<'s> {
    pub(super) poll: Poll,
    pub(super) node: &'static mut Node<CAPACITY>,
    pub(super) joining: Joining<'s>,
    pub(super) udp: Udp<'s>,
    pub(super) signals: Signals,
    pub(super) doors: [Option<Door>; LISTENERS],
    pub(super) children: Children,
    pub(super) clock: Watch,
}

pub(super) struct Driver<'s> {
    poll: Poll,
    node: &'static mut Node<CAPACITY>,
    joining: Joining<'s>,
    udp: Udp<'s>,
    signals: Signals,
    server: Server<'static, Door>,
    manager: Manager,
    children: Children,
    clock: Watch,
    about: About,
    events: &'static mut Ring,
    counters: Counters,
    /// The node has joined, if only once.
    ready: bool,
    /// Clients of the API that were refused, as the log has told.
    refusals_told: u64,
    /// When it may tell again.
    refusals_again: Instant,
    /// Datagrams may be waiting in the UDP socket.
    udp_ready: bool,
    /// API connections have something to do.
    api_ready: bool,
    /// SIGUSR1 has come.
    dump: bool,
    /// SIGINT has come while the node was leaving.
    quit: bool,
}

impl<'s> Driver<'s> {
    pub(super) fn new(parts: Parts<'s>) -> Self {
        let Parts { poll, node, joining, udp, signals, doors, children, clock } = parts;
        let server = Server::new(doors, take(&BUFFERS), &poll, API)
            .unwrap_or_else(|error| cannot("watch the API socket", error));
        let events = take(&EVENTS);
        let mut life = [0; 4];
        fill_random(&mut life);
        events.begin(u32::from_le_bytes(life));
        let about = About { version: env!("CARGO_PKG_VERSION"), started: os::now() };
        Self {
            poll,
            node,
            manager: Manager::new(children.environment),
            children,
            clock,
            joining,
            udp,
            signals,
            server,
            about,
            events,
            counters: Counters::default(),
            ready: false,
            refusals_told: 0,
            refusals_again: Instant::ZERO,
            udp_ready: true,
            api_ready: true,
            dump: false,
            quit: false,
        }
    }

    /// Runs until the node has left; only once. The API socket is removed when it is dropped.
    ///
    /// # Errors
    /// The loop cannot go on, or was told to stop without leaving.
    pub(super) fn run(&mut self) -> Result<(), Halt> {
        let mut events = Events::new();
        let mut incoming: Buffer = [0; _];
        // Signals may have come before there was a node.
        self.handle_signals();
        self.join();
        self.follow_up();
        let allocated = allocations();
        while !self.is_over() {
            self.wait(&mut events)?;
            let woken = os::now();
            self.take_events(&events);
            self.receive(&mut incoming);
            self.keep_time();
            self.read_clock();
            self.serve();
            self.run_children();
            self.join();
            self.tell_manager();
            self.counters.allocations = allocations().wrapping_sub(allocated);
            self.counters.round(os::now().since(woken));
            if self.quit {
                return Err(Halt::Interrupted);
            }
        }
        // Who asked for it over the API gets what is left of the answer.
        self.serve();
        Ok(())
    }

    /// Whether the node has left, and no program that it ran has time left to end.
    fn is_over(&mut self) -> bool {
        self.node.has_left() && !self.children.stop(os::now())
    }

    fn wait(&mut self, events: &mut Events) -> Result<(), Halt> {
        match self.poll.wait(events, self.timeout()) {
            // A tracer, or the machine waking up. There are no events then.
            Ok(()) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(Halt::Wait(error)),
        }
    }

    fn take_events(&mut self, events: &Events) {
        for event in events.iter() {
            match event.token() {
                UDP => {
                    self.udp_ready |= event.is_readable() || event.is_error();
                    self.udp.resume(&self.poll);
                }
                SIGNALS => self.handle_signals(),
                // `join` reads whatever has come.
                NAMES => {}
                PROGRAM => self.children.handle_output(os::now()),
                _ => {
                    self.server.handle_event(&event);
                    self.api_ready = true;
                }
            }
        }
    }

    /// How long there is nothing to do unless something comes.
    fn timeout(&self) -> Option<Duration> {
        if self.udp_ready || self.api_ready {
            return Some(Duration::ZERO);
        }
        let next = self.manager.poll_timeout().min(self.children.poll_timeout());
        let next = self.joining.poll_timeout().min(next);
        let next = self.clock.poll_timeout().min(next);
        let next = self.node.poll_timeout().map_or(next, |due| due.min(next));
        let next = self.server.poll_timeout().map_or(next, |due| due.min(next));
        Some(next.since(os::now()))
    }

    /// Takes a batch of datagrams; each is answered before the next is read, so that what is owed
    /// stays within what the node has room for.
    fn receive(&mut self, incoming: &mut Buffer) {
        for _ in 0..BATCH {
            if !self.udp_ready {
                return;
            }
            match self.udp.receive(incoming) {
                Received::Nothing => self.udp_ready = false,
                Received::Datagram(from, _) if !allows(self.udp.allowed, from) => {
                    self.node.note_not_allowed();
                }
                Received::Datagram(from, len) => {
                    // A rejected datagram has been counted by the node.
                    let accepted = self.node.handle_datagram(os::now(), from, &incoming[..len]);
                    if let Err(reject) = accepted {
                        say(Level::Debug, format_args!("reject={reject} from={from} bytes={len}"));
                    }
                    self.follow_up();
                }
            }
        }
    }

    fn keep_time(&mut self) {
        let now = os::now();
        if self.node.poll_timeout().is_some_and(|due| due <= now) {
            self.node.handle_timeout(now);
        }
        self.follow_up();
    }

    fn read_clock(&mut self) {
        self.clock.run(os::now(), self.node);
        self.tell_clock();
    }

    /// Tells what is new of the clock, which a request may have read, too.
    fn tell_clock(&mut self) {
        if self.clock.is_news() {
            words::event(self.events.add_clock(&self.clock.time, os::unix_ms()));
            self.server.wake();
            self.api_ready = true;
        }
    }

    fn serve(&mut self) {
        let now = os::now();
        let due = self.server.poll_timeout().is_some_and(|due| due <= now);
        if !self.api_ready && !due && !self.dump {
            return;
        }
        self.counters.http = self.server.stats();
        self.counters.send_dropped = self.udp.send_dropped;
        self.counters.log_dropped = dropped();
        self.counters.state_errors = self.joining.state_errors();
        self.counters.hooks = self.children.hooks.stats;
        let mut api = Api {
            node: self.node,
            seeds: self.joining.seeds,
            about: &self.about,
            events: self.events,
            true_time: &mut self.clock.time,
            counters: &self.counters,
            ready: self.ready,
            now,
        };
        self.api_ready = self.server.run(now, &self.poll, &mut api);
        if core::mem::take(&mut self.dump) {
            words::dump(&api);
        }
        self.tell_clock();
        self.tell_refusals(now);
        self.follow_up();
    }

    fn join(&mut self) {
        self.joining.run(os::now(), &self.poll, self.node);
        self.follow_up();
    }

    fn run_children(&mut self) {
        self.children.advance(os::now(), self.node, self.events, &self.poll);
    }

    fn tell_manager(&mut self) {
        self.manager.handle_timeout(os::now(), self.node);
    }

    fn tell_refusals(&mut self, now: Instant) {
        let stats = self.server.stats();
        let refusals = stats.busy + stats.accept_errors;
        if refusals > self.refusals_told && now >= self.refusals_again {
            words::refusals(&stats);
            self.refusals_told = refusals;
            self.refusals_again = now + REFUSALS_PAUSE;
        }
    }

    fn handle_signals(&mut self) {
        while let Some(request) = self.signals.next() {
            match request {
                // It is being done.
                Request::Terminate if self.node.status().leaving => {}
                Request::Terminate => self.leave("SIGTERM"),
                Request::Interrupt if self.node.status().leaving => self.quit = true,
                Request::Interrupt => self.leave("SIGINT"),
                Request::Child => {
                    self.children.handle_ends(os::now(), self.joining.seeds);
                }
                Request::Reload => {
                    say(Level::Info, format_args!("signal=SIGHUP note=\"reading again\""));
                    self.joining.reload();
                }
                Request::Dump => self.dump = true,
            }
        }
    }

    fn leave(&mut self, signal: &str) {
        say(Level::Info, format_args!("signal={signal} note=leaving"));
        self.node.leave(os::now());
    }

    /// What must follow everything that the node was given: its datagrams go out, its events into
    /// the log.
    fn follow_up(&mut self) {
        while !self.udp.is_full() {
            let Some(transmit) = self.node.poll_transmit(os::now(), &mut self.udp.outgoing) else {
                break;
            };
            if self.udp.send(transmit, &self.poll) == Sent::Full {
                break;
            }
        }
        while let Some(event) = self.node.poll_event() {
            let record = self.events.add(self.node, &event, os::unix_ms());
            words::event(record);
            self.ready |= matches!(record.kind, Kind::Joined | Kind::First);
            self.server.wake();
            self.api_ready = true;
        }
    }
}
