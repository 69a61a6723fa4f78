//! `Swim`: its state, its start, and the requests of the application.

use heapless::{Deque, String, Vec};

use super::incarnation::{Incarnation, State};
use super::introduce::Answer;
use super::notify::Notices;
use super::probe::{LATE, Probe, RoundTrip};
use super::reconcile::Pull;
use super::relay::Relay;
use super::row::{Flags, Row, Slot};
use super::suspicion;
use super::table::Table;
use super::timers::{Timer, Timers};
use super::view::{ForgetError, JoinError, Member, Stats, Status};
use crate::address::Address;
use crate::config::{Config, ConfigError, validate_tags};
use crate::event::Event;
use crate::limits::{ANSWERS, CLUSTER_NAME_BYTES, PULLS, RELAYS, SEEDS};
use crate::reject::Reject;
use crate::rng::Rng;
use crate::siphash::{last_word, siphash_1_3};
use crate::time::{Duration, Instant};
use crate::wire::{Cluster, Token};

/// How far the node's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not initialised.
    Unborn,
    /// A member, or about to join.
    Member,
    /// Leaving: telling the others, and answering.
    Lingers,
    /// Has left.
    Gone,
}

/// Membership alone: who is alive, in a fleet of any size, in fixed memory.
///
/// The same calls as [`Node`](crate::Node), which composes it with the rest; firmware that only
/// wants membership drives this.
#[derive(Debug)]
#[repr(C)]
pub struct Swim<const N: usize> {
    // In the order of their sizes and uses: what stands first is reached by shorter instructions.
    /// The time of the call that is under way.
    pub(super) now: Instant,
    /// When the node was started.
    pub(super) started: Instant,
    pub(super) period: Duration,
    pub(super) linger: Duration,
    pub(super) lifeguard: bool,
    pub(super) phase: Phase,
    /// Lifeguard's local health multiplier: 0 is well.
    pub(super) health: u8,
    pub(super) isolated: bool,
    /// The last probe failed.
    pub(super) failing: bool,
    /// Whether the table has once agreed with another's, or was pulled whole.
    pub(super) synced: bool,
    /// A peer saw another source address than the advertised one: so it is always sent along.
    pub(super) announce: bool,
    /// There is somebody to join, though perhaps no address is known yet.
    pub(super) seeking: bool,
    pub(super) details_missing: bool,
    /// A relayed ping may owe a datagram.
    pub(super) relays_owed: bool,
    pub(super) hellos: u8,
    pub(super) next_late: u8,
    pub(super) next_seed: u8,
    /// Gossip datagrams that this tick still owes, and the place in the order of the first.
    pub(super) gossip_owed: u8,
    pub(super) gossip_from: u32,
    /// Where the search for rows without details goes on, and when it may begin again.
    pub(super) details_at: u16,
    /// Who was heard last.
    pub(super) heard_last: Option<Slot>,
    /// The failed row that was knocked at last.
    pub(super) knocked: Option<Slot>,
    pub(super) details_after: Instant,
    pub(super) timers: Timers,
    pub(super) rng: Rng,
    pub(super) secret: (u64, u64),
    pub(super) tokens_drawn: u64,
    pub(super) heard: Option<Instant>,
    /// When an answer came late last, or this node was paused.
    pub(super) slow_at: Option<Instant>,
    pub(super) mismatch_since: Option<Instant>,
    pub(super) reconcile_after: Instant,
    pub(super) partial_until: Option<Instant>,
    pub(super) join_delay: Duration,
    /// The epoch that the node was started with; the fleet may have raised it since.
    pub(super) first_epoch: u64,
    /// The latest epoch that a member said of itself.
    pub(super) latest_epoch: u64,
    /// In which period an accusation worsened the health last, and until when another life of this
    /// address is not answered again.
    pub(super) accused_period: Option<u16>,
    pub(super) life: [u8; 4],
    pub(super) answer_life_after: Instant,
    /// The seeds that `join` named, as bits, until each is a live row, has refused, or has been
    /// asked for long enough.
    pub(super) wanted_seeds: u32,
    pub(super) round_trip: RoundTrip,
    pub(super) probe: Probe,
    pub(super) stats: Stats,
    pub(super) late: [Option<Token>; LATE],
    /// For the tags of its datagrams.
    pub(super) tagged: Cluster,
    pub(super) cluster: String<CLUSTER_NAME_BYTES, u8>,
    pub(super) pulls: [Pull; PULLS],
    pub(super) answers: Deque<Answer, ANSWERS>,
    pub(super) seeds: Vec<Address, SEEDS>,
    pub(super) relays: [Relay; RELAYS],
    pub(super) notices: Notices,
    pub(super) table: Table<N>,
}

impl<const N: usize> Default for Swim<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> Swim<N> {
    /// Not initialised: all bytes zero; ignores all input.
    pub const EMPTY: Self = Self {
        table: Table::EMPTY,
        now: Instant::ZERO,
        started: Instant::ZERO,
        cluster: String::new(),
        tagged: Cluster::NONE,
        period: Duration::ZERO,
        linger: Duration::ZERO,
        lifeguard: false,
        life: [0; 4],
        first_epoch: 0,
        latest_epoch: 0,
        accused_period: None,
        answer_life_after: Instant::ZERO,
        phase: Phase::Unborn,
        rng: Rng::new(0),
        secret: (0, 0),
        tokens_drawn: 0,
        timers: Timers::EMPTY,
        health: 0,
        round_trip: RoundTrip::UNKNOWN,
        probe: Probe::NONE,
        late: [None; LATE],
        next_late: 0,
        slow_at: None,
        relays: [Relay::FREE; RELAYS],
        relays_owed: false,
        gossip_owed: 0,
        gossip_from: 0,
        details_at: 0,
        details_after: Instant::ZERO,
        details_missing: false,
        seeds: Vec::new(),
        next_seed: 0,
        join_delay: Duration::ZERO,
        wanted_seeds: 0,
        seeking: false,
        heard_last: None,
        knocked: None,
        answers: Deque::new(),
        hellos: 0,
        announce: false,
        pulls: [Pull::FREE; PULLS],
        synced: false,
        mismatch_since: None,
        reconcile_after: Instant::ZERO,
        partial_until: None,
        heard: None,
        isolated: false,
        failing: false,
        notices: Notices::NONE,
        stats: Stats::ZERO,
    };

    /// See [`Node::init`](crate::Node::init).
    pub fn init(
        &mut self,
        config: &Config<'_>,
        entropy: [u8; 32],
        seed: u64,
        now: Instant,
    ) -> Result<(), ConfigError> {
        config.validate(N)?;
        let [index_a, index_b, secret_a, secret_b] = words(entropy);
        self.reset((index_a, index_b));
        self.secret = (secret_a, secret_b);
        self.rng = Rng::new(seed);
        self.now = now;
        self.started = now;
        // Lengths have been checked; what fits the limit fits the string.
        let _ = self.cluster.push_str(config.cluster);
        self.tagged = Cluster::of(config.cluster);
        self.period = Duration::from_millis(u64::from(config.period_ms));
        self.linger = Duration::from_millis(u64::from(config.linger_ms));
        self.lifeguard = config.lifeguard;
        self.first_epoch = config.epoch;
        let Token(life) = self.draw_token();
        self.life = life;

        let incarnation = Incarnation { epoch: config.epoch, refutation: 0 };
        // The table is empty and has room for at least one row: this is slot 0.
        let _ = self.table.insert(&config.advertise, incarnation, State::Alive, self.now);
        let own = self.row_mut(Slot::OWN);
        own.id = config.id;
        own.life = Some(life);
        own.flags.set(Flags::DETAILS_KNOWN);
        let _ = own.name.push_str(config.name);
        let _ = own.tags.push_str(config.tags);
        self.table.set_protocols(Slot::OWN, config.protocol_low, config.protocol_high);
        self.table.publish(Slot::OWN);

        // Not all nodes of a fleet that starts at once should probe at once.
        let phase = self.jitter(self.period);
        self.timers.set(Timer::Period, self.now + phase);
        self.timers.set(Timer::Knock, self.now + phase + self.period);
        self.join_delay = JOIN_DELAY_FIRST;
        Ok(())
    }

    /// Field by field, so that a large table is not built on the stack.
    fn reset(&mut self, index_key: (u64, u64)) {
        self.table.reset(index_key);
        self.cluster.clear();
        self.latest_epoch = 0;
        self.accused_period = None;
        self.answer_life_after = Instant::ZERO;
        self.phase = Phase::Member;
        self.tokens_drawn = 0;
        self.timers.clear_all();
        self.health = 0;
        self.round_trip = RoundTrip::UNKNOWN;
        self.probe.end();
        self.late = [None; LATE];
        self.slow_at = None;
        self.relays = [Relay::FREE; RELAYS];
        self.relays_owed = false;
        self.gossip_owed = 0;
        self.details_at = 0;
        self.details_after = Instant::ZERO;
        self.details_missing = false;
        self.seeds.clear();
        self.next_seed = 0;
        self.wanted_seeds = 0;
        self.seeking = false;
        self.heard_last = None;
        self.knocked = None;
        self.answers.clear();
        self.hellos = 0;
        self.announce = false;
        self.pulls = [Pull::FREE; PULLS];
        self.synced = false;
        self.mismatch_since = None;
        self.reconcile_after = Instant::ZERO;
        self.partial_until = None;
        self.heard = None;
        self.isolated = false;
        self.failing = false;
        self.notices = Notices::NONE;
        self.stats = Stats::ZERO;
    }

    /// See [`Node::join`](crate::Node::join).
    pub fn join(&mut self, now: Instant, seed: Address) -> Result<(), JoinError> {
        self.now = now;
        if !seed.is_usable() {
            return Err(JoinError::Unusable);
        }
        if self.phase != Phase::Member {
            return Err(JoinError::Leaving);
        }
        if seed == self.own().address {
            return Ok(());
        }
        let known = self.seeds.iter().position(|known| *known == seed);
        let at = known.unwrap_or(self.seeds.len());
        if known.is_none() {
            self.seeds.push(seed).map_err(|_| JoinError::Full)?;
        }
        self.wanted_seeds |= 1 << at;
        self.join_delay = JOIN_DELAY_FIRST;
        self.timers.set(Timer::Join, self.now);
        self.expect_answer();
        Ok(())
    }

    /// Somebody should say something from here on.
    fn expect_answer(&mut self) {
        if self.heard.is_none() && !self.timers.is_set(Timer::NoAnswer) {
            self.timers.set(Timer::NoAnswer, self.now + NO_ANSWER_AFTER);
        }
    }

    /// See [`Node::drop_seed`](crate::Node::drop_seed).
    pub fn drop_seed(&mut self, seed: Address) {
        let Some(at) = self.seeds.iter().position(|known| *known == seed) else { return };
        self.seeds.remove(at);
        // Those after it keep their turns and their bits.
        self.next_seed -= u8::from(usize::from(self.next_seed) > at);
        let before = (1 << at) - 1;
        self.wanted_seeds = self.wanted_seeds & before | self.wanted_seeds >> 1 & !before;
    }

    /// See [`Node::seeds`](crate::Node::seeds).
    #[must_use]
    pub fn seeds(&self) -> &[Address] {
        &self.seeds
    }

    /// See [`Node::set_seeking`](crate::Node::set_seeking).
    pub fn set_seeking(&mut self, now: Instant, seeking: bool) {
        self.now = now;
        self.seeking = seeking;
        if seeking && self.phase == Phase::Member {
            self.expect_answer();
        }
    }

    /// See [`Node::note_not_allowed`](crate::Node::note_not_allowed).
    pub fn note_not_allowed(&mut self) {
        let count = &mut self.stats.rejects[Reject::NotAllowed.index()];
        *count = count.wrapping_add(1);
    }

    /// See [`Node::leave`](crate::Node::leave).
    pub fn leave(&mut self, now: Instant) {
        self.now = now;
        if self.phase != Phase::Member {
            return;
        }
        let own = self.own().incarnation;
        self.table.change(Slot::OWN, own, State::Left, self.now);
        self.row_mut(Slot::OWN).flags.set(Flags::DETAILS_KNOWN);
        self.timers.clear_all();
        self.probe.end();
        if self.table.order.len() == 0 || self.linger == Duration::ZERO {
            self.finish_leaving();
            return;
        }
        self.phase = Phase::Lingers;
        self.timers.set(Timer::Linger, self.now + self.linger);
        self.timers.set(Timer::Gossip, self.now);
        self.table.publish(Slot::OWN);
    }

    #[inline(never)]
    pub(super) fn finish_leaving(&mut self) {
        self.phase = Phase::Gone;
        self.timers.clear_all();
        self.notices.tell(Event::Left);
    }

    /// See [`Node::has_left`](crate::Node::has_left).
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.phase == Phase::Gone
    }

    /// See [`Node::forget`](crate::Node::forget).
    pub fn forget(&mut self, now: Instant, address: Address) -> Result<(), ForgetError> {
        self.now = now;
        let slot = self.find(&address).ok_or(ForgetError::Unknown)?;
        let row = self.row(slot);
        let incarnation = row.incarnation;
        match row.state {
            State::Alive | State::Suspect => Err(ForgetError::Live),
            State::Left => Ok(()),
            State::Failed => {
                self.change(slot, incarnation, State::Left);
                self.publish(slot);
                Ok(())
            }
        }
    }

    /// See [`Node::set_tags`](crate::Node::set_tags).
    pub fn set_tags(&mut self, now: Instant, tags: &str) -> Result<(), ConfigError> {
        self.now = now;
        validate_tags(tags)?;
        if self.phase != Phase::Member {
            return Err(ConfigError::Leaving);
        }
        if self.own().tags.as_str() == tags {
            return Ok(());
        }
        let own = self.row_mut(Slot::OWN);
        own.tags.clear();
        let _ = own.tags.push_str(tags);
        let next = own.incarnation.next();
        self.become_incarnation(next);
        Ok(())
    }

    /// Started, and not gone.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Member | Phase::Lingers)
    }

    /// Leaving, or gone.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Lingers | Phase::Gone)
    }

    pub(super) fn uptime(&self) -> Duration {
        self.now.since(self.started)
    }

    /// The row at a place.
    #[inline(never)]
    pub(super) fn row(&self, slot: Slot) -> &Row {
        self.table.row(slot)
    }

    #[inline]
    pub(super) fn row_mut(&mut self, slot: Slot) -> &mut Row {
        self.table.row_mut(slot)
    }

    /// The place of the row with this address.
    #[inline]
    pub(super) fn find(&self, address: &Address) -> Option<Slot> {
        self.table.find(address)
    }

    /// Notes that a datagram is owed to a row, for this reason.
    #[inline]
    pub(super) fn owe(&mut self, slot: Slot, what: Flags) {
        self.table.owe(slot, what);
    }

    pub(super) fn own(&self) -> &Row {
        self.row(Slot::OWN)
    }

    /// Whether another live row is known.
    pub(super) fn has_company(&self) -> bool {
        self.table.order.len() > 0
    }

    /// Whether another live row is known, or there is nothing to join.
    pub(super) fn has_joined(&self) -> bool {
        self.has_company() || self.seeds.is_empty() && !self.seeking
    }

    pub(super) fn is_partial(&self) -> bool {
        self.partial_until.is_some()
    }

    /// How often news is sent. A leaver counts those who have left, too: when most of a fleet
    /// leaves at once, the few who stay are reached late, or by way of another leaver.
    pub(super) fn transmit_limit(&self) -> u8 {
        let left = if self.is_leaving() { self.table.count(State::Left) } else { 0 };
        suspicion::transmit_limit(self.table.live() + left)
    }

    /// A random span below `span`.
    pub(super) fn jitter(&mut self, span: Duration) -> Duration {
        span.scale(self.rng.below(1 << 16), 1 << 16)
    }

    /// A token that nobody can guess and that was not drawn before.
    pub(super) fn draw_token(&mut self) -> Token {
        self.tokens_drawn += 1;
        self.secret_token(&[self.tokens_drawn], last_word(8, 0))
    }

    /// A token that only this node can make of this. What tokens of different kinds are made of
    /// differs in length.
    #[inline(never)]
    pub(super) fn secret_token(&self, words: &[u64], last: u64) -> Token {
        Token((siphash_1_3(self.secret, words, last) as u32).to_le_bytes())
    }

    /// Which protocol period this is since the start, for counts by period; it wraps.
    pub(super) fn period_number(&self) -> u16 {
        let running = self.uptime().as_micros();
        (running / self.period.as_micros().max(1)) as u16
    }

    /// See [`Node::members`](crate::Node::members).
    pub fn members(&self, first: usize) -> impl Iterator<Item = (usize, Member<'_>)> {
        self.table.rows_from(first).map(|(slot, row)| (slot.index(), view(slot, row)))
    }

    /// See [`Node::member`](crate::Node::member).
    #[must_use]
    pub fn member(&self, address: Address) -> Option<Member<'_>> {
        let slot = self.find(&address)?;
        Some(view(slot, self.row(slot)))
    }

    /// See [`Node::status`](crate::Node::status).
    #[must_use]
    #[inline(never)]
    pub fn status(&self) -> Status<'_> {
        Status {
            cluster: &self.cluster,
            own: view(Slot::OWN, self.own()),
            alive: self.table.count(State::Alive),
            suspect: self.table.count(State::Suspect),
            failed: self.table.count(State::Failed),
            left: self.table.count(State::Left),
            capacity: N as u32,
            partial: self.is_partial(),
            health: self.health,
            digest: self.table.digest(),
            joined: self.has_joined(),
            isolated: self.isolated,
            leaving: self.is_leaving(),
            period_ms: self.period.as_millis() as u32,
            protocol: self.table.protocol().max(self.own().protocol_low),
            seeds: &self.seeds,
        }
    }

    /// See [`Node::stats`](crate::Node::stats).
    #[must_use]
    #[inline(never)]
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats;
        stats.rtt_us = self.round_trip.smoothed_us();
        stats.events_lost = self.table.events_lost;
        stats
    }
}

pub(super) const JOIN_DELAY_FIRST: Duration = Duration::from_millis(100);
pub(super) const JOIN_DELAY_MAX: Duration = Duration::from_secs(10);
pub(super) const NO_ANSWER_AFTER: Duration = Duration::from_secs(10);

#[inline(never)]
fn view(slot: Slot, row: &Row) -> Member<'_> {
    Member {
        address: row.address,
        state: row.state,
        incarnation: row.incarnation,
        id: row.id,
        name: &row.name,
        tags: &row.tags,
        rtt_us: row.rtt_us,
        own: slot == Slot::OWN,
    }
}

fn words(entropy: [u8; 32]) -> [u64; 4] {
    let (words, _) = entropy.as_chunks::<8>();
    let mut all = [0; 4];
    for (word, bytes) in all.iter_mut().zip(words) {
        *word = u64::from_le_bytes(*bytes);
    }
    all
}
