//! The commands that ask the agent on this host.
//!
//! The agent renders tables itself, so a client only passes on what it gets.

use std::io::{ErrorKind, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use midge::config::validate_cluster;

use super::options::{self, Options};
use super::response::{BodyError, Response, error_text};
use super::{Failure, write};
use crate::api::{DEFAULT_PORT, parse_address};
use crate::{os, socket_path};

/// How long the agent may take for each piece of its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two requests of `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The longest error text that is passed on, bytes.
const ERROR_BYTES: usize = 4096;

const CLEAR_SCREEN: &[u8] = b"\x1b[H\x1b[2J";

pub(super) fn members(options: &Options) -> Result<(), Failure> {
    let quiet = options.has(options::QUIET);
    show(options, if quiet { "/v1/members?quiet=1" } else { "/v1/members" })
}

pub(super) fn status(options: &Options) -> Result<(), Failure> {
    if options.has(options::CHECK) {
        return check(options);
    }
    show(options, "/v1/status")
}

/// Every address is checked before the agent hears of the first.
pub(super) fn join(options: &Options) -> Result<(), Failure> {
    let agent = Agent::of(options)?;
    let mut seeds = Vec::new();
    for text in options.operands.iter().flat_map(|operand| operand.split(',')) {
        let seed = parse_address(text, DEFAULT_PORT);
        seeds.push(seed.map_err(|error| Failure::Usage(format!("`{text}`: {error}")))?);
    }
    for seed in seeds {
        agent.request("POST", &format!("/v1/join?addr={seed}"), TEXT, &mut write)?;
    }
    Ok(())
}

pub(super) fn leave(options: &Options) -> Result<(), Failure> {
    Agent::of(options)?.request("POST", "/v1/leave", TEXT, &mut write)
}

/// `--cluster`, or the default.
pub(super) fn cluster(options: &Options) -> Result<String, String> {
    let Some(value) = options.last(options::CLUSTER) else { return Ok("default".into()) };
    let text = value.text;
    validate_cluster(text).map_err(|error| value.complain(&format!("`{text}`: {error}")))?;
    Ok(text.into())
}

/// `--api`, or where the socket of that cluster may be by default.
pub(super) fn api_paths(options: &Options, cluster: &str) -> Vec<String> {
    match options.last(options::API) {
        Some(value) => vec![value.text.into()],
        None => socket_path::defaults(cluster),
    }
}

const TEXT: &str = "text/plain";
const JSON: &str = "application/json";

/// Prints what the agent answers, again and again if asked to.
fn show(options: &Options, path: &str) -> Result<(), Failure> {
    let agent = Agent::of(options)?;
    let accept = if options.has(options::JSON) { JSON } else { TEXT };
    if !options.has(options::WATCH) {
        return agent.request("GET", path, accept, &mut write);
    }
    // Cleared is a terminal; what is read by a program gets an empty line in between.
    let between = if os::stdout().is_terminal() { CLEAR_SCREEN } else { b"\n" };
    let mut first = true;
    loop {
        let mut screen = Vec::new();
        if !first || between == CLEAR_SCREEN {
            screen.extend_from_slice(between);
        }
        first = false;
        agent.request("GET", path, accept, &mut |piece| {
            screen.extend_from_slice(piece);
            Ok(())
        })?;
        write(&screen)?;
        thread::sleep(WATCH_INTERVAL);
    }
}

/// `status --check`: the exit status is the answer.
fn check(options: &Options) -> Result<(), Failure> {
    let mut status = Vec::new();
    Agent::of(options)?.request("GET", "/v1/status", JSON, &mut |piece| {
        status.extend_from_slice(piece);
        Ok(())
    })?;
    // In a string of the answer the quotes would be escaped.
    let joined = b"\"joined\":true";
    let has_joined = status.windows(joined.len()).any(|window| window == joined);
    if has_joined { Ok(()) } else { Err(Failure::No) }
}

/// The agent to ask: the first of these paths where one listens.
struct Agent {
    paths: Vec<String>,
}

impl Agent {
    fn of(options: &Options) -> Result<Self, Failure> {
        let cluster = cluster(options).map_err(Failure::Usage)?;
        Ok(Self { paths: api_paths(options, &cluster) })
    }

    /// Sends a request and hands the body of the answer to `sink`. An error of the agent becomes
    /// a failure with its text.
    fn request(
        &self,
        method: &str,
        path: &str,
        accept: &str,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut stream = self.send(method, path, accept)?;
        let response = self.read_head(&mut stream)?;
        let status = response.status;
        if status < 300 {
            return response.body(sink).map_err(|error| self.explain(error));
        }
        let body = response.text(ERROR_BYTES).map_err(|error| self.explain(error))?;
        // What is refused before it is understood is refused in plain text.
        let text = error_text(&body);
        let text = text.as_deref().unwrap_or_else(|| body.lines().next().unwrap_or_default());
        Err(Failure::Failed(format!("the agent refuses: {text}")))
    }

    fn send(&self, method: &str, path: &str, accept: &str) -> Result<UnixStream, Failure> {
        let mut stream = self.connect()?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: midge\r\nAccept: {accept}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).map_err(|error| self.explain(error.into()))?;
        Ok(stream)
    }

    fn read_head<'s>(&self, stream: &'s mut UnixStream) -> Result<Response<'s>, Failure> {
        Response::read(stream).map_err(|error| self.explain(error.into()))
    }

    /// An agent that is stopped has a listener, too, and its queue may be full; so connecting
    /// must not block, and reading has its limit.
    fn connect(&self) -> Result<UnixStream, Failure> {
        let mut reasons = String::new();
        for path in &self.paths {
            let stream = mio::net::UnixStream::connect(path).map(UnixStream::from);
            let ready = stream.and_then(|stream| {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(stream)
            });
            match ready {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    let separator = if reasons.is_empty() { "" } else { "; " };
                    let text = format!("{separator}{}: {error}", path);
                    reasons.push_str(&text);
                }
            }
        }
        Err(Failure::Unreachable(format!(
            "no agent: {reasons}. Is one running? Say which with --cluster or --api"
        )))
    }

    fn explain(&self, error: BodyError) -> Failure {
        let error = match error {
            BodyError::Sink(failure) => return failure,
            BodyError::Read(error) => error,
        };
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                let secs = PATIENCE.as_secs();
                Failure::Unreachable(format!("the agent has not answered for {secs} s"))
            }
            ErrorKind::InvalidData => {
                Failure::Failed("this is no answer of a midge agent; see --api".into())
            }
            _ => Failure::Unreachable(format!("the connection to the agent broke: {error}")),
        }
    }
}
