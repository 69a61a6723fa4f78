//! Ways to leave, and ways to stop.

use std::fs;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Agent, DEADLINE, Directory, Options, cluster, eventually, one_view};

fn leaves(how: impl FnOnce(&Agent), logged: &str) {
    let mut agents = cluster(3);
    let mut leaver = agents.remove(1);
    how(&leaver);
    let status = leaver.ended();
    assert_eq!(status.code(), Some(0), "{}", leaver.log());
    assert!(!leaver.api().exists(), "the socket is removed");
    for agent in &agents {
        agent.sees(leaver.addr(), "left");
        agent.logged(&["event=member_left", leaver.addr()]);
        // Of this one alone: whether the others hold each other for slow is the machine's affair.
        let failed = |line: &str| line.contains("member_failed") && line.contains(leaver.addr());
        assert!(!agent.log().lines().any(failed), "{}", agent.log());
    }
    leaver.logged(&["event=left"]);
    leaver.logged(&[logged]);
    one_view(&agents.iter().collect::<Vec<_>>());
}

#[test]
fn sigterm_leaves() {
    leaves(|agent| agent.signal(Signal::SIGTERM), "signal=SIGTERM note=leaving");
}

#[test]
fn sigint_leaves() {
    leaves(|agent| agent.signal(Signal::SIGINT), "signal=SIGINT note=leaving");
}

#[test]
fn the_command_leaves() {
    let leave = |agent: &Agent| {
        let output = agent.client(&["leave"]);
        assert!(output.status.success(), "{output:?}");
        assert!(!output.stdout.is_empty());
    };
    leaves(leave, "event=left");
}

#[test]
fn a_request_leaves_and_a_second_one_changes_nothing() {
    let leave = |agent: &Agent| {
        for _ in 0..2 {
            let (status, body) = agent.post("/v1/leave").unwrap();
            assert_eq!((status, body.trim()), (202, r#"{"leaving":true}"#));
        }
    };
    leaves(leave, "event=left");
}

#[test]
fn one_that_is_alone_leaves_at_once_and_the_client_hears_of_it() {
    let mut agent = Agent::start(&Options::default());
    let output = agent.client(&["leave"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(agent.ended().code(), Some(0));
    assert!(!agent.api().exists());
}

/// The lingering is as long as three seconds. SIGINT ends it, whatever began it; SIGTERM does not,
/// and is not said twice.
#[test]
fn sigint_stops_at_once_what_is_leaving() {
    for first in [&[Signal::SIGINT][..], &[Signal::SIGTERM, Signal::SIGTERM]] {
        stops_at_once(|agent| first.iter().for_each(|signal| agent.signal(*signal)));
    }
    stops_at_once(|agent| assert_eq!(agent.post("/v1/leave").unwrap().0, 202));
}

fn stops_at_once(leave: impl FnOnce(&Agent)) {
    // With a period of a minute, the news of leaving has no time to make its rounds.
    let slow = || Options { period_ms: 60_000, ..Options::default() };
    let seed = Agent::start(&slow());
    let mut agent = Agent::start(&Options { join: vec![seed.addr().into()], ..slow() });
    one_view(&[&seed, &agent]);
    leave(&agent);
    eventually("it is leaving", || match agent.get("/v1/status")? {
        status if status["leaving"] == true => Ok(()),
        status => Err(status.to_string()),
    });
    agent.signal(Signal::SIGINT);
    assert_eq!(agent.ended().code(), Some(1), "{}", agent.log());
    assert!(!agent.log().contains("event=left"), "{}", agent.log());
    assert!(agent.log().matches("signal=SIGTERM").count() <= 1, "{}", agent.log());
    agent.logged(&["stopped without leaving"]);
    assert!(!agent.api().exists());
}

#[test]
fn sighup_and_sigusr1_stop_nothing() {
    let agents = cluster(2);
    agents[0].signal(Signal::SIGHUP);
    agents[0].logged(&["signal=SIGHUP"]);
    let dump = agents[0].dump();
    for agent in &agents {
        assert!(dump.contains(&format!("dump member={}", agent.addr())), "{dump}");
    }
    assert!(dump.contains("alive=2"), "{dump}");
    one_view(&agents.iter().collect::<Vec<_>>());
}

/// One that has found nobody has nobody to tell, whether nobody is there, or somebody who is silent
/// or answers with nonsense.
#[test]
fn sigterm_while_joining_ends_it_at_once() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let babbling = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (silent_addr, babbling_addr) =
        (silent.local_addr().unwrap().to_string(), babbling.local_addr().unwrap().to_string());
    babbling.set_read_timeout(Some(DEADLINE)).unwrap();
    // Nobody is at the discard port of this machine.
    for seed in ["127.0.0.1:9".to_string(), silent_addr, babbling_addr.clone()] {
        let join = vec![seed.clone()];
        let mut agent = Agent::start(&Options { join, period_ms: 60_000, ..Options::default() });
        if seed == babbling_addr {
            let (_, from) = babbling.recv_from(&mut [0; 2_048]).expect("a hello");
            babbling.send_to(b"nonsense", from).unwrap();
        }
        assert_eq!(agent.get("/v1/status").unwrap()["joined"], false);
        let start = Instant::now();
        agent.signal(Signal::SIGTERM);
        assert_eq!(agent.ended().code(), Some(0), "{}", agent.log());
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        agent.logged(&["event=left"]);
        assert!(!agent.api().exists());
    }
}

/// What was to be done soon is not done any more, and the loop does not go round in haste for it.
#[test]
fn one_that_lingers_waits() {
    // With a period of a minute, the news of leaving has no time to make its rounds.
    let seed = Agent::start(&Options { period_ms: 60_000, ..Options::default() });
    let directory = Directory::new();
    let file = directory.path("seeds");
    fs::write(&file, seed.addr()).unwrap();
    // It is looked at every 10 seconds.
    let more = vec![format!("--join-file={}", file.display())];
    let mut agent = Agent::start(&Options { more, period_ms: 60_000, ..Options::default() });
    one_view(&[&seed, &agent]);
    eventually("the file is due while it lingers", || match agent.get("/v1/status")? {
        status if status["uptime_ms"].as_u64() > Some(8_500) => Ok(()),
        status => Err(status.to_string()),
    });
    agent.signal(Signal::SIGTERM);
    agent.logged(&["signal=SIGTERM"]);
    let before = agent.get("/v1/stats").unwrap()["loop_rounds"].as_u64().expect("a number");
    let mut rounds = before;
    while let Ok(stats) = agent.get("/v1/stats") {
        rounds = stats["loop_rounds"].as_u64().expect("a number");
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(agent.ended().code(), Some(0), "{}", agent.log());
    assert!(rounds - before < 1_000, "{rounds} rounds, {before} of them before");
}

/// One that has just joined tells those it knows, and none of them answers: the lingering has its
/// bound.
#[test]
fn sigterm_after_joining_those_who_are_gone_ends_it_in_time() {
    let mut seed = Agent::start(&Options { period_ms: 60_000, ..Options::default() });
    let join = vec![seed.addr().into()];
    let mut agent = Agent::start(&Options { join, period_ms: 60_000, ..Options::default() });
    one_view(&[&seed, &agent]);
    seed.crash();
    let start = Instant::now();
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.ended().code(), Some(0), "{}", agent.log());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
