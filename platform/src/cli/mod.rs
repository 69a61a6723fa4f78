//! The command line: which command, its options, its exit status.
//!
//! Results go to stdout; errors go to stderr as one line that says what was wrong, with which
//! value, and what to do.

mod agent;
mod client;
mod clock;
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
    /// Says what was wrong.
    #[inline(never)]
    fn because(self, what: fmt::Arguments<'_>) -> Self {
        complain(what);
        self
    }

    fn failed(what: fmt::Arguments<'_>) -> Self {
        Self::Failed.because(what)
    }

    fn usage(what: fmt::Arguments<'_>) -> Self {
        Self::Usage.because(what)
    }

    fn unreachable(what: fmt::Arguments<'_>) -> Self {
        Self::Unreachable.because(what)
    }
}

struct Command {
    name: &'static str,
    help: help::Text,
    flags: &'static [Flag],
    operands: Operands,
    run: fn(&Options) -> Result<(), Failure>,
}

/// The arguments of a command that are no options.
struct Operands {
    least: u8,
    most: u8,
    /// One of them, with its article.
    what: &'static str,
}

const NONE: Operands = Operands { least: 0, most: 0, what: "" };

/// As many as there are.
const MANY: u8 = u8::MAX;

/// What commands that only show something take.
const SHOW: &[Flag] = &[Flag::Json, Flag::Watch, Flag::Cluster, Flag::Api];

/// What commands that change something take.
const ASK: &[Flag] = &[Flag::Cluster, Flag::Api];

const COMMANDS: [Command; 13] = [
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
            Flag::Quiet,
            Flag::State,
            Flag::Tag,
            Flag::Json,
            Flag::Watch,
            Flag::Cluster,
            Flag::Api,
        ],
        operands: NONE,
        run: client::members,
    },
    Command {
        name: "status",
        help: help::STATUS,
        flags: &[Flag::Json, Flag::Watch, Flag::Check, Flag::Cluster, Flag::Api],
        operands: NONE,
        run: client::status,
    },
    Command {
        name: "clock",
        help: help::CLOCK,
        flags: &[Flag::Segment, Flag::Json, Flag::Watch, Flag::Cluster, Flag::Api],
        operands: NONE,
        run: clock::clock,
    },
    Command {
        name: "events",
        help: help::EVENTS,
        flags: &[Flag::Since, Flag::Json, Flag::Cluster, Flag::Api],
        operands: NONE,
        run: client::events,
    },
    Command { name: "stats", help: help::STATS, flags: SHOW, operands: NONE, run: client::stats },
    Command {
        name: "join",
        help: help::JOIN,
        flags: ASK,
        operands: Operands { least: 1, most: MANY, what: "an address" },
        run: client::join,
    },
    Command {
        name: "forget",
        help: help::FORGET,
        flags: ASK,
        operands: Operands { least: 1, most: MANY, what: "a member" },
        run: client::forget,
    },
    Command {
        name: "tag",
        help: help::TAG,
        flags: ASK,
        operands: Operands { least: 2, most: MANY, what: "a tag" },
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
        flags: &[Flag::Json, Flag::Cluster],
        operands: Operands { least: 0, most: 1, what: "" },
        run: decode::decode,
    },
    Command { name: "version", help: help::VERSION, flags: &[], operands: NONE, run: version },
];

/// Runs the program and returns its exit status.
pub(crate) fn run(mut arguments: Strings, environment: Strings) -> c_int {
    let mut see = ["", ""];
    let result = command(&mut arguments).and_then(|command| match command {
        Some(command) => {
            see = [" ", command.name];
            execute(command, arguments, environment)
        }
        None => show_help(&mut arguments),
    });
    let Err(failure) = result else { return 0 };
    if failure == Failure::Usage {
        let [space, see] = see;
        logger::print(format_args!("see: midge{space}{see} --help"));
    }
    failure as c_int
}

/// The next argument, if there is one.
fn word(arguments: &mut Strings) -> Result<Option<&'static str>, Failure> {
    match arguments.next().map(|word| word.to_str()).transpose() {
        Ok(word) => Ok(word),
        Err(_) => Err(Failure::usage(format_args!("an argument is not UTF-8"))),
    }
}

/// The command that is asked for; `None` for help.
fn command(arguments: &mut Strings) -> Result<Option<&'static Command>, Failure> {
    let name = match word(arguments)? {
        None => return Err(Failure::usage(format_args!("no command given"))),
        Some("help" | "--help" | "-h") => return Ok(None),
        Some("--version" | "-V") => "version",
        Some(name) => name,
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
    let mut count = 0;
    for operand in options.operands() {
        if count == most && most < MANY {
            return Err(Failure::usage(format_args!("unexpected argument `{operand}`")));
        }
        count = count.saturating_add(1);
    }
    if count < least {
        return Err(Failure::usage(format_args!("{what} is missing")));
    }
    options::unknown_variables(environment, &mut |name| {
        complain(format_args!("warning: MIDGE_{name} is set, but there is no such option"));
    });
    (command.run)(&options)
}

/// `midge help [COMMAND]`.
fn show_help(arguments: &mut Strings) -> Result<(), Failure> {
    print(match word(arguments)? {
        None | Some("--help" | "-h") => help::OVERVIEW,
        Some("joining") => help::JOINING,
        Some("clockbound") => help::CLOCKBOUND,
        Some(name) => find(name)?.help,
    })
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
