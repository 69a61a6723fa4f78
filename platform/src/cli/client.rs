//! The commands that ask the agent on this host.
//!
//! The agent renders tables itself, so a client only passes on what it gets.

use core::fmt::{self, Write as _};
use std::os::fd::AsFd;

use midge::config::{validate_cluster, validate_tags};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::isatty;

use super::options::{Flag, Options};
use super::response::{Broken, Response, Sink, Source, error_text};
use super::{Failure, write};
use crate::api::{DEFAULT_PORT, parse_target};
use crate::http::{PAGE_BYTES, Page};
use crate::logger::complain;
use crate::os::{self, Reason};
use crate::socket::{Socket, SocketPath, SocketPaths};
use crate::text::{cut, parts};

/// How long the agent may take for each piece of its answer, seconds.
const PATIENCE_SECS: u16 = 10;

/// Between two requests of `--watch`.
const WATCH_INTERVAL_MS: u16 = 1_000;

/// The longest request, bytes.
const REQUEST_BYTES: usize = 1_024;

const CLEAR_SCREEN: &[u8] = b"\x1b[H\x1b[2J";

pub(super) fn members(options: &Options) -> Result<(), Failure> {
    let mut space = [0; REQUEST_BYTES];
    let mut path = Page::new(&mut space);
    path.push(if options.has(Flag::Quiet) { b"/v1/members?quiet=1" } else { b"/v1/members?" });
    if let Some(states) = options.last(Flag::State) {
        argument(&mut path, "&state=", states.text);
    }
    let mut name = "&tag=";
    options.values(Flag::Tag, &mut |tag| {
        // MIDGE_TAG has the tags of the agent itself.
        if !tag.from_environment {
            argument(&mut path, core::mem::replace(&mut name, ","), tag.text);
        }
        Ok(())
    })?;
    show(options, text(&path)?)
}

pub(super) fn stats(options: &Options) -> Result<(), Failure> {
    show(options, "/v1/stats")
}

/// Follows the events until the agent has left.
pub(super) fn events(options: &Options) -> Result<(), Failure> {
    let mut space = [0; REQUEST_BYTES];
    let mut path = Page::new(&mut space);
    path.push(b"/v1/events?");
    if let Some(since) = options.last(Flag::Since) {
        argument(&mut path, "since=", since.text);
    }
    let accept = if options.has(Flag::Json) { JSON } else { TEXT };
    // An empty line says only that the agent is alive.
    let mut at_start = true;
    ask(options, "GET", format_args!("{}", text(&path)?), accept, &mut |piece| {
        let is_empty_line = at_start && piece == b"\n";
        at_start = piece.ends_with(b"\n");
        if is_empty_line { Ok(()) } else { write(piece) }
    })
}

pub(super) fn forget(options: &Options) -> Result<(), Failure> {
    act(options, "/v1/forget?node=", 0)
}

pub(super) fn log(options: &Options) -> Result<(), Failure> {
    act(options, "/v1/log?level=", 0)
}

/// `tag set KEY=VALUE ...` and `tag rm KEY ...`. Every tag is checked before the agent hears of the
/// first.
pub(super) fn tag(options: &Options) -> Result<(), Failure> {
    match options.operands().next() {
        Some("set") => {
            for tag in options.operands().skip(1) {
                if tag.is_empty() || cut(tag, b',').is_some() || validate_tags(tag).is_err() {
                    return Err(Failure::usage(format_args!(
                        "`{tag}` is no tag: KEY=VALUE, 128 bytes at most"
                    )));
                }
            }
            act(options, "/v1/tags?set=", 1)
        }
        Some("rm") => act(options, "/v1/tags?remove=", 1),
        _ => Err(Failure::usage(format_args!("say `tag set KEY=VALUE` or `tag rm KEY`"))),
    }
}

/// Makes one request for each operand after the first few.
fn act(options: &Options, path: &str, skipped: usize) -> Result<(), Failure> {
    for operand in options.operands().skip(skipped) {
        let mut space = [0; REQUEST_BYTES];
        let mut target = Page::new(&mut space);
        argument(&mut target, path, operand);
        ask(options, "POST", format_args!("{}", text(&target)?), TEXT, &mut write)?;
    }
    Ok(())
}

/// Appends an argument of a query, percent-encoded where it must be (RFC 3986 section 3.4).
fn argument(path: &mut Page<'_>, name: &str, value: &str) {
    path.push(name.as_bytes());
    for &byte in value.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~=,:[]".contains(&byte) {
            path.push(&[byte]);
        } else {
            path.push(b"%");
            path.hex(u64::from(byte), 2);
        }
    }
}

/// A request's target, if it was not too long.
fn text<'p>(path: &'p Page<'_>) -> Result<&'p str, Failure> {
    let text = core::str::from_utf8(path.written()).ok().filter(|_| !path.is_overfull());
    text.ok_or_else(|| Failure::usage(format_args!("an argument is too long")))
}

pub(super) fn status(options: &Options) -> Result<(), Failure> {
    if options.has(Flag::Check) {
        return check(options);
    }
    show(options, "/v1/status")
}

/// Every address is checked before the agent hears of the first.
pub(super) fn join(options: &Options) -> Result<(), Failure> {
    for tell in [false, true] {
        for text in options.operands().flat_map(|operand| parts(operand, b',')) {
            let seed = parse_target(text, DEFAULT_PORT)
                .map_err(|error| Failure::usage(format_args!("`{text}`: {error}")))?;
            if tell {
                ask(options, "POST", format_args!("/v1/join?addr={seed}"), TEXT, &mut write)?;
            }
        }
    }
    Ok(())
}

pub(super) fn leave(options: &Options) -> Result<(), Failure> {
    ask(options, "POST", format_args!("/v1/leave"), TEXT, &mut write)
}

/// `--cluster`, or the default.
pub(super) fn cluster(options: &Options) -> Result<&'static str, Failure> {
    let Some(value) = options.last(Flag::Cluster) else { return Ok("default") };
    validate_cluster(value.text)
        .map_err(|error| Failure::usage(format_args!("{value}: {error}")))?;
    Ok(value.text)
}

/// `--api`, or where the socket of that cluster may be by default.
pub(super) fn api_paths(options: &Options, cluster: &'static str) -> Result<SocketPaths, Failure> {
    match options.last(Flag::Api) {
        Some(value) if value.text.is_empty() => {
            Err(Failure::usage(format_args!("{value} is not the path of a socket")))
        }
        Some(value) => Ok(SocketPaths::given(value.text)),
        None => Ok(SocketPaths::defaults(cluster, options.environment.variable("XDG_RUNTIME_DIR"))),
    }
}

const TEXT: &str = "text/plain";
const JSON: &str = "application/json";

/// Prints what the agent answers, again and again if asked to.
fn show(options: &Options, path: &str) -> Result<(), Failure> {
    let accept = if options.has(Flag::Json) { JSON } else { TEXT };
    let watch = options.has(Flag::Watch);
    // Cleared is a terminal; what is read by a program gets an empty line in between.
    let clear = watch && isatty(os::stdout()) == Ok(true);
    let mut before: &[u8] = if clear { CLEAR_SCREEN } else { b"" };
    loop {
        // Only when there is something to show in its place.
        ask(options, "GET", format_args!("{path}"), accept, &mut |piece| {
            write(core::mem::take(&mut before))?;
            write(piece)
        })?;
        if !watch {
            return Ok(());
        }
        // Nothing to wait for but the time.
        let _ = poll(&mut [], PollTimeout::from(WATCH_INTERVAL_MS));
        before = if clear { CLEAR_SCREEN } else { b"\n" };
    }
}

/// `status --check`: the exit status is the answer.
fn check(options: &Options) -> Result<(), Failure> {
    let mut space = [0; PAGE_BYTES];
    let mut status = Page::new(&mut space);
    ask(options, "GET", format_args!("/v1/status"), JSON, &mut |piece| {
        status.push(piece);
        Ok(())
    })?;
    // In a string of the answer the quotes would be escaped.
    let joined = b"\"joined\":true";
    let has_joined = status.written().windows(joined.len()).any(|window| window == joined);
    if has_joined { Ok(()) } else { Err(Failure::No) }
}

/// Sends a request to the agent and hands the body of its answer to `sink`. An error of the agent
/// becomes a failure with its text.
#[inline(never)]
fn ask(
    options: &Options,
    method: &str,
    path: fmt::Arguments<'_>,
    accept: &str,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let stream = connect_to_first(&api_paths(options, cluster(options)?)?)?;
    let mut space = [0; REQUEST_BYTES + 128];
    let mut request = Page::new(&mut space);
    // A page cannot fail, and the longest request fits.
    let _ = write!(
        request,
        "{method} {path} HTTP/1.1\r\nHost: midge\r\nAccept: {accept}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    );
    // So short a request fits into the buffer of a new connection.
    stream.send(request.written()).map_err(|error| explain(Broken::System(error)))?;
    let mut read = |space: &mut [u8]| receive(&stream, space);
    pass_on(&mut read, sink).map_err(explain)
}

/// Connects to the agent: at the first of these paths where one listens. An agent that is stopped
/// has a listener, too, and its queue may be full; so connecting must not block, and reading has its
/// limit.
fn connect_to_first(paths: &SocketPaths) -> Result<Socket, Failure> {
    let first = match connect(paths.first) {
        Ok(stream) => return Ok(stream),
        Err(reason) => reason,
    };
    let paths = match paths.second.map(connect) {
        None => (first, None),
        Some(Ok(stream)) => return Ok(stream),
        Some(Err(second)) => (first, Some(second)),
    };
    Err(match paths {
        (first, None) => no_agent(format_args!("{first}")),
        (first, Some(second)) => no_agent(format_args!("{first}; {second}")),
    })
}

fn no_agent(reasons: fmt::Arguments<'_>) -> Failure {
    Failure::unreachable(format_args!(
        "no agent: {reasons}. Is one running? Say which with --cluster or --api"
    ))
}

/// Why there is no connection to a path.
struct NotThere(SocketPath, Errno);

impl fmt::Display for NotThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, Reason(self.1))
    }
}

fn connect(path: SocketPath) -> Result<Socket, NotThere> {
    let c_path = path.c_path().ok_or(NotThere(path, Errno::ENAMETOOLONG))?;
    Socket::connect_unix(c_path.as_c_str()).map_err(|error| NotThere(path, error))
}

/// Reads what is there, or waits for it.
fn receive(stream: &Socket, space: &mut [u8]) -> Result<usize, Broken> {
    loop {
        match stream.receive(space) {
            Err(Errno::EAGAIN) => {
                let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
                match poll(&mut fds, PollTimeout::from(PATIENCE_SECS * 1_000)) {
                    Ok(0) => return Err(Broken::Silent),
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(error) => return Err(Broken::System(error)),
                }
            }
            Err(Errno::EINTR) => {}
            result => return result.map_err(Broken::System),
        }
    }
}

fn pass_on(source: &mut Source<'_>, sink: &mut Sink<'_>) -> Result<(), Broken> {
    let response = Response::read(source)?;
    if response.status < 300 {
        return response.body(sink);
    }
    let mut space = [0; PAGE_BYTES];
    let is_usage = response.status == 400;
    let text = error_text(response.beginning(&mut space)?).unwrap_or("it does not say why");
    complain(format_args!("the agent refuses: {text}"));
    Err(Broken::Sink(if is_usage { Failure::Usage } else { Failure::Failed }))
}

fn explain(broken: Broken) -> Failure {
    match broken {
        Broken::Sink(failure) => failure,
        Broken::Silent => {
            Failure::unreachable(format_args!("the agent has not answered for {PATIENCE_SECS} s"))
        }
        Broken::Nonsense => {
            Failure::failed(format_args!("this is no answer of a midge agent; see --api"))
        }
        Broken::Ended => broke(format_args!("it ended")),
        Broken::System(error) => broke(format_args!("{}", Reason(error))),
    }
}

fn broke(why: fmt::Arguments<'_>) -> Failure {
    Failure::unreachable(format_args!("the connection to the agent broke: {why}"))
}
