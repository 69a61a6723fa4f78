//! Agents that are asked everything, again and again: they do not use the heap, and do not grow.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use midge::clockbound::Layout;
use nix::sys::signal::Signal;

use crate::harness::{Agent, DEADLINE, Directory, request};
use crate::writer::{Now, encode, fresh};

/// What is asked of every agent in each round, with the status of the answer.
const REQUESTS: [(&str, &str, u16); 23] = [
    ("GET", "/v1/members", 200),
    ("GET", "/v1/members?quiet=1", 200),
    ("GET", "/v1/members?state=alive&tag=turn=1", 200),
    ("GET", "/v1/members?state=dead", 400),
    ("GET", "/v1/status", 200),
    ("GET", "/v1/clock", 200),
    ("GET", "/v1/stats", 200),
    ("GET", "/metrics", 200),
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("GET", "/v1/events?since=nonsense", 400),
    ("GET", "/v1/nonsense", 404),
    ("GET", "/v1/leave", 405),
    ("HEAD", "/v1/members", 200),
    ("DELETE", "/v1/members", 405),
    ("POST", "/v1/join?addr=nonsense%20", 400),
    ("POST", "/v1/forget?node=nobody", 404),
    ("POST", "/v1/forget", 400),
    ("POST", "/v1/tags?set=turn=1", 200),
    ("POST", "/v1/tags?set=other=2", 200),
    ("POST", "/v1/tags?remove=other", 200),
    ("POST", "/v1/log?level=debug", 200),
    ("POST", "/v1/log?level=info", 200),
];

/// What a run has asked and found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) streams: u64,
    pub(crate) events: u64,
    /// Uses of the heap by all agents since their loops began.
    pub(crate) allocations: u64,
    /// The most by which the resident memory of an agent has grown since the first round, KiB.
    pub(crate) grown_kib: u64,
    /// The longest round of any agent's loop, microseconds.
    pub(crate) longest_us: u64,
}

/// A reader of events, which comes again with the id of the last one it has.
struct Reader {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Reader {
    fn connect(agent: &Agent, accept: &str, last: Option<&str>) -> Self {
        let mut stream = UnixStream::connect(agent.api()).expect("it listens");
        let last = last.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let (path, host) = ("/v1/events?since=0", "Host: x\r\n");
        write!(stream, "GET {path} HTTP/1.1\r\n{host}Accept: {accept}\r\n{last}\r\n").unwrap();
        stream.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        let mut reader = Self { stream, received: Vec::new() };
        reader.read();
        assert!(reader.received.starts_with(b"HTTP/1.1 200 "), "{:?}", reader.text());
        reader.stream.set_nonblocking(true).expect("it can be that");
        reader
    }

    /// Reads what is there; when the stream blocks, at least something.
    fn read(&mut self) {
        let mut space = [0; 4_096];
        while let Ok(bytes) = self.stream.read(&mut space) {
            assert!(bytes > 0, "the stream ended: {:?}", self.text());
            self.received.extend_from_slice(&space[..bytes]);
            if bytes < space.len() {
                return;
            }
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    /// How many events have come, and the id of the last.
    fn close(mut self) -> (u64, Option<String>) {
        self.read();
        let text = self.text();
        let ids: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
        (ids.len() as u64, ids.last().map(ToString::to_string))
    }
}

/// The option to read true time from a segment in this directory, which lasts for an hour.
pub(crate) fn clock_option(directory: &Directory) -> String {
    let path = directory.path("segment");
    let segment = fresh(Layout::V2, Now::read(), 3_600_000_000_000);
    fs::write(&path, encode(&segment)).expect("there is space");
    format!("--clockbound={}", path.display())
}

fn resident_kib(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Asks everything of all agents until the time is over. Every change of tags is an event at every
/// other agent.
pub(crate) fn poll_everything(agents: &[Agent], time: Duration) -> Report {
    let (mut report, end) = (Report::default(), Instant::now() + time);
    let mut last: Vec<Option<String>> = agents.iter().map(|_| None).collect();
    let mut first_kib: Option<Vec<u64>> = None;
    while Instant::now() < end || first_kib.is_none() {
        for (agent, last) in agents.iter().zip(&mut last) {
            let sse = Reader::connect(agent, "text/event-stream", last.as_deref());
            let others =
                ["application/json", "text/plain"].map(|a| Reader::connect(agent, a, None));
            for (method, path, status) in REQUESTS {
                let (answered, body) = request(agent.api(), method, path).expect("an answer");
                assert_eq!(answered, status, "{method} {path}: {body}");
            }
            agent.signal(Signal::SIGUSR1);
            agent.signal(Signal::SIGHUP);
            let (events, id) = sse.close();
            *last = id.or(last.take());
            drop(others);
            report.requests += REQUESTS.len() as u64;
            report.streams += 3;
            report.events += events;
        }
        first_kib.get_or_insert_with(|| agents.iter().map(resident_kib).collect());
    }
    for (agent, first_kib) in agents.iter().zip(first_kib.unwrap_or_default()) {
        let stats = agent.get("/v1/stats").expect("an answer");
        let figure = |name: &str| stats[name].as_u64().expect("a number");
        report.allocations += figure("allocations");
        report.longest_us = report.longest_us.max(figure("loop_longest_us"));
        report.grown_kib = report.grown_kib.max(resident_kib(agent).saturating_sub(first_kib));
    }
    report
}

#[test]
fn nothing_is_allocated_whatever_is_asked() {
    use crate::harness::{Options, cluster_with};
    let directory = Directory::new();
    let clock = clock_option(&directory);
    let agents = cluster_with(5, |_| Options { more: vec![clock.clone()], ..Options::default() });
    let report = poll_everything(&agents, Duration::from_secs(3));
    assert_eq!(report.allocations, 0, "{report:?}");
    assert!(report.events > 0, "{report:?}");
    // Past the harness that keeps the output of a test that passes.
    let test = concat!(file!(), "::nothing_is_allocated_whatever_is_asked");
    let line = format!("numbers: {test} {}\n", report.allocations);
    std::io::stderr().write_all(line.as_bytes()).expect("stderr");
}
