//! Rules 5, 8 and 10: how versions of the register and promises spread, and when they count.

use super::promise::{NEVER_NS, ROUNDING};
use super::reply::Answer;
use super::{
    Ack, Append, Body, Council, Id, Message, Now, Promise, Refused, Role, Rule, State, Term, Told,
    Until,
};
use crate::time::{Duration, Instant, TimeWindow};

impl Council {
    /// Proposes the next version, and sends it to all.
    pub(super) fn propose(&mut self, now: &Now, change: impl FnOnce(&mut State)) {
        change(&mut self.record.state);
        let id = Id { term: self.record.term, seq: self.record.state.id.seq + 1 };
        self.record.state.id = id;
        self.note_change();
        self.refresh_peers();
        self.speak(now, false);
        self.advance_commit(now);
    }

    /// Rules 8 and 10: a heartbeat to all, or to those who have not acknowledged the newest
    /// version. The promise is that of now; it leaves at once.
    pub(super) fn speak(&mut self, now: &Now, lacking_only: bool) {
        let newest = self.record.state.id;
        for peer in &mut self.peers {
            peer.owed |= !lacking_only || peer.accepted != newest;
        }
        // Who has released promises nothing any more.
        if self.transfer.is_none() || !self.follows(Rule::ReleaseEnds) {
            let usable = self.usable(now);
            self.lease.send(&usable, &self.record.state.constants);
            self.promise_oneself(now);
        }
        if !lacking_only {
            self.heartbeat_at = now.mono + self.record.state.constants.heartbeat();
        }
        self.resend_at = now.mono + self.resend_after();
    }

    /// The leader is one of its own voters.
    fn promise_oneself(&mut self, now: &Now) {
        let leader = (self.settings.me.id, self.record.term);
        let (value, floor) = (self.lease.greatest, self.lease.floor);
        let released = self.released(now);
        self.promises.record(leader, value, floor, released);
    }

    /// What is left of somebody's promises by the release that is accepted here.
    fn released(&self, now: &Now) -> impl FnOnce(u64, Term) -> Option<Promise> + use<> {
        let (release, mono) = (self.record.state.release, now.mono);
        move |holder, term| release.filter(|r| r.cancels(holder, term)).map(|r| r.told.heard(mono))
    }

    /// What a leader owes this peer now.
    pub(super) fn append_for(&self, now: &Now, to: u64) -> Append {
        let newest = self.record.state.id;
        let lacks = self.peer(to).is_none_or(|peer| peer.accepted != newest);
        let ours = match self.transfer {
            Some(_) => self.told_outside(now),
            None => self.lease.greatest.told(now.mono),
        };
        let kept = |rule, told| if self.follows(rule) { told } else { Told::NONE };
        Append {
            number: self.lease.number(),
            id: newest,
            committed: self.committed,
            promise: kept(Rule::CarryPromise, ours),
            floor: kept(Rule::CarryFloor, self.lease.floor.told(now.mono)),
            stand: self.transfer.is_some_and(|transfer| transfer.to == to),
            state: lacks.then(|| self.record.state.clone()),
        }
    }

    /// Rules 5, 8 and 9: a leader speaks.
    pub(super) fn handle_append(
        &mut self,
        now: &Now,
        message: &Message,
        append: &Append,
    ) -> Result<(), Refused> {
        if message.term < self.record.term {
            self.answer(message.from, self.record.term, Answer::Refusal);
            return Ok(());
        }
        let leads_too = self.role == Role::Leader && message.term == self.record.term;
        let foreign = append.state.as_ref().is_some_and(|s| {
            s.id != append.id
                || s.id.term != message.term
                || !s.constants.are_valid()
                || s.configuration.is_empty()
        });
        let sound = append.committed <= append.id && append.id.is_reachable();
        if leads_too || foreign || !sound || append.number == 0 {
            return Err(Refused::Impossible);
        }
        if message.term > self.record.term {
            self.adopt(now, message.term);
        }
        if let Some(state) = &append.state {
            self.accept(message.cluster, state);
        }
        self.follow(now, message.from.id);
        if self.record.state.id >= append.committed {
            self.committed = self.committed.max(append.committed);
        }
        self.record_promise(now, message, append);
        let holds_release = self.record.state.id == append.id && self.holds_release_of(message);
        if append.stand && holds_release && self.may_vote(now) {
            self.stand_now(now);
        }
        Ok(())
    }

    /// Rule 5: only what is newer is accepted; what is accepted counts from now on.
    fn accept(&mut self, cluster: u64, state: &State) {
        if state.id <= self.record.state.id && self.follows(Rule::AcceptNewer) {
            return;
        }
        self.record.cluster = cluster;
        self.record.state = state.clone();
        self.note_change();
        self.refresh_peers();
    }

    /// Rules 8 and 9: keeps the promise and acknowledges the heartbeat; does neither if it is more
    /// than this node may promise.
    fn record_promise(&mut self, now: &Now, message: &Message, append: &Append) {
        let usable = self.usable(now);
        if !self.is_within_bound(&usable, append.promise) || !self.may_vote(now) {
            return;
        }
        let mut value = append.promise.heard(now.mono);
        if usable.window.is_none() {
            value.true_ns = NEVER_NS;
        }
        let bounded = self.is_bounded(&usable) && value.true_ns != NEVER_NS;
        let floor = append.floor.heard(now.mono);
        let released = self.released(now);
        if self.follows(Rule::KeepFloor) {
            self.promises.record((message.from.id, message.term), value, floor, released);
        } else {
            self.promises = super::Promises::NONE;
            self.promises.record((message.from.id, message.term), value, Promise::NONE, released);
        }
        self.answer(message.from, message.term, Answer::Ack { number: append.number, bounded });
    }

    /// Rule 9: whether a promise ends within `Pmax` of now. By the earliest that it can be: so a
    /// life after this one, which starts with `Pmax` after the latest that it can be then, never
    /// takes it for too little.
    fn is_within_bound(&self, now: &Now, promise: Told) -> bool {
        let constants = &self.record.state.constants;
        let truly = now.window.is_none_or(|window| {
            promise.true_ns <= super::lease::later(window.earliest_ns(), constants.promise_ms)
        });
        truly && promise.hold <= constants.promise() + ROUNDING
    }

    /// Rule 10: counts for the heartbeat that it names, in the term that it names.
    pub(super) fn handle_ack(&mut self, now: &Now, message: &Message, ack: &Ack) {
        if message.term > self.record.term {
            return self.hear_of_term(now, message);
        }
        let of_term = message.term == self.record.term || !self.follows(Rule::AckOfTerm);
        let sent = (1..=self.lease.number()).contains(&ack.number);
        if self.role != Role::Leader || !of_term || !sent {
            return;
        }
        let number = if self.follows(Rule::AckOfNumber) { ack.number } else { self.lease.number() };
        let promised = self.lease.promised(number);
        let Some(peer) = self.peers.iter_mut().find(|p| p.voter.id == message.from.id) else {
            return;
        };
        peer.acknowledge(now.mono, ack, promised);
        self.advance_commit(now);
        self.advance_change(now);
    }

    /// Raft's commit rule: a version of the own term that a quorum has. Rule 3: a quorum of the
    /// voters of the version that is accepted now, which is that version itself.
    pub(super) fn advance_commit(&mut self, now: &Now) {
        let newest = self.record.state.id;
        let open = self.role == Role::Leader && self.committed != newest;
        if open && self.reached(|id| self.has_newest(id)).unwrap_or(false) {
            self.committed = newest;
            self.go_on_with_change(now);
            self.yield_to_voters(now);
        }
    }

    /// Whether everything that was proposed is committed, the first version of the term included.
    pub(super) fn is_settled(&self) -> bool {
        let first = self.committed.term == self.record.term;
        self.committed == self.record.state.id && first
    }

    /// Until when a quorum has acknowledged that this node leads.
    pub(super) fn acknowledged_until(&self) -> Until {
        let truly = |id| self.acknowledged_by(id).true_ns;
        Until {
            true_ns: self.reached(truly).unwrap_or(NEVER_NS),
            mono: self.reached(|id| self.acknowledged_by(id).mono).unwrap_or(Instant::ZERO),
        }
    }

    /// The same of the voters before a change.
    fn old_until(&self) -> Option<Instant> {
        self.record.state.configuration.only_old().reached(|id| self.acknowledged_by(id).mono)
    }

    /// What one voter has acknowledged. In true time it counts only while the voter can tell it.
    fn acknowledged_by(&self, id: u64) -> Until {
        if id == self.settings.me.id {
            return self.lease.promised(self.lease.number()).unwrap_or(Until::NEVER);
        }
        match self.peer(id) {
            Some(peer) if peer.bounded => peer.until,
            Some(peer) => Until { true_ns: NEVER_NS, ..peer.until },
            None => Until::NEVER,
        }
    }

    /// When a leader that is not acknowledged steps down: the end of its lease; before it has one,
    /// as long after its election. While it could abandon a change of voters (rule 7) the old ones
    /// keep it: it claims nothing without the new ones, but who if not it could take them back?
    fn lease_ends_at(&self) -> Instant {
        let constants = &self.record.state.constants;
        let first = self.elected_at + constants.shortened(constants.lease());
        let old = self.old_until().filter(|_| self.may_abandon());
        self.acknowledged_until().mono.max(first).max(old.unwrap_or(Instant::ZERO))
    }

    /// What a leader does when time has passed.
    pub(super) fn lead_on(&mut self, now: &Now) {
        if self.transfer.is_some_and(|transfer| now.mono >= transfer.until) {
            return self.step_down(now);
        }
        // Without the clock that it has to have, another one may do better.
        if !self.may_vote(now) {
            return self.step_down(now);
        }
        // Rule 10: a lease that has expired without a quorum.
        let usable = self.usable(now);
        let until = Until { mono: self.lease_ends_at(), ..self.acknowledged_until() };
        let is_new = now.mono < self.elected_at + self.record.state.constants.lease();
        let spared = is_new || self.may_abandon();
        if now.mono >= until.mono || !until.is_ahead(&usable) && !spared {
            return self.step_down(now);
        }
        self.advance_change(now);
        if now.mono >= self.heartbeat_at {
            self.speak(now, false);
        } else if now.mono >= self.resend_at && self.committed != self.record.state.id {
            self.speak(now, true);
        }
    }

    /// When a leader is to be called again.
    pub(super) fn leaders_deadline(&self) -> Instant {
        let open = self.committed != self.record.state.id;
        let resend_at = if open { self.resend_at } else { Instant::FAR_FUTURE };
        let transfer = self.transfer.map_or(Instant::FAR_FUTURE, |transfer| transfer.until);
        let change = self.change.deadline();
        self.heartbeat_at.min(resend_at).min(transfer).min(change).min(self.lease_ends_at())
    }

    /// The next thing that a peer is owed.
    pub(super) fn next_request(&mut self, now: &Now) -> Option<Message> {
        // Rule of durability: a vote for oneself is one, too.
        if self.role == Role::Candidate && !self.is_durable() {
            return None;
        }
        let at = self.peers.iter().position(|peer| peer.owed)?;
        let peer = self.peers.get_mut(at)?;
        peer.owed = false;
        let to = peer.voter;
        let id = self.record.state.id;
        let (term, body) = match self.role {
            Role::Follower => return None,
            Role::PreCandidate => (self.record.term.next(), Body::PreVote { id }),
            Role::Candidate => (self.record.term, Body::Vote { id, transfer: self.asked }),
            Role::Leader => (self.record.term, Body::Append(self.append_for(now, to.id))),
        };
        Some(self.message(to, term, body))
    }

    pub(super) fn message(&self, to: super::Voter, term: Term, body: Body) -> Message {
        Message { cluster: self.record.cluster, from: self.settings.me, to, term, body }
    }
}

impl Now {
    /// The same clocks, so many milliseconds later.
    pub(super) fn after_ms(&self, ms: u32) -> Self {
        let later = |window: TimeWindow| {
            let later = |ns| super::lease::later(ns, ms);
            TimeWindow::new(later(window.earliest_ns()), later(window.latest_ns()))
        };
        let mono = self.mono + Duration::from_millis(u64::from(ms));
        Self { mono, window: self.window.and_then(later) }
    }
}
