//! Strangers: introductions with challenge, joining, and knocking at the dead.
//!
//! A token is a keyed hash of the address that it was sent to and of the time, so nothing has to
//! be remembered of those who were challenged. It is sent to the address that a stranger claims,
//! and only there; who gives it back can read what is sent to that address.

use super::incarnation::State;
use super::row::{Flags, Slot};
use super::swim::{JOIN_DELAY_FIRST, JOIN_DELAY_MAX, Swim};
use super::timers::Timer;
use crate::address::Address;
use crate::event::Event;
use crate::limits::{HELLOS_PER_PERIOD, SEEDS_IN_PARALLEL};
use crate::reject::Reject;
use crate::siphash::last_word;
use crate::time::Duration;
use crate::wire::{Challenge, Details, Header, Hello, Refusal, Refused, Token};

/// A token is valid for one to two of these.
const TOKEN_SPAN: Duration = Duration::from_secs(8);
/// After a first silence, how often it is said that nobody answers.
const NO_ANSWER_AGAIN: Duration = Duration::from_secs(60);

/// What is owed to an address that may be no row. See [`ANSWERS`](crate::limits::ANSWERS).
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) to: Address,
    /// The datagram is not sent if it is longer than this: what was received.
    pub(super) fits: u16,
    pub(super) what: Reply,
}

/// Kinds of answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    /// An introduction.
    Hello { echo: Option<Token> },
    /// A challenge.
    Challenge { echo: Option<Token>, observed: Option<Address> },
    /// A refusal, and an ack if a ping came along: who has no row here is alive all the same.
    Refused { refused: Refused, ack: Option<Token> },
    /// A page of rows.
    Page { buckets: u64, first: u16 },
}

/// Who sent a datagram, and how it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender<'a> {
    /// Where it is reached; the key of its row.
    pub(super) address: &'a Address,
    /// The source address of the datagram.
    pub(super) source: &'a Address,
    /// The length of the datagram.
    pub(super) bytes: u16,
    /// The numbers of the ping and of the hello in it, if there were any.
    pub(super) ping: Option<Token>,
    pub(super) hello: Option<Token>,
}

impl<const N: usize> Swim<N> {
    /// The token that proves to this node, for a while, that its holder is at this address.
    pub(super) fn token_for(&self, address: &Address) -> Token {
        self.token_of_span(address, self.now.as_micros() / TOKEN_SPAN.as_micros())
    }

    fn token_of_span(&self, address: &Address, span: u64) -> Token {
        let [low, high] = address.words();
        self.secret_token(&[low, high, span], last_word(26, u64::from(address.port())))
    }

    pub(super) fn is_token_of(&self, token: Option<Token>, address: &Address) -> bool {
        let span = self.now.as_micros() / TOKEN_SPAN.as_micros();
        token == Some(self.token_of_span(address, span))
            || token == Some(self.token_of_span(address, span.saturating_sub(1)))
    }

    /// Which seed the token was sent to: who gives it back answers there, though it may advertise
    /// another address. It is then asked again at that one, and believed nothing yet.
    pub(super) fn seed_of_token(&self, token: Option<Token>) -> Option<usize> {
        token?;
        self.seeds.iter().position(|seed| self.is_token_of(token, seed))
    }

    /// Notes an answer; when all places are taken it is dropped and counted, and the peer asks
    /// again.
    pub(super) fn answer(&mut self, to: &Address, fits: u16, what: Reply) {
        if self.answers.push_back(Answer { to: *to, fits, what }).is_err() {
            self.stats.overflows = self.stats.overflows.wrapping_add(1);
        }
    }

    fn say_hello(&mut self, to: &Address, echo: Option<Token>) {
        self.answer(to, u16::MAX, Reply::Hello { echo });
    }

    /// This node's details, as it sends them.
    pub(super) fn own_details(&self) -> Details<'_> {
        let own = self.own();
        Details {
            life: self.life,
            id: own.id,
            protocol_low: own.protocol_low,
            protocol_high: own.protocol_high,
            period_ms: self.period.as_millis() as u32,
            name: &own.name,
            tags: &own.tags,
            later: &[],
        }
    }

    /// Somebody introduces itself.
    ///
    /// # Errors
    /// [`Reject::Refused`]: no row changes.
    pub(super) fn hear_hello(
        &mut self,
        sender: &Sender<'_>,
        header: &Header,
        hello: &Hello<'_>,
    ) -> Result<Option<Slot>, Reject> {
        if self.is_conflict(sender.address, hello) {
            self.note_conflict(sender.address);
            return Err(self.refuse(sender, Refusal::Conflict));
        }
        if !self.is_token_of(hello.echo, sender.address) {
            let observed = (sender.source != sender.address).then_some(*sender.source);
            let what = Reply::Challenge { echo: Some(hello.token), observed };
            self.answer(sender.address, sender.bytes, what);
            return Ok(None);
        }
        let own = self.own();
        let Details { protocol_low, protocol_high, .. } = hello.details;
        if protocol_low > own.protocol_high || protocol_high < own.protocol_low {
            return Err(self.refuse(sender, Refusal::Protocol));
        }
        let Some(slot) = self.meet(sender, header) else {
            if self.find(sender.address).is_none() && !header.leaving {
                self.refuse_row();
                self.notices.tell_rarely(self.now, Event::TableFull { address: *sender.address });
                return Err(self.refuse(sender, Refusal::Full));
            }
            return Ok(None);
        };
        self.store_details(slot, header, &hello.details);
        if header.wants_details {
            // It knows this node only by a challenge: now it is this node's turn.
            self.say_hello(sender.address, Some(hello.token));
        }
        Ok(Some(slot))
    }

    fn refuse(&mut self, sender: &Sender<'_>, reason: Refusal) -> Reject {
        let refused = Refused { echo: sender.hello.unwrap_or_default(), reason };
        self.answer(sender.source, sender.bytes, Reply::Refused { refused, ack: sender.ping });
        Reject::Refused
    }

    /// Whether another node lives at this address: the row's last datagram came from another life
    /// after this one had begun.
    fn is_conflict(&self, address: &Address, hello: &Hello<'_>) -> bool {
        let Some(slot) = self.find(address) else { return false };
        let row = self.row(slot);
        let other_life = row.life.is_some_and(|life| life != hello.details.life);
        let begun = self.now - Duration::from_secs(u64::from(hello.uptime_s));
        row.is_live() && other_life && row.heard.is_some_and(|heard| heard > begun)
    }

    /// A stranger has proven that it is where it says: its row, unless there is no room or it is
    /// leaving.
    pub(super) fn meet(&mut self, sender: &Sender<'_>, header: &Header) -> Option<Slot> {
        let alias = self.alias_of(sender);
        let limit = self.epoch_limit();
        let held = self.find(sender.address).filter(|slot| {
            // What nobody may repeat, no new life can exceed: the dead row makes room.
            let row = self.row(*slot);
            let buried = !row.is_live() && row.incarnation.epoch > limit;
            buried && header.incarnation < row.incarnation
        });
        if let Some(slot) = held {
            self.table.remove(slot);
        }
        let slot = match self.find(sender.address) {
            Some(slot) => slot,
            None if header.leaving => return None,
            None => {
                let alive = State::Alive;
                let slot =
                    self.table.insert(sender.address, header.incarnation, alive, self.now)?;
                self.change(slot, header.incarnation, alive);
                self.publish(slot);
                slot
            }
        };
        let row = self.row(slot);
        if row.state == State::Failed && header.incarnation == row.incarnation && !header.leaving {
            self.revive(slot);
        }
        self.hear_sender(slot, header);
        // Last: another life clears it.
        self.row_mut(slot).alias = alias;
        Some(slot)
    }

    /// A keyed hash of the source that speaks for another address; 0 for one that speaks for
    /// itself.
    pub(super) fn alias_of(&self, sender: &Sender<'_>) -> u32 {
        if sender.source == sender.address {
            return 0;
        }
        self.table.keyed_hash(sender.source) as u32 | 1
    }

    /// Somebody does not know this node and asks it to introduce itself.
    pub(super) fn hear_challenge(&mut self, from: &Address, challenge: &Challenge) {
        if challenge.observed.is_some() {
            let ours = self.is_token_of(challenge.echo, from);
            if !ours && self.seed_of_token(challenge.echo).is_none() {
                // Somebody else, at another source, said hello in the name of this address.
                let address = self.own().address;
                self.note_conflict(&address);
                return;
            }
            self.announce = true;
        }
        if self.hellos < HELLOS_PER_PERIOD {
            self.hellos += 1;
            self.say_hello(from, Some(challenge.token));
        }
    }

    /// Keeps what a member says about itself, if that belongs to the incarnation that is held.
    pub(super) fn store_details(&mut self, slot: Slot, header: &Header, details: &Details<'_>) {
        if self.row(slot).incarnation != header.incarnation {
            return;
        }
        let row = self.row_mut(slot);
        let changed = row.name.as_str() != details.name || row.tags.as_str() != details.tags;
        row.flags.set(Flags::DETAILS_KNOWN);
        row.life = Some(details.life);
        row.id = details.id;
        let address = row.address;
        self.table.set_protocols(slot, details.protocol_low, details.protocol_high);
        if changed {
            let row = self.row_mut(slot);
            row.name.clear();
            row.tags.clear();
            // Lengths were checked by the decoder.
            let _ = row.name.push_str(details.name);
            let _ = row.tags.push_str(details.tags);
            row.flags.set(Flags::UPDATED);
            self.table.note_event(slot);
            self.note_name_conflict(slot, details.name);
        }
        if u64::from(details.period_ms) != self.period.as_millis() {
            let period_ms = details.period_ms;
            self.notices.tell_rarely(self.now, Event::ParameterMismatch { address, period_ms });
        }
    }

    fn note_name_conflict(&mut self, slot: Slot, name: &str) {
        let mut live = self.table.rows_from(0).filter(|(_, row)| row.is_live());
        let other = live.find(|(other, row)| *other != slot && row.name.as_str() == name);
        if let Some((_, other)) = other {
            let (first, second) = (other.address, self.row(slot).address);
            self.notices.tell_rarely(self.now, Event::NameConflict { first, second });
        }
    }

    /// A seed refuses this node's hello.
    pub(super) fn hear_refusal(&mut self, by: &Address, refused: &Refused) {
        if let Some(at) = self.seed_of_token(Some(refused.echo)) {
            self.heard = Some(self.now);
            self.wanted_seeds &= !(1 << at);
            // It answers, but it will hardly change its mind soon.
            self.join_delay = JOIN_DELAY_MAX;
            if !self.has_company() && self.seeds.len() == 1 {
                self.timers.set(Timer::Join, self.now + JOIN_DELAY_MAX);
            }
            let reason = refused.reason;
            self.notices.tell_rarely(self.now, Event::Refused { by: *by, reason });
        }
    }

    /// Asks the next seeds, up to three at a time: all of them until there is company, and those
    /// that `join` named last for a while.
    pub(super) fn join_due(&mut self) {
        if self.is_leaving() {
            return;
        }
        let alone = !self.has_company();
        let mut asked = 0;
        for _ in 0..self.seeds.len() {
            if asked == SEEDS_IN_PARALLEL {
                // The others' turn is next.
                break;
            }
            let at = self.turn_of_seed();
            let seed = self.seeds[at];
            if self.is_live(&seed) {
                self.wanted_seeds &= !(1 << at);
            } else if alone || self.wanted_seeds >> at & 1 != 0 {
                self.say_hello(&seed, None);
                asked += 1;
            }
        }
        if asked > 0 && (alone || self.join_delay < JOIN_DELAY_MAX) {
            // Half of the delay is fixed, half random.
            let half = self.join_delay.scale(1, 2);
            let random = self.jitter(self.join_delay);
            self.timers.set(Timer::Join, self.now + half + random);
            self.join_delay = self.join_delay.times(2).min(JOIN_DELAY_MAX);
        }
    }

    /// A seed has answered: what gets lost from here on is worth a quick repetition.
    pub(super) fn hasten_join(&mut self) {
        if !self.has_company() {
            self.join_delay = JOIN_DELAY_FIRST;
            let random = self.jitter(JOIN_DELAY_FIRST);
            self.timers.set(Timer::Join, self.now + JOIN_DELAY_FIRST + random);
        }
    }

    fn turn_of_seed(&mut self) -> usize {
        let at = usize::from(self.next_seed) % self.seeds.len().max(1);
        self.next_seed = (at + 1) as u8;
        at
    }

    fn is_live(&self, address: &Address) -> bool {
        self.find(address).is_some_and(|slot| self.row(slot).is_live())
    }

    /// Joining, and nobody has said a word.
    pub(super) fn no_answer_due(&mut self) {
        if !self.has_joined() && self.heard.is_none() {
            self.notices.tell(Event::NoAnswer);
            self.timers.set(Timer::NoAnswer, self.now + NO_ANSWER_AGAIN);
        }
    }

    /// Knocks at a contact that is not alive, as often as the fleet as a whole should:
    /// `max(1, min(N/10, 10))` times a second.
    pub(super) fn knock_due(&mut self) {
        self.timers.set(Timer::Knock, self.now + self.period);
        let live = u64::from(self.table.live().max(1));
        let fleet_per_1000_s = (live * 100).clamp(1_000, 10_000);
        // In millionths: the chance that it is this node's turn in this period.
        let chance = fleet_per_1000_s * self.period.as_millis() / live;
        if u64::from(self.rng.below(1_000_000)) >= chance {
            return;
        }
        let failed = self.table.next_failed(self.knocked);
        let seed_first = self.rng.below(2) == 0 || failed.is_none();
        if let Some(seed) = self.dead_seed().filter(|_| seed_first) {
            self.say_hello(&seed, None);
        } else if let Some(slot) = failed {
            // The newest failure first, then older ones, then again.
            self.knocked = Some(slot);
            let to = self.row(slot).address;
            self.say_hello(&to, None);
        }
    }

    /// The next configured seed that is no live row.
    fn dead_seed(&mut self) -> Option<Address> {
        for _ in 0..self.seeds.len() {
            let at = self.turn_of_seed();
            if !self.is_live(&self.seeds[at]) {
                return Some(self.seeds[at]);
            }
        }
        None
    }
}
