//! Violations that take a script: walks meet them too seldom.

use midge::council::{
    Ack, Body, Configuration, Constants, Council, Id, Message, Role, Rule, Rules, Voters,
};
use midge::rng::Rng;

use crate::judge::{Judge, Verdict, Violation};
use crate::node::{Clocks, Node, address};

const MILLI: i64 = 1_000_000;

/// Nodes 1 to n, whose messages arrive at once where a link is up, and are lost elsewhere.
struct Stage {
    rng: Rng,
    rules: Rules,
    now_ns: i64,
    nodes: Vec<Node>,
    /// Who hears whom.
    links: fn(u64, u64) -> bool,
    /// Whose deadlines are kept.
    awake: Vec<u64>,
    judge: Judge,
    /// Everything that was said.
    said: Vec<Message>,
}

fn all(_: u64, _: u64) -> bool {
    true
}

impl Stage {
    /// Node 1 leads a council of itself.
    fn founded(count: u64, rules: Rules, constants: Constants) -> Self {
        let clocks = Clocks { drift_ppm: 0, width_ns: None, error_ns: 0 };
        Self::founded_with(clocks, count, rules, constants)
    }

    fn founded_with(clocks: Clocks, count: u64, rules: Rules, constants: Constants) -> Self {
        let mut stage = Self {
            rng: Rng::new(1),
            rules,
            now_ns: 1_700_000_000_000_000_000,
            nodes: Vec::new(),
            links: all,
            awake: (1..=count).collect(),
            judge: Judge::default(),
            said: Vec::new(),
        };
        for id in 1..=count {
            let mut node = Node::new(id, clocks, true, stage.now_ns);
            node.start(stage.now_ns, rules, &mut stage.rng, id);
            stage.nodes.push(node);
        }
        let now = stage.nodes[0].read(stage.now_ns, &mut stage.rng);
        stage.nodes[0].found(&now, constants);
        stage
    }

    fn council(&self, id: u64) -> &Council {
        self.nodes[id as usize - 1].council.as_ref().expect("it runs")
    }

    fn voters(&self, id: u64) -> &Configuration {
        &self.council(id).record().state.configuration
    }

    /// Lets a node do something.
    fn act<T>(&mut self, id: u64, act: impl FnOnce(&mut Council, &midge::council::Now) -> T) -> T {
        let node = &mut self.nodes[id as usize - 1];
        let now = node.read(self.now_ns, &mut self.rng);
        let council = node.council.as_mut().expect("it runs");
        let before = council.record().state.clone();
        let done = act(council, &now);
        self.judge.proposed(&before, &council.record().state.clone());
        while node.has_to_write() {
            let before = node.council.as_ref().expect("it runs").record().state.clone();
            node.write(&now);
            let after = node.council.as_ref().expect("it runs").record().state.clone();
            self.judge.proposed(&before, &after);
        }
        done
    }

    /// Delivers what is said, one message after the other, until nothing is or `until` holds.
    fn settle(&mut self, until: &impl Fn(&Self) -> bool) -> Verdict {
        loop {
            let now_ns = self.now_ns;
            let said: Vec<Message> = self
                .nodes
                .iter_mut()
                .filter_map(|node| {
                    let now = node.read(now_ns, &mut self.rng);
                    node.send(&now)
                })
                .collect();
            if said.is_empty() {
                return Ok(());
            }
            for message in said {
                self.said.push(message.clone());
                if until(self) {
                    return Ok(());
                }
                if (self.links)(message.from.id, message.to.id) {
                    self.act(message.to.id, |council, now| {
                        let _ = council.handle_message(now, &message);
                    });
                    self.judge.look(self.now_ns, &self.nodes)?;
                }
            }
        }
    }

    /// Runs until something holds, for at most 20 s.
    fn run_until(&mut self, until: impl Fn(&Self) -> bool) -> Result<bool, Violation> {
        for _ in 0..20_000 {
            self.settle(&until)?;
            if until(self) {
                return Ok(true);
            }
            self.now_ns += MILLI;
            for id in self.awake.clone() {
                self.act(id, |council, now| {
                    if council.poll_timeout().is_some_and(|at| at <= now.mono) {
                        council.handle_timeout(now);
                    }
                });
            }
            self.judge.look(self.now_ns, &self.nodes)?;
        }
        Ok(false)
    }

    fn change_voters(&mut self, leader: u64, ids: &[u64]) {
        let target: Voters =
            ids.iter().map(|id| midge::council::Voter { id: *id, address: address(*id) }).collect();
        self.act(leader, |council, now| council.change_voters(now, &target)).expect("it leads");
    }

    /// Runs so long.
    fn run(&mut self, ms: i64) -> Verdict {
        let end = self.now_ns + ms * MILLI;
        self.run_until(|s| s.now_ns >= end).map(drop)
    }

    /// Runs until this node leads and all that it proposed is committed.
    fn run_until_led_by(&mut self, id: u64) -> Result<bool, Violation> {
        self.run_until(|s| {
            let council = s.council(id);
            let settled = council.committed() == council.record().state.id;
            council.role() == Role::Leader && settled
        })
    }

    /// Hands in a message.
    fn hear(&mut self, message: &Message) -> Verdict {
        self.act(message.to.id, |council, now| {
            let _ = council.handle_message(now, message);
        });
        self.judge.look(self.now_ns, &self.nodes)
    }

    /// A node crashes and starts again with its disk.
    fn restart(&mut self, id: u64) {
        let node = &mut self.nodes[id as usize - 1];
        node.crash(&mut self.rng);
        node.start(self.now_ns, self.rules, &mut self.rng, id);
    }

    /// What was said and has not been heard is lost.
    fn lose(&mut self) {
        for node in &mut self.nodes {
            let now = node.read(self.now_ns, &mut self.rng);
            while node.send(&now).is_some() {}
        }
    }
}

/// The lease is as long as the longest promise.
const CONSTANTS: Constants =
    Constants { lease_ms: 1_000, promise_ms: 1_000, heartbeat_ms: 100, ..Constants::DEFAULT };

/// Voters 1, 2 and 3, led by node 1, which is settled.
fn three(count: u64, rules: Rules) -> Result<Stage, Violation> {
    let stage = Stage::founded(count, rules, CONSTANTS);
    with_three(stage)
}

/// Node 1 makes 2 and 3 voters.
fn with_three(mut stage: Stage) -> Result<Stage, Violation> {
    stage.run_until_led_by(1)?;
    stage.change_voters(1, &[1, 2, 3]);
    let has_three = |s: &Stage, id| s.voters(id).old_set().len() == 3 && !s.voters(id).is_joint();
    stage.run_until(|s| (1..=3).all(|id| has_three(s, id)))?;
    stage.run_until_led_by(1)?;
    Ok(stage)
}

/// Without its rule, a script has to end in a violation; with all of them, it must not.
fn is_needed(rule: Rule, script: impl Fn(Rules) -> Verdict) {
    script(Rules::ALL).expect("all rules hold");
    let broken = script(Rules::without(rule));
    println!("{rule:?}: {broken:?}");
    assert!(broken.is_err(), "{rule:?} is not needed");
}

/// Node 1 replaces voter 3 by 4 and is cut off when both sets have agreed and only it knows the
/// new one alone. Node 2 is elected by both sets. If it takes the change back, the old set goes one
/// way, and node 1 with the rest of the new set another.
fn inherited_change(rules: Rules) -> Verdict {
    let mut stage = three(4, rules)?;
    stage.change_voters(1, &[1, 2, 4]);
    let is_new = |s: &Stage| !s.voters(1).is_joint() && s.voters(1).contains(4);
    assert!(stage.run_until(is_new)?);
    assert!(stage.voters(2).is_joint());
    stage.lose();
    stage.links = |from, to| from != 1 && to != 1;
    stage.awake = vec![2];
    assert!(stage.run_until(|s| s.council(2).role() == Role::Leader)?);
    // Its first version reaches only the old set.
    stage.links = |from, to| from + to == 2 + 3;
    stage.run_until(|s| {
        let council = s.council(2);
        council.role() != Role::Leader || council.committed().term == council.record().term
    })?;
    // Node 2 does not hear that the others go on without it.
    stage.links = |from, to| from + to == 1 + 4;
    stage.awake = vec![1];
    stage.run_until_led_by(1)?;
    Ok(())
}

#[test]
fn an_inherited_change_of_voters_goes_on() {
    is_needed(Rule::InheritJoint, inherited_change);
    is_needed(Rule::AbandonOwn, inherited_change);
}

/// Node 2 has not heard the leader for a while, node 3 has, and forgets it.
fn forgotten_promise(rules: Rules) -> Verdict {
    let mut stage = three(3, rules)?;
    stage.links = |from, to| from != 2 && to != 2;
    stage.awake = vec![1, 3];
    stage.run(700)?;
    stage.restart(3);
    stage.links = |from, to| from != 1 && to != 1;
    stage.awake = vec![1, 2];
    stage.run(3_000)
}

#[test]
fn a_life_that_is_forgotten_promised_the_most() {
    is_needed(Rule::RestartAtMost, forgotten_promise);
}

/// The longest promise is lowered together with the lease; then both voters forget what they
/// promised before.
fn lowered_at_once(rules: Rules) -> Verdict {
    let mut stage = three(3, rules)?;
    let long = Constants { lease_ms: 3_000, promise_ms: 3_000, ..CONSTANTS };
    for to in [Constants { promise_ms: 3_000, ..CONSTANTS }, long, CONSTANTS] {
        stage.act(1, |council, now| {
            let _ = council.change_constants(now, to);
        });
        stage.run(50)?;
    }
    stage.links = |from, to| from != 1 && to != 1;
    stage.restart(2);
    stage.restart(3);
    stage.run(6_000)
}

#[test]
fn constants_change_in_steps() {
    is_needed(Rule::ConstantsInSteps, lowered_at_once);
}

/// The network gives the leader an old acknowledgement again and again.
fn old_acknowledgement(rules: Rules) -> Verdict {
    let mut stage = three(3, rules)?;
    stage.run(500)?;
    let old = stage.said.iter().rev().find(|m| m.from.id == 2).cloned().expect("it answers");
    stage.links = |from, to| from != 1 && to != 1;
    for _ in 0..40 {
        stage.run(100)?;
        stage.hear(&old)?;
    }
    Ok(())
}

/// The leader is elected again, and hears acknowledgements of its term before.
fn acknowledgements_of_another_term(rules: Rules) -> Verdict {
    let mut stage = three(4, rules)?;
    stage.run(4_000)?;
    let mut old = std::mem::take(&mut stage.said);
    old.retain(|message| message.from.id == 2 && matches!(message.body, Body::Ack(_)));
    // A node that is to become a voter, and is in a higher term.
    stage.links = |from, to| from != 4 && to != 4;
    stage.change_voters(1, &[1, 2, 4]);
    let mut stranger = old[0].clone();
    stranger.from = midge::council::Voter { id: 4, address: address(4) };
    stranger.term = stage.council(1).record().term.next();
    stranger.body = Body::Ack(Ack { number: 0, id: Id::ZERO, bounded: false });
    stage.hear(&stranger)?;
    stage.run_until_led_by(1)?;
    stage.links = |from, to| from != 1 && to != 1;
    for message in &old {
        stage.run(100)?;
        stage.hear(message)?;
    }
    Ok(())
}

#[test]
fn an_acknowledgement_counts_for_its_heartbeat_in_its_term() {
    is_needed(Rule::AckOfNumber, old_acknowledgement);
    is_needed(Rule::AckOfTerm, acknowledgements_of_another_term);
}

/// Node 1 leads by the word of node 2, and is cut off. Node 3 is elected by node 2, which tells it
/// so; makes nodes 4 and 5 voters in the place of 1 and 2; and hands over to 4 at once.
fn floor_of_newcomers(rules: Rules) -> Verdict {
    let mut stage = three(5, rules)?;
    stage.links = |from, to| (from, to) != (1, 3) && (from, to) != (3, 1);
    stage.run(900)?;
    stage.links = |from, to| from != 1 && to != 1;
    stage.awake = vec![1, 3];
    assert!(stage.run_until_led_by(3)?);
    for voters in [[2, 3, 4], [3, 4, 5]] {
        stage.change_voters(3, &voters);
        stage.run_until(|s| s.voters(3).old_set().iter().all(|v| voters.contains(&v.id)))?;
        assert!(stage.run_until_led_by(3)?);
    }
    stage.act(3, |council, now| council.transfer(now, 4)).expect("it is ready");
    stage.links = |from, to| (from, to) == (3, 4) || from + to == 4 + 5;
    stage.run(1_000)
}

/// Five voters; node 1 leads by the word of 2 and 4. Node 3 leads for a moment, and hands over to
/// node 2, which is elected without it.
fn floor_of_a_short_leadership(rules: Rules) -> Verdict {
    let mut stage = three(5, rules)?;
    stage.change_voters(1, &[1, 2, 3, 4, 5]);
    let has_five = |s: &Stage, id| s.voters(id).old_set().len() == 5 && !s.voters(id).is_joint();
    stage.run_until(|s| (1..=5).all(|id| has_five(s, id)))?;
    assert!(stage.run_until_led_by(1)?);
    stage.links = |from, to| from != 1 || ![3, 5].contains(&to);
    stage.run(900)?;
    stage.links = |from, to| from != 1 && to != 1;
    stage.awake = vec![1, 3];
    assert!(stage.run_until_led_by(3)?);
    stage.run(1)?;
    stage.act(3, |council, now| council.transfer(now, 2)).expect("it is ready");
    stage.links =
        |from, to| (from, to) == (3, 2) || ![1, 3].contains(&from) && ![1, 3].contains(&to);
    stage.run(1_000)
}

#[test]
fn promises_to_others_outlive_the_next_leader() {
    is_needed(Rule::KeepFloor, floor_of_a_short_leadership);
}

#[test]
fn newcomers_wait_for_what_those_before_them_promised() {
    is_needed(Rule::CarryFloor, floor_of_newcomers);
}

/// The network keeps what the leader said before a version was committed, and delivers it after.
fn older_version(rules: Rules) -> Verdict {
    let mut stage = three(3, rules)?;
    let before = |m: &&Message| matches!(&m.body, Body::Append(append) if append.state.is_some());
    let old: Vec<Message> = stage.said.iter().filter(before).cloned().collect();
    stage.act(1, |council, now| {
        let longer = Constants { promise_ms: 2_000, ..CONSTANTS };
        council.change_constants(now, longer).expect("it leads");
    });
    stage.run_until_led_by(1)?;
    stage.links = |from, to| from != 1 && to != 1;
    for message in &old {
        stage.hear(message)?;
    }
    stage.run(5_000)
}

#[test]
fn only_what_is_newer_is_accepted() {
    is_needed(Rule::AcceptNewer, older_version);
}

/// Bounded clocks are exact, monotonic ones are wrong: that of the leader, which is cut off, stands
/// nearly still, those of the others run away. Who is elected shortens the promises as soon as its
/// own clock allows it; then both forget what they promised.
#[test]
fn promises_are_shortened_only_when_both_clocks_say_so() {
    let exact = Clocks { drift_ppm: 0, width_ns: Some(0), error_ns: 0 };
    let long = Constants { lease_ms: 20_000, promise_ms: 20_000, heartbeat_ms: 1_000, ..CONSTANTS };
    let stage = Stage::founded_with(exact, 3, Rules::ALL, long);
    let mut stage = with_three(stage).expect("nothing is wrong yet");
    let now_ns = stage.now_ns;
    for (node, drift_ppm) in stage.nodes.iter_mut().zip([-900_000, 9_000_000, 9_000_000]) {
        node.drift(now_ns, drift_ppm);
    }
    stage.links = |from, to| from != 1 && to != 1;
    let mut steps = [
        Constants { lease_ms: 200, heartbeat_ms: 50, ..long },
        Constants { lease_ms: 200, promise_ms: 200, heartbeat_ms: 50, ..long },
    ]
    .into_iter();
    let mut next = steps.next();
    for _ in 0..4_000 {
        stage.run(10).expect("one claims at a time");
        for id in [2, 3] {
            let Some(to) = next else { break };
            if stage.act(id, |council, now| council.change_constants(now, to)).is_ok() {
                next = steps.next();
            }
        }
        let short = |id| stage.council(id).record().state.constants.promise_ms == 200;
        if short(2) && short(3) {
            stage.restart(2);
            stage.restart(3);
            stage.run(5_000).expect("one claims at a time");
            return;
        }
    }
    panic!("the promises were never shortened");
}
