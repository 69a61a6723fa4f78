//! Real agents on loopback: started with a directory of their own, and stopped when dropped.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::ops::{Deref, DerefMut};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A protocol period that makes failures quick to see, ms.
pub(crate) const PERIOD_MS: u32 = 200;

/// How long anything may take that should take a few seconds at most. It is reached only when
/// something is wrong, so it is generous to a slow machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    let given = std::env::var_os("MIDGE_BIN").map(PathBuf::from);
    given.unwrap_or_else(|| env!("CARGO_BIN_EXE_midge").into())
}

/// Runs a command of `midge` to its end, with nothing of this process's environment that means
/// anything to it.
pub(crate) fn midge(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the binary runs")
}

/// A command of `midge`, not started yet.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MIDGE_") {
            command.env_remove(name);
        }
    }
    command.env_remove("JOURNAL_STREAM");
    // It dies with the thread that starts it, even when that one is killed and drops nothing.
    // SAFETY: between fork and exec this makes one system call, and nothing that allocates or locks.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
    command
}

/// A process that is killed when dropped, if it has not ended by then.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the binary starts"))
    }
}

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A stopped process dies of SIGKILL, too.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `midge` wrote to stderr.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// What `midge` wrote to stdout.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// Asks again until the answer is no error; panics with the last one after [`DEADLINE`].
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) if start.elapsed() > DEADLINE => panic!("{what}: {error}"),
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// A directory that is removed when dropped.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("midge-{}-{number}", std::process::id()));
        // One may be left from a run that was killed and had the same process id.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a new directory");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How to start an agent.
pub(crate) struct Options {
    pub(crate) bind: String,
    pub(crate) cluster: String,
    pub(crate) join: Vec<String>,
    pub(crate) period_ms: u32,
    /// Where its API socket is; by default, in a directory of its own.
    pub(crate) api: Option<PathBuf>,
    pub(crate) more: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:0".into(),
            cluster: "test".into(),
            join: Vec::new(),
            period_ms: PERIOD_MS,
            api: None,
            more: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// A member as an agent reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) addr: String,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) epoch: u64,
    pub(crate) refutation: u64,
}

/// A running agent.
pub(crate) struct Agent {
    child: Running,
    directory: Directory,
    api: PathBuf,
    addr: String,
}

impl Agent {
    /// Starts an agent that nobody waits for yet.
    fn spawn(options: &Options) -> Self {
        let directory = Directory::new();
        let api = options.api.clone().unwrap_or_else(|| directory.path("api"));
        let log = File::create(directory.path("log")).expect("a log file");
        let period = options.period_ms.to_string();
        let mut command = command(&["agent", "--bind", &options.bind, "--period", &period]);
        command.arg("--cluster").arg(&options.cluster);
        command.arg("--api").arg(&api);
        if !options.join.is_empty() {
            command.arg("--join").arg(options.join.join(","));
        }
        command.envs(options.environment.iter().map(|(name, value)| (name, value)));
        command.args(&options.more).stdout(Stdio::null()).stderr(log);
        let child = Running::start(&mut command);
        Self { child, directory, api, addr: String::new() }
    }

    /// Waits until it serves its API.
    fn ready(mut self) -> Self {
        let status = eventually("the agent starts", || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the agent ended with {status}: {}", self.log());
            }
            self.get("/v1/status")
        });
        self.addr = status["addr"].as_str().expect("an address").into();
        self
    }

    pub(crate) fn start(options: &Options) -> Self {
        Self::spawn(options).ready()
    }

    /// Starts several at the same time.
    pub(crate) fn start_all(options: &[Options]) -> Vec<Self> {
        let spawned: Vec<_> = options.iter().map(Self::spawn).collect();
        spawned.into_iter().map(Self::ready).collect()
    }

    /// The address that it advertises.
    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    pub(crate) fn port(&self) -> u16 {
        self.addr.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn api(&self) -> &Path {
        &self.api
    }

    /// Runs a client command against this agent.
    pub(crate) fn client(&self, arguments: &[&str]) -> Output {
        let mut all = arguments.to_vec();
        all.extend(["--api", self.api.to_str().expect("UTF-8")]);
        midge(&all)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path("log")).unwrap_or_default()
    }

    /// Waits for a line in the log that has all of these pieces.
    pub(crate) fn logged(&self, pieces: &[&str]) -> String {
        eventually(&format!("{} logs {pieces:?}", self.addr), || {
            let log = self.log();
            let mut lines = log.lines();
            let found = lines.find(|line| pieces.iter().all(|piece| line.contains(piece)));
            found.map(String::from).ok_or(log)
        })
    }

    /// Asks the API for JSON.
    pub(crate) fn get(&self, path: &str) -> Result<Value, String> {
        let (status, body) = request(&self.api, "GET", path)?;
        if status != 200 {
            return Err(format!("{status}: {body}"));
        }
        serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))
    }

    /// Tells the API to do something.
    pub(crate) fn post(&self, path: &str) -> Result<(u16, String), String> {
        request(&self.api, "POST", path)
    }

    /// Every member it knows.
    pub(crate) fn members(&self) -> Result<Vec<Row>, String> {
        let answer = self.get("/v1/members")?;
        let members = answer["members"].as_array().ok_or("no members in the answer")?;
        let text = |value: &Value| value.as_str().unwrap_or("?").to_string();
        let mut rows: Vec<Row> = members
            .iter()
            .map(|m| Row {
                addr: text(&m["addr"]),
                name: text(&m["name"]),
                state: text(&m["state"]),
                epoch: m["epoch"].as_u64().unwrap_or(u64::MAX),
                refutation: m["refutation"].as_u64().unwrap_or(u64::MAX),
            })
            .collect();
        rows.sort_by(|a, b| a.addr.cmp(&b.addr));
        Ok(rows)
    }

    /// What it knows about one member.
    pub(crate) fn member(&self, addr: &str) -> Result<Row, String> {
        let row = self.members()?.into_iter().find(|row| row.addr == addr);
        row.ok_or_else(|| format!("{} has no row {addr}", self.addr))
    }

    /// Waits until it sees this member in this state.
    pub(crate) fn sees(&self, addr: &str, state: &str) -> Row {
        eventually(&format!("{} sees {addr} as {state}", self.addr), || {
            let row = self.member(addr)?;
            if row.state == state { Ok(row) } else { Err(format!("{row:?}\n{}", self.log())) }
        })
    }

    /// Asks for a dump of the state and returns the newest one in the log.
    pub(crate) fn dump(&self) -> String {
        const FIRST: &str = "dump addr=";
        const LAST: &str = "dump end";
        let count = |log: &str| log.lines().filter(|line| line.contains(LAST)).count();
        let before = count(&self.log());
        self.signal(Signal::SIGUSR1);
        eventually("the dump is written", || {
            let log = self.log();
            if count(&log) == before {
                return Err(log);
            }
            Ok(log[log.rfind(FIRST).ok_or("no dump")?..].to_string())
        })
    }

    /// How many datagrams it has rejected for this reason.
    pub(crate) fn rejected(&self, reason: &str) -> u64 {
        let line = format!("dump reject={reason} count=");
        let dump = self.dump();
        let count = dump.lines().find_map(|l| l.split_once(&line)?.1.parse().ok());
        count.unwrap_or(0)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).expect("the agent has not been waited for");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the agent ends", || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        })
    }

    /// `kill -9`.
    pub(crate) fn crash(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("log of {}:\n{}", self.addr, self.log());
        }
    }
}

/// Says that something is skipped on this machine, for the list that continuous integration compares
/// with the one it allows.
pub(crate) fn skip(what: &str) {
    if let Some(list) = std::env::var_os("CI_SKIPPED") {
        let mut list = OpenOptions::new().append(true).open(list).expect("the list");
        writeln!(list, "{what}").expect("the list can be written");
    }
}

/// A small cluster: the first is the seed of the others.
pub(crate) fn cluster(nodes: usize) -> Vec<Agent> {
    cluster_with(nodes, |_| Options::default())
}

/// A small cluster with these options; the first is the seed of the others.
pub(crate) fn cluster_with(nodes: usize, options: impl Fn(usize) -> Options) -> Vec<Agent> {
    let mut agents = vec![Agent::start(&options(0))];
    let seed = agents[0].addr().to_string();
    let others: Vec<_> =
        (1..nodes).map(|i| Options { join: vec![seed.clone()], ..options(i) }).collect();
    agents.extend(Agent::start_all(&others));
    one_view(&agents.iter().collect::<Vec<_>>());
    agents
}

/// Waits until every agent's own socket gives the same list: exactly these agents, alive.
pub(crate) fn one_view(agents: &[&Agent]) {
    let mut expected: Vec<_> = agents.iter().map(|a| a.addr().to_string()).collect();
    expected.sort();
    eventually("one view", || agents.iter().try_for_each(|agent| sees(agent, &expected)));
}

/// Whether an agent's own list of live members has these addresses, in this order.
pub(crate) fn sees(agent: &Agent, expected: &[String]) -> Result<(), String> {
    let rows = agent.members()?;
    let live = rows.iter().filter(|row| row.state == "alive" || row.state == "suspect");
    let live: Vec<_> = live.map(|row| row.addr.clone()).collect();
    if live != expected {
        return Err(format!("{} sees {live:?}, not {expected:?}", agent.addr()));
    }
    Ok(())
}

/// Waits until an agent has exactly these seeds.
pub(crate) fn has_seeds(agent: &Agent, seeds: &[&Agent]) {
    let mut expected: Vec<_> = seeds.iter().map(|seed| seed.addr().to_string()).collect();
    expected.sort();
    eventually("the seeds are those", || {
        let status = agent.get("/v1/status")?;
        let seeds = status["seeds"].as_array().ok_or("no seeds")?;
        let mut seeds: Vec<_> = seeds.iter().map(|s| s.as_str().unwrap().to_string()).collect();
        seeds.sort();
        if seeds == expected { Ok(()) } else { Err(format!("{seeds:?}\n{}", agent.log())) }
    });
}

/// Waits until every agent knows the name of every other: that is all there is to be told.
pub(crate) fn introduced(agents: &[Agent]) {
    eventually("all are introduced", || {
        for agent in agents {
            if let Some(row) = agent.members()?.iter().find(|row| row.name.is_empty()) {
                return Err(format!("{} has no name of {row:?}", agent.addr()));
            }
        }
        Ok(())
    });
}

/// One request over a Unix socket; the status and the body.
pub(crate) fn request(api: &Path, method: &str, path: &str) -> Result<(u16, String), String> {
    let exchange = || {
        let mut stream = UnixStream::connect(api)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        // HTTP/1.0: the body ends with the connection, so there is no framing to undo.
        write!(stream, "{method} {path} HTTP/1.0\r\nAccept: application/json\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|error: std::io::Error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no head in the answer")?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("no status")?;
    Ok((status, body.into()))
}
