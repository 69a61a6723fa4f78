//! Each rule in a small fleet with a perfect network, unless a test cuts it.

use std::vec::Vec as List;

use super::*;
use crate::address::Address;
use crate::time::{Duration, TimeWindow};

const MS: u64 = 1_000;

fn voter(id: u64) -> Voter {
    Voter { id, address: Address::v4([10, 0, 0, id as u8], 6434) }
}

fn voters(ids: &[u64]) -> Voters {
    ids.iter().map(|id| voter(*id)).collect()
}

fn settings(id: u64) -> Settings {
    Settings { me: voter(id), require_clock: false, rules: Rules::ALL }
}

struct Fleet {
    us: u64,
    /// Width of the windows of true time, if there are clocks.
    width_ns: Option<i64>,
    nodes: List<Council>,
    /// Nodes that hear and say nothing.
    cut: List<u64>,
    /// Nodes whose disk takes for ever.
    stalled: List<u64>,
    said: List<Message>,
}

impl Fleet {
    /// Nodes 1 to `count`; the first has founded a council.
    fn founded(count: u64) -> Self {
        let mut fleet = Self {
            us: 1_000 * MS,
            width_ns: None,
            nodes: List::new(),
            cut: List::new(),
            stalled: List::new(),
            said: List::new(),
        };
        let now = fleet.now();
        fleet.nodes = (1..=count).map(|id| Council::new(settings(id), id, &now)).collect();
        assert!(fleet.node(1).found(&now, 77, Constants::DEFAULT));
        fleet.run(10);
        fleet
    }

    /// Three voters, led by node 1.
    fn of_three(count: u64) -> Self {
        let mut fleet = Self::founded(count);
        let now = fleet.now();
        fleet.node(1).change_voters(&now, &voters(&[1, 2, 3])).unwrap();
        fleet.run(1_000);
        assert_eq!(
            fleet.node(1).record().state.configuration,
            Configuration::of(voters(&[1, 2, 3]))
        );
        assert_eq!(fleet.claimants(), [1]);
        fleet
    }

    fn now(&self) -> Now {
        let true_ns = 1_000_000_000_000 + self.us as i64 * 1_000;
        let window = self.width_ns.and_then(|w| TimeWindow::new(true_ns - w / 2, true_ns + w / 2));
        Now { mono: Instant::from_micros(self.us), window }
    }

    fn node(&mut self, id: u64) -> &mut Council {
        self.nodes.iter_mut().find(|n| n.settings.me.id == id).unwrap()
    }

    /// Lets everything happen that happens at once.
    fn settle(&mut self) {
        loop {
            let now = self.now();
            let mut under_way = List::new();
            for node in &mut self.nodes {
                let id = node.settings.me.id;
                while !self.stalled.contains(&id)
                    && let Some((change, _)) = node.poll_persist()
                {
                    node.handle_persisted(&now, change);
                }
                while let Some(message) = node.poll_message(&now) {
                    under_way.push(message);
                }
            }
            if under_way.is_empty() {
                return;
            }
            for message in under_way {
                self.said.push(message.clone());
                let lost = |id| self.cut.contains(&id);
                if !lost(message.from.id) && !lost(message.to.id) {
                    let _ = self.node(message.to.id).handle_message(&now, &message);
                }
            }
        }
    }

    fn run(&mut self, ms: u64) {
        let end = self.us + ms * MS;
        loop {
            self.settle();
            let next = self.nodes.iter().filter_map(Council::poll_timeout).min();
            let next = next.map_or(end, |at| at.as_micros().max(self.us + 1));
            if next >= end {
                self.us = end;
                return;
            }
            self.us = next;
            let now = self.now();
            for node in &mut self.nodes {
                if node.poll_timeout().is_some_and(|at| at <= now.mono) {
                    node.handle_timeout(&now);
                }
            }
        }
    }

    fn claimants(&self) -> List<u64> {
        let now = self.now();
        let claims = self.nodes.iter().filter(|n| n.claim(&now).is_ok());
        claims.map(|n| n.settings.me.id).collect()
    }

    /// Runs until somebody of these leads, and says after how long.
    fn run_until_claimed(&mut self, by: &[u64]) -> u64 {
        for passed in 0..20_000 {
            if self.claimants().iter().any(|id| by.contains(id)) {
                return passed;
            }
            self.run(1);
        }
        panic!("nobody claims");
    }

    /// Hands one message in, and what is said because of it out.
    fn tell(&mut self, to: u64, message: &Message) -> Result<List<Message>, Refused> {
        let now = self.now();
        let node = self.node(to);
        node.handle_message(&now, message)?;
        while let Some((change, _)) = node.poll_persist() {
            node.handle_persisted(&now, change);
        }
        let mut said = List::new();
        while let Some(message) = node.poll_message(&now) {
            said.push(message);
        }
        Ok(said)
    }

    /// A message of a term that is so many later than that of its receiver.
    fn message(&mut self, from: u64, to: u64, later: u64, body: Body) -> Message {
        let mut term = self.node(to).record.term;
        for _ in 0..later {
            term = term.next();
        }
        Message { cluster: 77, from: voter(from), to: voter(to), term, body }
    }

    fn id_of(&mut self, id: u64) -> Id {
        self.node(id).record.state.id
    }
}

fn votes(said: &[Message]) -> List<bool> {
    let vote = |m: &Message| match &m.body {
        Body::Voted { report } => Some(report.is_some()),
        Body::PreVoted { granted } => Some(*granted),
        _ => None,
    };
    said.iter().filter_map(vote).collect()
}

#[test]
fn a_council_of_one_leads_at_once() {
    let mut fleet = Fleet::founded(1);
    assert_eq!(fleet.claimants(), [1]);
    fleet.run(60_000);
    assert_eq!(fleet.claimants(), [1]);
    let now = fleet.now();
    assert!(!fleet.node(1).found(&now, 78, Constants::DEFAULT), "it belongs to one");
}

#[test]
fn it_grows_to_three_without_a_gap() {
    let mut fleet = Fleet::founded(3);
    let now = fleet.now();
    fleet.node(1).change_voters(&now, &voters(&[1, 2, 3])).unwrap();
    for _ in 0..2_000 {
        fleet.run(1);
        assert_eq!(fleet.claimants(), [1]);
    }
    for id in 1..=3 {
        assert_eq!(fleet.node(id).record.state.configuration.old_set().len(), 3);
        assert_eq!(fleet.node(id).record.cluster, 77);
    }
}

#[test]
fn a_successor_claims_after_the_promise_and_within_the_time_that_is_aimed_at() {
    for width_ns in [None, Some(1_000_000)] {
        let mut fleet = Fleet::of_three(3);
        fleet.width_ns = width_ns;
        fleet.run(2_000);
        fleet.cut.push(1);
        let now = fleet.now();
        let held = fleet.node(2).promises.report(now.mono).value.hold;
        let after = fleet.run_until_claimed(&[2, 3]);
        assert!(after >= held.as_millis(), "{after} ms");
        assert!(after <= 2_600, "{after} ms");
        let now = fleet.now();
        assert_eq!(fleet.node(1).claim(&now), Err(NoClaim::NotElected), "it stepped down");
    }
}

#[test]
fn rule_1_one_vote_in_a_term_and_it_is_the_same_when_asked_again() {
    let mut fleet = Fleet::of_three(4);
    fleet.run(10_000);
    fleet.cut.extend([1, 2, 3]);
    fleet.us += 5_000 * MS;
    let id = fleet.id_of(3);
    let vote = Body::Vote { id, transfer: false };
    let first = fleet.message(2, 3, 1, vote.clone());
    assert_eq!(votes(&fleet.tell(3, &first).unwrap()), [true]);
    assert_eq!(votes(&fleet.tell(3, &first).unwrap()), [true]);
    let other = fleet.message(1, 3, 0, vote);
    assert_eq!(votes(&fleet.tell(3, &other).unwrap()), [false]);
}

#[test]
fn rule_1_no_vote_for_who_knows_less() {
    let mut fleet = Fleet::of_three(3);
    fleet.us += 5_000 * MS;
    let id = fleet.id_of(3);
    let less = Id { seq: id.seq - 1, ..id };
    let vote = fleet.message(2, 3, 1, Body::Vote { id: less, transfer: false });
    assert_eq!(votes(&fleet.tell(3, &vote).unwrap()), [false]);
    assert_eq!(fleet.node(3).record.term, vote.term, "the term counts on");
}

#[test]
fn rule_1_no_vote_while_a_leader_is_heard_unless_it_asked_for_it() {
    let mut fleet = Fleet::of_three(3);
    let id = fleet.id_of(3);
    let before = fleet.node(3).record.clone();
    let vote = fleet.message(2, 3, 1, Body::Vote { id, transfer: false });
    assert_eq!(votes(&fleet.tell(3, &vote).unwrap()), [false]);
    assert_eq!(fleet.node(3).record, before, "not even the term");
    let asked = fleet.message(2, 3, 1, Body::Vote { id, transfer: true });
    assert_eq!(votes(&fleet.tell(3, &asked).unwrap()), [true]);
}

#[test]
fn rule_1_a_new_voter_votes_before_it_knows_that_it_is_one() {
    let mut fleet = Fleet::of_three(4);
    fleet.us += 5_000 * MS;
    let id = fleet.id_of(3);
    let vote = fleet.message(3, 4, 5, Body::Vote { id, transfer: false });
    assert_eq!(votes(&fleet.tell(4, &vote).unwrap()), [true]);
    assert_eq!(fleet.node(4).record.cluster, 77);
}

#[test]
fn rule_2_a_pre_vote_changes_nothing() {
    let mut fleet = Fleet::of_three(3);
    let id = fleet.id_of(3);
    for (later, granted) in [(0, false), (5_000, true)] {
        fleet.us += later * MS;
        let before = (fleet.node(3).record.clone(), fleet.node(3).election_at);
        let question = fleet.message(2, 3, 1, Body::PreVote { id });
        assert_eq!(votes(&fleet.tell(3, &question).unwrap()), [granted]);
        assert_eq!((fleet.node(3).record.clone(), fleet.node(3).election_at), before);
    }
}

#[test]
fn rule_2_a_node_that_was_cut_off_does_not_disturb_when_it_comes_back() {
    let mut fleet = Fleet::of_three(3);
    let term = fleet.node(1).record.term;
    fleet.cut.push(3);
    fleet.run(30_000);
    fleet.cut.clear();
    for _ in 0..5_000 {
        fleet.run(1);
        assert_eq!(fleet.claimants(), [1]);
    }
    assert_eq!(fleet.node(3).record.term, term);
}

#[test]
fn rule_3_while_voters_change_each_set_has_to_agree() {
    let mut fleet = Fleet::of_three(5);
    let now = fleet.now();
    fleet.node(1).change_voters(&now, &voters(&[1, 2, 3, 4, 5])).unwrap();
    fleet.settle();
    assert!(!fleet.node(1).record.state.configuration.is_joint());
    assert_eq!(fleet.node(1).record.state.configuration.old_set().len(), 5);
    // Two of five are not enough.
    fleet.cut.extend([3, 4, 5]);
    fleet.run(10_000);
    assert_eq!(fleet.claimants(), List::<u64>::new());
    fleet.cut.pop();
    fleet.run_until_claimed(&[1, 2, 5]);
}

#[test]
fn rule_4_no_claim_and_no_proposal_before_the_first_version_is_committed() {
    let mut fleet = Fleet::of_three(3);
    fleet.cut.push(1);
    while fleet.node(2).role() != Role::Leader && fleet.node(3).role() != Role::Leader {
        fleet.run(1);
        if fleet.nodes.iter().any(|n| n.role() == Role::Candidate && n.settings.me.id != 1) {
            fleet.settle();
        }
    }
    let leader = if fleet.node(2).role() == Role::Leader { 2 } else { 3 };
    let now = fleet.now();
    let node = fleet.node(leader);
    node.committed = Id::ZERO;
    assert_eq!(node.claim(&now), Err(NoClaim::NotCommitted));
    assert_eq!(node.change_constants(&now, Constants::DEFAULT), Err(ChangeError::Busy));
}

#[test]
fn rule_5_only_a_newer_version_is_accepted() {
    let mut fleet = Fleet::of_three(3);
    let newest = fleet.node(1).record.state.clone();
    let older = State { id: Id { seq: newest.id.seq - 1, ..newest.id }, ..newest.clone() };
    let append = Append {
        number: 1,
        id: older.id,
        committed: Id::ZERO,
        promise: Told::NONE,
        floor: Told::NONE,
        stand: false,
        state: Some(older),
    };
    let message = fleet.message(1, 3, 0, Body::Append(append));
    let said = fleet.tell(3, &message).unwrap();
    assert_eq!(fleet.node(3).record.state, newest);
    let Body::Ack(ack) = &said[0].body else { panic!("it answers") };
    assert_eq!((ack.number, ack.id), (1, newest.id), "it says what it has");
}

#[test]
fn rule_7_a_change_that_cannot_be_committed_is_abandoned() {
    let mut fleet = Fleet::founded(3);
    let now = fleet.now();
    fleet.node(1).change_voters(&now, &voters(&[1, 2, 3])).unwrap();
    // Both newcomers die at the moment when the change is proposed.
    while !fleet.node(1).record.state.configuration.is_joint() {
        let now = fleet.now();
        let Some(message) = fleet.nodes.iter_mut().find_map(|n| n.poll_message(&now)) else {
            fleet.run(1);
            continue;
        };
        let _ = fleet.tell(message.to.id, &message).map(|said| {
            for answer in said {
                let _ = fleet.node(answer.to.id).handle_message(&now, &answer);
            }
        });
    }
    fleet.cut.extend([2, 3]);
    fleet.run(9_000);
    assert_eq!(fleet.claimants(), List::<u64>::new(), "the newcomers would have to agree");
    fleet.run(2_500);
    assert_eq!(fleet.node(1).record.state.configuration, Configuration::of(voters(&[1])));
    assert_eq!(fleet.claimants(), [1]);
}

#[test]
fn rule_7_newcomers_take_over_the_register_first() {
    let mut fleet = Fleet::of_three(5);
    fleet.cut.push(4);
    let now = fleet.now();
    fleet.node(1).change_voters(&now, &voters(&[1, 2, 4])).unwrap();
    fleet.run(5_000);
    assert_eq!(fleet.node(1).record.state.configuration, Configuration::of(voters(&[1, 2, 3])));
    let now = fleet.now();
    assert_eq!(fleet.node(1).change_voters(&now, &voters(&[1, 2, 5])), Err(ChangeError::Busy));
    fleet.run(6_000);
    let now = fleet.now();
    fleet.node(1).change_voters(&now, &voters(&[1, 2, 5])).unwrap();
    fleet.run(1_000);
    assert_eq!(fleet.node(5).record.state.configuration, Configuration::of(voters(&[1, 2, 5])));
    let told = fleet.node(3).record.state.clone();
    assert_eq!(told, fleet.node(5).record.state);
    assert_eq!(fleet.claimants(), [1]);
}

#[test]
fn rule_7_what_is_no_change_of_voters_is_refused() {
    let mut fleet = Fleet::of_three(4);
    let now = fleet.now();
    let mut moved = voters(&[1, 2, 3]);
    moved[1].address = voter(9).address;
    for wrong in [voters(&[1, 2]), voters(&[2, 3, 4]), voters(&[]), voters(&[1, 2, 2]), moved] {
        assert_eq!(fleet.node(1).change_voters(&now, &wrong), Err(ChangeError::Voters));
    }
    let now = fleet.now();
    assert_eq!(fleet.node(2).change_voters(&now, &voters(&[2])), Err(ChangeError::NotLeader));
    assert_eq!(fleet.node(1).change_voters(&now, &voters(&[3, 2, 1])), Ok(()));
    assert_eq!(fleet.node(1).change, Change::NONE, "it is no change");
}

#[test]
fn rule_7_voters_that_go_are_told_and_keep_quiet() {
    let mut fleet = Fleet::of_three(3);
    let now = fleet.now();
    fleet.node(1).change_voters(&now, &voters(&[1])).unwrap();
    fleet.run(1_000);
    fleet.said.clear();
    fleet.run(30_000);
    assert_eq!(fleet.claimants(), [1]);
    assert!(fleet.said.is_empty(), "{:?}", fleet.said.first());
}

#[test]
fn rule_8_heartbeats_carry_the_promise_and_the_floor() {
    let mut fleet = Fleet::of_three(3);
    fleet.width_ns = Some(2_000_000);
    fleet.run(3_000);
    fleet.cut.push(1);
    fleet.said.clear();
    fleet.run(2_100);
    let appended = fleet.said.iter().find_map(|m| match &m.body {
        Body::Append(append) if m.from.id != 1 => Some(append.clone()),
        _ => None,
    });
    let append = appended.expect("somebody leads");
    assert!(append.promise.hold > Duration::ZERO && append.promise.true_ns > promise::NEVER_NS);
    assert!(append.floor.true_ns > promise::NEVER_NS, "what node 1 was promised");
}

#[test]
fn rule_9_a_life_that_is_forgotten_promised_the_most() {
    for width_ns in [None, Some(2_000_000)] {
        let mut fleet = Fleet::of_three(3);
        fleet.width_ns = width_ns;
        fleet.run(1_000);
        let now = fleet.now();
        for id in 1..=3 {
            let record = fleet.node(id).record.clone();
            *fleet.node(id) = Council::restore(settings(id), record, id, &now);
        }
        let after = fleet.run_until_claimed(&[1, 2, 3]);
        assert!((3_000..6_000).contains(&after), "{after} ms");
    }
}

#[test]
fn rule_9_a_clock_that_comes_later_counts_from_then() {
    let mut fleet = Fleet::of_three(3);
    let record = fleet.node(3).record.clone();
    let now = fleet.now();
    *fleet.node(3) = Council::restore(settings(3), record, 3, &now);
    assert_eq!(fleet.node(3).promises.report(now.mono).floor.true_ns, promise::NEVER_NS);
    fleet.width_ns = Some(2_000_000);
    let now = fleet.now();
    fleet.node(3).handle_timeout(&now);
    let floor = fleet.node(3).promises.report(now.mono).floor.true_ns;
    assert_eq!(floor, now.window.unwrap().latest_ns() + 3_000_000_000);
}

#[test]
fn rule_9_nothing_beyond_the_own_bound_is_recorded_or_acknowledged() {
    let mut fleet = Fleet::of_three(3);
    fleet.width_ns = Some(2_000_000);
    fleet.run(1_000);
    let before = fleet.node(3).promises;
    let now = fleet.now();
    let id = fleet.id_of(3);
    let earliest = now.window.unwrap().earliest_ns();
    let long = Told { true_ns: promise::NEVER_NS, hold: Duration::from_micros(3_000_200) };
    let far = Told { true_ns: earliest + 3_000_000_001, hold: Duration::ZERO };
    for promise in [long, far] {
        let append = Append {
            number: 99,
            id,
            committed: id,
            promise,
            floor: Told::NONE,
            stand: false,
            state: None,
        };
        let message = fleet.message(1, 3, 0, Body::Append(append));
        assert!(fleet.tell(3, &message).unwrap().is_empty());
        assert_eq!(fleet.node(3).promises, before);
    }
}

#[test]
fn rule_9_constants_change_in_steps() {
    let mut fleet = Fleet::of_three(3);
    let base = Constants::DEFAULT;
    let change = |fleet: &mut Fleet, lease_ms, promise_ms| {
        let now = fleet.now();
        let to = Constants { lease_ms, promise_ms, ..base };
        let done = fleet.node(1).change_constants(&now, to);
        fleet.settle();
        done
    };
    assert_eq!(change(&mut fleet, 5_000, 5_000), Err(ChangeError::TooSoon));
    assert_eq!(change(&mut fleet, 2_000, 5_000), Ok(()));
    assert_eq!(change(&mut fleet, 5_000, 5_000), Ok(()));
    fleet.run(20_000);
    assert_eq!(change(&mut fleet, 2_000, 3_000), Err(ChangeError::TooSoon));
    assert_eq!(change(&mut fleet, 2_000, 5_000), Ok(()));
    assert_eq!(change(&mut fleet, 2_000, 3_000), Err(ChangeError::TooSoon));
    fleet.run(5_100);
    assert_eq!(change(&mut fleet, 2_000, 3_000), Ok(()));
    assert_eq!(change(&mut fleet, 9_000, 3_000), Err(ChangeError::Constants));
    assert_eq!(fleet.claimants(), [1]);
}

#[test]
fn rule_10_an_acknowledgement_counts_for_its_heartbeat_in_its_term() {
    let mut fleet = Fleet::of_three(3);
    let now = fleet.now();
    let until = fleet.node(1).claim(&now).unwrap();
    let id = fleet.id_of(1);
    fleet.cut.extend([2, 3]);
    fleet.run(700);
    for (later, number) in [(0, 1), (0, 99_999), (0, 0)] {
        let ack = Body::Ack(Ack { number, id, bounded: false });
        let message = fleet.message(2, 1, later, ack);
        fleet.tell(1, &message).unwrap();
        let now = fleet.now();
        assert_eq!(fleet.node(1).claim(&now), Ok(until), "{number}");
    }
    let newest = fleet.node(1).lease.number();
    let mut message = fleet.message(2, 1, 0, Body::Ack(Ack { number: newest, id, bounded: false }));
    message.term = Term::ZERO;
    fleet.tell(1, &message).unwrap();
    let now = fleet.now();
    assert_eq!(fleet.node(1).claim(&now), Ok(until));
    message.term = fleet.node(1).record.term;
    fleet.tell(1, &message).unwrap();
    assert!(fleet.node(1).claim(&now).unwrap() > until);
}

#[test]
fn rule_10_a_leader_without_a_quorum_steps_down_when_its_lease_ends() {
    let mut fleet = Fleet::of_three(3);
    fleet.cut.extend([2, 3]);
    let now = fleet.now();
    let until = fleet.node(1).claim(&now).unwrap();
    fleet.run(1_999);
    let now = fleet.now();
    assert!(until.mono <= now.mono);
    assert_ne!(fleet.node(1).role(), Role::Leader);
}

#[test]
fn rule_11_a_stranger_in_a_higher_term_only_makes_the_leader_stand_again() {
    let mut fleet = Fleet::of_three(4);
    fleet.cut.push(4);
    let now = fleet.now();
    fleet.node(1).change_voters(&now, &voters(&[1, 2, 4])).unwrap();
    let refusal = Body::Ack(Ack { number: 0, id: Id::ZERO, bounded: false });
    let message = fleet.message(4, 1, 9, refusal.clone());
    let now = fleet.now();
    fleet.node(1).handle_message(&now, &message).unwrap();
    fleet.settle();
    assert_eq!(fleet.claimants(), [1]);
    assert!(fleet.node(1).record.term > message.term);
    let message = fleet.message(2, 1, 9, refusal);
    let now = fleet.now();
    fleet.node(1).handle_message(&now, &message).unwrap();
    assert_eq!(fleet.node(1).role(), Role::Follower, "of a voter, it ends the leadership");
}

#[test]
fn rule_12_a_transfer_takes_no_longer_than_its_messages() {
    let mut fleet = Fleet::of_three(3);
    let now = fleet.now();
    fleet.node(1).transfer(&now, 3).unwrap();
    assert_eq!(fleet.node(1).claim(&now), Err(NoClaim::Released));
    fleet.settle();
    assert_eq!(fleet.claimants(), [3]);
}

#[test]
fn rule_12_what_was_told_outside_is_waited_for() {
    for width_ns in [None, Some(2_000_000)] {
        let mut fleet = Fleet::of_three(3);
        fleet.width_ns = width_ns;
        fleet.run(2_000);
        let now = fleet.now();
        assert!(fleet.node(1).tell(&now, 5_000).is_none(), "longer than it leads for certain");
        assert!(fleet.node(1).tell(&now, 1_000).is_some());
        fleet.node(1).transfer(&now, NOBODY).unwrap();
        let after = fleet.run_until_claimed(&[2, 3]);
        assert!((1_000..1_050).contains(&after), "{after} ms");
    }
}

#[test]
fn rule_12_who_has_released_does_not_lead_again_in_that_term() {
    let mut fleet = Fleet::of_three(3);
    fleet.cut.extend([2, 3]);
    let now = fleet.now();
    fleet.node(1).transfer(&now, 2).unwrap();
    let term = fleet.node(1).record.term;
    for _ in 0..3_000 {
        fleet.run(1);
        assert_eq!(fleet.claimants(), List::<u64>::new());
    }
    fleet.cut.clear();
    fleet.run_until_claimed(&[1, 2, 3]);
    assert!(fleet.nodes.iter().all(|n| n.record.term > term));
}

#[test]
fn rule_12_to_stand_now_counts_only_with_the_release_of_its_term() {
    let mut fleet = Fleet::of_three(3);
    let id = fleet.id_of(3);
    let append = Append {
        number: 50,
        id,
        committed: id,
        promise: Told::NONE,
        floor: Told::NONE,
        stand: true,
        state: None,
    };
    let message = fleet.message(1, 3, 0, Body::Append(append));
    fleet.tell(3, &message).unwrap();
    assert_eq!(fleet.node(3).role(), Role::Follower);
}

#[test]
fn rule_12_a_transfer_needs_a_voter_that_is_ready() {
    let mut fleet = Fleet::of_three(4);
    let now = fleet.now();
    assert_eq!(fleet.node(2).transfer(&now, 1), Err(TransferError::NotLeader));
    assert_eq!(fleet.node(1).transfer(&now, 4), Err(TransferError::NotReady));
    assert_eq!(fleet.node(1).transfer(&now, 1), Err(TransferError::NotReady));
    fleet.cut.extend([2, 3]);
    fleet.run(1_200);
    let now = fleet.now();
    assert_eq!(fleet.node(1).transfer(&now, NOBODY), Err(TransferError::NotReady));
    assert_eq!(fleet.claimants(), [1], "nothing has changed");
}

#[test]
fn no_vote_and_no_acknowledgement_leaves_before_it_is_durable() {
    let mut fleet = Fleet::of_three(3);
    fleet.stalled.push(3);
    let now = fleet.now();
    let longer = Constants { promise_ms: 4_000, ..Constants::DEFAULT };
    fleet.node(1).change_constants(&now, longer).unwrap();
    fleet.said.clear();
    fleet.run(5_000);
    assert!(fleet.said.iter().all(|m| m.from.id != 3), "a slow disk costs it its vote");
    assert_eq!(fleet.claimants(), [1]);
    fleet.stalled.clear();
    fleet.run(1_000);
    assert!(fleet.said.iter().any(|m| m.from.id == 3));
}

#[test]
fn what_is_meant_for_others_is_refused() {
    let mut fleet = Fleet::of_three(3);
    let id = fleet.id_of(3);
    let good = fleet.message(2, 3, 1, Body::PreVote { id });
    let now = fleet.now();
    let mut refused = |message: &Message| fleet.node(3).handle_message(&now, message).err();
    assert_eq!(refused(&Message { to: voter(9), ..good.clone() }), Some(Refused::NotForMe));
    assert_eq!(refused(&Message { from: voter(3), ..good.clone() }), Some(Refused::NotForMe));
    assert_eq!(refused(&Message { cluster: 78, ..good.clone() }), Some(Refused::OtherCluster));
    assert_eq!(refused(&Message { cluster: 0, ..good.clone() }), Some(Refused::Impossible));
    assert_eq!(refused(&good), None);
}

#[test]
fn who_has_to_have_a_clock_takes_no_part_without_one() {
    let mut fleet = Fleet::of_three(3);
    for node in &mut fleet.nodes {
        node.settings.require_clock = true;
    }
    fleet.run(10_000);
    assert_eq!(fleet.claimants(), List::<u64>::new());
    // A window that is wider than half a lease is none.
    fleet.width_ns = Some(1_000_000_002);
    fleet.run(10_000);
    assert_eq!(fleet.claimants(), List::<u64>::new());
    fleet.width_ns = Some(50_000_000);
    fleet.run_until_claimed(&[1, 2, 3]);
    let leader = fleet.claimants()[0];
    let now = Now { window: None, ..fleet.now() };
    assert_eq!(fleet.node(leader).claim(&now), Err(NoClaim::NoClock));
    fleet.node(leader).handle_timeout(&now);
    assert_eq!(fleet.node(leader).role(), Role::Follower, "another one may have a clock");
}

#[test]
fn a_clock_that_comes_back_does_not_depose_the_leader() {
    let mut fleet = Fleet::of_three(3);
    fleet.width_ns = Some(1_000_000);
    fleet.run(3_000);
    let now = fleet.now();
    assert!(fleet.node(1).is_safe_on_either(&now));
    for width_ns in [None, Some(1_000_000)] {
        fleet.width_ns = width_ns;
        for _ in 0..3_000 {
            fleet.run(1);
            assert_eq!(fleet.claimants(), [1]);
        }
    }
}

#[test]
fn a_voter_that_started_without_a_clock_promises_nothing_in_true_time_at_first() {
    let mut fleet = Fleet::of_three(3);
    let (record, now) = (fleet.node(3).record.clone(), fleet.now());
    *fleet.node(3) = Council::restore(settings(3), record, 3, &now);
    fleet.width_ns = Some(1_000_000);
    fleet.run(2_900);
    let now = fleet.now();
    assert!(!fleet.node(1).is_safe_on_either(&now));
    fleet.run(1_000);
    let now = fleet.now();
    assert!(fleet.node(1).is_safe_on_either(&now));
}

#[test]
fn a_window_that_was_wide_is_forgotten_when_a_better_one_comes() {
    let mut fleet = Fleet::of_three(3);
    fleet.width_ns = Some(7_200_000_000_000);
    let (record, now) = (fleet.node(3).record.clone(), fleet.now());
    *fleet.node(3) = Council::restore(settings(3), record, 3, &now);
    fleet.width_ns = Some(1_000_000);
    fleet.run(1_000);
    fleet.cut.push(1);
    assert!(fleet.run_until_claimed(&[2, 3]) < 6_000);
}

#[test]
fn whatever_a_message_says_is_bounded() {
    let mut fleet = Fleet::of_three(3);
    let state = fleet.node(3).record.state.clone();
    let endless = Told { true_ns: i64::MAX, hold: Duration::from_micros(u64::MAX) };
    let append = |state: State, floor| Append {
        number: 99,
        id: state.id,
        committed: Id::ZERO,
        promise: Told::NONE,
        floor,
        stand: false,
        state: Some(state),
    };
    let hear = |fleet: &mut Fleet, append| {
        let message = fleet.message(1, 3, 0, Body::Append(append));
        fleet.tell(3, &message).map(drop)
    };
    assert_eq!(hear(&mut fleet, append(state.clone(), endless)), Ok(()));
    fleet.width_ns = Some(1_000_000);
    let now = fleet.now();
    fleet.node(3).handle_timeout(&now);
    let floor = fleet.node(3).promises.report(now.mono).floor;
    assert!(floor.hold < Duration::from_millis(3_001), "{floor:?}");
    assert!(floor.true_ns <= now.window.unwrap().latest_ns() + 3_000_000_000, "{floor:?}");
    let seq = Id { seq: u64::MAX, ..state.id };
    let far = State { id: seq, ..state.clone() };
    assert_eq!(hear(&mut fleet, append(far, Told::NONE)), Err(Refused::Impossible));
    let next = Id { seq: state.id.seq + 1, ..state.id };
    let nobody = State { id: next, configuration: Configuration::EMPTY, ..state };
    assert_eq!(hear(&mut fleet, append(nobody, Told::NONE)), Err(Refused::Impossible));
}

#[test]
fn strangers_neither_elect_nor_depose() {
    let mut fleet = Fleet::of_three(3);
    let term = fleet.node(1).record.term;
    let refusal = Body::Ack(Ack { number: 0, id: Id::ZERO, bounded: false });
    let message = fleet.message(9, 1, 5, refusal);
    fleet.tell(1, &message).unwrap();
    assert_eq!(fleet.node(1).record.term, term);
    fleet.cut.extend([1, 2]);
    while fleet.node(3).role() != Role::PreCandidate {
        fleet.run(1);
    }
    for id in 100..120 {
        let message = fleet.message(id, 3, 1, Body::PreVoted { granted: true });
        fleet.tell(3, &message).unwrap();
    }
    assert!(fleet.node(3).granted.is_empty());
}

#[test]
fn a_machine_that_was_paused_stops_leading() {
    let mut fleet = Fleet::of_three(3);
    let now = fleet.now();
    fleet.node(1).handle_disruption(&now);
    assert_eq!(fleet.claimants(), List::<u64>::new());
    let floor = fleet.node(1).promises.report(now.mono).floor;
    assert!(floor.hold >= Duration::from_secs(3), "what its clocks said of its promises is void");
    let after = fleet.run_until_claimed(&[1, 2, 3]);
    assert!(after < 6_000, "{after} ms");
}
