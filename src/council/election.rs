//! Rules 1, 2, 4 and 11: how a leader is elected.

use super::lease::Lease;
use super::reconfigure::Change;
use super::reply::Answer;
use super::{Council, Heard, Id, Message, NOBODY, Now, Promise, Report, Role, Rule, Term};
use crate::time::{Duration, Instant};

impl Council {
    /// Rules 1 and 2: whether this node would vote for a candidate in this term. Candidates are
    /// not looked up among the voters: who has just become one may be the last to know.
    fn would_vote(&self, now: &Now, message: &Message, id: Id, transfer: bool) -> bool {
        let (candidate, term) = (message.from.id, message.term);
        let own = &self.record;
        let in_term = term > own.term
            || term == own.term
                && (own.voted_for == NOBODY
                    || own.voted_for == candidate
                    || !self.follows(Rule::VoteOnce));
        in_term
            && (id >= own.state.id || !self.follows(Rule::VoteForCurrent))
            && (transfer || !self.hears_another_leader(now, candidate))
            && self.may_vote(now)
    }

    /// Rule 1: whether a leader other than the candidate was heard within the shortest election
    /// time-out, this node itself included.
    fn hears_another_leader(&self, now: &Now, candidate: u64) -> bool {
        self.leader(now).is_some_and(|leader| leader != candidate)
    }

    /// Rule 2: nothing changes.
    pub(super) fn handle_pre_vote(&mut self, now: &Now, message: &Message, id: Id) {
        let granted = self.would_vote(now, message, id, false);
        let term = if granted { message.term } else { self.record.term };
        self.answer(message.from, term, Answer::PreVoted(granted));
    }

    /// The answer to it. A refusal tells the term of who refuses.
    pub(super) fn handle_pre_voted(&mut self, now: &Now, message: &Message, granted: bool) {
        if self.role != Role::PreCandidate {
            return;
        }
        if granted && message.term == self.record.term.next() {
            self.grant(message.from.id);
            self.count_votes(now);
        } else if !granted && message.term > self.record.term {
            self.adopt(now, message.term);
        }
    }

    /// Rule 1.
    pub(super) fn handle_vote(&mut self, now: &Now, message: &Message, id: Id, transfer: bool) {
        let granted = self.would_vote(now, message, id, transfer);
        let disturbs = !transfer && self.hears_another_leader(now, message.from.id);
        if message.term > self.record.term && (granted || !disturbs) {
            self.adopt(now, message.term);
        }
        if granted {
            if self.record.cluster == 0 {
                self.record.cluster = message.cluster;
            }
            if self.record.voted_for != message.from.id {
                self.record.voted_for = message.from.id;
                self.note_change();
            }
            self.await_leader(now);
        }
        self.answer(message.from, self.record.term, Answer::Voted(granted));
    }

    /// The answer to it, with what the voter had promised to others.
    pub(super) fn handle_voted(&mut self, now: &Now, message: &Message, report: Option<&Report>) {
        if message.term > self.record.term {
            self.hear_of_term(now, message);
        } else if let Some(report) = report
            && message.term == self.record.term
            && self.role == Role::Candidate
        {
            self.bind(now, report);
            self.grant(message.from.id);
            self.count_votes(now);
        }
    }

    /// Rules 8 and 12: what a leader has to wait for after this vote.
    fn bind(&mut self, now: &Now, report: &Report) {
        let release = self.record.state.release.as_ref();
        let binds = report.binds(self.settings.me.id, release, now.mono);
        self.binding = self.binding.max(binds);
    }

    fn grant(&mut self, id: u64) {
        if self.peer(id).is_some() && !self.granted.contains(&id) {
            // Only voters are asked, and a peer is kept for each of them: it fits.
            let _ = self.granted.push(id);
        }
    }

    /// Whether a quorum of the voters of the version that is accepted now has granted what this
    /// candidate asks for. Its own vote counts as soon as it cannot be forgotten.
    pub(super) fn count_votes(&mut self, now: &Now) {
        let me = self.settings.me.id;
        let asks_votes = self.role == Role::Candidate;
        if self.role == Role::Follower || self.role == Role::Leader || !self.is_durable() {
            return;
        }
        if !self.reached(|id| id == me || self.granted.contains(&id)).unwrap_or(false) {
            return;
        }
        if asks_votes { self.lead(now) } else { self.stand(now) }
    }

    /// Nobody leads: asks whether this node would be elected, if it is a voter.
    pub(super) fn canvass(&mut self, now: &Now) {
        if !self.may_vote(now) {
            self.role = Role::Follower;
            return self.await_leader(now);
        }
        self.role = Role::PreCandidate;
        self.ask(now);
        self.count_votes(now);
    }

    /// Stands in the next term.
    pub(super) fn stand(&mut self, now: &Now) {
        self.record.term = self.record.term.next();
        self.record.voted_for = self.settings.me.id;
        self.note_change();
        self.role = Role::Candidate;
        self.asked = false;
        self.heard = None;
        self.change = Change::NONE;
        self.binding = Promise::NONE;
        self.ask(now);
        self.count_votes(now);
    }

    fn ask(&mut self, now: &Now) {
        self.granted.clear();
        self.transfer = None;
        self.refresh_peers();
        for peer in &mut self.peers {
            peer.owed = true;
        }
        self.await_leader(now);
        self.resend_at = now.mono + self.resend_after();
    }

    /// Asks those again who have not answered.
    pub(super) fn ask_again(&mut self, now: &Now) {
        for peer in &mut self.peers {
            peer.owed = !self.granted.contains(&peer.voter.id);
        }
        self.resend_at = now.mono + self.resend_after();
    }

    /// Rule 4: this node is elected. Its first version carries on what it found, and is committed
    /// before anything else is proposed or claimed.
    fn lead(&mut self, now: &Now) {
        self.role = Role::Leader;
        self.heard = None;
        self.elected_at = now.mono;
        self.lowered_at = now.mono;
        // Its own promises of before, as they are known by now.
        let own = self.promises.report(now.mono);
        self.bind(now, &own);
        self.lease = Lease::after(self.binding);
        self.election_at = Instant::FAR_FUTURE;
        for peer in &mut self.peers {
            peer.begin_term();
        }
        let inherits = self.follows(Rule::InheritJoint);
        self.propose(now, |state| {
            if !inherits && state.configuration.is_joint() {
                state.configuration = state.configuration.only_old();
            }
        });
    }

    /// Goes on in a higher term, which it hears of from somebody else, and follows.
    pub(super) fn adopt(&mut self, now: &Now, term: Term) {
        self.step_down(now);
        self.record.term = term;
        self.record.voted_for = NOBODY;
        self.note_change();
    }

    /// Stops asking and leading.
    pub(super) fn step_down(&mut self, now: &Now) {
        if self.role != Role::Follower {
            self.role = Role::Follower;
            self.change = Change::NONE;
            self.transfer = None;
            self.await_leader(now);
        }
    }

    /// Rule 11: a higher term that a voter is in ends this leadership; one that anybody else is in
    /// only means that it has to be won again, above that term.
    /// Who was not spoken to has nothing to answer. A leader that could still take a change of
    /// voters back does not let strangers keep it from that.
    pub(super) fn hear_of_term(&mut self, now: &Now, message: &Message) {
        let leads = self.role == Role::Leader;
        let votes = self.record.state.configuration.contains(message.from.id);
        if self.peer(message.from.id).is_none() || !votes && leads && self.may_abandon() {
            return;
        }
        self.adopt(now, message.term);
        if leads && !votes {
            self.stand(now);
        }
    }

    /// A leader was heard.
    pub(super) fn follow(&mut self, now: &Now, leader: u64) {
        self.step_down(now);
        self.heard = Some(Heard { leader, at: now.mono });
        self.await_leader(now);
    }

    /// Stands in half a lease to a whole one, unless a leader is heard.
    pub(super) fn await_leader(&mut self, now: &Now) {
        let shortest = self.record.state.constants.election();
        let chance = self.rng.below(shortest.as_micros() as u32);
        self.election_at = if self.record.state.configuration.contains(self.settings.me.id) {
            now.mono + shortest + Duration::from_micros(u64::from(chance))
        } else {
            Instant::FAR_FUTURE
        };
    }

    /// When a question or a version is repeated.
    pub(super) fn resend_after(&self) -> Duration {
        let constants = &self.record.state.constants;
        let shortest = constants.lease().scale(1, super::register::HEARTBEATS_A_LEASE);
        constants.heartbeat().scale(1, 4).max(shortest)
    }

    /// Rule 3, under the version that is accepted now.
    pub(super) fn reached<T: Ord + Copy>(&self, of: impl Fn(u64) -> T) -> Option<T> {
        let configuration = &self.record.state.configuration;
        if configuration.is_joint() && !self.follows(Rule::BothMajorities) {
            return super::Configuration::of(configuration.new_set().clone()).reached(of);
        }
        configuration.reached(of)
    }
}
