//! `--on-event`: programs that are told what happens, and what becomes of the agent when they do
//! not do well.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::{Pid, dup};
use serde_json::Value;

use crate::harness::{
    Agent, Directory, Options, Running, binary, cluster, command, eventually, one_view,
};

/// A shell script in a file of its own.
fn script(directory: &Directory, text: &str) -> PathBuf {
    let path = directory.path("hook");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn with_hook(command: &str) -> Options {
    Options { more: vec!["--on-event".into(), command.into()], ..Options::default() }
}

/// Starts an agent with this hook, and one that joins it, so that there are events.
fn with_events(command: &str) -> (Agent, Agent) {
    let agent = Agent::start(&with_hook(command));
    let join = vec![agent.addr().into()];
    let other = Agent::start(&Options { join, ..Options::default() });
    (agent, other)
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(String::from).collect()
}

/// What the hook of these tests has been told: its variables, and the JSON on its stdin.
fn told(path: &Path) -> Vec<(HashMap<String, String>, Value)> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let records = text.split_inclusive("end\n").filter(|record| record.ends_with("end\n"));
    records
        .map(|record| {
            let mut variables = HashMap::new();
            let mut json = Value::Null;
            for line in record.lines() {
                if line.starts_with('{') {
                    json = serde_json::from_str(line).expect(line);
                } else if let Some((name, value)) = line.split_once('=') {
                    variables.insert(name.to_string(), value.to_string());
                }
            }
            (variables, json)
        })
        .collect()
}

const TELL: &str = "{ env | grep ^MIDGE_; cat; echo end; } >> \"$1\"";

#[test]
fn it_is_told_in_its_environment_and_on_stdin() {
    let directory = Directory::new();
    let (hook, out) = (script(&directory, TELL), directory.path("out"));
    let mut options = with_hook(&format!("'{}' \"{}\"", hook.display(), out.display()));
    // What the agent itself was given in the environment is no affair of the program.
    options.environment = vec![("MIDGE_TAG", "role=hooked".into()), ("OTHER", "kept".into())];
    let agent = Agent::start(&options);
    let join = vec![agent.addr().into()];
    let more = vec!["--name=its name".into(), "--tag=zone=a=b,rack=7".into()];
    let mut other = Agent::start(&Options { join, more, ..Options::default() });
    let expect = |kind: &str, state: &str| {
        eventually(kind, || {
            let told = told(&out);
            let find = |(variables, _): &&(HashMap<String, String>, Value)| {
                let told = variables.get("MIDGE_EVENT_STATE").map_or("", String::as_str);
                variables["MIDGE_EVENT_KIND"] == kind && told == state
            };
            told.iter().rfind(find).cloned().ok_or(format!("{told:?}"))
        })
    };
    let (variables, json) = expect("joined", "");
    assert_eq!(json["event"], "joined");
    assert!(!variables.contains_key("MIDGE_EVENT_ADDR"));
    assert_eq!(variables["MIDGE_API"], agent.api().to_str().unwrap());
    assert!(!variables.contains_key("MIDGE_TAG"));

    let (variables, json) = expect("member_joined", "alive");
    assert_eq!(json["member"]["addr"], other.addr());
    eventually("its name is told", || {
        let named = |(v, _): &(HashMap<String, String>, Value)| {
            v.get("MIDGE_EVENT_NAME").is_some_and(|name| name == "its name")
        };
        if told(&out).iter().any(named) { Ok(()) } else { Err(format!("{:?}", told(&out))) }
    });
    other.crash();
    let (failed, failed_json) = expect("member_failed", "failed");
    assert_eq!(failed["MIDGE_EVENT_NAME"], "its name");
    assert_eq!(failed["MIDGE_EVENT_TAGS"], "zone=a=b,rack=7");
    for (variables, json) in [(variables, json), (failed, failed_json)] {
        assert_eq!(variables["MIDGE_EVENT_KIND"], json["event"]);
        assert_eq!(variables["MIDGE_EVENT_ID"], json["id"]);
        assert_eq!(variables["MIDGE_EVENT_TIME"], json["time_ms"].to_string());
        let member = &json["member"];
        assert_eq!(variables["MIDGE_EVENT_ADDR"], member["addr"]);
        assert_eq!(variables["MIDGE_EVENT_NAME"], member["name"]);
        assert_eq!(variables["MIDGE_EVENT_STATE"], member["state"]);
        assert_eq!(variables["MIDGE_EVENT_EPOCH"], member["epoch"].to_string());
    }
    // Each event once, in order.
    let ids: Vec<u64> = told(&out)
        .iter()
        .map(|(v, _)| v["MIDGE_EVENT_ID"].split_once('-').unwrap().1.parse().unwrap())
        .collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

/// A group of its own, no signal blocked or ignored, no descriptor but the standard ones, the
/// environment of the agent; and midge's commands ask this agent.
#[test]
fn it_has_a_process_as_if_a_shell_had_started_it() {
    // The agent inherits both from this process: they shall not go further.
    let _open = dup(std::io::stdin()).unwrap();
    // SAFETY: no handler is installed.
    unsafe { signal(Signal::SIGQUIT, SigHandler::SigIgn).unwrap() };
    let directory = Directory::new();
    let out = directory.path("out");
    let hook = script(
        &directory,
        "grep -E '^Sig(Blk|Ign):' /proc/self/status > \"$1.part\"
         ls /proc/self/fd | sed 's/^/fd /' >> \"$1.part\"
         echo group $(cut -d' ' -f5 /proc/$$/stat) $$ >> \"$1.part\"
         echo other $OTHER >> \"$1.part\"
         \"$2\" status --json >> \"$1.part\"
         mv \"$1.part\" \"$1\"",
    );
    let mut options =
        with_hook(&format!("{} {} {}", hook.display(), out.display(), binary().display()));
    options.environment = vec![("OTHER", "kept".into())];
    let agent = Agent::start(&options);
    let lines = eventually("it runs", || match lines(&out) {
        none if none.is_empty() => Err(agent.log()),
        lines => Ok(lines),
    });
    let line = |start: &str| lines.iter().find(|line| line.starts_with(start)).expect(start);
    let signals = |start| u64::from_str_radix(line(start).split_whitespace().nth(1).unwrap(), 16);
    assert_eq!(signals("SigBlk:"), Ok(0));
    assert_eq!(signals("SigIgn:"), Ok(0));
    // The standard ones, and the directory that `ls` reads.
    let fds = lines.iter().filter(|line| line.starts_with("fd ")).count();
    assert_eq!(fds, 4, "{lines:?}");
    let group: Vec<&str> = line("group").split(' ').skip(1).collect();
    assert_eq!(group[0], group[1]);
    assert_eq!(line("other"), "other kept");
    assert!(lines.iter().any(|line| line.contains(agent.addr())), "{lines:?}");
}

/// Sets how many descriptors an agent may have; those that it has it keeps.
fn limit_descriptors(agent: &Agent, count: u64) {
    let limit = libc::rlimit { rlim_cur: count, rlim_max: 1_024 };
    let pid = agent.pid() as libc::pid_t;
    // SAFETY: the limit is read, and no old one is written.
    let set = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// Without a descriptor, a process or memory left, events wait.
#[test]
fn events_wait_until_a_program_can_be_started() {
    let directory = Directory::new();
    let out = directory.path("out");
    let hook = script(&directory, "echo $MIDGE_EVENT_KIND $MIDGE_EVENT_ADDR >> \"$1\"");
    let agent = Agent::start(&with_hook(&format!("{} {}", hook.display(), out.display())));
    eventually("it runs", || if lines(&out).is_empty() { Err(agent.log()) } else { Ok(()) });
    limit_descriptors(&agent, 0);
    let join = || Options { join: vec![agent.addr().into()], ..Options::default() };
    let others = Agent::start_all(&[join(), join(), join()]);
    agent.logged(&["warn event=command_failed option=on-event", "cannot start it"]);
    for other in &others {
        agent.logged(&["event=member_joined", other.addr()]);
    }
    assert_eq!(agent.log().matches("cannot start it").count(), 1, "{}", agent.log());
    limit_descriptors(&agent, 1_024);
    for other in &others {
        let event = format!("member_joined {}", other.addr());
        eventually("it is told", || {
            if lines(&out).contains(&event) { Ok(()) } else { Err(format!("{:?}", lines(&out))) }
        });
    }
    let stats = agent.get("/v1/stats").unwrap();
    assert_eq!((&stats["hook_failures"], &stats["hook_events_lost"]), (&0.into(), &0.into()));
}

/// What is known at the start is said then.
#[test]
fn programs_that_are_missing_are_said_before_there_is_an_event() {
    for option in ["--on-event", "--join-cmd"] {
        let more = vec![option.into(), "'/nowhere/a hook' --token=secret".into()];
        let agent = Agent::start(&Options { more, ..Options::default() });
        let line = agent.logged(&["warn event=command_failed"]);
        assert!(line.contains(&format!("option={} ", &option[2..])), "{line}");
        assert!(line.contains("command=\"/nowhere/a hook\" for=start "), "{line}");
        assert!(line.ends_with("note=\"there is no such program; check its path\""), "{line}");
        assert!(!agent.log().contains("secret"));
    }
}

/// One that fails each time is told once a minute, with its name and the event.
#[test]
fn the_same_failure_is_not_told_again_at_once() {
    let (agent, other) = with_events("sh -c 'exit 7'");
    let line = agent.logged(&["warn event=command_failed"]);
    assert!(line.contains("option=on-event command=sh for=joined untold=0 "), "{line}");
    let join = || Options { join: vec![agent.addr().into()], ..Options::default() };
    let others = Agent::start_all(&[join(), join()]);
    eventually("all have failed", || {
        let stats = agent.get("/v1/stats")?;
        if stats["hook_failures"].as_u64() >= Some(4) { Ok(()) } else { Err(stats.to_string()) }
    });
    assert_eq!(agent.log().matches("command_failed").count(), 1, "{}", agent.log());
    drop((other, others));
}

/// Nothing but a warning for each, and the next event is told all the same.
#[test]
fn programs_that_do_not_do_well_are_one_warning_each() {
    let directory = Directory::new();
    let text = directory.path("text");
    fs::write(&text, "no program").unwrap();
    let text = text.to_str().unwrap();
    for (command, words) in [
        ("/nowhere/hook", "there is no such program; check its path"),
        ("no-such-program-of-midge", "there is no such program; check its path"),
        (text, "it cannot be executed; check its mode and its first line"),
        ("/", "it cannot be executed; check its mode and its first line"),
        ("false", "exit status 1"),
        ("sh -c 'exit 77'", "exit status 77"),
        ("sh -c 'kill -KILL $$'", "killed by signal 9"),
        ("sh -c 'kill -36 $$'", "killed by signal 36"),
        ("yes", "it wrote too much"),
        ("sh -c 'trap : TERM PIPE; while :; do echo flood 2>&1; done'", "it wrote too much"),
    ] {
        let (agent, other) = with_events(command);
        let line = agent.logged(&["warn event=command_failed option=on-event", words]);
        assert!(line.ends_with(&format!("note=\"{words}\"")), "{line}");
        eventually("the next one is tried", || {
            let stats = agent.get("/v1/stats")?;
            if stats["hook_failures"].as_u64() >= Some(2) { Ok(()) } else { Err(agent.log()) }
        });
        let stats = agent.get("/v1/stats").unwrap();
        assert!(stats["hook_runs"].as_u64() >= stats["hook_failures"].as_u64(), "{stats}");
        one_view(&[&agent, &other]);
    }
}

#[test]
fn commands_that_are_none_are_refused() {
    for (command, words) in [
        ("", "is no program"),
        ("   ", "is no program"),
        ("hook 'a b", "has a quote without its end"),
        (&"x ".repeat(33), "is longer than"),
    ] {
        for option in ["--on-event", "--join-cmd"] {
            let output = crate::harness::midge(&["agent", option, command]);
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let error = crate::harness::stderr(&output);
            assert!(error.starts_with(&format!("midge: {option}: `{command}` {words}")), "{error}");
        }
    }
}

/// Whether a process is there.
fn runs(pid: Pid) -> bool {
    // One that has ended and is waited for by nobody is there, too, in a way.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// The process ids that a hook has written.
fn pids(path: &Path, count: usize) -> Vec<Pid> {
    eventually("it runs", || {
        let pids: Vec<_> =
            lines(path).iter().map(|pid| Pid::from_raw(pid.parse().unwrap())).collect();
        if pids.len() == count { Ok(pids) } else { Err(format!("{pids:?}")) }
    })
}

/// While it hangs nobody suspects the agent, whose loop goes on; in the end it is stopped, with
/// what it has started, even if it takes no hint.
#[test]
fn one_that_hangs_is_stopped_and_stalls_nothing() {
    let directory = Directory::new();
    let out = directory.path("out");
    let hook = script(
        &directory,
        "echo $MIDGE_EVENT_KIND $MIDGE_EVENT_ADDR >> \"$2\"
         [ -e \"$1\" ] && exit
         trap '' TERM
         sleep 600 &
         echo $$ > \"$1\"
         echo $! >> \"$1\"
         while :; do sleep 600; done",
    );
    let kinds = directory.path("kinds");
    let command = format!("{} {} {}", hook.display(), out.display(), kinds.display());
    let agent = Agent::start(&with_hook(&command));
    // It hangs before there is a member to tell of.
    let pids = pids(&out, 2);
    assert_eq!(lines(&kinds), ["joined"]);
    let join = || Options { join: vec![agent.addr().into()], ..Options::default() };
    let others = Agent::start_all(&[join(), join(), join()]);
    for other in &others {
        agent.logged(&["event=member_joined", other.addr()]);
    }
    assert_eq!(lines(&kinds), ["joined"], "one at a time");
    let start = Instant::now();
    eventually("it is stopped", || {
        let status = agent.get("/v1/status")?;
        assert_eq!(status["health"], 0, "{status}");
        let log = agent.log();
        if log.contains("it took too long") { Ok(()) } else { Err(log) }
    });
    assert!(start.elapsed() > Duration::from_secs(25), "{:?}", start.elapsed());
    assert!(pids.iter().all(|pid| !runs(*pid)));
    for other in &others {
        let suspected =
            |line: &str| line.contains("member_suspected") && line.contains(agent.addr());
        assert!(!other.log().lines().any(suspected), "{}", other.log());
    }
    // And the events that came meanwhile are told: each member is there.
    for other in &others {
        let event = format!("member_joined {}", other.addr());
        eventually("it is told", || {
            let told = lines(&kinds);
            if told.contains(&event) { Ok(()) } else { Err(format!("{told:?}")) }
        });
    }
}

const LOITER: &str = "trap '' TERM; echo $$ > \"$1\"; while :; do sleep 600; done";

/// The agent waits a second for a program, no more, and leaves none behind.
#[test]
fn it_ends_with_the_agent() {
    for (signal, status) in [(Signal::SIGTERM, Some(0)), (Signal::SIGKILL, None)] {
        let directory = Directory::new();
        let (hook, out) = (script(&directory, LOITER), directory.path("out"));
        let mut agent = Agent::start(&with_hook(&format!("{} {}", hook.display(), out.display())));
        let pids = pids(&out, 1);
        let start = Instant::now();
        agent.signal(signal);
        assert_eq!(agent.ended().code(), status, "{}", agent.log());
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        eventually("it is gone", || if runs(pids[0]) { Err("it runs".into()) } else { Ok(()) });
        assert!(!agent.log().contains("command_failed"), "{}", agent.log());
    }
}

/// A second SIGINT does not even wait that second.
#[test]
fn two_sigints_do_not_wait_for_it() {
    let directory = Directory::new();
    let (hook, out) = (script(&directory, LOITER), directory.path("out"));
    // With a period of a minute, the news of leaving has no time to make its rounds.
    let slow = |options| Options { period_ms: 60_000, ..options };
    let mut agent =
        Agent::start(&slow(with_hook(&format!("{} {}", hook.display(), out.display()))));
    let join = vec![agent.addr().into()];
    let other = Agent::start(&slow(Options { join, ..Options::default() }));
    one_view(&[&agent, &other]);
    let pids = pids(&out, 1);
    agent.signal(Signal::SIGINT);
    agent.logged(&["signal=SIGINT"]);
    let start = Instant::now();
    agent.signal(Signal::SIGINT);
    assert_eq!(agent.ended().code(), Some(1), "{}", agent.log());
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
    eventually("it is gone", || if runs(pids[0]) { Err("it runs".into()) } else { Ok(()) });
}

/// What a program leaves behind is its own affair; the agent neither waits for it nor reads it.
#[test]
fn what_it_leaves_behind_is_not_waited_for() {
    let directory = Directory::new();
    let out = directory.path("out");
    let hook = script(
        &directory,
        "[ -e \"$1\" ] || { sleep 600 & echo $! > \"$1\"; }
         echo $MIDGE_EVENT_KIND >> \"$2\"",
    );
    let kinds = directory.path("kinds");
    let command = format!("{} {} {}", hook.display(), out.display(), kinds.display());
    let (agent, other) = with_events(&command);
    eventually("both events are told", || {
        let kinds = lines(&kinds);
        if kinds.iter().any(|kind| kind == "member_joined") { Ok(()) } else { Err(agent.log()) }
    });
    let pid = pids(&out, 1)[0];
    assert!(runs(pid));
    kill(pid, Signal::SIGKILL).unwrap();
    drop(other);
}

/// Whoever started the agent may not have cared for its children.
#[test]
fn an_agent_that_inherits_ignored_signals_notices_how_programs_end() {
    let directory = Directory::new();
    let log = directory.path("log");
    let mut agent = command(&["agent", "--bind=127.0.0.1:0", "--on-event", "sh -c 'exit 77'"]);
    agent.arg("--api").arg(directory.path("api")).stderr(fs::File::create(&log).unwrap());
    // SAFETY: between fork and exec this makes one system call, and installs no handler.
    unsafe {
        agent.pre_exec(|| Ok(signal(Signal::SIGCHLD, SigHandler::SigIgn).map(drop)?));
    }
    let _agent = Running::start(&mut agent);
    eventually("the hook is over", || {
        let lines = lines(&log);
        let failed =
            |line: &String| line.contains("command_failed") && line.contains("exit status 77");
        if lines.iter().any(failed) { Ok(()) } else { Err(lines.join("\n")) }
    });
}

/// Nothing is run where nothing was asked for.
#[test]
fn agents_without_hooks_start_nothing() {
    let agents = cluster(2);
    let children = |agent: &Agent| {
        let path = format!("/proc/{0}/task/{0}/children", agent.pid());
        fs::read_to_string(path).expect("the agent runs")
    };
    assert!(agents.iter().all(|agent| children(agent).is_empty()));
}
