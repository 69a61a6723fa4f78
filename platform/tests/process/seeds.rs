//! Where else seeds come from: a file; and whom an agent listens to.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::harness::{Agent, Directory, Options, eventually, has_seeds, midge, one_view, stderr};

fn with(more: &[String]) -> Options {
    Options { more: more.to_vec(), ..Options::default() }
}

#[test]
fn a_join_file_is_read_again_when_it_changes() {
    let directory = Directory::new();
    let path = directory.path("seeds");
    let (first, second) = (Agent::start(&Options::default()), Agent::start(&Options::default()));
    let option = [format!("--join-file={}", path.display())];
    // It is not there yet: somebody may still be in it.
    let agent = Agent::start(&with(&option));
    agent.logged(&["warn join_file=", "cannot be read, is tried again: No such file or directory"]);
    assert_eq!(agent.get("/v1/status").unwrap()["joined"], false);
    let garbage = "\u{0}\u{7}garbage\n10.0.0\n";
    fs::write(&path, format!("# seeds\n\n{} # the first\n{garbage}", first.addr())).unwrap();
    agent.signal(Signal::SIGHUP);
    has_seeds(&agent, &[&first]);
    one_view(&[&agent, &first]);
    agent.logged(&["warn seeds=join-file line=4 ", "ignored: give a name or an IP address"]);
    agent.logged(&["line=5 text=10.0.0 "]);
    // Without a signal it takes its time.
    fs::write(&path, format!("{}\n", second.addr())).unwrap();
    has_seeds(&agent, &[&second]);
    one_view(&[&agent, &first, &second]);
    // What cannot be read leaves everything as it is.
    fs::remove_file(&path).unwrap();
    agent.signal(Signal::SIGHUP);
    eventually("it has seen that", || {
        let log = agent.log();
        if log.matches("cannot be read").count() == 2 { Ok(()) } else { Err(log) }
    });
    has_seeds(&agent, &[&second]);
    fs::write(&path, "").unwrap();
    agent.signal(Signal::SIGHUP);
    has_seeds(&agent, &[]);
}

#[test]
fn a_join_file_that_was_there_at_the_start() {
    let directory = Directory::new();
    let path = directory.path("seeds");
    let first = Agent::start(&Options::default());
    fs::write(&path, first.addr()).unwrap();
    let agent = Agent::start(&with(&[format!("--join-file={}", path.display())]));
    agent.logged(&["joining 1 seed", first.addr()]);
    one_view(&[&agent, &first]);
    // With nobody in it, one is the first.
    fs::write(&path, "# nobody\n").unwrap();
    let agent = Agent::start(&with(&[format!("--join-file={}", path.display())]));
    agent.logged(&["event=joined members=1"]);
}

#[test]
fn a_join_file_of_any_length_and_content() {
    let directory = Directory::new();
    let path = directory.path("seeds");
    let first = Agent::start(&Options::default());
    let mut bytes = format!("{}\n", first.addr()).into_bytes();
    bytes.extend((0..200_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8));
    fs::write(&path, bytes).unwrap();
    let agent = Agent::start(&with(&[format!("--join-file={}", path.display())]));
    one_view(&[&agent, &first]);
    agent.logged(&["seeds=join-file more_lines_ignored="]);
    agent.logged(&["warn join_file=", "longer than 16 KiB", "File too large"]);
    assert_eq!(agent.get("/v1/status").unwrap()["health"], 0);
    // It is the same each time it is read; so it is not said again.
    agent.signal(Signal::SIGUSR1);
    agent.logged(&["dump end"]);
    assert_eq!(agent.log().matches("more_lines_ignored=").count(), 1);
    let output = midge(&["agent", "--join-file", ""]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("midge: --join-file: `` is no path"));
}

/// Half an address would be another one.
#[test]
fn a_join_file_that_is_too_long_ends_with_a_line() {
    let directory = Directory::new();
    let path = directory.path("seeds");
    let mut text = format!("127.0.0.1:9\n#{}\n", "x".repeat(16_384 - 24));
    text.push_str("127.0.0.123\n");
    assert!(text[..16_384].ends_with("\n127.0.0.12"));
    fs::write(&path, text).unwrap();
    let agent = Agent::start(&with(&[format!("--join-file={}", path.display())]));
    agent.logged(&["joining 1 seed: 127.0.0.1:9"]);
}

/// Neither makes a node the first one of a cluster, nor does it take seeds from one that has some.
#[test]
fn what_is_no_list_changes_nothing() {
    let directory = Directory::new();
    let path = directory.path("seeds");
    fs::write(&path, "Error: no credentials\n\x00\x01\n").unwrap();
    let pipe = directory.path("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let file = |path: &Path| with(&[format!("--join-file={}", path.display())]);
    let waiting = Agent::start(&file(&path));
    waiting.logged(&["warn seeds=join-file note=\"no line names a host"]);
    let piped = Agent::start(&file(&pipe));
    piped.logged(&["warn join_file=", "cannot be read, is tried again: Is a pipe"]);
    let told = Agent::start(&with(&["--join-cmd=echo Error: no credentials".into()]));
    told.logged(&["warn seeds=join-cmd note=\"no line names a host"]);
    for agent in [&waiting, &piped, &told] {
        assert_eq!(agent.get("/v1/status").unwrap()["joined"], false, "{}", agent.log());
    }
    let first = Agent::start(&Options::default());
    fs::write(&path, format!("{}\n", first.addr())).unwrap();
    waiting.signal(Signal::SIGHUP);
    one_view(&[&waiting, &first]);
    fs::write(&path, "Error: no credentials\n").unwrap();
    waiting.signal(Signal::SIGHUP);
    eventually("it is read again", || {
        match waiting.log().matches("no line names a host").count() {
            2 => Ok(()),
            count => Err(format!("{count}")),
        }
    });
    has_seeds(&waiting, &[&first]);
}

#[test]
fn datagrams_of_other_networks_are_dropped_and_counted() {
    let allowed = |networks: &str| with(&[format!("--allow-cidr={networks}")]);
    let closed = Agent::start(&allowed("10.0.0.0/8,fd00::/8"));
    let open = Agent::start(&allowed("10.0.0.0/8,127.0.0.0/8"));
    let join = vec![closed.addr().into(), open.addr().into()];
    let joiner = Agent::start(&Options { join, ..Options::default() });
    one_view(&[&joiner, &open]);
    eventually("they are counted", || match closed.rejected("not_allowed") {
        0 => Err(closed.log()),
        count => Ok(count),
    });
    assert_eq!(open.rejected("not_allowed"), 0);
    assert_eq!(closed.members().unwrap().len(), 1);
    for value in ["10.0.0.0/33", "10/8", "fd00::/129", "seed", "10.0.0.1:80/8"] {
        let output = midge(&["agent", "--allow-cidr", value]);
        assert_eq!(output.status.code(), Some(2), "{value}");
        let error = stderr(&output);
        assert!(
            error.starts_with(&format!("midge: --allow-cidr: `{value}` is no network")),
            "{error}"
        );
    }
}
