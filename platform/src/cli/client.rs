//! The commands that ask the agent on this host.
//!
//! The agent renders tables itself, so a client only passes on what it gets.

use core::fmt;
use std::os::fd::AsFd;

use midge::ConfigError;
use midge::config::{validate_cluster, validate_tags};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::isatty;

use super::options::{Flag, Options};
use super::response::{BUFFER_BYTES, Broken, Response, Sink, Source, error_text};
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

/// The longest request, bytes, and what of it follows the target.
pub(super) const REQUEST_BYTES: usize = 1_024;
const REST_BYTES: usize = 128;

const CLEAR_SCREEN: &[u8] = b"\x1b[H\x1b[2J";

pub(super) fn members(options: &Options) -> Result<(), Failure> {
    let mut space = [0; REQUEST_BYTES];
    let mut request = begin(&mut space, "GET /v1/members?");
    if options.has(Flag::Quiet) {
        request.push(b"quiet=1");
    }
    if let Some(states) = options.last(Flag::State) {
        argument(&mut request, "&state=", states.text);
    }
    let mut name = "&tag=";
    options.values(Flag::Tag, &mut |tag| {
        // MIDGE_TAG has the tags of the agent itself.
        if !tag.from_environment {
            argument(&mut request, core::mem::replace(&mut name, ","), tag.text);
        }
        Ok(())
    })?;
    show(options, &request)
}

pub(super) fn stats(options: &Options) -> Result<(), Failure> {
    show(options, &begin(&mut [0; REQUEST_BYTES], "GET /v1/stats"))
}

/// `status --check` shows nothing: the exit status is the answer.
pub(super) fn status(options: &Options) -> Result<(), Failure> {
    let mut space = [0; REQUEST_BYTES];
    let request = begin(&mut space, "GET /v1/status");
    if !options.has(Flag::Check) {
        return show(options, &request);
    }
    let mut space = [0; PAGE_BYTES];
    let mut status = Page::new(&mut space);
    ask(options, &request, JSON, &mut |piece| {
        status.push(piece);
        Ok(())
    })?;
    // In a string of the answer the quotes would be escaped.
    if contains(status.written(), b"\"joined\":true") { Ok(()) } else { Err(Failure::No) }
}

/// Whether an answer has this in it.
#[inline(never)]
pub(super) fn contains(answer: &[u8], what: &[u8]) -> bool {
    answer.windows(what.len()).any(|window| window == what)
}

/// Follows the events until the agent has left.
pub(super) fn events(options: &Options) -> Result<(), Failure> {
    let mut space = [0; REQUEST_BYTES];
    let mut request = begin(&mut space, "GET /v1/events?");
    if let Some(since) = options.last(Flag::Since) {
        argument(&mut request, "since=", since.text);
    }
    // An empty line says only that the agent is alive.
    let mut at_start = true;
    ask(options, &request, form(options), &mut |piece| {
        let is_empty_line = at_start && piece == b"\n";
        at_start = piece.ends_with(b"\n");
        if is_empty_line { Ok(()) } else { write(piece) }
    })
}

pub(super) fn forget(options: &Options) -> Result<(), Failure> {
    options.operands().try_for_each(|member| act(options, "POST /v1/forget?node=", member))
}

pub(super) fn log(options: &Options) -> Result<(), Failure> {
    options.operands().try_for_each(|level| act(options, "POST /v1/log?level=", level))
}

pub(super) fn leave(options: &Options) -> Result<(), Failure> {
    act(options, "POST /v1/leave", "")
}

/// `tag set KEY=VALUE ...` and `tag rm KEY ...`.
pub(super) fn tag(options: &Options) -> Result<(), Failure> {
    let start = match options.operands().next() {
        Some("set") => "POST /v1/tags?set=",
        Some("rm") => "POST /v1/tags?remove=",
        _ => return Err(Failure::usage(format_args!("say `tag set KEY=VALUE` or `tag rm KEY`"))),
    };
    // Every tag is checked before the agent hears of the first.
    for tell in [false, true] {
        let mut operands = options.operands();
        let sets = operands.next() == Some("set");
        for tag in operands {
            if tell {
                act(options, start, tag)?;
            } else if sets && !is_tag(tag) {
                let error = ConfigError::Tags;
                return Err(Failure::usage(format_args!("`{tag}` is no tag: {error}")));
            }
        }
    }
    Ok(())
}

/// Whether this is one tag.
fn is_tag(text: &str) -> bool {
    !text.is_empty() && cut(text, b',').is_none() && validate_tags(text).is_ok()
}

/// Every address is checked before the agent hears of the first.
pub(super) fn join(options: &Options) -> Result<(), Failure> {
    for tell in [false, true] {
        for operand in options.operands() {
            for host in parts(operand, b',') {
                if tell {
                    act(options, "POST /v1/join?addr=", host)?;
                } else if let Err(error) = parse_target(host, DEFAULT_PORT) {
                    return Err(Failure::usage(format_args!("`{host}`: {error}")));
                }
            }
        }
    }
    Ok(())
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

/// The form of the answer that is asked for.
pub(super) fn form(options: &Options) -> &'static str {
    if options.has(Flag::Json) { JSON } else { TEXT }
}

/// Begins a request: the method and the target, or how it begins.
#[inline(never)]
pub(super) fn begin<'s>(space: &'s mut [u8; REQUEST_BYTES], start: &str) -> Page<'s> {
    let mut request = Page::new(space);
    request.push(start.as_bytes());
    request
}

/// Appends an argument of a query, percent-encoded where it must be (RFC 3986 section 3.4).
fn argument(request: &mut Page<'_>, name: &str, value: &str) {
    request.push(name.as_bytes());
    for &byte in value.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~=,:[]".contains(&byte) {
            request.push(&[byte]);
        } else {
            request.push(b"%");
            request.hex(u64::from(byte), 2);
        }
    }
}

/// Makes a request that changes something, with one argument, and prints the answer.
#[inline(never)]
fn act(options: &Options, start: &str, value: &str) -> Result<(), Failure> {
    let mut space = [0; REQUEST_BYTES];
    let mut request = begin(&mut space, "");
    argument(&mut request, start, value);
    ask(options, &request, TEXT, &mut write)
}

/// Prints what the agent answers, again and again if asked to.
pub(super) fn show(options: &Options, request: &Page<'_>) -> Result<(), Failure> {
    repeat(options, &mut |sink| ask(options, request, form(options), sink))
}

/// Prints what `get` hands over, again and again if asked to.
pub(super) fn repeat(
    options: &Options,
    get: &mut dyn FnMut(&mut Sink<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let watch = options.has(Flag::Watch);
    // Cleared is a terminal; what is read by a program gets an empty line in between.
    let clear = watch && isatty(os::stdout()) == Ok(true);
    let mut before: &[u8] = if clear { CLEAR_SCREEN } else { b"" };
    loop {
        // Only when there is something to show in its place.
        get(&mut |piece| {
            write(core::mem::take(&mut before))?;
            write(piece)
        })?;
        if !watch {
            return Ok(());
        }
        // Nothing to wait for but the time, or the end of whoever reads.
        let mut fds = [PollFd::new(os::stdout(), PollFlags::empty())];
        if poll(&mut fds, PollTimeout::from(WATCH_INTERVAL_MS)).is_ok_and(|ended| ended > 0) {
            return Err(Failure::OutputClosed);
        }
        before = if clear { CLEAR_SCREEN } else { b"\n" };
    }
}

/// Sends a request to the agent and hands the body of its answer to `sink`. An error of the agent
/// becomes a failure with its text.
#[inline(never)]
pub(super) fn ask(
    options: &Options,
    start: &Page<'_>,
    accept: &str,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    if start.is_overfull() {
        return Err(Failure::usage(format_args!("an argument is too long")));
    }
    let stream = connect_to_first(&api_paths(options, cluster(options)?)?)?;
    let mut space = [0; REQUEST_BYTES + REST_BYTES];
    let mut request = Page::new(&mut space);
    request.push(start.written());
    request.push(b" HTTP/1.1\r\nHost: midge\r\nContent-Length: 0\r\nConnection: close\r\nAccept: ");
    request.push(accept.as_bytes());
    request.push(b"\r\n\r\n");
    // So short a request fits into the buffer of a new connection.
    stream.send(request.written()).map_err(|error| explain(Broken::System(error)))?;
    let mut read = |space: &mut [u8]| receive(&stream, space);
    pass_on(&mut read, sink).map_err(explain)
}

/// Connects to the agent: at the first of these paths where one listens. An agent that is stopped
/// has a listener, too, and its queue may be full; so connecting must not block, and reading has its
/// limit.
fn connect_to_first(paths: &SocketPaths) -> Result<Socket, Failure> {
    let mut reasons = [None, None];
    for (path, reason) in [Some(&paths.first), paths.second.as_ref()].iter().zip(&mut reasons) {
        let Some(path) = path else { break };
        match connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) => *reason = Some(NotThere(path, error)),
        }
    }
    Err(Failure::unreachable(format_args!(
        "no agent: {}. Is one running? Say which with --cluster or --api",
        Nowhere(&reasons)
    )))
}

/// Why there is no connection to a path.
struct NotThere<'a>(&'a SocketPath, Errno);

/// Why there is none to any of them.
struct Nowhere<'a>(&'a [Option<NotThere<'a>>]);

impl fmt::Display for Nowhere<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for NotThere(path, error) in self.0.iter().flatten() {
            write!(f, "{separator}{path}: {}", Reason(*error))?;
            separator = "; ";
        }
        Ok(())
    }
}

fn connect(path: &SocketPath) -> Result<Socket, Errno> {
    let c_path = path.c_path().ok_or(Errno::ENAMETOOLONG)?;
    Socket::connect_unix(c_path.as_c_str())
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
    let mut buffer = [0; BUFFER_BYTES];
    let response = Response::read(source, &mut buffer)?;
    if response.status < 300 {
        return response.body(sink);
    }
    let mut space = [0; PAGE_BYTES];
    let is_usage = response.status == 400;
    let verb = if response.status < 500 { "refuses" } else { "says" };
    let text = error_text(response.beginning(&mut space)?).unwrap_or("it does not say why");
    complain(format_args!("the agent {verb}: {text}"));
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
