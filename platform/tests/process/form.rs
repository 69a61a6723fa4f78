//! Clusters that form: how many, through what, and over which kind of address.

use crate::harness::{Agent, Options, cluster, cluster_with, eventually, one_view};

fn joining(seeds: &[&Agent]) -> Options {
    Options { join: seeds.iter().map(|a| a.addr().into()).collect(), ..Options::default() }
}

#[test]
fn three_agree() {
    let agents = cluster(3);
    for agent in &agents {
        let status = agent.get("/v1/status").unwrap();
        assert_eq!(status["joined"], true);
        assert_eq!(status["members"]["alive"], 3, "{status}");
    }
}

#[test]
fn five_agree_and_know_names_and_tags_of_each_other() {
    let agents = cluster_with(5, |i| Options {
        more: vec![
            format!("--name=node-{i}"),
            "--tag=zone=a,rack=7".into(),
            format!("--tag=i={i}"),
        ],
        ..Options::default()
    });
    eventually("names and tags arrive", || {
        for agent in &agents {
            let answer = agent.get("/v1/members")?;
            let members = answer["members"].as_array().ok_or("no members")?;
            for (i, other) in agents.iter().enumerate() {
                let row = members.iter().find(|m| m["addr"] == other.addr()).ok_or("no row")?;
                let expected = serde_json::json!({"zone": "a", "rack": "7", "i": i.to_string()});
                if row["name"] != format!("node-{i}") || row["tags"] != expected {
                    return Err(format!("{row}"));
                }
                if (other.addr() == agent.addr()) != (row["self"] == true) {
                    return Err(format!("{row}"));
                }
            }
        }
        Ok(())
    });
}

/// All start in the same instant, all knowing the seed alone.
#[test]
fn sixty_at_once_through_one_seed() {
    let seed = Agent::start(&Options { period_ms: 1_000, ..Options::default() });
    let options = || Options { period_ms: 1_000, ..joining(&[&seed]) };
    let others = Agent::start_all(&(0..59).map(|_| options()).collect::<Vec<_>>());
    one_view(&std::iter::once(&seed).chain(&others).collect::<Vec<_>>());
}

#[test]
fn two_clusters_become_one_when_one_is_told_of_the_other() {
    let (left, right) = (cluster(2), cluster(2));
    let output = left[0].client(&["join", right[1].addr()]);
    assert!(output.status.success(), "{output:?}");
    one_view(&left.iter().chain(&right).collect::<Vec<_>>());
}

#[test]
fn a_seed_that_is_not_there_yet_is_found_when_it_starts() {
    // The first one gives its port back, and the second one starts there later.
    let options = Options { bind: "127.7.0.1:0".into(), ..Options::default() };
    let mut early = Agent::start(&options);
    let seed = early.addr().to_string();
    early.crash();
    let joiner = Agent::start(&Options { join: vec![seed.clone()], ..Options::default() });
    joiner.logged(&["joining 1 seed", &seed]);
    assert_eq!(joiner.get("/v1/status").unwrap()["joined"], false);
    let late = Agent::start(&Options { bind: seed, ..Options::default() });
    one_view(&[&joiner, &late]);
    joiner.logged(&["event=joined members=2"]);
}

#[test]
fn one_that_is_told_nobody_says_so_and_is_ready() {
    let agent = Agent::start(&Options::default());
    agent.logged(&["alone: no --join", "midge agent --join HOST", "midge join HOST"]);
    agent.logged(&["event=joined members=1 note=\"the first node, ready\""]);
    assert_eq!(agent.get("/v1/status").unwrap()["joined"], true);
}

#[test]
fn joining_only_oneself_is_being_the_first() {
    let address = "127.7.0.2:0";
    let mut first = Agent::start(&Options { bind: address.into(), ..Options::default() });
    let own = first.addr().to_string();
    first.crash();
    let agent =
        Agent::start(&Options { bind: own.clone(), join: vec![own.clone()], ..Options::default() });
    agent.logged(&["event=joined members=1 note=\"the first node, ready\""]);
    assert_eq!(agent.get("/v1/status").unwrap()["joined"], true);
    assert_eq!(agent.members().unwrap().len(), 1);
    // It is no dead end: others join through it.
    let other = Agent::start(&joining(&[&agent]));
    one_view(&[&agent, &other]);
}

#[test]
fn ipv6_agrees() {
    let agents = cluster_with(3, |_| Options { bind: "[::1]:0".into(), ..Options::default() });
    assert!(agents.iter().all(|agent| agent.addr().starts_with("[::1]:")));
}

/// A node that listens on everything advertises the address that the route to its seed starts at,
/// and speaks both IPv4 and IPv6 from one socket.
#[test]
fn dual_stack_nodes_join_ipv4_and_ipv6() {
    let everywhere = |seed: &Agent| Options { bind: "[::]:0".into(), ..joining(&[seed]) };
    let v4 = Agent::start(&Options::default());
    let with_v4 = Agent::start(&everywhere(&v4));
    assert_eq!(with_v4.addr(), format!("127.0.0.1:{}", with_v4.port()));
    one_view(&[&v4, &with_v4]);

    let v6 = Agent::start(&Options { bind: "[::1]:0".into(), ..Options::default() });
    let with_v6 = Agent::start(&everywhere(&v6));
    assert_eq!(with_v6.addr(), format!("[::1]:{}", with_v6.port()));
    one_view(&[&v6, &with_v6]);

    // These two listen on both, and each advertises another one.
    let dual = |ip: &str, join: &[&Agent]| Options {
        bind: "[::]:0".into(),
        more: vec![format!("--advertise={ip}")],
        ..joining(join)
    };
    let first = Agent::start(&dual("127.0.0.1", &[]));
    let second = Agent::start(&dual("::1", &[&first]));
    assert_eq!(second.addr(), format!("[::1]:{}", second.port()));
    one_view(&[&first, &second]);
}
