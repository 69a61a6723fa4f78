//! The command line: which command, its options, its exit status.
//!
//! Results go to stdout; errors go to stderr as one line that says what was wrong, with which
//! value, and what to do.

mod agent;
mod client;
mod decode;
mod help;
pub mod manual;
mod options;
mod response;

use core::fmt;
use std::ffi::c_int;

use nix::errno::Errno;

use crate::logger::{self, complain};
use crate::os::{self, Reason, Strings};
use options::{Flag, Options};

/// Why a command did not succeed, as its exit status. What was wrong has been said on stderr by
/// whoever made this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody reads the output any more, as behind `head`. That is no error.
    OutputClosed = 0,
    /// It was tried and did not work.
    Failed = 1,
    /// The arguments are wrong.
    Usage = 2,
    /// The answer is no.
    No = 3,
    /// There is no agent to ask.
    Unreachable = 4,
}

impl Failure {
    fn failed(what: fmt::Arguments<'_>) -> Self {
        complain(what);
        Self::Failed
    }

    fn usage(what: fmt::Arguments<'_>) -> Self {
        complain(what);
        Self::Usage
    }

    fn unreachable(what: fmt::Arguments<'_>) -> Self {
        complain(what);
        Self::Unreachable
    }
}

struct Command {
    name: &'static str,
    help: help::Text,
    flags: &'static [&'static Flag],
    operands: Operands,
    run: fn(&Options) -> Result<(), Failure>,
}

/// The arguments of a command that are no options.
struct Operands {
    least: usize,
    most: usize,
    /// One of them, with its article.
    what: &'static str,
}

const NONE: Operands = Operands { least: 0, most: 0, what: "" };

/// What commands that only show something take.
const SHOW: &[&Flag] = &[options::JSON, options::WATCH, options::CLUSTER, options::API];

/// What commands that change something take.
const ASK: &[&Flag] = &[options::CLUSTER, options::API];

const COMMANDS: [Command; 12] = [
    Command {
        name: "agent",
        help: help::AGENT,
        flags: agent::FLAGS,
        operands: NONE,
        run: agent::run,
    },
    Command {
        name: "members",
        help: help::MEMBERS,
        flags: &[
            options::QUIET,
            options::STATE,
            options::TAG,
            options::JSON,
            options::WATCH,
            options::CLUSTER,
            options::API,
        ],
        operands: NONE,
        run: client::members,
    },
    Command {
        name: "status",
        help: help::STATUS,
        flags: &[options::JSON, options::WATCH, options::CHECK, options::CLUSTER, options::API],
        operands: NONE,
        run: client::status,
    },
    Command {
        name: "events",
        help: help::EVENTS,
        flags: &[options::SINCE, options::JSON, options::CLUSTER, options::API],
        operands: NONE,
        run: client::events,
    },
    Command { name: "stats", help: help::STATS, flags: SHOW, operands: NONE, run: client::stats },
    Command {
        name: "join",
        help: help::JOIN,
        flags: ASK,
        operands: Operands { least: 1, most: usize::MAX, what: "an address" },
        run: client::join,
    },
    Command {
        name: "forget",
        help: help::FORGET,
        flags: ASK,
        operands: Operands { least: 1, most: usize::MAX, what: "a member" },
        run: client::forget,
    },
    Command {
        name: "tag",
        help: help::TAG,
        flags: ASK,
        operands: Operands { least: 2, most: usize::MAX, what: "a tag" },
        run: client::tag,
    },
    Command {
        name: "log",
        help: help::LOG,
        flags: ASK,
        operands: Operands { least: 1, most: 1, what: "a level" },
        run: client::log,
    },
    Command { name: "leave", help: help::LEAVE, flags: ASK, operands: NONE, run: client::leave },
    Command {
        name: "decode",
        help: help::DECODE,
        flags: &[options::JSON, options::CLUSTER],
        operands: Operands { least: 0, most: 1, what: "" },
        run: decode::decode,
    },
    Command { name: "version", help: help::VERSION, flags: &[], operands: NONE, run: version },
];

/// Runs the program and returns its exit status.
pub(crate) fn run(mut arguments: Strings, environment: Strings) -> c_int {
    let mut see = "";
    let result = match command(&mut arguments) {
        Ok(Some(command)) => {
            see = command.name;
            execute(command, arguments, environment)
        }
        Ok(None) => show_help(arguments),
        Err(failure) => Err(failure),
    };
    match result {
        Ok(()) => 0,
        Err(failure) => {
            if failure == Failure::Usage {
                let space = if see.is_empty() { "" } else { " " };
                logger::print(format_args!("see: midge{space}{see} --help"));
            }
            failure as c_int
        }
    }
}

/// The command that is asked for; `None` for help.
fn command(arguments: &mut Strings) -> Result<Option<&'static Command>, Failure> {
    let name = arguments.next().map(|name| name.to_str());
    let name = match name {
        None => return Err(Failure::usage(format_args!("no command given"))),
        Some(Err(_)) => return Err(Failure::usage(format_args!("an argument is not UTF-8"))),
        Some(Ok("help" | "--help" | "-h")) => return Ok(None),
        Some(Ok("--version" | "-V")) => "version",
        Some(Ok(name)) => name,
    };
    if name.starts_with('-') {
        return Err(Failure::usage(format_args!(
            "{name}: the command comes first, then its options"
        )));
    }
    find(name).map(Some)
}

fn find(name: &str) -> Result<&'static Command, Failure> {
    let command = COMMANDS.iter().find(|command| command.name == name);
    command.ok_or_else(|| Failure::usage(format_args!("unknown command `{name}`")))
}

fn execute(command: &Command, arguments: Strings, environment: Strings) -> Result<(), Failure> {
    let options = Options::read(arguments, command.flags, environment)
        .map_err(|slip| Failure::usage(format_args!("{slip}")))?;
    if options.wants_help() {
        return print(command.help);
    }
    let Operands { least, most, what } = command.operands;
    if let Some(excess) = options.operands().nth(most) {
        return Err(Failure::usage(format_args!("unexpected argument `{excess}`")));
    }
    if options.operands().count() < least {
        return Err(Failure::usage(format_args!("{what} is missing")));
    }
    for name in options::unknown_variables(environment) {
        complain(format_args!("warning: MIDGE_{name} is set, but there is no such option"));
    }
    (command.run)(&options)
}

/// `midge help [COMMAND]`.
fn show_help(mut arguments: Strings) -> Result<(), Failure> {
    match arguments.next().map(|name| name.to_str()) {
        None | Some(Ok("--help" | "-h")) => print(help::OVERVIEW),
        Some(Ok("joining")) => print(help::JOINING),
        Some(name) => print(find(name.unwrap_or_default())?.help),
    }
}

fn version(_: &Options) -> Result<(), Failure> {
    print(&[concat!("midge ", env!("CARGO_PKG_VERSION"), "\n")])
}

/// Writes to stdout.
fn print(parts: &[&str]) -> Result<(), Failure> {
    parts.iter().try_for_each(|part| write(part.as_bytes()))
}

fn write(bytes: &[u8]) -> Result<(), Failure> {
    os::write_all(os::stdout(), bytes).map_err(|error| match error {
        Errno::EPIPE => Failure::OutputClosed,
        _ => Failure::failed(format_args!("cannot write to stdout: {}", Reason(error))),
    })
}
