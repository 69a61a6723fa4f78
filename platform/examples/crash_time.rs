//! How long five real nodes take to agree, and how long a crash takes to be known to all.
//!
//! ```text
//! MIDGE_BIN=target/release/midge cargo run --release -p midge-agent --example crash_time
//! ```
//!
//! Ten runs at the default period on loopback; prints each, then median, least and most.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const NODES: usize = 5;
const RUNS: usize = 10;

/// When a run is given up.
const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks at the nodes; so exact are the times.
const LOOK: Duration = Duration::from_millis(5);

struct Node {
    child: Child,
    api: PathBuf,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    fn start(directory: &Path, number: usize, join: Option<&str>) -> io::Result<Self> {
        let binary = std::env::var_os("MIDGE_BIN").unwrap_or("target/release/midge".into());
        let api = directory.join(format!("{number}.sock"));
        let mut command = Command::new(binary);
        command.args(["agent", "--bind", "127.0.0.1:0", "--cluster", "crash-time", "--api"]);
        command.arg(&api).args(join.map(|seed| format!("--join={seed}")));
        let child = command.stderr(Stdio::null()).spawn()?;
        Ok(Self { child, api })
    }

    /// The addresses of members in these states, sorted; nothing while the node does not answer.
    fn members(&self, states: &str) -> Vec<String> {
        let ask = || {
            let mut stream = UnixStream::connect(&self.api)?;
            write!(stream, "GET /v1/members?quiet=1&state={states} HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, io::Error>(answer)
        };
        let answer = ask().unwrap_or_default();
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let mut addresses: Vec<_> = body.lines().map(String::from).collect();
        addresses.sort();
        addresses
    }
}

/// The time until all of these nodes answer so.
fn time_until(what: &str, nodes: &[Node], holds: impl Fn(&Node) -> bool) -> Duration {
    let start = Instant::now();
    while !nodes.iter().all(&holds) {
        assert!(start.elapsed() < DEADLINE, "after {DEADLINE:?}, {what} has not happened");
        thread::sleep(LOOK);
    }
    start.elapsed()
}

/// From the start of the first until all agree; and from the crash of one until all others hold
/// it for failed.
fn run(directory: &Path) -> io::Result<(Duration, Duration)> {
    let start = Instant::now();
    let mut nodes = vec![Node::start(directory, 0, None)?];
    time_until("the start of the first", &nodes, |node| node.members("alive").len() == 1);
    let seed = nodes[0].members("alive").remove(0);
    for number in 1..NODES {
        nodes.push(Node::start(directory, number, Some(&seed))?);
    }
    time_until("agreement", &nodes, |node| node.members("alive").len() == NODES);
    let agreed = start.elapsed();
    assert!(nodes.iter().all(|node| node.members("alive") == nodes[0].members("alive")));

    drop(nodes.pop());
    let failed = time_until("failure", &nodes, |node| node.members("failed").len() == 1);
    Ok((agreed, failed))
}

fn summary(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let middle = (times[(RUNS - 1) / 2] + times[RUNS / 2]) / 2;
    let (least, most) = (times[0], times[RUNS - 1]);
    let secs = |time: Duration| time.as_secs_f64();
    println!("{name}: median {:.2} s, {:.2} to {:.2} s", secs(middle), secs(least), secs(most));
}

fn main() -> io::Result<()> {
    let directory = std::env::temp_dir().join(format!("midge-crash-time-{}", std::process::id()));
    fs::create_dir(&directory)?;
    let (mut agreed, mut failed) = (Vec::new(), Vec::new());
    for number in 1..=RUNS {
        let (agree, fail) = run(&directory)?;
        println!("run {number}: {NODES} agree after {agree:.2?}, crash known after {fail:.2?}");
        agreed.push(agree);
        failed.push(fail);
    }
    fs::remove_dir_all(&directory)?;
    summary("agree", agreed);
    summary("crash", failed);
    Ok(())
}
