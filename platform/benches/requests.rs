//! Requests a second on one kept connection over a Unix socket: the agent's `/v1/status` beside
//! nginx with one worker and a file of the same size, turn by turn in one run.
//!
//! ```text
//! cargo bench --package midge-agent --bench requests
//! ```
//!
//! `MIDGE_BIN` names the binary of midge, as for the process tests. `.ci/setup bench` provides
//! nginx, and `make bench` finds it.

#[allow(dead_code, reason = "the process tests use other parts of it")]
#[path = "../tests/process/harness.rs"]
mod harness;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::{Agent, Directory, Options, Running, eventually};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(2);

/// The least ratio to nginx.
const LEAST_RATIO: f64 = 0.5;

fn main() {
    // `cargo test --all-targets` only wants to know that it builds and starts.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    status_beside_nginx();
}

fn status_beside_nginx() {
    let agent = Agent::start(&Options::default());
    let mut midge = Client::connect(agent.api(), "/v1/status");
    let body_bytes = midge.exchange();
    println!(
        "requests: GET of {body_bytes} bytes on one kept connection, {TURNS} turns of {TURN:?}"
    );
    let program = find_nginx().expect("nginx is on the path; `make bench` installs it");
    let directory = Directory::new();
    let _nginx = start_nginx(&program, &directory, body_bytes);
    let mut nginx = Client::connect(&directory.path("socket"), "/status");
    assert_eq!(nginx.exchange(), body_bytes, "a file of the same size");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours.push(midge.rate());
        theirs.push(nginx.rate());
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    let ratio = ours / theirs;
    println!("requests: midge {ours:.0}/s nginx {theirs:.0}/s ratio {ratio:.2}");
    println!("numbers: {}::status_beside_nginx {ratio:.2}x ({ours:.0}/s)", file!());
    assert!(ratio >= LEAST_RATIO, "less than {LEAST_RATIO} of nginx");
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn find_nginx() -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    folders.map(|folder| Path::new(folder).join("nginx")).find(|program| program.exists())
}

/// One process that serves one file.
fn start_nginx(program: &Path, directory: &Directory, body_bytes: usize) -> Running {
    let root = directory.path("");
    fs::write(directory.path("status"), "x".repeat(body_bytes)).expect("a file");
    let root = root.display();
    let configuration = format!(
        "daemon off; master_process off; worker_processes 1; pid {root}/pid; error_log stderr;
         events {{ worker_connections 64; }}
         http {{
             access_log off; keepalive_requests 1000000000;
             client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
             fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi;
             scgi_temp_path {root}/scgi; default_type application/json;
             server {{ listen unix:{root}/socket; root {root}; }}
         }}"
    );
    fs::write(directory.path("nginx.conf"), configuration).expect("a file");
    let mut command = Command::new(program);
    command.arg("-c").arg(directory.path("nginx.conf")).arg("-p").arg(directory.path(""));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    // SAFETY: between fork and exec this makes one system call, and nothing that allocates or locks.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
    let running = Running::start(&mut command);
    eventually("nginx listens", || {
        let connected = UnixStream::connect(directory.path("socket"));
        connected.map(drop).map_err(|error| error.to_string())
    });
    running
}

/// A client that asks the same again and again.
struct Client {
    stream: UnixStream,
    request: String,
    space: Vec<u8>,
}

impl Client {
    fn connect(socket: &Path, path: &str) -> Self {
        let stream = UnixStream::connect(socket).expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Self { stream, request, space: vec![0; 65_536] }
    }

    /// One request and its whole answer. Returns the length of the body.
    fn exchange(&mut self) -> usize {
        self.stream.write_all(self.request.as_bytes()).expect("it reads");
        let mut have = 0;
        loop {
            let bytes = self.stream.read(&mut self.space[have..]).expect("an answer");
            assert!(bytes > 0, "the connection is kept");
            have += bytes;
            let Some(head) = self.space[..have].windows(4).position(|four| four == b"\r\n\r\n")
            else {
                continue;
            };
            let text = std::str::from_utf8(&self.space[..head]).expect("ASCII");
            assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
            let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.and_then(|digits| digits.parse().ok()).expect("a length");
            if have == head + 4 + length {
                return length;
            }
        }
    }

    /// Requests a second.
    fn rate(&mut self) -> f64 {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < TURN {
            for _ in 0..100 {
                self.exchange();
            }
            count += 100;
        }
        f64::from(count) / start.elapsed().as_secs_f64()
    }
}
