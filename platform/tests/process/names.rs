//! Joining by name: with a nameserver that is honest, and with others.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::ptr;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::harness::{
    Agent, Directory, Options, Running, cluster, cluster_with, command, eventually, has_seeds,
    midge, one_view, request, skip, stderr,
};
use crate::nameserver::{LIE, Manner, Nameserver};

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 8, 0, last).into()
}

fn at(ip: IpAddr, port: u16) -> Options {
    Options { bind: std::net::SocketAddr::new(ip, port).to_string(), ..Options::default() }
}

/// Joins by a name, which is whole, so that no domain of this machine is tried.
fn by_name(options: Options, port: u16, nameserver: &Nameserver) -> Options {
    let join = vec![format!("seeds.midge.test.:{port}")];
    Options { join, more: vec![nameserver.option()], ..options }
}

#[test]
fn all_addresses_of_a_name_are_seeds_of_either_family() {
    let first = Agent::start(&at(v4(1), 0));
    let port = first.port();
    let second = Agent::start(&at(v4(2), port));
    let third = Agent::start(&at(Ipv6Addr::LOCALHOST.into(), port));
    let addresses = [v4(1), v4(2), Ipv6Addr::LOCALHOST.into(), "fe80::1".parse().unwrap()];
    let nameserver = Nameserver::start(Manner::Honest, &addresses);
    let bind = "[::]:0".parse::<std::net::SocketAddr>().unwrap();
    let joiner = Agent::start(&by_name(at(bind.ip(), 0), port, &nameserver));
    // A mapped address is the IPv4 address.
    has_seeds(&joiner, &[&first, &second, &third]);
    one_view(&[&joiner, &first, &second]);
    let asked = nameserver.asked();
    assert!(asked.contains(&("seeds.midge.test".into(), 1)), "{asked:?}");
    assert!(asked.contains(&("seeds.midge.test".into(), 28)), "{asked:?}");
    joiner.logged(&["name=seeds.midge.test. addresses=3"]);
}

#[test]
fn a_name_is_looked_up_again_and_its_old_addresses_are_given_up() {
    let first = Agent::start(&at(v4(1), 0));
    let second = Agent::start(&at(v4(2), first.port()));
    let nameserver = Nameserver::start(Manner::Honest, &[v4(1)]);
    let joiner = Agent::start(&by_name(at(v4(3), 0), first.port(), &nameserver));
    has_seeds(&joiner, &[&first]);
    nameserver.set(Manner::Honest, &[v4(2)]);
    joiner.signal(Signal::SIGHUP);
    has_seeds(&joiner, &[&second]);
    one_view(&[&joiner, &first, &second]);
    // A name that loses all its addresses keeps those it had.
    for manner in [Manner::NoName, Manner::Failure, Manner::Honest] {
        let before = nameserver.asked().len();
        nameserver.set(manner, &[]);
        joiner.signal(Signal::SIGHUP);
        eventually("it asks", || {
            if nameserver.asked().len() > before { Ok(()) } else { Err("".into()) }
        });
        has_seeds(&joiner, &[&second]);
    }
}

#[test]
fn every_node_may_have_the_same_name_its_own_among_them() {
    let nameserver = Nameserver::start(Manner::Honest, &[v4(1)]);
    let port = Agent::start(&at(v4(1), 0)).port();
    // Alone with its own address it is the first.
    let first = Agent::start(&by_name(at(v4(1), port), port, &nameserver));
    first.logged(&["event=joined members=1 note=\"the first node, ready\""]);
    nameserver.set(Manner::Honest, &[v4(1), v4(2), v4(3)]);
    let others = [2, 3].map(|last| by_name(at(v4(last), port), port, &nameserver));
    let others = Agent::start_all(&others);
    one_view(&[&first, &others[0], &others[1]]);
    has_seeds(&others[0], &[&first, &others[1]]);
    has_seeds(&others[1], &[&first, &others[0]]);
}

#[test]
fn lies_are_seen_through() {
    let seed = Agent::start(&at(v4(1), 0));
    let nameserver = Nameserver::start(Manner::Lying, &[v4(1)]);
    let joiner = Agent::start(&by_name(at(v4(3), 0), seed.port(), &nameserver));
    one_view(&[&joiner, &seed]);
    has_seeds(&joiner, &[&seed]);
    assert!(!joiner.log().contains(&Ipv4Addr::from(LIE).to_string()));
}

#[test]
fn of_a_truncated_answer_the_rest_is_used() {
    let seed = Agent::start(&at(v4(1), 0));
    let nameserver = Nameserver::start(Manner::Truncating, &[v4(1), v4(2)]);
    let joiner = Agent::start(&by_name(at(v4(3), 0), seed.port(), &nameserver));
    one_view(&[&joiner, &seed]);
    has_seeds(&joiner, &[&seed]);
}

#[test]
fn who_answers_half_is_believed_half() {
    let seed = Agent::start(&at(v4(1), 0));
    let nameserver = Nameserver::start(Manner::HalfDeaf, &[v4(1)]);
    let joiner = Agent::start(&by_name(at(v4(3), 0), seed.port(), &nameserver));
    one_view(&[&joiner, &seed]);
}

#[test]
fn a_name_that_does_not_resolve_is_said_and_tried_again() {
    let seed = Agent::start(&at(v4(1), 0));
    for (manner, why) in [
        (Manner::NoName, "there is no such name"),
        (Manner::Failure, "the nameservers cannot tell"),
    ] {
        let nameserver = Nameserver::start(manner, &[]);
        let joiner = Agent::start(&by_name(at(v4(3), 0), seed.port(), &nameserver));
        joiner.logged(&["warn name=seeds.midge.test. note=\"does not resolve", why]);
        let status = joiner.get("/v1/status").unwrap();
        assert_eq!(status["joined"], false, "{status}");
        nameserver.set(Manner::Honest, &[v4(1)]);
        joiner.sees(seed.addr(), "alive");
        let told = joiner.log().matches("does not resolve").count();
        assert_eq!(told, 1, "once a minute");
    }
}

#[test]
fn a_name_of_the_hosts_file() {
    let seed = Agent::start(&Options::default());
    let join = vec![format!("localhost:{}", seed.port())];
    // Nobody answers there: it is not asked.
    let nameserver = Nameserver::start(Manner::Silent, &[]);
    let more = vec![nameserver.option()];
    let joiner = Agent::start(&Options { join, more, ..Options::default() });
    one_view(&[&joiner, &seed]);
    assert_eq!(nameserver.asked(), []);
}

/// The address that others reach it at depends on the name, which is in the hosts file.
#[test]
fn a_start_does_not_wait_longer_than_for_the_name() {
    let join = vec!["localhost:9".to_string()];
    let options = Options { join, bind: "0.0.0.0:0".into(), ..Options::default() };
    let took = || {
        let start = Instant::now();
        let agent = Agent::start(&options);
        let took = start.elapsed();
        agent.logged(&["joining 1 seed: localhost:9"]);
        took
    };
    // Looking it up again would be half a second later at least. The machine may be busy.
    let shortest = (0..5).map(|_| took()).min().unwrap();
    assert!(shortest < Duration::from_millis(450), "{shortest:?}");
}

#[test]
fn a_running_agent_is_told_a_name() {
    let seed = Agent::start(&at(v4(1), 0));
    let nameserver = Nameserver::start(Manner::Honest, &[v4(1)]);
    let more = vec![nameserver.option()];
    let other = Agent::start(&Options { more, ..Options::default() });
    let name = format!("seeds.midge.test.:{}", seed.port());
    let output = other.client(&["join", &name]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(output.stdout, format!("asking {name}\n").as_bytes());
    one_view(&[&seed, &other]);
}

/// A node that has company looks a new name up as eagerly as one that has none.
#[test]
fn a_running_agent_is_told_a_name_that_resolves_later() {
    let seed = Agent::start(&at(v4(1), 0));
    let nameserver = Nameserver::start(Manner::NoName, &[]);
    let agents =
        cluster_with(2, |_| Options { more: vec![nameserver.option()], ..Options::default() });
    let name = format!("seeds.midge.test.:{}", seed.port());
    assert!(agents[0].client(&["join", &name]).status.success());
    agents[0].logged(&["name=seeds.midge.test. note=\"does not resolve"]);
    nameserver.set(Manner::Honest, &[v4(1)]);
    one_view(&[&seed, &agents[0], &agents[1]]);
}

/// It stops when told to, although it waits for a name before it does anything else.
#[test]
fn who_waits_for_a_name_stops_when_told() {
    let nameserver = Nameserver::start(Manner::Silent, &[]);
    let directory = Directory::new();
    let log = File::create(directory.path("log")).unwrap();
    let mut command = command(&["agent", "--bind=0.0.0.0:0", "--join=seeds.midge.test."]);
    command.arg(nameserver.option()).arg("--api").arg(directory.path("api")).stderr(log);
    let mut agent = Running::start(&mut command);
    eventually("it asks", || if nameserver.asked().is_empty() { Err("".into()) } else { Ok(()) });
    kill(Pid::from_raw(agent.id() as i32), Signal::SIGTERM).unwrap();
    let status = eventually("it ends", || agent.try_wait().unwrap().ok_or("not yet".to_string()));
    assert_eq!(status.code(), Some(0));
    // Once for each type: it did not go on until it would have asked again.
    assert_eq!(nameserver.asked().len(), 2);
}

/// Nobody suspects a node whose nameserver has nothing to say, and it is well.
#[test]
fn a_silent_nameserver_holds_nothing_up() {
    let nameserver = Nameserver::start(Manner::Silent, &[]);
    let agents = cluster(3);
    let seed = agents[0].addr().to_string();
    let join = vec!["seeds.midge.test.".into(), seed];
    let more = vec![nameserver.option()];
    let patient = Agent::start(&Options { join, more, ..Options::default() });
    let all: Vec<_> = agents.iter().chain([&patient]).collect();
    one_view(&all);
    // It takes 10 s to say so: twice 5 s.
    patient.logged(&["name=seeds.midge.test. note=\"does not resolve: no nameserver answers\""]);
    for agent in &all {
        assert!(!agent.log().contains("member_suspected"), "{}", agent.log());
        assert_eq!(agent.get("/v1/status").unwrap()["health"], 0);
    }
}

/// Gives a command a file of hosts of its own, in a mount namespace of its own.
fn with_hosts(command: &mut Command, hosts: &Path) {
    let hosts = CString::new(hosts.to_str().unwrap()).unwrap();
    // SAFETY: between fork and exec this makes system calls on strings that are there already, and
    // nothing that allocates or locks.
    unsafe {
        command.pre_exec(move || {
            let mount = |from: &CStr, to: &CStr, flags| {
                libc::mount(from.as_ptr(), to.as_ptr(), ptr::null(), flags, ptr::null())
            };
            let failed = libc::unshare(libc::CLONE_NEWNS) != 0
                || mount(c"none", c"/", libc::MS_REC | libc::MS_PRIVATE) != 0
                || mount(&hosts, c"/etc/hosts", libc::MS_BIND) != 0;
            if failed { Err(Error::last_os_error()) } else { Ok(()) }
        });
    }
}

/// What the file of hosts says of a name is all there is, whatever became of the name before it: an
/// address that is gone from there is given up.
#[test]
fn an_address_that_is_gone_from_the_hosts_file_is_given_up() {
    if !geteuid().is_root() {
        return skip("own-hosts");
    }
    let nameserver = Nameserver::start(Manner::Silent, &[]);
    let directory = Directory::new();
    let (api, hosts) = (directory.path("api"), directory.path("hosts"));
    fs::write(&hosts, "127.8.0.1 listed\n127.8.0.2 listed\n").unwrap();
    let log = File::create(directory.path("log")).unwrap();
    let mut command = command(&["agent", "--bind=127.8.0.3:0", "--join=listed,silent.midge.test."]);
    command.arg(nameserver.option()).arg("--api").arg(&api).stderr(log);
    with_hosts(&mut command, &hosts);
    let agent = Running::start(&mut command);
    // It is listed by its name, as it has no address.
    const SILENT: &str = "silent.midge.test.:6434";
    let has_seeds = |expected: &[&str]| {
        eventually("the seeds are those", || {
            let (_, status) = request(&api, "GET", "/v1/status")?;
            let json: serde_json::Value = serde_json::from_str(&status).unwrap();
            if json["seeds"] == serde_json::json!(expected) { Ok(()) } else { Err(status) }
        });
    };
    has_seeds(&["127.8.0.1:6434", "127.8.0.2:6434", SILENT]);
    eventually("the other one has met with silence", || {
        let log = fs::read_to_string(directory.path("log")).unwrap();
        if log.contains("name=silent.midge.test. note=") { Ok(()) } else { Err(log) }
    });
    fs::write(&hosts, "127.8.0.2 listed\n").unwrap();
    kill(Pid::from_raw(agent.id() as i32), Signal::SIGHUP).unwrap();
    has_seeds(&["127.8.0.2:6434", SILENT]);
}

/// Nobody waits for a name that nobody answers about: not those of the file of hosts, and others not
/// for long.
#[test]
fn a_silent_name_holds_no_other_up() {
    let seed = Agent::start(&at(v4(1), 0));
    let port = seed.port();
    let nameserver = Nameserver::start(Manner::SilentAboutSome, &[v4(1)]);
    let join = ["silent.midge.test.", "localhost", "seeds.midge.test."];
    let join = join.iter().map(|name| format!("{name}:{port}")).collect();
    let more = vec![nameserver.option()];
    let joiner = Agent::start(&Options { join, more, ..at(v4(3), 0) });
    one_view(&[&joiner, &seed]);
    joiner.logged(&["name=seeds.midge.test. addresses=1"]);
    joiner.logged(&["name=silent.midge.test. note=\"does not resolve: no nameserver answers\""]);
    let log = joiner.log();
    let place = |name: &str| log.find(&format!("name={name}")).expect(name);
    assert!(place("localhost") < place("silent"), "{log}");
    // It was asked for once, once for each type, before it was the turn of the next.
    let asked = nameserver.asked();
    let before = asked.iter().take_while(|(name, _)| name.starts_with("silent")).count();
    assert_eq!(before, 2, "{asked:?}");
}

/// Whatever was told before, and although all other names are well.
#[test]
fn a_running_agent_says_at_once_that_a_name_does_not_resolve() {
    let seed = Agent::start(&at(v4(1), 0));
    let nameserver = Nameserver::start(Manner::SilentAboutSome, &[v4(1)]);
    let joiner = Agent::start(&by_name(at(v4(3), 0), seed.port(), &nameserver));
    joiner.logged(&["name=seeds.midge.test. addresses=1"]);
    one_view(&[&joiner, &seed]);
    nameserver.set(Manner::NoName, &[]);
    assert!(joiner.client(&["join", "typo.midge.test."]).status.success());
    joiner.logged(&["name=typo.midge.test. note=\"does not resolve: there is no such name"]);
    let asked = nameserver.asked();
    let asked = asked.iter().filter(|(name, _)| name.starts_with("typo")).count();
    assert!(asked <= 4, "it has looked twice at most: {asked}");
}

/// With a wildcard the first address decides what is advertised; it is not waited for, for ever.
#[test]
fn a_start_waits_for_names_a_few_seconds() {
    let nameserver = Nameserver::start(Manner::Silent, &[]);
    let bind = "0.0.0.0:0".parse::<std::net::SocketAddr>().unwrap();
    let agent = Agent::start(&by_name(at(bind.ip(), 0), 1, &nameserver));
    agent.logged(&["no name has resolved yet, so this is a guess", "--advertise ADDR"]);
    assert_eq!(agent.get("/v1/status").unwrap()["joined"], false);
}

#[test]
fn nameservers_that_cannot_be_read() {
    for value in ["nonsense", "10.0.0", "10.0.0.1:x", "10.0.0.1:0", "0.0.0.0"] {
        let output = midge(&["agent", "--dns", value]);
        assert_eq!(output.status.code(), Some(2), "{value}");
        assert!(stderr(&output).starts_with(&format!("midge: --dns: `{value}`")), "{value}");
    }
    let output = midge(&["agent", "--dns", "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("`10.0.0.4` is one too many"), "{}", stderr(&output));
}
