//! Who leads: Raft's terms, votes and commit rule over one small register, with leases.
//!
//! `docs/council.md` is the protocol with the argument for its safety; the rules are numbered as
//! there. Raft: Ongaro, "Consensus: Bridging Theory and Practice" (2014). The register without a
//! log: Schultz, Dardik, Tripakis, "Design and Analysis of a Logless Dynamic Reconfiguration
//! Protocol" (arXiv 2102.11960).
//!
//! A [`Council`] knows nothing of sockets, disks, clocks or gossip: messages and time are handed
//! in, messages, records to be made durable and deadlines are pulled out.

use heapless::Vec;

pub mod configuration;
mod election;
mod lease;
pub mod message;
mod peer;
pub mod promise;
mod reconfigure;
pub mod register;
mod replicate;
mod reply;
mod rules;
pub mod term;
mod transfer;
pub mod voters;

#[cfg(test)]
mod tests;

pub use configuration::{Configuration, Voter, Voters};
pub use lease::{Now, Until};
pub use message::{Ack, Append, Body, Message};
pub use promise::{Promise, Promises, Report, Told};
pub use reconfigure::ChangeError;
pub use register::{Constants, Release, State};
pub use rules::{Rule, Rules};
pub use term::{Id, NOBODY, Term};
pub use transfer::TransferError;

use crate::address::Address;
use crate::limits::{COUNCIL_PEERS, COUNCIL_REPLIES};
use crate::rng::Rng;
use crate::time::{Instant, TimeWindow};
use lease::Lease;
use peer::Peer;
use reconfigure::Change;
use reply::Reply;
use transfer::Transfer;

/// What a node does in its council.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Votes, or only listens.
    #[default]
    Follower,
    /// Asks whether it would be elected.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Was elected. Whether it may lead right now is for [`Council::claim`] to say.
    Leader,
}

/// Why a node does not claim to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoClaim {
    /// It is not elected.
    NotElected,
    /// It has released its leadership.
    Released,
    /// Its first version is not committed yet.
    NotCommitted,
    /// What had been promised to others is not over.
    Waiting,
    /// Too few voters have answered of late.
    NotAcknowledged,
    /// It has to have a bounded clock for it, and has none.
    NoClock,
}

/// What a node must not forget, and makes durable before a vote or an acknowledgement leaves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The cluster's id; 0 = none.
    pub cluster: u64,
    /// The node's id.
    pub node: u64,
    /// The term it is in.
    pub term: Term,
    /// Whom it voted for in this term; [`NOBODY`] = nobody yet.
    pub voted_for: u64,
    /// The version it has accepted.
    pub state: State,
}

/// How a node takes part.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// This node's id and address.
    pub me: Voter,
    /// Neither vote nor lead without a usable bounded clock.
    pub require_clock: bool,
    /// Which rules hold: all of them.
    pub rules: Rules,
}

/// Why a message was refused. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is meant for another node.
    NotForMe,
    /// It is of another cluster.
    OtherCluster,
    /// It says what nobody says who follows the protocol.
    Impossible,
}

/// Whom a node heard lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Heard {
    leader: u64,
    at: Instant,
}

/// One node's part in the council.
#[derive(Clone, Debug)]
pub struct Council {
    settings: Settings,
    record: Record,
    /// Counts the changes of the record, and those of them that are durable.
    changes: u64,
    durable: u64,
    role: Role,
    heard: Option<Heard>,
    /// The last version that is known to be committed.
    committed: Id,
    promises: Promises,
    /// A life before this one is forgotten, and no clock has said yet until when its promises in
    /// true time may last.
    forgotten: bool,
    /// What was forgotten is over in true time after this; [`promise::NEVER_NS`] = nothing was.
    forgotten_until_ns: i64,
    /// `R`: until when this process has told somebody outside that it leads, in any term.
    told: Promise,
    /// Who has granted what a candidate asks for, and what binds it after their promises.
    granted: Vec<u64, COUNCIL_PEERS>,
    binding: Promise,
    peers: Vec<Peer, COUNCIL_PEERS>,
    replies: Vec<Reply, COUNCIL_REPLIES>,
    lease: Lease,
    change: Change,
    transfer: Option<Transfer>,
    /// The leader before asked this node to stand.
    asked: bool,
    /// When a leader was elected.
    elected_at: Instant,
    /// When the lease was lowered last in this leadership, as far as it can know.
    lowered_at: Instant,
    /// When a node that hears no leader stands; asks again; when a leader speaks.
    election_at: Instant,
    resend_at: Instant,
    heartbeat_at: Instant,
    rng: Rng,
}

impl Council {
    /// Not started: all bytes zero; it is nobody, and no message is meant for it.
    pub const EMPTY: Self = Self {
        settings: Settings {
            me: Voter { id: NOBODY, address: Address::NONE },
            require_clock: false,
            rules: Rules::ALL,
        },
        record: Record {
            cluster: 0,
            node: NOBODY,
            term: Term::ZERO,
            voted_for: NOBODY,
            state: State::EMPTY,
        },
        changes: 0,
        durable: 0,
        role: Role::Follower,
        heard: None,
        committed: Id::ZERO,
        promises: Promises::NONE,
        forgotten: false,
        forgotten_until_ns: promise::NEVER_NS,
        told: Promise::NONE,
        granted: Vec::new(),
        binding: Promise::NONE,
        peers: Vec::new(),
        replies: Vec::new(),
        lease: Lease::after(Promise::NONE),
        change: Change::NONE,
        transfer: None,
        asked: false,
        elected_at: Instant::ZERO,
        lowered_at: Instant::ZERO,
        election_at: Instant::ZERO,
        resend_at: Instant::ZERO,
        heartbeat_at: Instant::ZERO,
        rng: Rng::new(0),
    };

    /// A node that belongs to no council yet and has never been in one.
    #[must_use]
    pub fn new(settings: Settings, seed: u64, now: &Now) -> Self {
        let record = Record {
            cluster: 0,
            node: settings.me.id,
            term: Term::ZERO,
            voted_for: NOBODY,
            state: State { constants: Constants::DEFAULT, ..State::EMPTY },
        };
        let mut council = Self::with(settings, record, seed);
        council.await_leader(now);
        council
    }

    /// A node that was in a council before it stopped. It votes at once; rule 9: what it may have
    /// promised, or told, and does not remember, it takes for the most that it can have been.
    #[must_use]
    pub fn restore(settings: Settings, record: Record, seed: u64, now: &Now) -> Self {
        let mut council = Self::with(settings, record, seed);
        council.forget(now);
        council.refresh_peers();
        council.await_leader(now);
        council
    }

    fn with(settings: Settings, record: Record, seed: u64) -> Self {
        let election_at = Instant::FAR_FUTURE;
        Self { settings, record, election_at, rng: Rng::new(seed), ..Self::EMPTY }
    }

    /// Founds a council of this node alone. `cluster` is random and not 0. `false`, and nothing
    /// has changed, if it belongs to one already.
    pub fn found(&mut self, now: &Now, cluster: u64, constants: Constants) -> bool {
        if self.record.cluster != 0 || cluster == 0 || !constants.are_valid() {
            return false;
        }
        self.record.cluster = cluster;
        self.record.state.constants = constants;
        let me = [self.settings.me].into_iter().collect();
        self.record.state.configuration = Configuration::of(me);
        self.stand(now);
        true
    }

    /// Takes in a message.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed.
    pub fn handle_message(&mut self, now: &Now, message: &Message) -> Result<(), Refused> {
        self.remember(now);
        if message.to.id != self.settings.me.id || message.from.id == self.settings.me.id {
            return Err(Refused::NotForMe);
        }
        if message.cluster == 0 || message.from.id == NOBODY {
            return Err(Refused::Impossible);
        }
        if self.record.cluster != 0 && self.record.cluster != message.cluster {
            return Err(Refused::OtherCluster);
        }
        match &message.body {
            Body::PreVote { id } => self.handle_pre_vote(now, message, *id),
            Body::PreVoted { granted } => self.handle_pre_voted(now, message, *granted),
            Body::Vote { id, transfer } => self.handle_vote(now, message, *id, *transfer),
            Body::Voted { report } => self.handle_voted(now, message, report.as_ref()),
            Body::Append(append) => return self.handle_append(now, message, append),
            Body::Ack(ack) => self.handle_ack(now, message, ack),
        }
        Ok(())
    }

    /// Does what is due. Calling it early, late or twice is harmless.
    pub fn handle_timeout(&mut self, now: &Now) {
        self.remember(now);
        match self.role {
            Role::Leader => self.lead_on(now),
            _ if now.mono >= self.election_at => self.canvass(now),
            Role::PreCandidate | Role::Candidate if now.mono >= self.resend_at => {
                self.ask_again(now);
            }
            _ => {}
        }
    }

    /// The record as it was at this change is safe, and all before it.
    pub fn handle_persisted(&mut self, now: &Now, change: u64) {
        self.remember(now);
        self.durable = self.durable.max(change.min(self.changes));
        if self.is_durable() {
            self.count_votes(now);
            self.advance_commit(now);
        }
    }

    /// This machine was paused, cloned or restored: what its clocks and its memory say of the
    /// promises it made is void. It stops leading.
    pub fn handle_disruption(&mut self, now: &Now) {
        self.step_down(now);
        self.forget(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` while nothing is awaited.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let at = match self.role {
            Role::Leader => self.leaders_deadline(),
            Role::PreCandidate | Role::Candidate => self.election_at.min(self.resend_at),
            Role::Follower => self.election_at,
        };
        (at != Instant::FAR_FUTURE).then_some(at)
    }

    /// The record to be made durable, and its number for
    /// [`handle_persisted`](Self::handle_persisted); `None` while all of it is.
    #[must_use]
    pub fn poll_persist(&self) -> Option<(u64, &Record)> {
        (self.changes != self.durable).then_some((self.changes, &self.record))
    }

    /// The next message to be sent, with the promises as they are now.
    #[must_use]
    pub fn poll_message(&mut self, now: &Now) -> Option<Message> {
        self.next_reply(now).or_else(|| self.next_request(now))
    }

    /// Rules 4, 8, 10 and 12: until when this node leads, if it does. Judged by the clock that is
    /// handed in, so ask it anew each time.
    ///
    /// # Errors
    /// [`NoClaim`] says why it does not.
    pub fn claim(&self, now: &Now) -> Result<Until, NoClaim> {
        let now = &self.usable(now);
        if self.role != Role::Leader {
            return Err(NoClaim::NotElected);
        }
        if self.transfer.is_some() && self.follows(Rule::ReleaseEnds) {
            return Err(NoClaim::Released);
        }
        if self.committed.term != self.record.term {
            return Err(NoClaim::NotCommitted);
        }
        if !self.may_vote(now) {
            return Err(NoClaim::NoClock);
        }
        if !self.lease.floor_has_passed(now) && self.follows(Rule::WaitForPromises) {
            return Err(NoClaim::Waiting);
        }
        let until = self.acknowledged_until();
        if until.is_ahead(now) { Ok(until) } else { Err(NoClaim::NotAcknowledged) }
    }

    /// Tells somebody outside that this node leads for `for_ms` more milliseconds, and keeps in
    /// mind that it did; `None` if that is not certain.
    pub fn tell(&mut self, now: &Now, for_ms: u32) -> Option<Until> {
        let until = self.claim(now).ok()?;
        let usable = self.usable(now);
        let later = usable.after_ms(for_ms);
        if !until.is_ahead(&later) {
            return None;
        }
        let true_ns = later.window.map_or(promise::NEVER_NS, |window| window.latest_ns());
        self.told = self.told.max(Promise { true_ns, until: later.mono });
        Some(until)
    }

    /// Whether a claim of this leader is safe as long as one of the two kinds of clocks keeps its
    /// bound: so while it and all voters can tell true time, and have for long enough. Else it
    /// rests on monotonic clocks alone.
    #[must_use]
    pub fn is_safe_on_either(&self, now: &Now) -> bool {
        let me = self.settings.me.id;
        let bounded = |id| self.peer(id).is_some_and(|peer| peer.bounded);
        let mut voters = self.record.state.configuration.voters();
        self.is_bounded(now) && voters.all(|v| v.id == me || bounded(v.id))
    }

    /// Whether this node can tell true time, and remembers all that it promised in it.
    fn is_bounded(&self, now: &Now) -> bool {
        let after = |window: TimeWindow| window.earliest_ns() > self.forgotten_until_ns;
        !self.forgotten && self.usable(now).window.is_some_and(after)
    }

    /// What the node does.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// What the node must not forget.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The last version that is known to be committed.
    #[must_use]
    pub const fn committed(&self) -> Id {
        self.committed
    }

    /// Whom this node heard lead within an election time-out; itself, if it was elected.
    #[must_use]
    pub fn leader(&self, now: &Now) -> Option<u64> {
        if self.role == Role::Leader {
            return Some(self.settings.me.id);
        }
        self.heard.filter(|heard| self.is_recent(now, heard.at)).map(|heard| heard.leader)
    }

    /// Whether a rule holds: all of them do, outside of tests.
    fn follows(&self, rule: Rule) -> bool {
        self.settings.rules.hold(rule)
    }

    /// Whether what must not be forgotten is safe.
    fn is_durable(&self) -> bool {
        self.changes == self.durable || !self.follows(Rule::DurableFirst)
    }

    /// The record has changed.
    fn note_change(&mut self) {
        self.changes += 1;
    }

    /// Whether this was less than the shortest election time-out ago.
    fn is_recent(&self, now: &Now, at: Instant) -> bool {
        now.mono.since(at) < self.record.state.constants.election()
    }

    /// The clock as leases can use it: a window wider than half a lease is none.
    fn usable(&self, now: &Now) -> Now {
        let widest_ns = u64::from(self.record.state.constants.lease_ms) * 1_000_000 / 2;
        let fits =
            |w: &TimeWindow| w.width_ns() <= widest_ns && w.earliest_ns() > promise::NEVER_NS;
        Now { mono: now.mono, window: now.window.filter(fits) }
    }

    /// Whether this node may vote, acknowledge and stand by its clock.
    fn may_vote(&self, now: &Now) -> bool {
        !self.settings.require_clock || self.usable(now).window.is_some()
    }

    /// Rule 9: takes what was promised and told before for the most that it can have been.
    fn forget(&mut self, now: &Now) {
        if self.record.state.configuration.is_empty() || !self.follows(Rule::RestartAtMost) {
            return;
        }
        let until = now.mono + self.record.state.constants.promise() + promise::ROUNDING;
        let most = Promise { true_ns: promise::NEVER_NS, until };
        self.promises.raise_floor(most);
        self.told = self.told.max(most);
        self.forgotten = true;
        self.remember(now);
    }

    /// The same in true time, as soon as there is one; and what now is further ahead than any
    /// promise can be was noted with a clock that knew less.
    fn remember(&mut self, now: &Now) {
        let most = |window: TimeWindow| {
            lease::later(window.latest_ns(), self.record.state.constants.promise_ms)
        };
        if let Some(window) = now.window.filter(|_| self.forgotten) {
            let most = Promise { true_ns: most(window), until: Instant::ZERO };
            self.forgotten = false;
            self.forgotten_until_ns = most.true_ns;
            self.promises.raise_floor(most);
            self.told = self.told.max(most);
        }
        let longest = self.record.state.constants.promise() + promise::ROUNDING;
        let most = Promise {
            true_ns: self.usable(now).window.map_or(i64::MAX, most),
            until: now.mono + longest,
        };
        self.forgotten_until_ns = self.forgotten_until_ns.min(most.true_ns);
        self.promises.clamp(most);
        self.told = self.told.min(most);
        self.binding = self.binding.min(most);
        self.lease.floor = self.lease.floor.min(most);
    }
}
