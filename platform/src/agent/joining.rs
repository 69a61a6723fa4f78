//! Whom to join: brings the sources of seeds together, and what is found to the node.

use midge::{Address, Duration, Instant, Node};

use super::advertise;
use super::finder::Finder;
use super::join_file::JoinFile;
use super::state_dir::StateDir;
use super::{Settings, signals, take};
use crate::files::FILE_BYTES;
use crate::os::{self, Slot};
use crate::poll::{Events, Poll, Token};
use crate::seeds::{Seeds, Source};

/// How long the start waits for the first address of a name, when the route to it decides which
/// address is advertised.
const FIRST_ADDRESS_WAIT: Duration = Duration::from_secs(5);

/// What is read of a file, for a moment.
static FILE: Slot<[u8; FILE_BYTES]> = Slot::new([0; FILE_BYTES]);

pub(super) struct Joining<'s> {
    pub(super) seeds: &'static mut Seeds,
    finder: Finder<'s>,
    file: Option<JoinFile>,
    state: Option<StateDir>,
    token: Token,
    /// The bound address of the node's socket.
    bound: Address,
    /// The node leaves: nobody is sought any more.
    leaving: bool,
}

impl<'s> Joining<'s> {
    /// Reads what there is to be read at the start. If the state directory is not for this agent, it
    /// stops.
    pub(super) fn new(
        seeds: &'static mut Seeds,
        settings: &'s Settings,
        bound: Address,
        token: Token,
    ) -> Self {
        let state = settings.state_dir.map(|path| StateDir::open(path, settings.cluster));
        if let Some(state) = &state {
            seeds.set_addresses(Source::Peers, &state.peers);
        }
        let file = settings.join_file.map(|path| JoinFile::new(path, seeds));
        let finder = Finder::new(&settings.dns, token, take(&FILE));
        Self { seeds, finder, file, state, bound, leaving: false, token }
    }

    /// Waits for the first address of others, if names are to be looked up; for one of this machine
    /// alone if that is all that they lead to. Being told to end ends it, too.
    pub(super) fn find_first(&mut self, poll: &mut Poll) {
        let mut events = Events::new();
        let deadline = os::now() + FIRST_ADDRESS_WAIT;
        while self.seeds.has_names() {
            let now = os::now();
            self.finder.run(now, poll, self.seeds, true);
            let found = self.seeds.addresses();
            let is_done = found.iter().any(|seed| !advertise::is_loopback(*seed))
                || !(found.is_empty() || self.finder.is_looking());
            if is_done || now >= deadline || signals::is_told_to_end() {
                return;
            }
            let due = self.finder.poll_timeout().min(deadline);
            // Interrupted, it goes on.
            let _ = poll.wait(&mut events, Some(due.since(now)));
        }
    }

    /// When `run` has something to do.
    pub(super) fn poll_timeout(&self) -> Instant {
        if self.leaving {
            return Instant::FAR_FUTURE;
        }
        let file = self.file.as_ref().map_or(Instant::FAR_FUTURE, JoinFile::poll_timeout);
        let state = self.state.as_ref().map_or(Instant::FAR_FUTURE, StateDir::poll_timeout);
        self.finder.poll_timeout().min(file).min(state)
    }

    /// Does what is due or has come, and tells the node.
    pub(super) fn run<const N: usize>(&mut self, now: Instant, poll: &Poll, node: &mut Node<N>) {
        let status = node.status();
        let (own, bound) = (status.own.address, self.bound);
        let alone = status.isolated || status.alive + status.suspect < 2;
        self.leaving = status.leaving;
        if !self.leaving {
            if let Some(file) = &mut self.file {
                file.run(now, poll, self.token, self.seeds);
            }
            self.finder.run(now, poll, self.seeds, alone);
            if let Some(state) = &mut self.state
                && state.run(now, poll, self.token, node, alone)
            {
                self.seeds.set_addresses(Source::Peers, &state.peers);
            }
        }
        self.seeds.sync(node, now, &|seed| advertise::is_own(seed, own, bound));
    }

    /// Times that writing to the state directory has failed.
    pub(super) fn state_errors(&self) -> u32 {
        self.state.as_ref().map_or(0, |state| state.errors)
    }

    /// Looks everything up again.
    pub(super) fn reload(&mut self) {
        if let Some(file) = &mut self.file {
            file.hurry();
        }
        self.finder.hurry();
    }
}
