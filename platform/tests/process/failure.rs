//! What happens to a member: it crashes, comes back, or stands still.

use nix::sys::signal::Signal;

use crate::harness::{Agent, Options, cluster, cluster_with, eventually, introduced, one_view};

#[test]
fn a_crash_is_suspected_then_failed_everywhere() {
    let mut agents = cluster(5);
    let mut victim = agents.remove(2);
    let epoch = agents[0].member(victim.addr()).unwrap().epoch;
    victim.crash();
    for agent in &agents {
        let row = agent.sees(victim.addr(), "failed");
        assert_eq!(row.epoch, epoch);
        agent.logged(&["event=member_suspected", victim.addr()]);
        agent.logged(&["warn event=member_failed", victim.addr()]);
    }
    one_view(&agents.iter().collect::<Vec<_>>());
}

#[test]
fn one_that_returns_to_its_address_is_a_newer_life() {
    let first = Agent::start(&Options::default());
    let joining = |bind: &str| Options {
        bind: bind.into(),
        join: vec![first.addr().into()],
        ..Options::default()
    };
    let mut second = Agent::start(&joining("127.7.0.3:0"));
    let third = Agent::start(&joining("127.0.0.1:0"));
    one_view(&[&first, &second, &third]);
    let addr = second.addr().to_string();
    let before = first.member(&addr).unwrap();
    second.crash();
    first.sees(&addr, "failed");
    third.sees(&addr, "failed");

    let second = Agent::start(&joining(&addr));
    for agent in [&first, &third, &second] {
        let after = agent.sees(&addr, "alive");
        assert!(after.epoch > before.epoch, "{after:?} after {before:?}");
    }
    one_view(&[&first, &second, &third]);
    first.logged(&["event=member_joined", &addr]);
}

/// A restart that is quicker than the suspicion: the others never hold the new life for dead.
#[test]
fn a_quick_restart_is_seen_as_a_newer_life() {
    let first = Agent::start(&Options { period_ms: 1_000, ..Options::default() });
    let joining = |bind: &str| Options {
        bind: bind.into(),
        join: vec![first.addr().into()],
        period_ms: 1_000,
        ..Options::default()
    };
    let mut second = Agent::start(&joining("127.7.0.4:0"));
    one_view(&[&first, &second]);
    let addr = second.addr().to_string();
    let before = first.member(&addr).unwrap();
    second.crash();
    let second = Agent::start(&joining(&addr));
    one_view(&[&first, &second]);
    eventually("the newer life is seen", || {
        let after = first.member(&addr)?;
        let newer = after.epoch > before.epoch && after.state == "alive";
        if newer { Ok(()) } else { Err(format!("{after:?}")) }
    });
}

/// Stopped for longer than the suspicion lasts, it is failed; continued, it learns of that,
/// refutes, and all see it alive again, in the same life.
#[test]
fn one_that_stood_still_refutes() {
    let agents = cluster(5);
    let (victim, others) = (&agents[2], [&agents[0], &agents[1], &agents[3], &agents[4]]);
    let before = others[0].member(victim.addr()).unwrap();
    victim.signal(Signal::SIGSTOP);
    for agent in others {
        agent.sees(victim.addr(), "failed");
    }
    victim.signal(Signal::SIGCONT);
    for agent in others {
        let after = agent.sees(victim.addr(), "alive");
        assert_eq!(after.epoch, before.epoch, "the same life");
        assert!(after.refutation > before.refutation, "{after:?} after {before:?}");
    }
    one_view(&agents.iter().collect::<Vec<_>>());
}

/// Half of the cluster stands still and is held for dead by the other half; then everybody is
/// there again.
#[test]
fn halves_that_stood_still_merge() {
    let agents = cluster(6);
    let (awake, asleep) = agents.split_at(3);
    for agent in asleep {
        agent.signal(Signal::SIGSTOP);
    }
    for agent in awake {
        for other in asleep {
            agent.sees(other.addr(), "failed");
        }
    }
    for agent in asleep {
        agent.signal(Signal::SIGCONT);
    }
    for agent in &agents {
        for other in &agents {
            agent.sees(other.addr(), "alive");
        }
    }
}

/// Nothing is logged about a cluster that nothing happens to, while protocol periods go by.
#[test]
fn an_idle_cluster_is_quiet() {
    // At the default period, a suspicion lasts long enough for a busy machine to refute it.
    let agents = cluster_with(3, |_| Options { period_ms: 1_000, ..Options::default() });
    introduced(&agents);
    let probes: Vec<_> = agents.iter().map(|agent| dumped(agent, "probes=")).collect();
    let lines: Vec<_> = agents.iter().map(events).collect();
    for (agent, before) in agents.iter().zip(probes) {
        eventually("periods go by", || {
            let probes = dumped(agent, "probes=");
            if probes >= before + 5 { Ok(()) } else { Err(format!("{before}, now {probes}")) }
        });
    }
    let after: Vec<_> = agents.iter().map(events).collect();
    assert_eq!(after, lines, "{}", agents[0].log());
}

/// How many events have been logged; without suspicions and their end, which may be the doing of a
/// busy machine.
fn events(agent: &Agent) -> usize {
    let passing = ["event=member_suspected", "event=member_recovered"];
    let log = agent.log();
    let events = log.lines().filter(|line| line.contains("event="));
    events.filter(|line| !passing.iter().any(|event| line.contains(event))).count()
}

/// A counter of the newest state dump, which is asked for first.
fn dumped(agent: &Agent, counter: &str) -> u64 {
    agent
        .dump()
        .lines()
        .find_map(|line| {
            let value = line.split(' ').find_map(|word| word.strip_prefix(counter))?;
            value.parse().ok()
        })
        .unwrap_or_else(|| panic!("no {counter} in the dump"))
}
