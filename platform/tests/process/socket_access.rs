//! Who may connect to the API's socket.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::unistd::getgid;

use crate::harness::{Agent, Directory, Options, midge, skip, stderr};

fn access(more: &[&str]) -> (u32, u32) {
    let more = more.iter().map(|argument| argument.to_string()).collect();
    let agent = Agent::start(&Options { more, ..Options::default() });
    let file = fs::symlink_metadata(agent.api()).expect("the socket");
    (file.mode() & 0o7777, file.gid())
}

/// The name of a group that this process may give files to, and its number.
fn own_group() -> (String, u32) {
    let own = getgid().as_raw();
    let groups = fs::read_to_string("/etc/group").expect("groups");
    let mut fields = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = fields.find(|line| line[2].parse() == Ok(own)).expect("the group of this process");
    (line[0].into(), own)
}

#[test]
fn the_mode_and_the_group_are_what_was_said() {
    let (name, number) = own_group();
    assert_eq!(access(&[]), (0o660, number));
    assert_eq!(access(&["--api-mode=600"]), (0o600, number));
    assert_eq!(access(&["--api-mode", "0666", "--api-group", &name]), (0o666, number));
    let by_number = format!("--api-group={number}");
    assert_eq!(access(&[&by_number, "--api-mode=0"]).0, 0);
}

/// Any group, where the process may give files to it.
#[test]
fn root_may_name_any_group() {
    if !nix::unistd::geteuid().is_root() {
        return skip("any-group");
    }
    assert_eq!(access(&["--api-group=54321"]), (0o660, 54_321));
}

#[test]
fn wrong_modes_and_groups_are_refused_before_anything_is_made() {
    let directory = Directory::new();
    let api = directory.path("api");
    for (option, value, words) in [
        ("--api-mode", "rw", " is not a mode from 0 to 777, like 660"),
        ("--api-mode", "1777", " is not a mode from 0 to 777, like 660"),
        ("--api-mode", "668", " is not a mode from 0 to 777, like 660"),
        ("--api-group", "no-such-group", " is no group in /etc/group, and no number"),
        ("--api-group", "4294967295", " is no group in /etc/group, and no number"),
    ] {
        let output = midge(&["agent", "--api", api.to_str().unwrap(), option, value]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let first = format!("midge: {option}: `{value}`{words}");
        assert_eq!(stderr(&output).lines().next(), Some(&*first));
        assert!(!api.exists());
    }
}
