//! A statement about a member, and what it changes; refutation of what is said about this node.

use super::incarnation::{Incarnation, State, Verdict, judge};
use super::row::{ACCUSERS, Flags, Row, Slot};
use super::suspicion;
use super::swim::Swim;
use super::timers::Timer;
use crate::event::Event;
use crate::limits::{
    ACCUSATIONS_PER_PERIOD, EPOCH_HEARSAY_END, GOSSIP_TICKS_PER_PERIOD, HEALTH_MAX,
    REQUESTS_PER_PERIOD,
};
use crate::time::{Duration, Instant};
use crate::wire::Rumour;

/// How long rows of the dead stay, as contact points and against old rumours.
const FAILED_EXPIRES: Duration = Duration::from_secs(72 * 3600);
const LEFT_EXPIRES: Duration = Duration::from_secs(600);
/// How long a row that was refused for want of room makes the table count as partial.
const PARTIAL_FOR: Duration = Duration::from_secs(60);
/// A node that has run for so many periods has met its earlier life, if the fleet knows of one.
const SETTLED_PERIODS: u32 = 10;
/// An epoch from here on (the year 2004) was read from a real clock.
const EPOCH_OF_A_CLOCK: u64 = 1 << 40;
/// How far ahead of this node's clock others may be, by hearsay.
const EPOCH_AHEAD_MS: u64 = 24 * 3_600_000;

impl<const N: usize> Swim<N> {
    /// Hears what `sender` says about somebody; whether that was news. `reconciling` says that it
    /// stands in a page.
    pub(super) fn hear(&mut self, sender: Slot, rumour: &Rumour, reconciling: bool) -> bool {
        let slot = self.find(&rumour.address);
        let row = slot.map(|slot| self.row(slot));
        let own_statement = slot == Some(sender);
        // Nearly all of what is said is held already; of a suspicion, who accuses may be new.
        let known = row.is_some_and(|row| row.holds(rumour.incarnation, rumour.state));
        if known && rumour.state != State::Suspect && !own_statement {
            return false;
        }
        let held = row.map(|row| (row.incarnation, row.state));
        if !self.is_believed(own_statement, rumour.incarnation.epoch) {
            return false;
        }
        if slot == Some(Slot::OWN) {
            self.hear_about_self(sender, rumour.incarnation, rumour.state);
            return false;
        }
        let young = slot.is_some_and(|slot| self.is_young_suspicion(slot));
        let verdict = judge(held, (rumour.incarnation, rumour.state), reconciling || young);
        if matches!(verdict, Verdict::Ignore | Verdict::Stale) {
            return false;
        }
        let accuses = matches!(rumour.state, State::Suspect | State::Failed);
        let accuser = self.accuser(rumour, slot, sender);
        if let (Verdict::Confirm, Some(slot)) = (verdict, slot)
            && (reconciling || self.place_for_accuser(slot, accuser).is_none())
        {
            self.second_suspicion(slot);
            return false;
        }
        // Only what changes something counts.
        if accuses && !self.may_accuse(sender) {
            return false;
        }
        let was_live = slot.filter(|slot| self.row(*slot).is_live());
        let mut told = slot;
        let news = match (verdict, slot) {
            (Verdict::Ignore | Verdict::Stale, _) => false,
            (Verdict::Apply, None) => {
                told = self.enlist(rumour, accuser);
                told.is_some()
            }
            (Verdict::Apply, Some(slot)) => {
                let accuser = accuses.then_some(accuser);
                self.apply(slot, rumour.incarnation, rumour.state, accuser)
            }
            (Verdict::Confirm, Some(slot)) => self.confirm(slot, accuser),
            (Verdict::Accuse, Some(slot)) => {
                self.owe(slot, Flags::TELL);
                self.apply(slot, rumour.incarnation, State::Suspect, Some(accuser))
            }
            // `judge` confirms and accuses only what is held.
            (Verdict::Confirm | Verdict::Accuse, None) => false,
        };
        if let Some(slot) = was_live.filter(|_| rumour.state == State::Left && !own_statement) {
            // It did not say so itself: it hears of it, and may refute.
            self.owe(slot, Flags::TELL);
        }
        if let Some(slot) = slot.filter(|_| accuses) {
            self.second_suspicion(slot);
        }
        // What a joiner reads in its first pages everybody else knows.
        if let Some(slot) = told.filter(|_| news && (self.synced || !reconciling)) {
            self.publish(slot);
        }
        news
    }

    /// Notes the epoch that a member says of itself.
    pub(super) fn note_epoch(&mut self, epoch: u64) {
        // Capped: a forged one is not to make all others believed.
        self.latest_epoch = self.latest_epoch.max(epoch.min(EPOCH_HEARSAY_END));
    }

    /// Whether a statement of this epoch is believed; if it is not, that is counted.
    fn is_believed(&mut self, own_statement: bool, epoch: u64) -> bool {
        if own_statement {
            self.note_epoch(epoch);
            return true;
        }
        let believed = epoch <= self.epoch_limit();
        if !believed {
            self.stats.epochs_ignored = self.stats.epochs_ignored.wrapping_add(1);
        }
        believed
    }

    /// The latest epoch that is believed from others than the member itself: a day beyond this
    /// node's clock, or beyond what a member said of itself. One that no clock can say would leave
    /// the subject nothing to refute with.
    pub(super) fn epoch_limit(&self) -> u64 {
        if self.first_epoch < EPOCH_OF_A_CLOCK {
            return EPOCH_HEARSAY_END - 1;
        }
        let uptime = self.uptime();
        let clock = self.first_epoch + uptime.as_millis();
        clock.max(self.latest_epoch) + EPOCH_AHEAD_MS
    }

    /// Whether the member has not had the shortest time to refute since this node heard of the
    /// suspicion. One who was cut off for long, and suspected everybody meanwhile, tells of the
    /// suspicion and of its end in one breath; then the end does not count.
    fn is_young_suspicion(&self, slot: Slot) -> bool {
        let row = self.row(slot);
        self.lifeguard
            && row.state == State::Suspect
            && self.now < row.since + suspicion::minimum(self.period, self.table.live())
    }

    /// Who is counted as the accuser: the one that is named, if it is a live row, else who says
    /// so. What this node is said to have accused counts as the sender's, unless it did: the echo
    /// of its own accusation confirms nothing.
    #[inline(never)]
    fn accuser(&self, rumour: &Rumour, about: Option<Slot>, sender: Slot) -> Slot {
        let accuses = |slot| self.row(slot).accusers.contains(&Some(Slot::OWN));
        let named = rumour.accuser.as_ref().filter(|named| **named != rumour.address);
        match named.and_then(|named| self.find(named)) {
            Some(Slot::OWN) if about.is_some_and(accuses) => Slot::OWN,
            Some(slot) if slot != Slot::OWN && self.row(slot).is_live() => slot,
            _ => sender,
        }
    }

    /// Counts an accusation against what one sender may cause in a period.
    fn may_accuse(&mut self, sender: Slot) -> bool {
        let row = self.begin_budget(sender);
        if row.accusations >= ACCUSATIONS_PER_PERIOD {
            self.stats.accusations_ignored = self.stats.accusations_ignored.wrapping_add(1);
            return false;
        }
        row.accusations += 1;
        true
    }

    /// Counts a request against what one member may ask for in a period.
    pub(super) fn may_ask(&mut self, sender: Slot, cost: u8) -> bool {
        let row = self.begin_budget(sender);
        if row.requests + cost > REQUESTS_PER_PERIOD {
            self.stats.requests_ignored = self.stats.requests_ignored.wrapping_add(1);
            return false;
        }
        row.requests += cost;
        true
    }

    /// A row whose budget is that of this period.
    fn begin_budget(&mut self, slot: Slot) -> &mut Row {
        let period = self.period_number();
        let row = self.row_mut(slot);
        if row.budget_period != period {
            row.budget_period = period;
            row.accusations = 0;
            row.requests = 0;
        }
        row
    }

    /// A row for a member that was not known; not if every row is taken by a live member.
    fn enlist(&mut self, rumour: &Rumour, accuser: Slot) -> Option<Slot> {
        let Rumour { address, incarnation, state, .. } = rumour;
        let Some(slot) = self.table.insert(address, *incarnation, *state, self.now) else {
            self.refuse_row();
            return None;
        };
        if *state == State::Suspect {
            self.row_mut(slot).accusers[0] = Some(accuser);
        }
        self.settle(slot);
        Some(slot)
    }

    /// Counts a member that has no place here, and notes that the table is too small.
    pub(super) fn refuse_row(&mut self) {
        self.stats.rows_refused = self.stats.rows_refused.wrapping_add(1);
        if self.partial_until.is_none() {
            self.notices.tell(Event::Partial(true));
        }
        self.partial_until = Some(self.now + PARTIAL_FOR);
    }

    /// Makes the statement what is held.
    fn apply(
        &mut self,
        slot: Slot,
        incarnation: Incarnation,
        state: State,
        accuser: Option<Slot>,
    ) -> bool {
        let held = self.row(slot).state;
        let mut accusers = [None; ACCUSERS];
        if held == State::Suspect && state == State::Failed {
            accusers = self.row(slot).accusers;
        }
        accusers[0] = accusers[0].or(accuser);
        if self.row(slot).incarnation.epoch != incarnation.epoch && state.is_live() {
            self.row_mut(slot).flags.set(Flags::UPDATED);
        }
        self.change(slot, incarnation, state);
        self.row_mut(slot).accusers = accusers;
        if state == State::Suspect {
            // A suspicion of a newer incarnation begins anew.
            self.row_mut(slot).since = self.now;
            self.arm_suspicion(slot);
        }
        true
    }

    /// Changes a row and all that follows from it, but for the news.
    pub(super) fn change(&mut self, slot: Slot, incarnation: Incarnation, state: State) {
        self.table.change(slot, incarnation, state, self.now);
        self.settle(slot);
    }

    fn settle(&mut self, slot: Slot) {
        let random = self.rng.next() as u32;
        self.table.settle_order(slot, random);
        match self.row(slot).state {
            State::Alive => {
                self.row_mut(slot).accusers = [None; ACCUSERS];
                self.table.clear_deadline(slot);
            }
            State::Suspect => self.arm_suspicion(slot),
            State::Failed => {
                self.knocked = None;
                self.table.set_deadline(slot, self.now + FAILED_EXPIRES);
            }
            State::Left => self.table.set_deadline(slot, self.now + LEFT_EXPIRES),
        }
        self.table.note_event(slot);
        self.details_after = self.details_after.min(self.now);
        self.arm_gossip();
    }

    /// Makes the row's state news.
    pub(super) fn publish(&mut self, slot: Slot) {
        self.table.publish(slot);
        self.arm_gossip();
    }

    /// Sees to it that extra gossip goes out while there is a reason.
    pub(super) fn arm_gossip(&mut self) {
        let news = !self.table.news.is_empty() || self.details_after <= self.now;
        if news && self.has_company() && !self.timers.is_set(Timer::Gossip) {
            let tick = self.period.scale(1, GOSSIP_TICKS_PER_PERIOD);
            self.timers.set(Timer::Gossip, self.now + tick);
        }
    }

    /// This node accuses a member of its own: it did not answer.
    pub(super) fn accuse(&mut self, slot: Slot) {
        let row = self.row(slot);
        let incarnation = row.incarnation;
        match row.state {
            State::Alive => {
                self.apply(slot, incarnation, State::Suspect, Some(Slot::OWN));
                self.publish(slot);
            }
            State::Suspect => {
                if self.confirm(slot, Slot::OWN) {
                    self.publish(slot);
                }
            }
            State::Failed | State::Left => {}
        }
    }

    /// This node has pinged the member for another, in vain, and now hears that it is suspected:
    /// it accuses in its own name.
    fn second_suspicion(&mut self, slot: Slot) {
        let row = self.row(slot);
        let suspect = row.state == State::Suspect;
        if suspect && self.lifeguard && self.health == 0 && self.has_missed(&row.address) {
            self.accuse(slot);
        }
    }

    /// Where one more accuser of a suspicion would be counted; nowhere, if it is counted already
    /// or no more are waited for.
    fn place_for_accuser(&self, slot: Slot, accuser: Slot) -> Option<usize> {
        let needed = suspicion::confirmations_needed(self.table.live()) as usize;
        let row = self.row(slot);
        if row.accusers.contains(&Some(accuser)) || accuser == slot {
            return None;
        }
        Some(row.accuser_count()).filter(|place| *place <= needed)
    }

    /// Counts one more accuser of a suspicion; whether it is one that was waited for.
    fn confirm(&mut self, slot: Slot, accuser: Slot) -> bool {
        let Some(place) = self.place_for_accuser(slot, accuser) else { return false };
        self.row_mut(slot).accusers[place] = Some(accuser);
        self.arm_suspicion(slot);
        true
    }

    /// When the suspicion of a row ends, by what is known now.
    ///
    /// It is stretched by the local health multiplier like the probe's time-outs: a node that is
    /// slow itself hears refutations late, too. And it does not end before this node has been
    /// quick again for as long as a suspicion lasts.
    fn suspicion_end(&self, slot: Slot) -> Instant {
        let row = self.row(slot);
        let live = self.table.live();
        if !self.lifeguard {
            return row.since + suspicion::minimum(self.period, live);
        }
        // The first accuser confirms nothing.
        let confirmations = row.accuser_count().saturating_sub(1) as u32;
        let span = suspicion::timeout(self.period, live, confirmations);
        let end = row.since + span.times(u32::from(self.health) + 1);
        end.max(self.slow_at.map_or(end, |slow_at| slow_at + span))
    }

    fn arm_suspicion(&mut self, slot: Slot) {
        let end = self.suspicion_end(slot);
        let told = self.row(slot).since + self.told_again_after();
        // Not in the past: that this node wakes up late would mean that it was paused.
        self.table.set_deadline(slot, end.min(told).max(self.now));
    }

    /// How often a member is told that it is suspected. Its suspicion may last long when this node
    /// is not well, and be old news to everybody else.
    fn told_again_after(&self) -> Duration {
        suspicion::minimum(self.period, self.table.live()).times(3)
    }

    /// The deadline of a row has come: a suspicion ends, a dead row expires.
    pub(super) fn row_due(&mut self, slot: Slot) {
        let row = self.row(slot);
        let incarnation = row.incarnation;
        match row.state {
            State::Suspect => {
                let end = self.suspicion_end(slot);
                if end > self.now {
                    self.owe(slot, Flags::TELL);
                    let told = self.now + self.told_again_after();
                    self.table.set_deadline(slot, end.min(told));
                    return;
                }
                self.apply(slot, incarnation, State::Failed, None);
                self.publish(slot);
            }
            State::Failed | State::Left => self.table.remove(slot),
            State::Alive => self.table.clear_deadline(slot),
        }
    }

    /// A member that was taken for dead has proven that it lives: what is held becomes a
    /// suspicion, and it is told, so that it refutes. Nobody else is told: to them, a suspicion
    /// says nothing new.
    pub(super) fn revive(&mut self, slot: Slot) {
        let incarnation = self.row(slot).incarnation;
        self.apply(slot, incarnation, State::Suspect, Some(Slot::OWN));
        self.table.withdraw(slot);
        self.owe(slot, Flags::TELL);
    }

    /// Worsens or betters the local health.
    #[inline(never)]
    pub(super) fn note_health(&mut self, worse: u8, better: u8) {
        if self.lifeguard {
            let health = self.health.saturating_sub(better).saturating_add(worse);
            self.health = health.min(HEALTH_MAX);
        }
    }

    /// Hears what others say about this node.
    fn hear_about_self(&mut self, sender: Slot, heard: Incarnation, state: State) {
        let own = self.own().incarnation;
        if heard < own || (heard == own && state == self.own().state) {
            return;
        }
        if self.is_leaving() {
            // `left` prevails over anything said of the same incarnation.
            if heard > own {
                self.become_incarnation(heard);
            }
            return;
        }
        if state == State::Alive {
            if heard > own {
                self.meet_another_life(heard);
            }
            return;
        }
        if !self.may_accuse(sender) {
            return;
        }
        let period = Some(self.period_number());
        if state != State::Left && self.accused_period != period {
            self.accused_period = period;
            self.note_health(1, 0);
        }
        self.refute(heard);
    }

    fn refute(&mut self, heard: Incarnation) {
        self.stats.refutations = self.stats.refutations.wrapping_add(1);
        self.become_incarnation(heard.next());
    }

    /// Somebody holds a newer incarnation of this address than this node ever had: an earlier life
    /// (the clock went backwards, or there is none), or another node that lives here, too.
    ///
    /// A node that has settled has met its earlier life; so it is another, and the two would
    /// outbid each other as fast as datagrams travel. Each does so at most once in some periods;
    /// meanwhile the address stays one live member.
    fn meet_another_life(&mut self, heard: Incarnation) {
        let running = self.uptime();
        let settling = self.period.times(SETTLED_PERIODS);
        if self.synced && running > settling {
            let address = self.own().address;
            self.note_conflict(&address);
            if self.now < self.answer_life_after {
                return;
            }
            self.answer_life_after = self.now + settling;
        }
        self.refute(heard);
    }

    /// Takes a newer incarnation for this node, and tells the others.
    pub(super) fn become_incarnation(&mut self, incarnation: Incarnation) {
        let state = self.own().state;
        self.table.change(Slot::OWN, incarnation, state, self.now);
        self.row_mut(Slot::OWN).flags.set(Flags::DETAILS_KNOWN);
        self.publish(Slot::OWN);
    }
}
