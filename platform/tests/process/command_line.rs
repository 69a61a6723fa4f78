//! What a person sees of the program: help, tables, exit statuses.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::harness::{
    Agent, Directory, Options, Running, cluster, command, eventually, midge, stderr, stdout,
};

const COMMANDS: [&str; 8] =
    ["agent", "members", "status", "clock", "join", "leave", "decode", "version"];

fn is_help(text: &str) {
    assert!(text.lines().count() <= 24, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("example"), "{text}");
}

#[test]
fn help_fits_a_screen_and_has_an_example() {
    for arguments in [&["--help"][..], &["-h"], &["help"], &["help", "--help"], &["help", "-h"]] {
        let output = midge(arguments);
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        is_help(&text);
        assert!(COMMANDS.iter().all(|name| text.contains(name)), "{text}");
    }
    for name in COMMANDS {
        let texts: Vec<_> = [&[name, "--help"][..], &[name, "-h"], &["help", name]]
            .iter()
            .map(|arguments| {
                let output = midge(arguments);
                assert_eq!(output.status.code(), Some(0), "{arguments:?}");
                assert!(output.stderr.is_empty());
                stdout(&output)
            })
            .collect();
        is_help(&texts[0]);
        assert!(texts[0].starts_with(&format!("usage: midge {name}")), "{}", texts[0]);
        assert!(texts.iter().all(|text| *text == texts[0]));
    }
}

#[test]
fn wrong_usage_says_where_to_read_on() {
    for (arguments, first, second) in [
        (&[][..], "no command given", "see: midge --help"),
        (&["frobnicate"], "unknown command `frobnicate`", "see: midge --help"),
        (&["help", "frobnicate"], "unknown command `frobnicate`", "see: midge --help"),
        (&["--json", "members"], "the command comes first", "see: midge --help"),
        (&["members", "--jsn"], "unknown option --jsn", "see: midge members --help"),
        (&["members", "extra"], "unexpected argument `extra`", "see: midge members --help"),
        (&["status", "--json=yes"], "--json takes no value", "see: midge status --help"),
        (&["join"], "an address is missing", "see: midge join --help"),
        (&["join", "no sense"], "`no sense`", "see: midge join --help"),
        (&["leave", "--cluster", "a/b"], "`a/b`", "see: midge leave --help"),
        (&["tag", "set", "a=1", "b"], "`b` is no tag", "see: midge tag --help"),
        (&["tag", "set", "a=1,b=2"], "`a=1,b=2` is no tag", "see: midge tag --help"),
    ] {
        let output = midge(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        let error = stderr(&output);
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(lines.len(), 2, "{error}");
        assert!(lines[0].starts_with("midge: ") && lines[0].contains(first), "{error}");
        assert_eq!(lines[1], second);
    }
}

#[test]
fn what_the_agent_finds_wrong_is_wrong_usage_too() {
    let agent = Agent::start(&Options::default());
    for arguments in [
        &["log", "bogus"][..],
        &["members", "--state", "bogus"],
        &["members", "--tag", "bogus"],
        &["events", "--since", "bogus"],
    ] {
        let output = agent.client(arguments);
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.starts_with("midge: the agent refuses: "), "{error}");
        assert!(error.ends_with(&format!("see: midge {} --help\n", arguments[0])), "{error}");
    }
    // Of several tags with one that is none, none is set.
    assert_eq!(agent.client(&["tag", "set", "a=1", "b"]).status.code(), Some(2));
    let status = stdout(&agent.client(&["status", "--json"]));
    assert!(!status.contains("\"a\":\"1\""), "{status}");
    // What is right and yet cannot be done is no wrong usage.
    assert_eq!(agent.client(&["forget", "nobody"]).status.code(), Some(1));
}

#[test]
fn a_variable_does_not_ask_for_help() {
    let output = command(&["version"]).env("MIDGE_HELP", "yes").output().unwrap();
    assert!(stdout(&output).starts_with("midge "), "{}", stdout(&output));
    assert!(stderr(&output).contains("MIDGE_HELP is set"), "{}", stderr(&output));
}

#[test]
fn without_an_agent_every_client_says_so() {
    let directory = Directory::new();
    let api = directory.path("api");
    let api = api.to_str().unwrap();
    for arguments in [
        &["members"][..],
        &["members", "--watch"],
        &["status"],
        &["status", "--check"],
        &["clock"],
        &["join", "10.0.0.1"],
        &["leave"],
    ] {
        let mut all = arguments.to_vec();
        all.extend(["--api", api]);
        let output = midge(&all);
        assert_eq!(output.status.code(), Some(4), "{arguments:?}");
        let error = stderr(&output);
        assert!(error.starts_with("midge: no agent") && error.contains(api), "{error}");
        assert!(error.contains("--cluster or --api") && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn what_answers_there_is_no_agent() {
    let directory = Directory::new();
    let api = directory.path("api");
    let listener = std::os::unix::net::UnixListener::bind(&api).unwrap();
    let mut client = command(&["members", "--api", api.to_str().unwrap()]);
    let mut client = Running::start(client.stdout(Stdio::null()).stderr(Stdio::piped()));
    let (mut stream, _) = listener.accept().unwrap();
    std::io::Write::write_all(&mut stream, b"220 mail.example.com ESMTP\r\n\r\n").unwrap();
    let mut error = String::new();
    client.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(client.wait().unwrap().code(), Some(1));
    assert!(error.contains("no answer of a midge agent"), "{error}");
}

#[test]
fn tables_and_json_are_about_the_same_members() {
    let agents = cluster(3);
    let table = stdout(&agents[0].client(&["members"]));
    let quiet = stdout(&agents[0].client(&["members", "-q"]));
    let json = stdout(&agents[0].client(&["members", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(table.lines().count(), 4, "{table}");
    assert_eq!(quiet.lines().count(), 3, "{quiet}");
    for agent in &agents {
        let in_table = |line: &&str| line.contains(agent.addr()) && line.contains("alive");
        assert_eq!(table.lines().filter(in_table).count(), 1, "{table}");
        assert_eq!(quiet.lines().filter(|line| *line == agent.addr()).count(), 1, "{quiet}");
        let rows = json["members"].as_array().unwrap();
        assert_eq!(rows.iter().filter(|row| row["addr"] == agent.addr()).count(), 1, "{json}");
    }
    let status = stdout(&agents[0].client(&["status"]));
    assert!(status.contains(agents[0].addr()) && status.contains("3 alive"), "{status}");
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&agents[0].client(&["status", "--json"]))).unwrap();
    assert_eq!(json["cluster"], "test");
}

#[test]
fn check_tells_by_its_status_whether_the_node_has_joined() {
    let joined = Agent::start(&Options::default());
    let output = joined.client(&["status", "--check"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty() && output.stderr.is_empty());

    // Nobody is at the discard port of this machine.
    let join = vec!["127.0.0.1:9".into()];
    let alone = Agent::start(&Options { join, ..Options::default() });
    let output = alone.client(&["status", "--check"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}

#[test]
fn refusals_of_the_agent_name_what_is_refused() {
    let agent = Agent::start(&Options::default());
    for address in ["224.0.0.1", "0.0.0.0", "10.0.0.1:0"] {
        let output = agent.client(&["join", address]);
        assert_eq!(output.status.code(), Some(2), "{address}");
        let error = stderr(&output);
        assert!(error.starts_with("midge: ") && error.lines().count() == 2, "{error}");
        assert!(error.contains(address.trim_end_matches(":0")), "{error}");
    }
    for i in 1..=32 {
        assert!(agent.client(&["join", &format!("127.9.0.{i}:9")]).status.success());
    }
    let output = agent.client(&["join", "127.9.0.33:9"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("the list of seeds is full (32)"), "{}", stderr(&output));
}

#[test]
fn watching_shows_what_changes_and_ends_with_its_reader() {
    let mut agents = cluster(2);
    let api = agents[0].api();
    let mut watching = command(&["members", "--watch", "--api", api.to_str().unwrap()]);
    let mut watching = Running::start(watching.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
    let victim = agents[1].addr().to_string();
    let row = |state: &'static str, victim: String| {
        move |line: &String| line.contains(&victim) && line.contains(state)
    };
    lines.find(row("alive", victim.clone())).expect("the table");
    assert_eq!(lines.next().as_deref(), Some(""), "an empty line between two tables");
    agents[1].crash();
    lines.find(row("failed", victim)).expect("the table, later");
    // Nobody reads on: that ends it, without a word.
    drop(lines);
    let mut error = String::new();
    watching.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(error, "");
    assert_eq!(watching.wait().unwrap().code(), Some(0));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let agent = Agent::start(&Options::default());
    let api = agent.api();
    for arguments in [&["members"][..], &["status", "--json"], &["version"], &["--help"]] {
        let mut client = command(arguments);
        if agent_is_asked(arguments) {
            client.arg("--api").arg(api);
        }
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = client.stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
}

fn agent_is_asked(arguments: &[&str]) -> bool {
    matches!(arguments[0], "members" | "status")
}

#[test]
fn options_can_be_given_in_the_environment() {
    let directory = Directory::new();
    let api = directory.path("api");
    let mut agent = command(&["agent", "--log", "warn"]);
    agent.env("MIDGE_BIND", "127.0.0.1:0").env("MIDGE_API", &api).env("MIDGE_NAME", "from-env");
    agent.env("MIDGE_TAG", "a=1,b=2").env("MIDGE_LOG", "nonsense, but not asked");
    agent.env("MIDGE_PORT", "udp://10.0.0.1:6434").env("MIDGE_CLSTER", "slip");
    let mut agent = Running::start(agent.stderr(Stdio::piped()));
    let status = eventually("the client finds it by the environment", || {
        let output = command(&["status", "--json"]).env("MIDGE_API", &api).output().unwrap();
        if output.status.success() { Ok(stdout(&output)) } else { Err(stderr(&output)) }
    });
    assert!(status.contains("from-env"), "{status}");
    let quiet = command(&["members"]).env("MIDGE_API", &api).env("MIDGE_QUIET", "yes").output();
    assert!(stdout(&quiet.unwrap()).starts_with("127.0.0.1:"));
    agent.kill().unwrap();
    let mut error = String::new();
    agent.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(error.contains("warning: MIDGE_CLSTER"), "{error}");
    assert!(!error.contains("MIDGE_PORT"), "{error}");
}

#[test]
fn a_wrong_value_in_the_environment_is_named() {
    let output = command(&["agent"]).env("MIDGE_PERIOD", "soon").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("midge: MIDGE_PERIOD: `soon` "), "{}", stderr(&output));
}

#[test]
fn curl_speaks_with_the_agent() {
    let agent = Agent::start(&Options::default());
    let curl = |arguments: &[&str], path: &str| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "20", "--unix-socket"]);
        curl.arg(agent.api()).args(arguments).arg(format!("http://midge{path}"));
        curl.output().expect("curl is installed")
    };
    let members = stdout(&curl(&[], "/v1/members"));
    let members: serde_json::Value = serde_json::from_str(&members).unwrap();
    assert_eq!(members["members"][0]["addr"], agent.addr());
    let table = stdout(&curl(&["--header", "Accept: text/plain"], "/v1/members"));
    assert_eq!(table, stdout(&agent.client(&["members"])));
    assert_eq!(curl(&["--fail"], "/healthz").status.code(), Some(0));
    let missing = stdout(&curl(&[], "/v1/nonsense"));
    let missing: serde_json::Value = serde_json::from_str(&missing).unwrap();
    assert_eq!(missing["code"], "not_found");
    assert!(!missing["error"].as_str().unwrap().is_empty());
    let joined = curl(&["--request", "POST"], "/v1/join?addr=127.0.0.1:9");
    assert!(stdout(&joined).contains("127.0.0.1:9"), "{joined:?}");
}

/// An agent that stands still is not reachable, and asking it does not take for ever.
#[test]
fn an_agent_that_does_not_answer_is_not_reachable() {
    let agent = Agent::start(&Options::default());
    agent.signal(Signal::SIGSTOP);
    let output = agent.client(&["members"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("has not answered for 10 s"), "{}", stderr(&output));
}

/// `JOURNAL_STREAM` is inherited by processes whose stderr is something else by then.
#[test]
fn the_log_has_times_unless_stderr_is_the_journals() {
    let log = |stream: Option<&str>| {
        let directory = Directory::new();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let stat = nix::sys::stat::fstat(&writer).unwrap();
        let mut agent = command(&["agent", "--bind", "127.0.0.1:0"]);
        if let Some(stream) = stream {
            let inode = stat.st_ino.to_string();
            agent.env("JOURNAL_STREAM", stream.replace("INODE", &inode));
        }
        agent.arg("--api").arg(directory.path("api")).stderr(writer);
        let _running = Running::start(&mut agent);
        let mut line = String::new();
        BufReader::new(&mut reader).read_line(&mut line).unwrap();
        (line, stat.st_dev)
    };
    let (line, device) = log(None);
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(rest.starts_with("info midge="), "{line}");
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape, "9999-99-99T99:99:99Z");
    for stream in ["", "8:12345", &format!("{device}:1"), "1:INODE", "INODE"] {
        assert!(log(Some(stream)).0.contains("Z info midge="), "{stream}");
    }
    assert!(log(Some(&format!("{device}:INODE"))).0.starts_with("info midge="));
}

/// The default instead of what is meant could be another agent.
#[test]
fn a_variable_that_is_not_utf8_is_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let value = OsStr::from_bytes(b"/run/midge/\xff");
    for name in ["MIDGE_API", "MIDGE_CLUSTER"] {
        for arguments in [&["leave"][..], &["agent"], &["leave", "--api=/nowhere"]] {
            let output = command(arguments).env(name, value).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let error = stderr(&output);
            let first = error.lines().next().unwrap();
            assert_eq!(first, format!("midge: {name}: the value is not UTF-8"));
        }
    }
    // An option of another command means nothing to this one, but a slip of the pen is reported.
    let mut command = command(&["version"]);
    let output = command.env("MIDGE_BIND", value).env("MIDGE_CLSTER", value).output().unwrap();
    assert!(output.status.success());
    assert!(stderr(&output).contains("MIDGE_CLSTER is set"), "{}", stderr(&output));
}

/// Paths lead to more than files: each obstacle is said in words.
#[test]
fn obstacles_on_the_way_to_the_socket_are_said_in_words() {
    let directory = Directory::new();
    let circle = directory.path("circle");
    std::os::unix::fs::symlink(&circle, &circle).unwrap();
    let other = directory.path("other");
    let _other = std::os::unix::net::UnixDatagram::bind(&other).unwrap();
    for (path, words) in [
        (circle.join("api"), "Too many levels of symbolic links"),
        (other, "Protocol wrong type for socket"),
    ] {
        let output = midge(&["members", "--api", path.to_str().unwrap()]);
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}
