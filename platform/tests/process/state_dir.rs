//! `--state-dir`: who was there last is known at the next start, and the directory belongs to one
//! cluster, one machine and one agent.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::harness::{
    Agent, Directory, Options, eventually, has_seeds, midge, one_view, skip, stderr,
};

fn with(state: &Path) -> Options {
    Options { more: vec![format!("--state-dir={}", state.display())], ..Options::default() }
}

/// The peers in the file, when there are so many.
fn peers(state: &Path, count: usize) -> Vec<String> {
    eventually("the peers are written", || {
        let text = fs::read_to_string(state.join("peers")).map_err(|error| error.to_string())?;
        let peers = text.lines().filter(|line| line.starts_with("127.")).map(String::from);
        let peers: Vec<_> = peers.collect();
        if peers.len() == count { Ok(peers) } else { Err(text) }
    })
}

/// Starts an agent that is to say no.
fn refused(state: &Path, more: &[&str], pieces: &[&str]) {
    let option = format!("--state-dir={}", state.display());
    let output =
        midge(&[&["agent", "--bind=127.0.0.1:0", "--api=/proc/none", &option], more].concat());
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    let start = format!("midge: --state-dir: {}: ", state.display());
    assert!(error.starts_with(&start), "{error}");
    for piece in pieces {
        assert!(error.contains(piece), "{piece} is not in {error}");
    }
}

#[test]
fn who_was_there_last_is_found_again() {
    let directory = Directory::new();
    let state = directory.path("state");
    let seed = Agent::start(&Options::default());
    fs::create_dir(&state).unwrap();
    fs::write(state.join("peers"), format!("cluster test\ngarbage\n{}\n", seed.addr())).unwrap();
    // It was told nobody, and joins nevertheless.
    let mut agent = Agent::start(&with(&state));
    agent.logged(&["warn state_dir=", " line=2 note=\"ignored\""]);
    one_view(&[&seed, &agent]);
    has_seeds(&agent, &[&seed]);
    // Now the file is of this cluster and machine, and nobody but its owner reads it.
    assert_eq!(peers(&state, 1), [seed.addr()]);
    let file = state.join("peers");
    eventually("it is written anew", || {
        let text = fs::read_to_string(&file).unwrap();
        if text.contains("cluster test\nmachine ") { Ok(()) } else { Err(text) }
    });
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!state.join("peers.new").exists());
    agent.crash();
    let again = Agent::start(&with(&state));
    one_view(&[&seed, &again]);
}

#[test]
fn the_directory_is_of_one_cluster_machine_and_agent() {
    let directory = Directory::new();
    let state = directory.path("state");
    let agent = Agent::start(&with(&state));
    assert!(state.is_dir(), "it is made");
    peers(&state, 0);
    refused(&state, &["--cluster=test"], &["another agent uses it"]);
    drop(agent);
    refused(&state, &["--cluster=other"], &["it is of another cluster", "a directory of its own"]);
    let file = state.join("peers");
    let text = fs::read_to_string(&file).unwrap();
    let machine = text.lines().find_map(|line| line.strip_prefix("machine ")).expect("a machine");
    // A machine without an id takes any state; one with an id only its own.
    let has_id = fs::read("/etc/machine-id").is_ok_and(|id| id.len() >= 32);
    assert_eq!(machine != "0", has_id);
    if has_id {
        fs::write(&file, text.replace(machine, "1234")).unwrap();
        refused(&state, &["--cluster=test"], &["another machine", "cloned", "remove the file"]);
        fs::remove_file(&file).unwrap();
    }
    Agent::start(&with(&state));
}

#[test]
fn a_directory_that_cannot_be_had() {
    let directory = Directory::new();
    let file = directory.path("file");
    fs::write(&file, "precious").unwrap();
    refused(&file, &[], &["cannot open it: Not a directory", "give another directory"]);
    refused(&directory.path("none/state"), &[], &["cannot make it: No such file"]);
    refused(&directory.path(&"x".repeat(300)), &[], &["cannot make it: File name too long"]);
    let closed = directory.path("state");
    fs::create_dir(&closed).unwrap();
    fs::create_dir(closed.join("peers")).unwrap();
    refused(&closed, &[], &["cannot read the file `peers` in it: Is a directory"]);
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    let other = directory.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("peers"), "precious").unwrap();
    refused(&other, &[], &["`peers` in it is not of midge", "give another directory"]);
    assert_eq!(fs::read(other.join("peers")).unwrap(), b"precious");
    let output = midge(&["agent", "--state-dir", ""]);
    assert_eq!(output.status.code(), Some(2));
}

/// A disk that takes nothing is a warning and a count; the agent goes on.
#[test]
fn a_disk_that_is_full_or_read_only() {
    let directory = Directory::new();
    let state = directory.path("state");
    fs::create_dir(&state).unwrap();
    // Mounting is root's.
    if !mounted(&["-t", "tmpfs", "-o", "size=4k", "tmpfs"], &state) {
        skip("full-disk");
        return;
    }
    let unmount = Unmount(&state);
    fs::write(state.join("filler"), [0; 4096]).unwrap();
    let full = Agent::start(&with(&state));
    full.logged(&["warn state_dir=", "peers not written, is tried again: No space left on device"]);
    assert_eq!(full.get("/v1/stats").unwrap()["state_errors"], 1);
    drop(full);
    fs::remove_file(state.join("filler")).unwrap();
    assert!(mounted(&["-o", "remount,ro"], &state));
    let agent = Agent::start(&with(&state));
    agent.logged(&["peers not written, is tried again: Read-only file system"]);
    assert_eq!(agent.get("/v1/status").unwrap()["health"], 0);
    drop(agent);
    drop(unmount);
}

/// Of one process: those that it has started and that are there.
fn children(pid: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.split_whitespace().map(String::from).collect()
}

/// An agent that is not there for long leaves to the next one who was there.
#[test]
fn the_first_peers_are_written_soon() {
    let directory = Directory::new();
    let state = directory.path("state");
    let seed = Agent::start(&Options::default());
    let agent = Agent::start(&Options { join: vec![seed.addr().into()], ..with(&state) });
    one_view(&[&seed, &agent]);
    assert_eq!(peers(&state, 1), [seed.addr()]);
}

/// Writing waits for somebody to read the pipe, as for a disk that is stalled: the loop does not.
#[test]
fn a_disk_that_is_stalled_holds_nothing_up() {
    let directory = Directory::new();
    let state = directory.path("state");
    fs::create_dir(&state).unwrap();
    let pipe = state.join("peers.new");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let seed = Agent::start(&Options::default());
    let options = Options { join: vec![seed.addr().into()], ..with(&state) };
    let mut agent = Agent::start(&options);
    one_view(&[&seed, &agent]);
    // 50 periods of 200 ms are 10 s.
    eventually("it has probed for a while", || {
        let stats = agent.get("/v1/stats")?;
        if stats["probes"].as_u64() >= Some(50) { Ok(()) } else { Err(stats.to_string()) }
    });
    for node in [&seed, &agent] {
        assert!(!node.log().contains("member_suspected"), "{}", node.log());
        assert_eq!(node.get("/v1/status").unwrap()["health"], 0);
    }
    assert!(!state.join("peers").exists(), "it is still waiting");
    // What hangs keeps neither the port, nor the API's socket, nor the directory from the next one.
    let helpers = children(agent.pid());
    assert_eq!(helpers.len(), 1);
    agent.crash();
    eventually("the helper is gone", || {
        let path = format!("/proc/{}/stat", helpers[0]);
        match fs::read_to_string(path) {
            // What nobody waits for may stay as a zombie for a while.
            Ok(stat) if !stat.contains(") Z ") => Err(stat),
            _ => Ok(()),
        }
    });
    let bind = agent.addr().to_string();
    let next = Agent::start(&Options { bind, api: Some(agent.api().into()), ..with(&state) });
    assert_eq!(next.addr(), agent.addr());
    // The next one has a helper of its own, which would wait for ever.
    drop(OpenOptions::new().read(true).open(&pipe).unwrap());
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

fn mounted(arguments: &[&str], path: &Path) -> bool {
    let status = Command::new("mount").args(arguments).arg(path).status();
    status.is_ok_and(|status| status.success())
}
