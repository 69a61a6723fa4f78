//! Names become addresses: when they are looked up, and over which socket.
//!
//! One name is looked up at a time, with `/etc/hosts` and `/etc/resolv.conf` as they are then, and a
//! socket with a port of its own. These two files are read in the loop: a machine that cannot give
//! them at once cannot give the program's own pages either.

use log::Level;
use midge::{Address, Duration, Instant};

use super::{take, udp};
use crate::dns::hosts;
use crate::dns::message::ANSWER_BYTES;
use crate::dns::resolver::{Outcome, Resolver};
use crate::files::{FILE_BYTES, read_file};
use crate::logger::say;
use crate::os::{self, Slot};
use crate::poll::{Interest, Poll, Token};
use crate::seeds::{News, Seeds, Wanted};
use crate::socket::Socket;

/// From one time to the next while it is urgent: doubling between these two.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// And when it is not.
const AGAIN: Duration = Duration::from_secs(300);

/// How long the first answer about a name is waited for while others wait for their turn.
const FIRST_TIMEOUT: Duration = Duration::from_secs(2);

/// Datagrams that are taken in one round of the loop.
const BATCH: usize = 16;

/// In memory that costs nothing until it is used.
static RESOLVER: Slot<Resolver> = Slot::new(Resolver::IDLE);

/// Looks names up.
pub(super) struct Finder<'s> {
    resolver: &'static mut Resolver,
    /// Nameservers that come instead of those of the system.
    servers: &'s [Address],
    /// The number of the name that is looked up.
    name: Option<u32>,
    /// Of that name alone: the socket, if there could be one, and whether it is IPv6.
    socket: Option<(Socket, bool)>,
    /// It has not been read to its end.
    has_more: bool,
    token: Token,
    /// What is read of a file, for a moment.
    file: &'static mut [u8; FILE_BYTES],
    /// When all names are looked up again, and how long until the time after that.
    again: Instant,
    delay: Duration,
}

impl<'s> Finder<'s> {
    pub(super) fn new(
        servers: &'s [Address],
        token: Token,
        file: &'static mut [u8; FILE_BYTES],
    ) -> Self {
        Self {
            resolver: take(&RESOLVER),
            servers,
            name: None,
            socket: None,
            has_more: false,
            token,
            file,
            again: Instant::FAR_FUTURE,
            delay: RETRY_FIRST,
        }
    }

    /// When `run` has something to do.
    pub(super) fn poll_timeout(&self) -> Instant {
        if self.has_more {
            return Instant::ZERO;
        }
        self.resolver.poll_timeout().unwrap_or(self.again)
    }

    /// Whether there are names that have not had their turn.
    pub(super) fn is_looking(&self) -> bool {
        self.name.is_some()
    }

    /// Looks everything up again now.
    pub(super) fn hurry(&mut self) {
        self.again = Instant::ZERO;
    }

    /// Does what is due or has come. `alone`: there is nobody yet, or any more. That is as urgent as
    /// a name that has never resolved.
    pub(super) fn run(&mut self, now: Instant, poll: &Poll, seeds: &mut Seeds, alone: bool) {
        let urgent = alone || seeds.has_unresolved();
        if urgent && self.again != Instant::FAR_FUTURE {
            self.again = self.again.min(now + RETRY_MAX.scale(3, 2));
        }
        if self.again <= now {
            seeds.want_all();
            self.again = Instant::FAR_FUTURE;
        }
        loop {
            if self.name.is_some() {
                self.converse(now);
                let Some(outcome) = self.resolver.outcome() else { return };
                self.finish(now, seeds, outcome);
            }
            if !self.start(now, poll, seeds) {
                return self.schedule(now, seeds, urgent);
            }
        }
    }

    /// Takes up the next name, or passes it on to the nameservers. Says whether there is one.
    fn start(&mut self, now: Instant, poll: &Poll, seeds: &mut Seeds) -> bool {
        let others_wait = seeds.wanted() > 1;
        let Some(name) = seeds.next_wanted() else { return false };
        let resolver = &mut *self.resolver;
        resolver.clear();
        if name.wanted == Wanted::FromFile {
            // No file is as good as an empty one.
            let text = read_file("/etc/hosts", self.file).unwrap_or_default();
            hosts::find(text, &name.host, &mut resolver.found);
            if resolver.found.is_empty() {
                name.wanted =
                    if name.silent { Wanted::FromSilentServers } else { Wanted::FromServers };
                return true;
            }
        }
        name.wanted = Wanted::No;
        self.name = Some(name.number);
        let mut ids = [[0; 2]; 2];
        let is_found = !resolver.found.is_empty();
        // Without random numbers, which there are always, it is not asked for.
        if is_found || os::fill_random(ids.as_flattened_mut()).is_err() {
            resolver.end(!is_found);
            return true;
        }
        let text = read_file("/etc/resolv.conf", self.file).unwrap_or_default();
        resolver.config.read(text, self.servers);
        if !core::mem::replace(&mut name.asked, true) && others_wait {
            resolver.config.timeout = resolver.config.timeout.min(FIRST_TIMEOUT);
            resolver.config.attempts = 1;
        }
        resolver.start(now, &name.host, ids);
        self.socket = udp::open_any(0).ok();
        // A socket that cannot be watched or made is as good as a network that is silent.
        let _ =
            self.socket.as_ref().map(|(socket, _)| poll.add(socket, self.token, Interest::Read));
        true
    }

    /// Hears what has come, and asks what there is to be asked.
    fn converse(&mut self, now: Instant) {
        let Some((socket, is_v6)) = &self.socket else {
            return self.resolver.handle_timeout(now);
        };
        let mut space = [0; ANSWER_BYTES];
        // That it can be read is told once: what is left after a batch is remembered.
        for at in 0..BATCH {
            let received = udp::receive_from(socket, &mut space);
            self.has_more = at + 1 == BATCH && received.is_ok();
            let Ok((from, len)) = received else { break };
            self.resolver.handle_datagram(now, from, &space[..len]);
        }
        self.resolver.handle_timeout(now);
        while let Some((to, query)) = self.resolver.poll_transmit() {
            // What does not get away is asked again.
            let _ = udp::send_to(socket, query, to, *is_v6);
        }
    }

    fn finish(&mut self, now: Instant, seeds: &mut Seeds, outcome: Outcome) {
        (self.socket, self.has_more) = (None, false);
        let Some(number) = self.name.take() else { return };
        match seeds.learn(now, number, &self.resolver.found, outcome) {
            News::Nothing => {}
            News::Resolved(host, count) => {
                say(Level::Info, format_args!("name={host} addresses={count}"));
            }
            News::Unresolved(host) => {
                let why = outcome.why();
                say(Level::Warn, format_args!("name={host} note=\"does not resolve: {why}\""));
            }
        }
    }

    fn schedule(&mut self, now: Instant, seeds: &Seeds, urgent: bool) {
        if self.again != Instant::FAR_FUTURE || !seeds.has_names() {
            return;
        }
        if !urgent {
            self.delay = RETRY_FIRST;
        }
        let delay = if urgent { self.delay } else { AGAIN };
        self.delay = self.delay.scale(2, 1).min(RETRY_MAX);
        let mut random = [0; 2];
        // Without random bytes the pause is its shortest.
        let _ = os::fill_random(&mut random);
        // Half of it is fixed, half random.
        let random = delay.scale(u32::from(u16::from_ne_bytes(random)), 1 << 16);
        self.again = now + delay.scale(1, 2) + random;
    }
}
