//! From raw arguments to the options of a command.
//!
//! Every long option can also be given in the environment as `MIDGE_<OPTION>`; what is on the
//! command line comes first. An option that takes a list may be repeated, and its values may be
//! separated by commas.
//!
//! Nothing is collected: the arguments are looked through whenever an option is asked for. Why not
//! an argument parser: `docs/decisions/without-a-runtime.md`.

use core::fmt::{self, Write as _};

use super::Failure;
use crate::os::Strings;
use crate::text::{cut, parts};

/// An option that a command may take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flag {
    /// Its name, without the dashes.
    pub(crate) long: &'static str,
    /// Its one-letter form.
    pub(crate) short: Option<char>,
    /// Whether it takes a value.
    pub(crate) takes_value: bool,
}

const fn value(long: &'static str) -> Flag {
    Flag { long, short: None, takes_value: true }
}

const fn switch(long: &'static str, short: Option<char>) -> Flag {
    Flag { long, short, takes_value: false }
}

pub(crate) const BIND: &Flag = &value("bind");
pub(crate) const ADVERTISE: &Flag = &value("advertise");
pub(crate) const NAME: &Flag = &value("name");
pub(crate) const TAG: &Flag = &value("tag");
pub(crate) const CLUSTER: &Flag = &value("cluster");
pub(crate) const JOIN: &Flag = &value("join");
pub(crate) const STATE_DIR: &Flag = &value("state-dir");
pub(crate) const JOIN_FILE: &Flag = &value("join-file");
pub(crate) const ALLOW_CIDR: &Flag = &value("allow-cidr");
pub(crate) const DNS: &Flag = &value("dns");
pub(crate) const PERIOD: &Flag = &value("period");
pub(crate) const API: &Flag = &value("api");
pub(crate) const HTTP: &Flag = &value("http");
pub(crate) const METRICS: &Flag = &value("metrics");
pub(crate) const API_GROUP: &Flag = &value("api-group");
pub(crate) const API_MODE: &Flag = &value("api-mode");
pub(crate) const ON_EVENT: &Flag = &value("on-event");
pub(crate) const JOIN_CMD: &Flag = &value("join-cmd");
pub(crate) const LOG: &Flag = &value("log");
pub(crate) const STATE: &Flag = &value("state");
pub(crate) const SINCE: &Flag = &value("since");
pub(crate) const JSON: &Flag = &switch("json", None);
pub(crate) const WATCH: &Flag = &switch("watch", None);
pub(crate) const QUIET: &Flag = &switch("quiet", Some('q'));
pub(crate) const CHECK: &Flag = &switch("check", None);
/// Every command takes it.
pub(crate) const HELP: &Flag = &switch("help", Some('h'));

const ALL: [&Flag; 25] = [
    STATE_DIR, BIND, ADVERTISE, NAME, TAG, CLUSTER, JOIN, JOIN_FILE, DNS, ALLOW_CIDR, PERIOD, API,
    API_GROUP, API_MODE, ON_EVENT, JOIN_CMD, HTTP, METRICS, LOG, STATE, SINCE, JSON, WATCH, QUIET,
    CHECK,
];

/// What a command was given, checked as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    arguments: Strings,
    flags: &'static [&'static Flag],
    pub(crate) environment: Strings,
}

/// A value and where it came from. As text it is how a message about it begins: `` --bind: `x` ``
/// or `` MIDGE_BIND: `x` ``.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) text: &'static str,
    flag: &'static Flag,
    /// It is the value of a variable.
    pub(crate) from_environment: bool,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from_environment {
            f.write_str(PREFIX)?;
            self.flag.long.bytes().try_for_each(|byte| f.write_char(upper(byte) as char))?;
        } else {
            f.write_str("--")?;
            f.write_str(self.flag.long)?;
        }
        write!(f, ": `{}`", self.text)
    }
}

/// What is wrong with the arguments or the environment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slip {
    Encoding,
    /// The value of a variable, by what follows `MIDGE_`.
    VariableEncoding(&'static str),
    UnknownLong(&'static str),
    UnknownShort(&'static str),
    /// The option needs a value.
    NoValue(&'static str),
    /// The option takes none.
    NeedlessValue(&'static str),
    /// A switch in the environment.
    NotYesOrNo(Value),
}

impl fmt::Display for Slip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding => f.write_str("an argument is not UTF-8"),
            Self::VariableEncoding(name) => write!(f, "{PREFIX}{name}: the value is not UTF-8"),
            Self::UnknownLong(name) => write!(f, "unknown option --{name}"),
            Self::UnknownShort(letter) => write!(f, "unknown option -{letter}"),
            Self::NoValue(name) => write!(f, "--{name}: the value is missing"),
            Self::NeedlessValue(name) => write!(f, "--{name} takes no value"),
            Self::NotYesOrNo(value) => write!(f, "{value} is not yes or no"),
        }
    }
}

impl Options {
    /// Only the flags of the command are accepted in the arguments; the environment may hold
    /// options of other commands.
    pub(crate) fn read(
        arguments: Strings,
        flags: &'static [&'static Flag],
        environment: Strings,
    ) -> Result<Self, Slip> {
        let options = Self { arguments, flags, environment };
        for argument in options.walk() {
            argument?;
        }
        for (name, value) in variables(environment) {
            if value.is_none() && flags.iter().any(|flag| is_variable(name, flag)) {
                return Err(Slip::VariableEncoding(name));
            }
        }
        for flag in flags {
            if let Some(value) = options.last(flag)
                && !flag.takes_value
                && is_on(value.text).is_none()
            {
                return Err(Slip::NotYesOrNo(value));
            }
        }
        Ok(options)
    }

    /// Whether a switch is on.
    pub(crate) fn has(&self, flag: &'static Flag) -> bool {
        self.last(flag).is_some_and(|value| is_on(value.text) == Some(true))
    }

    /// Whether the arguments ask for help; a variable cannot.
    pub(crate) fn wants_help(&self) -> bool {
        self.last(HELP).is_some_and(|value| !value.from_environment)
    }

    /// The value of an option: the last one given.
    pub(crate) fn last(&self, flag: &'static Flag) -> Option<Value> {
        let mut last = None;
        for argument in self.walk() {
            if let Ok(Argument::Option(given, text)) = argument
                && given == flag
            {
                last = Some(Value { text, flag, from_environment: false });
            }
        }
        last.or_else(|| self.variable(flag))
    }

    /// Hands over every item of an option that takes a list.
    pub(crate) fn items(
        &self,
        flag: &'static Flag,
        take: &mut dyn FnMut(Value) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut given = false;
        for argument in self.walk() {
            if let Ok(Argument::Option(of, text)) = argument
                && of == flag
            {
                given = true;
                for text in parts(text, b',') {
                    take(Value { text, flag, from_environment: false })?;
                }
            }
        }
        if !given && let Some(value) = self.variable(flag) {
            for text in parts(value.text, b',') {
                take(Value { text, ..value })?;
            }
        }
        Ok(())
    }

    /// Arguments that are no options.
    pub(crate) fn operands(&self) -> impl Iterator<Item = &'static str> {
        self.walk().filter_map(|argument| match argument {
            Ok(Argument::Operand(text)) => Some(text),
            _ => None,
        })
    }

    fn variable(&self, flag: &'static Flag) -> Option<Value> {
        let mut variables = variables(self.environment);
        let (_, text) = variables.find(|(name, _)| is_variable(name, flag))?;
        // `read` has seen to it that it is UTF-8.
        let text = text?;
        (!text.is_empty()).then_some(Value { text, flag, from_environment: true })
    }

    fn walk(&self) -> Walk {
        Walk { rest: self.arguments, flags: self.flags, letters: "", only_operands: false }
    }
}

enum Argument {
    Option(&'static Flag, &'static str),
    Operand(&'static str),
}

/// Looks through the arguments.
struct Walk {
    rest: Strings,
    flags: &'static [&'static Flag],
    /// The rest of one-letter options in one argument, as in `-qh`.
    letters: &'static str,
    /// `--` has come.
    only_operands: bool,
}

impl Walk {
    fn text(&mut self) -> Option<Result<&'static str, Slip>> {
        self.rest.next().map(|argument| argument.to_str().map_err(|_| Slip::Encoding))
    }

    fn flag(&self, is_it: impl Fn(&Flag) -> bool) -> Option<&'static Flag> {
        if is_it(HELP) {
            return Some(HELP);
        }
        self.flags.iter().copied().find(|flag| is_it(flag))
    }

    /// `name` or `name=value`.
    fn long(&mut self, option: &'static str) -> Result<Argument, Slip> {
        let (name, value) = match cut(option, b'=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let flag = self.flag(|flag| flag.long == name).ok_or(Slip::UnknownLong(name))?;
        let value = match (flag.takes_value, value) {
            (true, Some(value)) => value,
            (true, None) => self.text().ok_or(Slip::NoValue(name))??,
            (false, Some(_)) => return Err(Slip::NeedlessValue(name)),
            (false, None) => ON,
        };
        Ok(Argument::Option(flag, value))
    }
}

impl Iterator for Walk {
    type Item = Result<Argument, Slip>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(first) = self.letters.chars().next() {
                let (letter, rest) = self.letters.split_at(first.len_utf8());
                self.letters = rest;
                let flag = self.flag(|flag| flag.short == Some(first));
                let option = flag.map(|flag| Argument::Option(flag, ON));
                return Some(option.ok_or(Slip::UnknownShort(letter)));
            }
            let argument = match self.text()? {
                Ok(argument) => argument,
                Err(slip) => return Some(Err(slip)),
            };
            match argument.as_bytes() {
                [b'-', _, ..] if self.only_operands => {}
                [b'-', b'-'] => {
                    self.only_operands = true;
                    continue;
                }
                [b'-', b'-', ..] => return Some(self.long(&argument[2..])),
                [b'-', _, ..] => {
                    self.letters = &argument[1..];
                    continue;
                }
                _ => {}
            }
            return Some(Ok(Argument::Operand(argument)));
        }
    }
}

/// The value of a switch that is given on the command line.
const ON: &str = "yes";

fn is_on(value: &str) -> Option<bool> {
    match value {
        "1" | "true" | ON => Some(true),
        "0" | "false" | "no" => Some(false),
        _ => None,
    }
}

/// How the environment's names of options begin.
const PREFIX: &str = "MIDGE_";

fn upper(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte.to_ascii_uppercase() }
}

/// Whether this is what follows `MIDGE_` in the name of an option's variable.
fn is_variable(name: &str, flag: &Flag) -> bool {
    name.len() == flag.long.len() && name.bytes().eq(flag.long.bytes().map(upper))
}

/// The variables that begin with `MIDGE_`: what follows that, and their values where they are
/// UTF-8.
fn variables(environment: Strings) -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    environment.filter_map(|entry| {
        let entry = entry.to_bytes().strip_prefix(PREFIX.as_bytes())?;
        let end = entry.iter().position(|byte| *byte == b'=')?;
        let name = str::from_utf8(&entry[..end]).ok()?;
        Some((name, str::from_utf8(&entry[end + 1..]).ok()))
    })
}

/// The `MIDGE_` variables that mean nothing to any command, in case one is a slip of the pen;
/// what follows the prefix. Passed over are what Kubernetes sets for a service called midge, and
/// what hooks and commands run by midge find in their environment.
pub(crate) fn unknown_variables(environment: Strings) -> impl Iterator<Item = &'static str> {
    variables(environment).map(|(name, _)| name).filter(|name| {
        let foreign = ["PORT", "EVENT_"].iter().any(|prefix| name.starts_with(prefix))
            || name.as_bytes().windows(7).any(|part| part == b"SERVICE")
            || *name == "TOKEN";
        !foreign && !ALL.iter().any(|flag| is_variable(name, flag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[&Flag] = &[CLUSTER, JOIN, PERIOD, JSON, QUIET];

    fn read(arguments: &[&str], environment: &[&str]) -> Result<Options, String> {
        let (arguments, environment) = (Strings::leak(arguments), Strings::leak(environment));
        Options::read(arguments, FLAGS, environment).map_err(|slip| slip.to_string())
    }

    fn items(options: &Options, flag: &'static Flag) -> Vec<&'static str> {
        let mut items = Vec::new();
        options
            .items(flag, &mut |value| {
                items.push(value.text);
                Ok(())
            })
            .unwrap();
        items
    }

    #[test]
    fn the_command_line_comes_before_the_environment() {
        let environment = ["MIDGE_CLUSTER=env", "MIDGE_JOIN=a,b", "MIDGE_JSON=1"];
        let options = read(&["--cluster", "arg", "-q"], &environment).unwrap();
        assert_eq!(options.last(CLUSTER).unwrap().text, "arg");
        assert_eq!(items(&options, JOIN), ["a", "b"]);
        assert!(options.has(JSON) && options.has(QUIET) && options.last(PERIOD).is_none());
    }

    #[test]
    fn switches_in_the_environment_can_be_off_and_options_empty() {
        let options = read(&[], &["MIDGE_JSON=no", "MIDGE_QUIET=true", "MIDGE_PERIOD="]).unwrap();
        assert!(!options.has(JSON) && options.has(QUIET) && options.last(PERIOD).is_none());
        assert!(read(&["--json"], &["MIDGE_JSON=0"]).unwrap().has(JSON));
    }

    #[test]
    fn lists_may_be_repeated_and_separated_by_commas() {
        let options = read(&["--join=a,b", "--join", "c", "operand"], &["MIDGE_JOIN=d"]).unwrap();
        assert_eq!(items(&options, JOIN), ["a", "b", "c"]);
        assert_eq!(options.last(JOIN).unwrap().text, "c");
        assert!(options.operands().eq(["operand"]));
    }

    #[test]
    fn dashes_of_every_kind() {
        let options = read(&["-", "-hq", "--period=-5=", "--", "-x", "--json"], &[]).unwrap();
        assert!(options.operands().eq(["-", "-x", "--json"]));
        assert!(options.has(HELP) && options.has(QUIET) && !options.has(JSON));
        assert_eq!(options.last(PERIOD).unwrap().text, "-5=");
    }

    #[test]
    fn slips_are_named() {
        for (arguments, environment, message) in [
            (&["--nonsense"][..], &[][..], "unknown option --nonsense"),
            (&["--check"], &[], "unknown option --check"),
            (&["-x"], &[], "unknown option -x"),
            (&["-qx"], &[], "unknown option -x"),
            (&["--period"], &[], "--period: the value is missing"),
            (&["--json=5"], &[], "--json takes no value"),
            (&[], &["MIDGE_JSON=perhaps"], "MIDGE_JSON: `perhaps` is not yes or no"),
        ] {
            assert_eq!(read(arguments, environment).err().as_deref(), Some(message));
        }
    }

    #[test]
    fn only_slips_among_variables_are_reported() {
        let environment = [
            "MIDGE_CLSTER=x",
            "MIDGE_CLUSTER=x",
            "MIDGE_PORT=x",
            "MIDGE_PORT_6434_UDP=x",
            "MIDGE_PORT_6434_UDP_ADDR=x",
            "MIDGE_SERVICE_HOST=x",
            "MIDGE_METRICS_SERVICE_PORT=x",
            "MIDGE_EVENT_NAME=x",
            "MIDGE_TOKEN=x",
            "HOME=x",
        ];
        assert!(unknown_variables(Strings::leak(&environment)).eq(["CLSTER"]));
    }
}
