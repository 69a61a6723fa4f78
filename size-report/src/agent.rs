//! The agent while it runs: three of them on loopback.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Result, stack};

/// Reached only when something is wrong.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a running agent has, bytes.
pub(crate) struct Usage {
    /// Pages in memory, those of the program's file included, as soon as three agree.
    pub(crate) resident: u64,
    /// The same, where pages that others have too count in part.
    pub(crate) proportional: u64,
    /// Pages of its own among them.
    pub(crate) anonymous: u64,
    /// How deep its stack has been after all that can be asked of it, a crash and a leave.
    pub(crate) stack: u64,
}

pub(crate) fn measure(program: &str) -> Result<Usage> {
    let folder = Folder::new()?;
    let mut agents = vec![Agent::start(program, &folder, "a", None)?];
    until("the first agent answers", || agents[0].live() == 1)?;
    let seed = agents[0].get("/v1/members?quiet=1")?.trim().to_string();
    for name in ["b", "c"] {
        agents.push(Agent::start(program, &folder, name, Some(&seed))?);
    }
    until("three agents agree", || agents.iter().all(|agent| agent.live() == 3))?;
    let first = &agents[0];
    let memory = fs::read_to_string(format!("/proc/{}/smaps_rollup", first.process.id()))
        .map_err(|e| format!("smaps_rollup: {e}"))?;

    first.ask_everything()?;
    agents.pop();
    agents[1].ask("POST", "/v1/leave")?;
    let first = &agents[0];
    let counts = |state: &str| first.listed(&format!("quiet=1&state={state}"));
    until("a crash and a leave are known", || counts("failed") == 1 && counts("left") == 1)?;
    first.ask_everything()?;
    Ok(Usage {
        resident: field(&memory, "Rss:")?,
        proportional: field(&memory, "Pss:")?,
        anonymous: field(&memory, "Anonymous:")?,
        stack: stack::of_process(first.process.id())?,
    })
}

/// A line of smaps_rollup, bytes.
fn field(memory: &str, name: &str) -> Result<u64> {
    let line = memory.lines().find_map(|line| line.strip_prefix(name));
    let size = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    size.map(|kib| kib * 1024).ok_or(format!("smaps_rollup without {name}"))
}

fn until(what: &str, mut is_true: impl FnMut() -> bool) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    while !is_true() {
        if Instant::now() > end {
            return Err(format!("{what}: not within {} s", DEADLINE.as_secs()));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A folder that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("midge-size-{}", std::process::id()));
        fs::create_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An agent that is killed when dropped.
struct Agent {
    process: Child,
    api: PathBuf,
    log: PathBuf,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Agent {
    fn start(program: &str, folder: &Folder, name: &str, seed: Option<&str>) -> Result<Self> {
        let file = |suffix: &str| folder.0.join(format!("{name}{suffix}"));
        let (api, log) = (file(""), file(".log"));
        let mut command = Command::new(program);
        command.args(["agent", "--bind", "127.0.0.1:0", "--cluster", "size-report"]);
        command.args(["--period", "200", "--name", name, "--api"]).arg(&api);
        seed.map(|seed| command.args(["--join", seed]));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&log).map_err(|e| e.to_string())?);
        let process = command.spawn().map_err(|e| format!("{program}: {e}"))?;
        Ok(Self { process, api, log })
    }

    /// How many members it takes for alive; none if it does not answer.
    fn live(&self) -> usize {
        self.listed("quiet=1")
    }

    fn listed(&self, query: &str) -> usize {
        self.get(&format!("/v1/members?{query}")).map_or(0, |list| list.lines().count())
    }

    fn get(&self, path: &str) -> Result<String> {
        let answer = self.ask("GET", path)?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_string());
        body.filter(|_| answer.contains(" 200 ")).ok_or(format!("{path}: {answer}"))
    }

    /// One request; the answer with its head.
    fn ask(&self, method: &str, path: &str) -> Result<String> {
        let mut answer = String::new();
        self.connect(method, path)
            .and_then(|mut stream| stream.read_to_string(&mut answer))
            .map_err(|e| format!("{method} {path}: {e}"))?;
        Ok(answer)
    }

    fn connect(&self, method: &str, path: &str) -> std::io::Result<UnixStream> {
        let mut stream = UnixStream::connect(&self.api)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        write!(stream, "{method} {path} HTTP/1.0\r\n\r\n")?;
        Ok(stream)
    }

    /// Every endpoint but leave, a reader of events, a dump of the state, reading settings again.
    fn ask_everything(&self) -> Result<()> {
        for path in ["/v1/members", "/v1/status", "/v1/stats", "/metrics", "/healthz", "/readyz"] {
            self.get(path)?;
        }
        // An error where nothing is known of true time.
        self.ask("GET", "/v1/clock")?;
        for path in [
            "/v1/join?addr=127.0.0.1",
            "/v1/forget?node=nobody",
            "/v1/tags?set=turn=1",
            "/v1/tags?remove=turn",
            "/v1/log?level=debug",
            "/nonsense",
        ] {
            self.ask("POST", path)?;
        }
        let mut events = self.connect("GET", "/v1/events?since=0").map_err(|e| e.to_string())?;
        events.read_exact(&mut [0; 64]).map_err(|e| format!("/v1/events: {e}"))?;
        let dumps = || {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            log.lines().filter(|line| line.contains("dump end")).count()
        };
        let before = dumps();
        self.signal("HUP")?;
        self.signal("USR1")?;
        until("the state is dumped", || dumps() > before)
    }

    /// By the shell: the standard library has no call for it.
    fn signal(&self, name: &str) -> Result<()> {
        let kill = format!("kill -{name} {}", self.process.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        status.ok().filter(|status| status.success()).map(drop).ok_or(format!("{kill} failed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_bytes() {
        let memory = "55d0-7ffe ---p 00000000 00:00 0  [rollup]\nRss:  296 kB\nPss_Anon: 4 kB\n";
        assert_eq!(field(memory, "Rss:"), Ok(296 * 1024));
        assert_eq!(field(memory, "Pss:"), Err("smaps_rollup without Pss:".into()));
    }

    #[test]
    fn a_program_that_does_not_start_is_an_error() {
        let error = measure("/nonexistent/midge").map(drop).unwrap_err();
        assert!(error.starts_with("/nonexistent/midge: "), "{error}");
    }
}
