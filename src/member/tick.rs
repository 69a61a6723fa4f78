//! Time passes.

use super::incarnation::State;
use super::row::{Flags, Slot};
use super::swim::{Phase, Swim};
use super::timers::Timer;
use crate::event::Event;
use crate::limits::{GOSSIP_FANOUT, HEALTH_MAX};
use crate::time::Instant;

/// Without a word for so many periods, a node that knows others is isolated.
const ISOLATED_PERIODS: u32 = 10;
/// Places in the order that one gossip tick looks at for missing details, and how many it asks.
const DETAILS_LOOKED_AT: usize = 64;
const DETAILS_ASKED: usize = 3;

impl<const N: usize> Swim<N> {
    /// See [`Node::poll_timeout`](crate::Node::poll_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.is_running() {
            return None;
        }
        let rows = self.table.first_deadline().map_or(Instant::FAR_FUTURE, |(due, _)| due);
        let own = self.timers.next().min(self.next_relay_deadline()).min(self.next_pull_deadline());
        Some(rows.min(own)).filter(|due| *due < Instant::FAR_FUTURE)
    }

    /// See [`Node::handle_timeout`](crate::Node::handle_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        let Some(due) = self.poll_timeout().filter(|due| *due <= self.now) else { return };
        if self.now.since(due) > self.period {
            self.note_pause();
        }
        if self.timers.take(Timer::Linger, self.now) {
            self.finish_leaving();
            return;
        }
        if self.timers.take(Timer::Probe, self.now) {
            self.probe_due();
        }
        if let Some(due) = self.timers.get(Timer::Period).filter(|due| *due <= self.now) {
            self.period_due();
            self.begin_probe(due);
        }
        if self.timers.take(Timer::Gossip, self.now) {
            self.gossip_due();
        }
        if self.timers.take(Timer::Join, self.now) {
            self.join_due();
        }
        if self.timers.take(Timer::Knock, self.now) {
            self.knock_due();
        }
        if self.timers.take(Timer::NoAnswer, self.now) {
            self.no_answer_due();
        }
        self.relays_due();
        self.pulls_due();
        // Last: what came before may have confirmed a suspicion that is over by now.
        while let Some((deadline, slot)) = self.table.first_deadline() {
            if deadline > self.now {
                break;
            }
            self.row_due(slot);
        }
    }

    /// This node was not called for more than a period: it was paused. What it did not hear
    /// meanwhile speaks against itself, so its suspicions last longer.
    fn note_pause(&mut self) {
        self.note_health(HEALTH_MAX, 0);
        self.slow_at = Some(self.now);
        if self.lifeguard {
            self.heard = self.heard.map(|_| self.now);
        }
    }

    fn period_due(&mut self) {
        self.hellos = 0;
        if self.partial_until.is_some_and(|until| until <= self.now) && self.table.has_room() {
            self.partial_until = None;
            self.notices.tell(Event::Partial(false));
        }
        let silent_since = self.heard.unwrap_or(self.started);
        let silent = self.now.since(silent_since) > self.period.times(ISOLATED_PERIODS);
        let knows_others = self.has_company() || self.table.count(State::Failed) > 0;
        if silent && knows_others && !self.isolated {
            self.isolated = true;
            self.notices.tell(Event::Isolated);
        }
        self.arm_gossip();
    }

    fn gossip_due(&mut self) {
        let len = self.table.order.len();
        if len == 0 {
            return;
        }
        if self.phase == Phase::Lingers && !self.table.has_news(Slot::OWN) {
            self.finish_leaving();
            return;
        }
        if !self.table.news.is_empty() {
            self.gossip_owed = len.min(GOSSIP_FANOUT) as u8;
            self.gossip_from = self.rng.below(len as u32);
        }
        if self.details_after <= self.now && !self.is_leaving() {
            self.ask_for_details();
        }
        self.arm_gossip();
    }

    /// Asks some members whose name and tags are not known, each at most once a period.
    fn ask_for_details(&mut self) {
        let mut asked = 0;
        for _ in 0..DETAILS_LOOKED_AT {
            let Some(slot) = self.table.order.at(usize::from(self.details_at)) else {
                self.details_at = 0;
                let again = self.details_missing;
                self.details_missing = false;
                self.details_after =
                    if again { self.now + self.period } else { Instant::FAR_FUTURE };
                return;
            };
            self.details_at += 1;
            if self.row(slot).flags.has(Flags::DETAILS_KNOWN) {
                continue;
            }
            self.details_missing = true;
            self.owe(slot, Flags::ASK);
            asked += 1;
            if asked == DETAILS_ASKED {
                return;
            }
        }
    }
}
