//! The client commands against running agents: what they print, change and return.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use serde_json::Value;

use crate::harness::{
    Agent, DEADLINE, Options, Running, cluster, cluster_with, command, eventually, introduced,
    stderr, stdout,
};

/// Runs a command that has to succeed.
fn say(agent: &Agent, arguments: &[&str]) -> String {
    let output = agent.client(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

/// Runs a command that has to fail with this status, and have this in its message.
fn refused(agent: &Agent, arguments: &[&str], status: i32, part: &str) {
    let output = agent.client(arguments);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", stderr(&output));
    assert!(stderr(&output).contains(part), "{arguments:?}: {}", stderr(&output));
}

#[test]
fn forgetting_a_failed_member() {
    let mut agents =
        cluster_with(3, |at| Options { more: vec![format!("--name=n{at}")], ..Options::default() });
    introduced(&agents);
    refused(&agents[0], &["forget", "n1"], 1, "it is alive or suspect");
    refused(&agents[0], &["forget", "nobody"], 1, "no such member");
    refused(&agents[0], &["forget"], 2, "a member is missing");
    let gone = agents.pop().map(|mut agent| {
        agent.crash();
        agent.addr().to_string()
    });
    let gone = gone.unwrap();
    agents[0].sees(&gone, "failed");
    agents[1].sees(&gone, "failed");
    assert_eq!(say(&agents[0], &["forget", "n2"]), format!("forgotten: {gone}\n"));
    for agent in &agents {
        agent.sees(&gone, "left");
    }
}

#[test]
fn changing_tags_and_finding_members_by_them() {
    let agents = cluster_with(2, |at| Options {
        more: vec![format!("--name=n{at}"), "--tag=zone=a".into()],
        ..Options::default()
    });
    introduced(&agents);
    assert_eq!(
        say(&agents[0], &["tag", "set", "role=a&b c%", "zone=b"]),
        "tags: zone=a,role=a&b c%\ntags: role=a&b c%,zone=b\n"
    );
    let found = |arguments: &[&str]| say(&agents[1], arguments).lines().count();
    eventually("the others know", || match found(&["members", "-q", "--tag", "zone=b"]) {
        1 => Ok(()),
        count => Err(format!("{count} members")),
    });
    assert_eq!(found(&["members", "-q", "--tag", "role=a&b c%"]), 1);
    assert_eq!(found(&["members", "-q", "--tag", "role=a&b c%", "--tag=zone=a"]), 0);
    assert_eq!(found(&["members", "-q", "--state", "alive,suspect"]), 2);
    assert_eq!(found(&["members", "--state=failed"]), 1, "the heading alone");
    assert_eq!(say(&agents[0], &["tag", "rm", "role"]), "tags: zone=b\n");
    refused(&agents[0], &["tag", "set", "a=b,c=d"], 2, "is no tag");
    refused(&agents[0], &["tag", "set", "novalue"], 2, "`novalue` is no tag");
    refused(&agents[0], &["tag", "put", "a=b"], 2, "tag set KEY=VALUE");
    refused(&agents[0], &["tag", "set"], 2, "a tag is missing");
    refused(&agents[0], &["tag", "set", &format!("a={}", "%".repeat(400))], 2, "is no tag");
    refused(&agents[0], &["members", "--state", "dead"], 2, "alive, suspect, failed, left");
    refused(&agents[0], &["members", "--tag", "zone"], 2, "KEY=VALUE");
}

#[test]
fn changing_the_log_level() {
    let agent = Agent::start(&Options { more: vec!["--log=error".into()], ..Options::default() });
    refused(&agent, &["log", "loud"], 2, "error, warn, info, debug, trace");
    refused(&agent, &["log"], 2, "a level is missing");
    refused(&agent, &["log", "info", "warn"], 2, "unexpected argument `warn`");
    assert_eq!(agent.log(), "", "quiet at first");
    assert_eq!(say(&agent, &["log", "info"]), "level: info\n");
    agent.client(&["leave"]);
    agent.logged(&["info event=left"]);
}

#[test]
fn stats_for_people_and_programs() {
    let agents = cluster(2);
    let text = say(&agents[0], &["stats"]);
    let value = |name: &str| {
        let line = text.lines().find(|line| line.split_ascii_whitespace().next() == Some(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    assert!(value("datagrams_in") > Some(0) && value("api_requests") > Some(0), "{text}");
    assert_eq!((value("allocations"), value("log_dropped")), (Some(0), Some(0)), "{text}");
    assert!(value("loop_rounds") > Some(0) && value("loop_longest_us") > Some(0), "{text}");
    let json: Value = serde_json::from_str(&say(&agents[0], &["stats", "--json"])).unwrap();
    assert_eq!(json["rejects"]["bad_tag"], 0);
    assert!(json["datagrams_out"].as_u64() > Some(0), "{json}");
}

/// The lines of a `midge events` that runs.
struct Lines(Receiver<String>);

impl Iterator for Lines {
    type Item = String;

    /// `None` at the end of the output.
    fn next(&mut self) -> Option<String> {
        match self.0.recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line for {DEADLINE:?}"),
        }
    }
}

fn follow(agent: &Agent, arguments: &[&str]) -> (Running, Lines) {
    let mut all = vec!["events", "--api", agent.api().to_str().expect("UTF-8")];
    all.extend(arguments);
    let mut child = Running::start(command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let (sender, receiver) = channel();
    // It ends with the output.
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    (child, Lines(receiver))
}

#[test]
fn events_are_followed_until_the_agent_has_left() {
    let named = |name: &str| vec![format!("--name={name}")];
    let first = Agent::start(&Options { more: named("first"), ..Options::default() });
    let (mut text, mut lines) = follow(&first, &["--since", "0"]);
    let line = lines.next().expect("a line");
    assert!(line.contains("Z event=joined members=1 ") && line.contains(" id="), "{line}");
    let (mut json, mut objects) = follow(&first, &["--json", "--since=0"]);
    let object: Value = serde_json::from_str(&objects.next().expect("a line")).unwrap();
    assert_eq!((&object["event"], &object["detail"]["members"]), (&"joined".into(), &1.into()));

    let join = vec![first.addr().into()];
    let second = Agent::start(&Options { join, more: named("second"), ..Options::default() });
    let line = lines.next().expect("a line");
    assert!(line.contains("event=member_joined") && line.contains(second.addr()), "{line}");
    let object: Value = serde_json::from_str(&objects.next().expect("a line")).unwrap();
    assert_eq!(object["member"]["addr"], second.addr());
    assert_eq!(line.rsplit_once("id=").unwrap().1, object["id"].as_str().unwrap());

    say(&first, &["leave"]);
    let rest: Vec<String> = lines.collect();
    assert!(rest.last().expect("a line").contains("event=left"), "{rest:?}");
    assert!(objects.last().expect("a line").contains("\"event\":\"left\""));
    assert_eq!(text.wait().expect("it ends").code(), Some(0));
    assert_eq!(json.wait().expect("it ends").code(), Some(0));
}

#[test]
fn an_agent_that_is_gone_ends_its_followers_and_says_what_is_lost() {
    let mut agent = Agent::start(&Options::default());
    let (mut child, mut lines) = follow(&agent, &["--since", "0"]);
    let first = lines.next().expect("a line");
    let id = first.rsplit_once("id=").unwrap().1.to_string();
    agent.crash();
    assert_eq!(lines.next(), None);
    assert_eq!(child.wait().expect("it ends").code(), Some(4));
    let mut words = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut words).expect("UTF-8");
    assert!(words.contains("the connection to the agent broke"), "{words}");
    refused(&agent, &["events"], 4, "no agent");

    let again = Agent::start(&Options { api: Some(agent.api().into()), ..Options::default() });
    let (_child, mut lines) = follow(&again, &["--since", &id]);
    assert!(lines.next().expect("a line").contains("event=lost count=unknown"));
    assert!(lines.next().expect("a line").contains("event=joined"));
    refused(&again, &["events", "--since", "nonsense"], 2, "since is the id of an event");
}
