//! Sources that name addresses and names, and what the node gets of them.

use std::boxed::Box;

use midge::{Address, Config, Instant, Node};

use super::*;
use crate::api::parse_target;

struct Agent {
    node: Box<Node<4>>,
    seeds: Box<Seeds>,
}

fn address(host: u8) -> Address {
    Address::v4([10, 0, 0, host], 6434)
}

impl Agent {
    fn new() -> Self {
        let mut node = Box::new(Node::EMPTY);
        node.init(&Config::new("a", address(1)), [1; 32], 1, Instant::ZERO).unwrap();
        Self { node, seeds: Box::new(Seeds::EMPTY) }
    }

    fn add(&mut self, source: Source, text: &str) -> Result<(), JoinError> {
        self.seeds.add(source, parse_target(text, 6434).unwrap())
    }

    /// What the node has as seeds, sorted, without the network.
    fn synced(&mut self) -> std::vec::Vec<u8> {
        self.seeds.sync(&mut self.node, Instant::ZERO, &|seed| seed == address(1));
        let seeds = self.node.status().seeds;
        let mut hosts: std::vec::Vec<_> = seeds.iter().map(|seed| seed.octets()[15]).collect();
        hosts.sort_unstable();
        hosts
    }
}

#[test]
fn each_source_replaces_only_its_own() {
    let mut agent = Agent::new();
    agent.add(Source::Options, "10.0.0.2").unwrap();
    agent.add(Source::Options, "10.0.0.2").unwrap();
    agent.seeds.set_lines(Source::File, b"10.0.0.3\n10.0.0.4:6434\n");
    agent.seeds.set_lines(Source::Command, b"10.0.0.2\n10.0.0.5");
    assert_eq!(agent.synced(), [2, 3, 4, 5]);
    agent.seeds.set_lines(Source::File, b"10.0.0.4\r\n10.0.0.6\n");
    assert_eq!(agent.synced(), [2, 4, 5, 6]);
    agent.seeds.set_lines(Source::Command, b"");
    assert_eq!(agent.synced(), [2, 4, 6]);
    agent.seeds.set_lines(Source::File, b"");
    assert_eq!(agent.synced(), [2]);
}

#[test]
fn lines_may_be_empty_have_remarks_and_be_wrong() {
    let mut agent = Agent::new();
    let text =
        b"# seeds\n\n  10.0.0.2  # the first\n\xff\xfe\n10.0.0\n\x00\n224.0.0.1\n10.0.0.3:0\n\
        fe80::1%eth0\n10.0.0.4 10.0.0.5\n\t10.0.0.6";
    agent.seeds.set_lines(Source::File, text);
    assert_eq!(agent.synced(), [2, 6]);
}

#[test]
fn the_last_sources_give_way_when_there_are_too_many() {
    let mut agent = Agent::new();
    let lines = |from: u8, to: u8| -> std::string::String {
        (from..=to).map(|host| std::format!("10.0.0.{host}\n")).collect()
    };
    agent.seeds.set_lines(Source::Peers, lines(101, 120).as_bytes());
    agent.seeds.set_lines(Source::File, lines(11, 60).as_bytes());
    assert!(agent.synced().into_iter().eq(11..=42));
    agent.add(Source::Options, "10.0.0.2").unwrap();
    assert_eq!(agent.add(Source::Command, "10.0.0.3"), Err(JoinError::Full));
    assert_eq!(agent.synced().len(), 32);
    assert_eq!(agent.synced()[0], 2);
    for host in 3..=33 {
        agent.add(Source::Options, &std::format!("10.0.0.{host}")).unwrap();
    }
    assert_eq!(agent.add(Source::Options, "10.0.0.34"), Err(JoinError::Full));
    assert!(agent.synced().into_iter().eq(2..=33));
}

#[test]
fn ones_own_address_is_no_seed_and_alone_makes_the_first_node() {
    let mut agent = Agent::new();
    agent.add(Source::Options, "10.0.0.1").unwrap();
    assert!(agent.synced().is_empty());
    assert!(agent.node.status().joined);
}

#[test]
fn who_waits_for_a_source_or_a_name_is_not_the_first_node() {
    let mut agent = Agent::new();
    agent.seeds.wait_for(Source::File);
    agent.synced();
    assert!(!agent.node.status().joined);
    agent.seeds.set_lines(Source::File, b"seed.example.com\n");
    agent.synced();
    assert!(!agent.node.status().joined);
    assert_eq!(agent.seeds.targets().count(), 1);
    agent.seeds.set_lines(Source::File, b"# nobody\n");
    agent.synced();
    assert_eq!(agent.seeds.targets().count(), 0);
    assert!(agent.node.status().joined);
}

#[test]
fn what_is_nobodys_is_refused() {
    let mut agent = Agent::new();
    for text in ["0.0.0.0", "224.0.0.1", "10.0.0.2:0", "seed.example.com:0"] {
        assert_eq!(agent.add(Source::Request, text), Err(JoinError::Unusable), "{text}");
    }
    assert_eq!(agent.seeds.targets().count(), 0);
}

/// Looks the first name up: it has these addresses, and all of them are there, or not.
fn learn(agent: &mut Agent, now: Instant, hosts: &[u8], outcome: Outcome) -> std::string::String {
    agent.seeds.want_all();
    let number = agent.seeds.next_wanted().expect("a name").number;
    let addresses: std::vec::Vec<_> = hosts.iter().map(|host| address(*host)).collect();
    std::format!("{:?}", agent.seeds.learn(now, number, &addresses, outcome))
}

/// As services give them whose members are many: those that are known stay, whatever the order.
#[test]
fn more_addresses_in_any_order_than_there_is_room_for_change_nothing() {
    let mut agent = Agent::new();
    agent.add(Source::Options, "seeds.example").unwrap();
    let mut hosts: std::vec::Vec<u8> = (101..=160).collect();
    let all = "Resolved(\"seeds.example\", 60)";
    assert_eq!(learn(&mut agent, Instant::ZERO, &hosts, Outcome::Whole), all);
    let seeds = agent.synced();
    assert!(seeds.iter().copied().eq(101..=132));
    for by in [20, 35, 7] {
        hosts.rotate_left(by);
        assert_eq!(learn(&mut agent, Instant::ZERO, &hosts, Outcome::Whole), "Nothing");
        assert_eq!(agent.synced(), seeds);
    }
    // One that is gone makes room for one other.
    hosts.retain(|host| *host != 110);
    assert_eq!(
        learn(&mut agent, Instant::ZERO, &hosts, Outcome::Whole),
        "Resolved(\"seeds.example\", 59)"
    );
    let now = agent.synced();
    assert_eq!(now.len(), 32);
    assert_eq!(seeds.iter().filter(|host| !now.contains(host)).count(), 1);
}

#[test]
fn only_what_is_new_about_a_name_is_news() {
    let mut agent = Agent::new();
    agent.add(Source::Options, "seeds.example").unwrap();
    let whole =
        |agent: &mut Agent, hosts: &[u8]| learn(agent, Instant::ZERO, hosts, Outcome::Whole);
    let news = |count| std::format!("Resolved(\"seeds.example\", {count})");
    assert_eq!(whole(&mut agent, &[2, 3]), news(2));
    // The node has not been told yet, and there is something else to tell.
    assert_eq!(whole(&mut agent, &[3, 2]), "Nothing");
    agent.add(Source::Options, "10.0.0.9").unwrap();
    assert_eq!(whole(&mut agent, &[3, 2]), "Nothing");
    assert_eq!(agent.synced(), [2, 3, 9]);
    assert_eq!(whole(&mut agent, &[3]), news(1));
    assert_eq!(whole(&mut agent, &[3, 4]), news(2));
    assert_eq!(agent.synced(), [3, 4, 9]);
}

/// At once, whatever was looked up before it, and then once a minute.
#[test]
fn each_name_that_does_not_resolve_is_told() {
    let mut agent = Agent::new();
    agent.add(Source::Options, "first.example").unwrap();
    let unresolved = |name| std::format!("Unresolved(\"{name}.example\")");
    let soon = Instant::ZERO + Duration::from_secs(59);
    let later = Instant::ZERO + Duration::from_secs(60);
    assert_eq!(learn(&mut agent, Instant::ZERO, &[], Outcome::Silence), unresolved("first"));
    assert_eq!(learn(&mut agent, soon, &[], Outcome::Silence), "Nothing");
    agent.add(Source::Request, "second.example").unwrap();
    let number = agent.seeds.names[1].number;
    let second = agent.seeds.learn(soon, number, &[], Outcome::Whole);
    assert_eq!(second, News::Unresolved("second.example"));
    assert_eq!(learn(&mut agent, later, &[], Outcome::Whole), unresolved("first"));
}

/// First those in the file of hosts, which take no time; last those that nobody answers about.
#[test]
fn names_are_looked_up_in_an_order_that_lets_few_wait() {
    let mut agent = Agent::new();
    for name in ["silent.example", "answered.example", "local.example"] {
        agent.add(Source::Options, name).unwrap();
    }
    let silent = agent.seeds.names[0].number;
    agent.seeds.learn(Instant::ZERO, silent, &[], Outcome::Silence);
    agent.seeds.want_all();
    let mut order = std::vec::Vec::new();
    while let Some(name) = agent.seeds.next_wanted() {
        order.push(std::format!("{:?} {}", name.wanted, name.host));
        // As the finder does.
        name.wanted = match name.wanted {
            Wanted::FromFile if name.host.starts_with("local") => Wanted::No,
            Wanted::FromFile if name.silent => Wanted::FromSilentServers,
            Wanted::FromFile => Wanted::FromServers,
            _ => Wanted::No,
        };
    }
    let expected = [
        "FromFile silent.example",
        "FromFile answered.example",
        "FromFile local.example",
        "FromServers answered.example",
        "FromSilentServers silent.example",
    ];
    assert_eq!(order, expected);
}
