//! The command line: which command, its options, its exit status.
//!
//! Results go to stdout; errors go to stderr as one line that says what was wrong, with which
//! value, and what to do.

mod agent;
mod client;
mod help;
pub(crate) mod options;
mod response;

use std::io;
use std::process::ExitCode;

use lexopt::{Arg, Parser};
use nix::errno::Errno;

use crate::os;
use options::{Flag, Options};

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was tried and did not work.
    Failed(String),
    /// The arguments are wrong.
    Usage(String),
    /// The answer is no.
    No,
    /// There is no agent to ask.
    Unreachable(String),
    /// Nobody reads the output any more, as behind `head`. That is no error.
    OutputClosed,
}

impl Failure {
    fn status(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::No => 3,
            Self::Unreachable(_) => 4,
        }
    }
}

struct Command {
    name: &'static str,
    help: &'static str,
    flags: &'static [&'static Flag],
    /// How many operands it takes: the fewest and the most.
    operands: (usize, usize),
    run: fn(&Options) -> Result<(), Failure>,
}

const COMMANDS: [Command; 6] = [
    Command {
        name: "agent",
        help: help::AGENT,
        flags: agent::FLAGS,
        operands: (0, 0),
        run: agent::run,
    },
    Command {
        name: "members",
        help: help::MEMBERS,
        flags: &[options::QUIET, options::JSON, options::WATCH, options::CLUSTER, options::API],
        operands: (0, 0),
        run: client::members,
    },
    Command {
        name: "status",
        help: help::STATUS,
        flags: &[options::JSON, options::WATCH, options::CHECK, options::CLUSTER, options::API],
        operands: (0, 0),
        run: client::status,
    },
    Command {
        name: "join",
        help: help::JOIN,
        flags: &[options::CLUSTER, options::API],
        operands: (1, usize::MAX),
        run: client::join,
    },
    Command {
        name: "leave",
        help: help::LEAVE,
        flags: &[options::CLUSTER, options::API],
        operands: (0, 0),
        run: client::leave,
    },
    Command { name: "version", help: help::VERSION, flags: &[], operands: (0, 0), run: version },
];

/// Runs the program with the arguments and the environment of this process.
pub(crate) fn run() -> ExitCode {
    let mut parser = Parser::from_env();
    match dispatch(&mut parser) {
        Ok(()) => ExitCode::SUCCESS,
        Err((failure, see)) => {
            let status = failure.status();
            match failure {
                Failure::Usage(message) => complain(&format!("{message}\nsee: {see} --help")),
                Failure::Failed(message) | Failure::Unreachable(message) => complain(&message),
                Failure::No | Failure::OutputClosed => {}
            }
            ExitCode::from(status)
        }
    }
}

/// A failure comes with the command whose help tells more.
fn dispatch(parser: &mut Parser) -> Result<(), (Failure, String)> {
    let usage = |message: String| (Failure::Usage(message), "midge".to_string());
    let name = match parser.next() {
        Ok(Some(Arg::Value(name))) => options::text(name).map_err(usage)?,
        Ok(Some(Arg::Long("help") | Arg::Short('h'))) => "help".into(),
        Ok(Some(Arg::Long("version") | Arg::Short('V'))) => "version".into(),
        Ok(Some(Arg::Long(option))) => {
            return Err(usage(format!("--{option}: the command comes first, then its options")));
        }
        Ok(Some(Arg::Short(option))) => {
            return Err(usage(format!("-{option}: the command comes first, then its options")));
        }
        Ok(None) | Err(_) => return Err(usage("no command given".into())),
    };
    if name == "help" {
        return show_help(parser).map_err(|failure| (failure, "midge".into()));
    }
    let Some(command) = find(&name) else {
        return Err(usage(format!("unknown command `{name}`")));
    };
    execute(command, parser).map_err(|failure| (failure, format!("midge {}", command.name)))
}

fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.name == name)
}

fn execute(command: &'static Command, parser: &mut Parser) -> Result<(), Failure> {
    let options = Options::read(parser, command.flags, std::env::vars_os());
    let options = options.map_err(Failure::Usage)?;
    if options.help {
        return print(command.help);
    }
    let (fewest, most) = command.operands;
    if options.operands.len() < fewest {
        return Err(Failure::Usage("an address is missing".into()));
    }
    if let Some(excess) = options.operands.get(most) {
        return Err(Failure::Usage(format!("unexpected argument `{excess}`")));
    }
    for name in options::unknown_variables(std::env::vars_os()) {
        complain(&format!("warning: {name} is set, but there is no such option"));
    }
    (command.run)(&options)
}

/// `midge help [COMMAND]`.
fn show_help(parser: &mut Parser) -> Result<(), Failure> {
    match parser.next() {
        Ok(Some(Arg::Value(name))) => {
            let name = options::text(name).map_err(Failure::Usage)?;
            let command = find(&name);
            let command =
                command.ok_or_else(|| Failure::Usage(format!("unknown command `{name}`")))?;
            print(command.help)
        }
        _ => print(help::OVERVIEW),
    }
}

fn version(_: &Options) -> Result<(), Failure> {
    print(concat!("midge ", env!("CARGO_PKG_VERSION"), "\n"))
}

/// Writes to stdout.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    write(text.as_bytes())
}

/// Writes bytes to stdout.
fn write(bytes: &[u8]) -> Result<(), Failure> {
    os::write_all(os::stdout(), bytes).map_err(|error| match error {
        Errno::EPIPE => Failure::OutputClosed,
        // nix would bring its own texts of all errors.
        _ => Failure::Failed(format!("cannot write to stdout: {}", io::Error::from(error))),
    })
}

/// Writes `midge: MESSAGE` to stderr.
fn complain(message: &str) {
    // In one piece, so that it does not mix with lines of other processes. If stderr is closed,
    // the exit status has to do.
    let _ = os::write_all(os::stderr(), format!("midge: {message}\n").as_bytes());
}
