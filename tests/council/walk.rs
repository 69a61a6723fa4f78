//! A random walk: nodes, messages, clocks and disks, each step one of them chosen by chance.

use midge::council::{
    ChangeError, Constants, Council, Message, NOBODY, Now, Role, Rules, State, Voter, Voters,
};
use midge::rng::Rng;

use crate::judge::{Judge, Verdict, Violation};
use crate::node::{Clocks, MICRO, Node};

const MILLI: i64 = 1_000 * MICRO;
const START_NS: i64 = 1_700_000_000_000_000_000;
/// Messages under way; beyond that the oldest are lost.
const UNDER_WAY: usize = 64;

/// What can happen, and how likely it is in this walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Deliver,
    Duplicate,
    Lose,
    Time,
    Tick,
    Write,
    Crash,
    Start,
    /// Crashes and starts again at once.
    Restart,
    Voters,
    Constants,
    Transfer,
    Tell,
    /// A bounded clock goes away, comes back, or knows more or less than before.
    Clock,
    Disrupt,
}

/// Actions with the weights that a walk may give them: unlike each other, since uniform rates
/// leave some defects unseen. The first weights are those of any walk, the second those of one that
/// is about changes of voters.
const ACTIONS: [(Action, &[u32], &[u32]); 15] = [
    (Action::Deliver, &[60, 200, 600], &[200, 600]),
    (Action::Duplicate, &[0, 2, 20], &[0]),
    (Action::Lose, &[0, 4, 60], &[60, 200, 400]),
    (Action::Time, &[40, 120, 300], &[20, 60]),
    (Action::Tick, &[60, 200], &[60, 200]),
    (Action::Write, &[100, 400], &[400]),
    (Action::Crash, &[0, 1, 4], &[0, 1]),
    (Action::Start, &[4, 12, 40], &[40]),
    (Action::Restart, &[0, 2, 8], &[0]),
    (Action::Voters, &[0, 4, 20], &[20, 80]),
    (Action::Constants, &[0, 0, 4, 10], &[0]),
    (Action::Transfer, &[0, 2, 12], &[0]),
    (Action::Tell, &[0, 10, 40], &[0]),
    (Action::Clock, &[0, 0, 8], &[0]),
    (Action::Disrupt, &[0, 0, 1], &[0]),
];

pub(crate) struct Walk {
    rng: Rng,
    rules: Rules,
    now_ns: i64,
    nodes: Vec<Node>,
    under_way: Vec<Message>,
    weights: [u32; ACTIONS.len()],
    ids: u64,
    /// No clock is outside its bound.
    sound: bool,
    pub(crate) judge: Judge,
}

impl Walk {
    pub(crate) fn new(seed: u64, rules: Rules) -> Self {
        let mut rng = Rng::new(seed);
        let about_voters = rng.below(4) == 0;
        let weights = ACTIONS
            .map(|(_, any, voters)| *pick(&mut rng, if about_voters { voters } else { any }));
        let size = *pick(&mut rng, if about_voters { &[4, 4, 5] } else { &[3, 4, 5, 6] });
        let mut walk = Self {
            rng,
            rules,
            now_ns: START_NS,
            nodes: Vec::new(),
            under_way: Vec::new(),
            weights,
            ids: 0,
            sound: false,
            judge: Judge::default(),
        };
        walk.begin(size);
        walk
    }

    fn begin(&mut self, size: usize) {
        let lease_ms = 1_000;
        let promise_ms = *pick(&mut self.rng, &[lease_ms, 1_500, 3_000]);
        let drift_ppm = *pick(&mut self.rng, &[500, 100_000]);
        let heartbeat_ms = *pick(&mut self.rng, &[100, 250]);
        let constants = Constants { lease_ms, promise_ms, drift_ppm, heartbeat_ms, voters: 0 };
        let axes = self.rng.below(5);
        self.sound = axes < 3;
        let disks = self.rng.below(3);
        for at in 0..size {
            let clocks = self.clocks(axes, i64::from(drift_ppm));
            self.ids += 1;
            let has_disk = disks == 0 || disks == 1 && at % 2 == 0;
            let mut node = Node::new(self.ids, clocks, has_disk, self.now_ns);
            node.start(self.now_ns, self.rules, &mut self.rng, self.ids);
            self.nodes.push(node);
        }
        let now = self.nodes[0].read(self.now_ns, &mut self.rng);
        self.nodes[0].found(&now, constants);
        self.settle(0);
    }

    /// Clocks inside their bounds, but on at most one axis: 0 has no bounded clocks, 1 and 2 have
    /// sound ones, 3 has windows that are wrong, 4 monotonic clocks that are.
    fn clocks(&mut self, axes: u32, drift_ppm: i64) -> Clocks {
        let rng = &mut self.rng;
        let sign = if rng.below(2) == 0 { -1 } else { 1 };
        let wrong = axes == 4;
        let drift_ppm =
            if wrong { 400_000 } else { drift_ppm } * sign * i64::from(rng.below(3).min(1));
        let width = *pick(rng, &[0, 1, 40, 200]) * MILLI;
        let error_ns =
            if axes == 3 { i64::from(rng.below(6_000)) * MILLI - 3_000 * MILLI } else { 0 };
        Clocks { drift_ppm, width_ns: (axes != 0).then_some(width), error_ns }
    }

    /// Where both axes are sound, it does not matter who has bounded clocks when.
    fn change_clock(&mut self, which: usize) {
        if self.sound {
            let width = *pick(&mut self.rng, &[None, Some(1), Some(200), Some(5_000)]);
            self.nodes[which].clocks.width_ns = width.map(|width: i64| width * MILLI);
        }
    }

    /// Walks so many steps.
    pub(crate) fn walk(&mut self, steps: u32) -> Verdict {
        for _ in 0..steps {
            let action = self.choose();
            self.act(action)?;
            self.judge.look(self.now_ns, &self.nodes)?;
        }
        Ok(())
    }

    fn choose(&mut self) -> Action {
        let all: u32 = self.weights.iter().sum();
        let mut at = self.rng.below(all);
        for (weight, (action, ..)) in self.weights.iter().zip(ACTIONS) {
            if at < *weight {
                return action;
            }
            at -= weight;
        }
        Action::Time
    }

    fn act(&mut self, action: Action) -> Verdict {
        let which = self.rng.below(self.nodes.len() as u32) as usize;
        match action {
            Action::Deliver | Action::Duplicate => {
                return self.deliver(action == Action::Duplicate);
            }
            Action::Lose => {
                let at = self.rng.below(self.under_way.len() as u32) as usize;
                if at < self.under_way.len() {
                    self.under_way.swap_remove(at);
                }
            }
            Action::Time => {
                self.now_ns += *pick(&mut self.rng, &[1, 5, 20, 60, 60, 300, 300, 1_000]) * MILLI
            }
            Action::Tick => return self.step(which, |council, now, _| council.handle_timeout(now)),
            Action::Write => {
                let now = self.nodes[which].read(self.now_ns, &mut self.rng);
                return self.change(which, |node| node.write(&now));
            }
            Action::Crash => self.nodes[which].crash(&mut self.rng),
            Action::Start => self.start(which),
            Action::Restart => {
                self.nodes[which].crash(&mut self.rng);
                self.start(which);
            }
            Action::Voters => return self.change_voters(),
            Action::Constants => return self.change_constants(),
            Action::Transfer => {
                let Some(leader) = self.leader() else { return Ok(()) };
                return self.step(leader, |council, now, _| {
                    let _ = council.transfer(now, NOBODY);
                });
            }
            Action::Tell => self.tell(),
            Action::Clock => self.change_clock(which),
            Action::Disrupt => {
                self.judge.coverage.disruptions += 1;
                return self.step(which, |council, now, _| council.handle_disruption(now));
            }
        }
        Ok(())
    }

    fn start(&mut self, which: usize) {
        if self.nodes[which].council.is_some() {
            return;
        }
        self.ids += 1;
        let before = self.nodes[which].voter.id;
        self.nodes[which].start(self.now_ns, self.rules, &mut self.rng, self.ids);
        self.judge.coverage.restarts += 1;
        let again = self.nodes[which].voter.id == before;
        self.judge.coverage.restarts_within_promise += u64::from(again);
    }

    /// A message arrives, maybe for the first of several times.
    fn deliver(&mut self, again: bool) -> Verdict {
        if self.under_way.is_empty() {
            return Ok(());
        }
        let at = self.rng.below(self.under_way.len() as u32) as usize;
        let message =
            if again { self.under_way[at].clone() } else { self.under_way.swap_remove(at) };
        let Some(which) = self.nodes.iter().position(|n| n.voter.id == message.to.id) else {
            return Ok(());
        };
        let mut refused = None;
        self.step(which, |council, now, _| refused = council.handle_message(now, &message).err())?;
        match refused {
            None => Ok(()),
            Some(refused) => Err(Violation(format!("{refused:?}: {message:?}"))),
        }
    }

    /// Lets a node do something, and takes what it wants to send.
    fn step(&mut self, which: usize, act: impl FnOnce(&mut Council, &Now, &mut Rng)) -> Verdict {
        let now = self.nodes[which].read(self.now_ns, &mut self.rng);
        let mut rng = Rng::new(self.rng.next());
        self.change(which, |node| {
            if let Some(council) = &mut node.council {
                act(council, &now, &mut rng);
            }
        })
    }

    fn change(&mut self, which: usize, act: impl FnOnce(&mut Node)) -> Verdict {
        let before = self.state_of(which);
        act(&mut self.nodes[which]);
        // A version may be committed and followed by the next in one call: not with more than one
        // voter, and there the parent is found by its number.
        let after = self.state_of(which);
        if let (Some(before), Some(after)) = (before, after)
            && self.nodes[which].council.as_ref().is_some_and(|c| c.role() == Role::Leader)
        {
            self.judge.proposed(&before, &after);
        }
        if !self.nodes[which].has_disk() {
            self.settle(which);
        }
        self.send(which)
    }

    fn state_of(&self, which: usize) -> Option<State> {
        self.nodes[which].council.as_ref().map(|council| council.record().state.clone())
    }

    /// Without a disk, a record is safe as soon as it is made.
    fn settle(&mut self, which: usize) {
        let now = self.nodes[which].read(self.now_ns, &mut self.rng);
        while !self.nodes[which].has_disk() && self.nodes[which].has_to_write() {
            let before = self.state_of(which);
            self.nodes[which].write(&now);
            if let (Some(before), Some(after)) = (before, self.state_of(which)) {
                self.judge.proposed(&before, &after);
            }
        }
    }

    fn send(&mut self, which: usize) -> Verdict {
        let now = self.nodes[which].read(self.now_ns, &mut self.rng);
        while let Some(message) = self.nodes[which].send(&now) {
            self.judge.leaves(&self.nodes[which], &message)?;
            if self.under_way.len() == UNDER_WAY {
                self.under_way.remove(0);
            }
            self.under_way.push(message);
        }
        Ok(())
    }

    /// One of those who take themselves for the leader.
    fn leader(&mut self) -> Option<usize> {
        let leads = |node: &Node| node.council.as_ref().is_some_and(|c| c.role() == Role::Leader);
        let leaders: Vec<usize> =
            (0..self.nodes.len()).filter(|at| leads(&self.nodes[*at])).collect();
        (!leaders.is_empty()).then(|| *pick(&mut self.rng, &leaders))
    }

    fn change_voters(&mut self) -> Verdict {
        let Some(leader) = self.leader() else { return Ok(()) };
        let size = *pick(&mut self.rng, &[1, 3, 3, 3, 5]);
        let mut others: Vec<Voter> = self.nodes.iter().map(|node| node.voter).collect();
        let mut target = Voters::new();
        let _ = target.push(others.swap_remove(leader));
        while target.len() < size && !others.is_empty() {
            let at = self.rng.below(others.len() as u32) as usize;
            let _ = target.push(others.swap_remove(at));
        }
        self.step(leader, |council, now, _| {
            let _: Result<(), ChangeError> = council.change_voters(now, &target);
        })
    }

    fn change_constants(&mut self) -> Verdict {
        let Some(leader) = self.leader() else { return Ok(()) };
        self.step(leader, |council, now, rng| {
            let mut to = council.record().state.constants;
            match rng.below(2) {
                0 => to.lease_ms = *pick(rng, &[1_000, 2_000, 3_000]),
                _ => to.promise_ms = *pick(rng, &[1_000, 1_500, 3_000]),
            }
            if rng.below(4) == 0 {
                (to.lease_ms, to.promise_ms) = *pick(rng, &[(1_000, 1_000), (3_000, 3_000)]);
            }
            let _: Result<(), ChangeError> = council.change_constants(now, to);
        })
    }

    /// A client asks whether its node leads for some time more, and believes it.
    fn tell(&mut self) {
        let Some(leader) = self.leader() else { return };
        let for_ms = *pick(&mut self.rng, &[0, 100, 500, 900]);
        let node = &mut self.nodes[leader];
        let now = node.read(self.now_ns, &mut self.rng);
        let Some(council) = &mut node.council else { return };
        if council.tell(&now, for_ms).is_some() {
            let told = now.mono + midge::Duration::from_millis(u64::from(for_ms));
            // Whoever was told can test both clocks as well.
            let mono_ns = self.nodes[leader].when(told);
            let truly_ns = now.window.map(|w| w.latest_ns() + i64::from(for_ms) * MILLI);
            let until_ns = truly_ns.map_or(mono_ns, |truly_ns| mono_ns.min(truly_ns));
            self.judge.told(self.nodes[leader].voter.id, until_ns);
        }
    }
}

fn pick<'a, T>(rng: &mut Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.below(choices.len() as u32) as usize]
}
