//! What a service manager is told, over a socket like that of systemd.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Agent, DEADLINE, Directory, Options, eventually};

fn started_by(manager: &str, more: &[(&'static str, String)]) -> Options {
    let mut environment = vec![("NOTIFY_SOCKET", manager.to_string())];
    environment.extend_from_slice(more);
    Options { environment, ..Options::default() }
}

/// The status in the next message, and what else it says.
fn next(manager: &UnixDatagram) -> (String, Vec<String>) {
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut space = [0; 1024];
    let n = manager.recv(&mut space).expect("a message");
    let text = std::str::from_utf8(&space[..n]).expect("UTF-8");
    let (rest, status) = text.rsplit_once("\nSTATUS=").expect("a status");
    (status.into(), rest.lines().map(String::from).collect())
}

/// Waits for this status; says what else the message says.
fn until(manager: &UnixDatagram, expected: &str) -> Vec<String> {
    loop {
        let (status, rest) = next(manager);
        if status == expected {
            return rest;
        }
        assert_eq!(rest, ["READY=1", "WATCHDOG=1"]);
    }
}

fn is_told(manager: &UnixDatagram, options: &Options) {
    let mut agent = Agent::start(options);
    assert_eq!(until(manager, "joined"), ["READY=1", "WATCHDOG=1"]);
    agent.signal(Signal::SIGTERM);
    assert_eq!(until(manager, "leaving"), ["STOPPING=1", "WATCHDOG=1"]);
    assert_eq!(agent.ended().code(), Some(0));
}

#[test]
fn it_is_told_at_a_path_and_at_an_abstract_name() {
    let directory = Directory::new();
    let path = directory.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    is_told(&manager, &started_by(path.to_str().unwrap(), &[]));

    let name = format!("midge-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = UnixDatagram::bind_addr(&address).unwrap();
    is_told(&manager, &started_by(&format!("@{name}"), &[]));
}

/// Ready means that the API answers and the node is up, not that it has found others; that it has
/// is told when it is so.
#[test]
fn the_status_follows_the_node() {
    let directory = Directory::new();
    let path = directory.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    // Nobody is at the discard port of this machine.
    let join = vec!["127.0.0.1:9".into()];
    let agent = Agent::start(&Options { join, ..started_by(path.to_str().unwrap(), &[]) });
    assert_eq!(next(&manager), ("joining".into(), vec!["READY=1".into(), "WATCHDOG=1".into()]));
    let other = Agent::start(&Options { join: vec![agent.addr().into()], ..Options::default() });
    until(&manager, "joined");
    // And over the API, leaving is told as well.
    assert_eq!(agent.post("/v1/leave").unwrap().0, 202);
    assert_eq!(until(&manager, "leaving")[0], "STOPPING=1");
    drop(other);
}

#[test]
fn a_watchdog_is_fed_twice_in_its_time() {
    let directory = Directory::new();
    let path = directory.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let time = Duration::from_secs(1);
    let watchdog = [("WATCHDOG_USEC", time.as_micros().to_string())];
    let agent = Agent::start(&started_by(path.to_str().unwrap(), &watchdog));
    until(&manager, "joined");
    let start = Instant::now();
    for _ in 0..5 {
        let last = Instant::now();
        assert!(next(&manager).1.contains(&"WATCHDOG=1".to_string()));
        assert!(last.elapsed() < time, "the manager would have killed it: {:?}", last.elapsed());
    }
    // From the first to the fifth there are four halves of the time.
    assert!(start.elapsed() > 2 * time - time / 4, "{:?}", start.elapsed());
    drop(agent);
}

/// One that wants to hear more than can be of use is fed ten times a second.
#[test]
fn an_impatient_watchdog_does_not_keep_the_agent_busy() {
    let directory = Directory::new();
    let path = directory.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let watchdog = [("WATCHDOG_USEC", "1".to_string())];
    let agent = Agent::start(&started_by(path.to_str().unwrap(), &watchdog));
    until(&manager, "joined");
    let start = Instant::now();
    for _ in 0..10 {
        next(&manager);
    }
    assert!(start.elapsed() > Duration::from_millis(800), "{:?}", start.elapsed());
    drop(agent);
}

/// Without one, it is told once a minute, and when something changes.
#[test]
fn no_watchdog_is_not_fed() {
    let directory = Directory::new();
    let path = directory.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let _agent = Agent::start(&started_by(path.to_str().unwrap(), &[]));
    until(&manager, "joined");
    manager.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert!(manager.recv(&mut [0; 1024]).is_err());
}

/// Nobody is there, or it is no address: one warning, and the agent goes on.
#[test]
fn a_manager_that_is_not_there_is_no_obstacle() {
    for address in ["/nowhere/notify", "@", "nonsense"] {
        let agent = Agent::start(&started_by(address, &[]));
        agent.logged(&["warn event=notify_failed"]);
        assert_eq!(agent.log().matches("notify_failed").count(), 1, "{}", agent.log());
    }
}

/// It may be started anew; what feeds its watchdog goes on.
#[test]
fn a_manager_that_comes_back_is_told_again() {
    let directory = Directory::new();
    let path = directory.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let watchdog = [("WATCHDOG_USEC", "400000".to_string())];
    let agent = Agent::start(&started_by(path.to_str().unwrap(), &watchdog));
    until(&manager, "joined");
    std::fs::remove_file(&path).unwrap();
    drop(manager);
    let note = format!("NOTIFY_SOCKET={}: No such file or directory", path.display());
    agent.logged(&["warn event=notify_failed", &note]);
    let manager = UnixDatagram::bind(&path).unwrap();
    assert_eq!(next(&manager), ("joined".into(), vec!["READY=1".into(), "WATCHDOG=1".into()]));
    assert_eq!(agent.log().matches("notify_failed").count(), 1);
}

/// A manager that is slow to read is told as soon as it reads.
#[test]
fn a_manager_that_does_not_read_is_told_later() {
    let directory = Directory::new();
    let path = directory.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send_to(b"x", Path::new(&path)).is_ok() {}
    let agent = Agent::start(&started_by(path.to_str().unwrap(), &[]));
    let mut space = [0; 1024];
    eventually("it is told", || {
        let n = manager.recv(&mut space).map_err(|error| error.to_string())?;
        if space[..n].starts_with(b"READY=1\n") { Ok(()) } else { Err(format!("{n} bytes")) }
    });
    assert!(!agent.log().contains("notify_failed"), "{}", agent.log());
}
