//! What must never be, judged with true time and with the memory of all that ever happened.

use std::collections::BTreeMap;

use midge::council::{Ack, Body, Id, Message, NOBODY, Role, State, Term};

use crate::node::Node;

/// Something that must never be.
#[derive(Debug)]
pub(crate) struct Violation(pub(crate) String);

pub(crate) type Verdict = Result<(), Violation>;

/// Counts what a walk has provoked, so that one that provokes nothing is seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) steps: u64,
    pub(crate) elections: u64,
    pub(crate) claims: u64,
    pub(crate) joint_begun: u64,
    pub(crate) joint_committed: u64,
    pub(crate) joint_abandoned: u64,
    pub(crate) releases: u64,
    pub(crate) restarts: u64,
    pub(crate) restarts_within_promise: u64,
    pub(crate) refused_claims: u64,
    pub(crate) constants: u64,
    pub(crate) disruptions: u64,
    pub(crate) told: u64,
}

impl Coverage {
    /// Adds up.
    pub(crate) fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.elections += other.elections;
        self.claims += other.claims;
        self.joint_begun += other.joint_begun;
        self.joint_committed += other.joint_committed;
        self.joint_abandoned += other.joint_abandoned;
        self.releases += other.releases;
        self.restarts += other.restarts;
        self.restarts_within_promise += other.restarts_within_promise;
        self.refused_claims += other.refused_claims;
        self.constants += other.constants;
        self.disruptions += other.disruptions;
        self.told += other.told;
    }
}

impl Coverage {
    /// Whether everything that walks are meant to provoke has happened.
    pub(crate) fn is_whole(&self) -> bool {
        let all = [
            self.elections,
            self.claims,
            self.joint_begun,
            self.joint_committed,
            self.releases,
            self.restarts_within_promise,
            self.refused_claims,
            self.constants,
            self.disruptions,
            self.told,
        ];
        all.iter().all(|count| *count > 0)
    }
}

/// What somebody outside was told: that this node leads until then.
struct Told {
    by: u64,
    until_ns: i64,
}

#[derive(Default)]
pub(crate) struct Judge {
    leaders: BTreeMap<Term, u64>,
    versions: BTreeMap<Id, State>,
    /// Which version a version was made from.
    parents: BTreeMap<Id, Id>,
    committed: BTreeMap<Id, ()>,
    told: Vec<Told>,
    last_claim: Option<(Term, u64)>,
    pub(crate) coverage: Coverage,
}

fn violation(what: String) -> Verdict {
    Err(Violation(what))
}

impl Judge {
    /// Looks at all nodes, at this true instant.
    pub(crate) fn look(&mut self, now_ns: i64, nodes: &[Node]) -> Verdict {
        self.coverage.steps += 1;
        for node in nodes {
            self.look_at(node)?;
        }
        self.claims(now_ns, nodes)
    }

    fn look_at(&mut self, node: &Node) -> Verdict {
        let Some(council) = &node.council else { return Ok(()) };
        let record = council.record();
        if record.cluster > 1 {
            return violation(format!("cluster {}", record.cluster));
        }
        let id = record.state.id;
        if council.role() == Role::Leader {
            match self.leaders.insert(record.term, node.voter.id) {
                None => self.elected(record.term, id)?,
                Some(other) if other != node.voter.id => {
                    return violation(format!("two leaders in {:?}", record.term));
                }
                Some(_) => {}
            }
        }
        if id == Id::ZERO {
            return Ok(());
        }
        let known = self.versions.entry(id).or_insert_with(|| record.state.clone());
        if *known != record.state {
            return violation(format!("two contents of {id:?}"));
        }
        let committed = council.committed();
        if self.committed.insert(committed, ()).is_none() {
            self.chain(committed)?;
        }
        Ok(())
    }

    /// A leader's first version has to descend from everything that was committed before.
    fn elected(&mut self, term: Term, first: Id) -> Verdict {
        self.coverage.elections += 1;
        for committed in self.committed.keys().filter(|c| c.term < term) {
            if !self.descends(first, *committed) {
                return violation(format!("{term:?} began at {first:?} without {committed:?}"));
            }
        }
        Ok(())
    }

    /// A proposal was made from another version by this node.
    pub(crate) fn proposed(&mut self, from: &State, to: &State) {
        if from.id == to.id || self.parents.contains_key(&to.id) {
            return;
        }
        self.parents.insert(to.id, from.id);
        self.versions.entry(to.id).or_insert_with(|| to.clone());
        let (before, after) = (&from.configuration, &to.configuration);
        self.coverage.joint_begun += u64::from(!before.is_joint() && after.is_joint());
        if before.is_joint() && !after.is_joint() {
            let abandoned = before.old_set() == after.old_set();
            self.coverage.joint_abandoned += u64::from(abandoned);
            self.coverage.joint_committed += u64::from(!abandoned);
        }
        self.coverage.releases += u64::from(from.release != to.release);
        self.coverage.constants += u64::from(from.constants != to.constants && from.id != Id::ZERO);
    }

    /// Whether a version was made from another, maybe by way of others.
    fn descends(&self, new: Id, old: Id) -> bool {
        let mut at = new;
        while at > old {
            match self.parents.get(&at) {
                Some(parent) => at = *parent,
                None => break,
            }
        }
        at == old || old == Id::ZERO
    }

    /// All committed versions are on one line.
    fn chain(&self, newest: Id) -> Verdict {
        for other in self.committed.keys() {
            let (old, new) = if *other < newest { (*other, newest) } else { (newest, *other) };
            if !self.descends(new, old) {
                return violation(format!("{new:?} does not descend from {old:?}"));
            }
        }
        Ok(())
    }

    /// At most one node claims, no sooner than others have told it outside, each with a greater
    /// token than the one before.
    fn claims(&mut self, now_ns: i64, nodes: &[Node]) -> Verdict {
        let mut claimant = None;
        for node in nodes {
            let Some(council) = &node.council else { continue };
            let leads = council.role() == Role::Leader;
            if council.claim(&node.most_permissive(now_ns)).is_err() {
                self.coverage.refused_claims += u64::from(leads);
                continue;
            }
            let (term, id) = (council.record().term, node.voter.id);
            if let Some(other) = claimant.replace(id) {
                return violation(format!("{other} and {id} claim at the same time"));
            }
            self.told.retain(|told| told.until_ns > now_ns);
            if let Some(told) = self.told.iter().find(|told| told.by != id) {
                return violation(format!(
                    "{id} claims {} us before the instant that {} told",
                    (told.until_ns - now_ns) / 1_000,
                    told.by
                ));
            }
            if let Some((last, by)) = self.last_claim
                && (term < last || term == last && by != id)
            {
                return violation(format!("{id} claims {term:?} after {last:?}"));
            }
            if self.last_claim.is_none_or(|(last, _)| last != term) {
                self.coverage.claims += 1;
            }
            self.last_claim = Some((term, id));
        }
        Ok(())
    }

    /// Somebody outside was told.
    pub(crate) fn told(&mut self, by: u64, until_ns: i64) {
        self.coverage.told += 1;
        self.told.push(Told { by, until_ns });
    }

    /// A message leaves: what it says must be safe.
    pub(crate) fn leaves(&mut self, node: &Node, message: &Message) -> Verdict {
        let safe = node.safe();
        let holds = match &message.body {
            Body::Voted { report: Some(_) } => {
                safe.is_some_and(|r| r.term == message.term && r.voted_for == message.to.id)
            }
            Body::Vote { .. } => {
                safe.is_some_and(|r| r.term == message.term && r.voted_for == message.from.id)
            }
            Body::Ack(Ack { number, id, .. }) if *number != 0 => {
                safe.is_some_and(|r| r.term == message.term && r.state.id == *id)
            }
            _ => true,
        };
        if holds && message.from.id != NOBODY {
            return Ok(());
        }
        violation(format!("left before it was safe: {message:?}"))
    }
}
