//! Nobody reads what the agent writes to stderr, whatever that is: lines are dropped, and the
//! agent goes on, leaves and stops as ever.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;

use crate::harness::{Agent, Directory, Options, command, eventually, request};

/// An agent with a stderr of the test's choice.
struct Unread {
    child: Child,
    api: PathBuf,
    _directory: Directory,
}

impl Unread {
    fn start(stderr: impl Into<OwnedFd>, arguments: &[&str]) -> Self {
        let directory = Directory::new();
        let api = directory.path("api");
        let mut command = command(&["agent", "--bind=127.0.0.1:0", "--cluster=test"]);
        command.arg("--api").arg(&api).args(arguments).stderr(stderr.into());
        let child = command.spawn().expect("the binary starts");
        let agent = Self { child, api, _directory: directory };
        eventually("it starts", || agent.status());
        agent
    }

    fn status(&self) -> Result<String, String> {
        match request(&self.api, "GET", "/v1/status")? {
            (200, body) => Ok(body),
            other => Err(format!("{other:?}")),
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).expect("the agent has not been waited for");
    }

    /// Asks for dumps, more than any of the buffers here has room for. An answer after each shows
    /// that the signal has been seen and the loop goes on.
    fn dump(&self) {
        for _ in 0..400 {
            self.signal(Signal::SIGUSR1);
            self.status().expect("an answer");
        }
    }

    fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the agent ends", || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        })
    }

    fn leaves(mut self) {
        self.signal(Signal::SIGTERM);
        assert_eq!(self.ended().code(), Some(0));
        assert!(!self.api.exists());
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A description of its own for what is behind a descriptor of this process.
fn reopen(file: &impl AsRawFd, options: &mut OpenOptions) -> File {
    options.custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits());
    options.open(format!("/proc/self/fd/{}", file.as_raw_fd())).expect("it can be opened")
}

/// All that is there.
fn drain(file: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = file.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// The agent writes more than fits; what is read then has the count of the lines that are
/// missing, in a line of its own.
fn overflows(agent: &Unread, reader: &mut impl Read) {
    agent.dump();
    let mut text = drain(reader);
    agent.signal(Signal::SIGUSR1);
    eventually("the next line comes with the count", || {
        text += &drain(reader);
        let counts = text.lines().filter(|line| line.contains("log_lines_dropped="));
        if counts.map(count).sum::<u32>() > 0 { Ok(()) } else { Err(text.clone()) }
    });
}

/// The number in `2026-01-31T12:00:00Z warn log_lines_dropped=5`.
fn count(line: &str) -> u32 {
    let (time, rest) = line.split_once(' ').expect("a time");
    assert_eq!(time.len(), "2026-01-31T12:00:00Z".len(), "{line}");
    let count = rest.strip_prefix("warn log_lines_dropped=").and_then(|n| n.trim().parse().ok());
    count.expect(line)
}

#[test]
fn a_terminal() {
    let pty = openpty(None, None).expect("a terminal");
    let agent = Unread::start(pty.slave, &[]);
    agent.dump();
    agent.leaves();
}

#[test]
fn a_terminal_that_is_read_again() {
    let pty = openpty(None, None).expect("a terminal");
    let mut master = File::from(pty.master);
    let flags = OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(&master, nix::fcntl::FcntlArg::F_SETFL(flags)).expect("its flags");
    let agent = Unread::start(pty.slave, &[]);
    overflows(&agent, &mut master);
    agent.leaves();
}

#[test]
fn a_pipe() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let agent = Unread::start(writer, &[]);
    overflows(&agent, &mut reopen(&reader, OpenOptions::new().read(true)));
    agent.leaves();
}

/// A pipe without a reader cannot be opened once more, so that the agent has no description of
/// its own when one comes.
#[test]
fn a_pipe_that_could_not_be_opened() {
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let agent = Unread::start(writer.try_clone().expect("a second descriptor"), &[]);
    let mut reader = reopen(&writer, OpenOptions::new().read(true));
    agent.dump();
    assert!(drain(&mut reader).contains("log_lines_dropped="));
    agent.leaves();
}

/// As with the journal.
#[test]
fn a_socket() {
    let (mut reader, writer) = UnixStream::pair().expect("a pair");
    setsockopt(&writer, sockopt::SndBuf, &16_384).expect("a small buffer");
    reader.set_nonblocking(true).expect("its flags");
    let agent = Unread::start(writer, &[]);
    overflows(&agent, &mut reader);
    agent.leaves();
}

/// Another process that writes to the same file goes on where the agent has stopped, and its
/// descriptor blocks as before.
#[test]
fn a_file_and_its_other_writers() {
    let directory = Directory::new();
    let path = directory.path("log");
    let mut file = File::create(&path).expect("a file");
    writeln!(file, "before").expect("it can be written");
    let agent = Unread::start(file.try_clone().expect("a second descriptor"), &[]);
    agent.leaves();
    writeln!(file, "after").expect("it can be written");
    let text = fs::read_to_string(&path).expect("it can be read");
    assert!(text.starts_with("before\n") && text.ends_with("\nafter\n"), "{text}");
    assert!(text.contains("midge=") && text.contains("event=left"), "{text}");
}

/// The last words find no room either, and the socket is removed all the same.
#[test]
fn two_sigints_and_a_pipe_that_is_full_to_the_last_byte() {
    // With a period of a minute, the news of leaving has no time to make its rounds.
    let seed = Agent::start(&Options { period_ms: 60_000, ..Options::default() });
    let (_reader, writer) = io::pipe().expect("a pipe");
    let stderr = writer.try_clone().expect("a second descriptor");
    let mut agent = Unread::start(stderr, &["--period=60000", "--join", seed.addr()]);
    says(&agent, "\"alive\":2");
    let mut filler = reopen(&writer, OpenOptions::new().write(true));
    for size in [4_096, 1] {
        while filler.write(&vec![b'x'; size]).is_ok() {}
    }
    agent.signal(Signal::SIGINT);
    says(&agent, "\"leaving\":true");
    agent.signal(Signal::SIGINT);
    let start = Instant::now();
    assert_eq!(agent.ended().code(), Some(1));
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(!Path::new(&agent.api).exists());
}

fn says(agent: &Unread, piece: &str) {
    eventually(piece, || {
        let body = agent.status()?;
        if body.contains(piece) { Ok(()) } else { Err(body) }
    });
}

/// Nobody reads the log for 10 seconds, in which it has much to say: nobody suspects the agent, and
/// it does not take itself for slow.
#[test]
fn a_reader_that_stalls_makes_nobody_suspect_the_agent() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let agent = Unread::start(writer, &["--period=200"]);
    let status: serde_json::Value = serde_json::from_str(&agent.status().unwrap()).unwrap();
    let addr = status["addr"].as_str().expect("an address").to_string();
    let join = || Options { join: vec![addr.clone()], ..Options::default() };
    let others = Agent::start_all(&[join(), join(), join()]);
    says(&agent, "\"alive\":4");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        agent.signal(Signal::SIGUSR1);
        says(&agent, "\"health\":0,");
    }
    for other in &others {
        let suspected = |line: &str| line.contains("member_suspected") && line.contains(&addr);
        assert!(!other.log().lines().any(suspected), "{}", other.log());
        other.sees(&addr, "alive");
    }
    let text = drain(&mut reopen(&reader, OpenOptions::new().read(true)));
    assert!(text.len() >= 4_096, "the pipe was full");
    agent.leaves();
}
