//! From raw arguments to the options of a command.
//!
//! Every long option can also be given in the environment as `MIDGE_<OPTION>`; what is on the
//! command line comes first. An option that takes a list may be repeated, and its values may be
//! separated by commas.

use std::ffi::OsString;

use lexopt::{Arg, Parser};

/// An option that a command may take.
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
pub(crate) const PERIOD: &Flag = &value("period");
pub(crate) const API: &Flag = &value("api");
pub(crate) const LOG: &Flag = &value("log");
pub(crate) const JSON: &Flag = &switch("json", None);
pub(crate) const WATCH: &Flag = &switch("watch", None);
pub(crate) const QUIET: &Flag = &switch("quiet", Some('q'));
pub(crate) const CHECK: &Flag = &switch("check", None);

const ALL: [&Flag; 13] =
    [BIND, ADVERTISE, NAME, TAG, CLUSTER, JOIN, PERIOD, API, LOG, JSON, WATCH, QUIET, CHECK];

/// One value of one option.
struct Given {
    flag: &'static str,
    value: String,
    from_environment: bool,
}

/// What a command was given.
pub(crate) struct Options {
    given: Vec<Given>,
    /// Arguments that are no options.
    pub(crate) operands: Vec<String>,
    /// `--help` was among them.
    pub(crate) help: bool,
}

/// A value and where it came from, for messages.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    pub(crate) text: &'a str,
    flag: &'static str,
    from_environment: bool,
}

impl Value<'_> {
    /// `--bind: WHAT`, or `MIDGE_BIND: WHAT`: a message about this value.
    pub(crate) fn complain(&self, what: &str) -> String {
        if self.from_environment {
            format!("{}: {what}", variable(self.flag))
        } else {
            format!("--{}: {what}", self.flag)
        }
    }
}

impl Options {
    /// Reads the rest of the command line and the environment. Only the flags of the command are
    /// accepted on the command line; the environment may hold options of other commands.
    pub(crate) fn read(
        parser: &mut Parser,
        flags: &[&'static Flag],
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, String> {
        let mut options = Self { given: Vec::new(), operands: Vec::new(), help: false };
        while let Some(arg) = parser.next().map_err(|e| explain(&e))? {
            let found = match &arg {
                Arg::Value(_) => None,
                Arg::Short(letter) => flags.iter().find(|f| f.short == Some(*letter)),
                Arg::Long(name) => flags.iter().find(|f| f.long == *name),
            };
            match (found, arg) {
                (Some(flag), _) => options.take(flag, parser)?,
                (None, Arg::Long("help") | Arg::Short('h')) => options.help = true,
                (None, Arg::Value(operand)) => options.operands.push(text(operand)?),
                (None, Arg::Short(letter)) => return Err(format!("unknown option -{letter}")),
                (None, Arg::Long(name)) => return Err(format!("unknown option --{name}")),
            }
        }
        options.read_environment(flags, environment)?;
        Ok(options)
    }

    fn take(&mut self, flag: &'static Flag, parser: &mut Parser) -> Result<(), String> {
        let value = if flag.takes_value {
            text(parser.value().map_err(|_| format!("--{}: the value is missing", flag.long))?)?
        } else {
            String::new()
        };
        self.given.push(Given { flag: flag.long, value, from_environment: false });
        Ok(())
    }

    fn read_environment(
        &mut self,
        flags: &[&'static Flag],
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(), String> {
        for (name, value) in environment {
            let Some(name) = name.to_str().filter(|n| n.starts_with("MIDGE_")) else { continue };
            let Some(flag) = flags.iter().find(|f| variable(f.long) == name) else { continue };
            if value.is_empty() || self.last(flag).is_some() {
                continue;
            }
            let value = value.into_string().map_err(|_| format!("{name}: not UTF-8"))?;
            let value = match (flag.takes_value, value.as_str()) {
                (true, _) => value,
                (false, "1" | "true" | "yes") => String::new(),
                (false, "0" | "false" | "no") => continue,
                (false, _) => return Err(format!("{name}: `{value}` is not yes or no")),
            };
            self.given.push(Given { flag: flag.long, value, from_environment: true });
        }
        Ok(())
    }

    /// Whether a switch is on.
    pub(crate) fn has(&self, flag: &'static Flag) -> bool {
        self.last(flag).is_some()
    }

    /// The value of an option: the last one given.
    pub(crate) fn last(&self, flag: &'static Flag) -> Option<Value<'_>> {
        self.all(flag).last()
    }

    /// Every value of an option that may be repeated.
    pub(crate) fn all(&self, flag: &'static Flag) -> impl Iterator<Item = Value<'_>> {
        let of_flag = self.given.iter().filter(|g| g.flag == flag.long);
        of_flag.map(|g| Value {
            text: &g.value,
            flag: g.flag,
            from_environment: g.from_environment,
        })
    }

    /// Every item of an option that takes a list.
    pub(crate) fn items(&self, flag: &'static Flag) -> impl Iterator<Item = Value<'_>> {
        self.all(flag).flat_map(|v| v.text.split(',').map(move |text| Value { text, ..v }))
    }
}

/// The `MIDGE_` variables that mean nothing to any command, in case one is a slip of the pen.
/// Passed over are what Kubernetes sets for a service called midge, what hooks and commands run
/// by midge find in their environment, and what the tests of midge use.
pub(crate) fn unknown_variables(
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = String> {
    environment.filter_map(|(name, _)| name.into_string().ok()).filter(|name| {
        let Some(rest) = name.strip_prefix("MIDGE_") else { return false };
        let foreign = rest.starts_with("PORT")
            || rest.as_bytes().windows(7).any(|part| part == b"SERVICE")
            || rest.starts_with("EVENT_")
            || rest.starts_with("TEST_")
            || rest == "TOKEN"
            || rest == "BIN";
        !foreign && !ALL.iter().any(|f| variable(f.long) == *name)
    })
}

/// `MIDGE_<OPTION>`.
fn variable(long: &str) -> String {
    let upper = |c: char| if c == '-' { '_' } else { c.to_ascii_uppercase() };
    "MIDGE_".chars().chain(long.chars().map(upper)).collect()
}

/// An argument as text.
pub(super) fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|_| "an argument is not UTF-8".into())
}

/// The parser's own messages use `{:?}`, which a build without debug formatting leaves empty.
fn explain(error: &lexopt::Error) -> String {
    match error {
        lexopt::Error::UnexpectedValue { option, .. } => format!("{option} takes no value"),
        _ => "the arguments cannot be read".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Options, String> {
        let flags = [CLUSTER, JOIN, PERIOD, JSON, QUIET];
        let mut parser = Parser::from_args(arguments.iter().copied());
        let environment = environment.iter().map(|(k, v)| (k.into(), v.into()));
        Options::read(&mut parser, &flags, environment)
    }

    fn items(options: &Options, flag: &'static Flag) -> Vec<String> {
        options.items(flag).map(|v| v.text.to_string()).collect()
    }

    #[test]
    fn the_command_line_comes_before_the_environment() {
        let environment = [("MIDGE_CLUSTER", "env"), ("MIDGE_JOIN", "a,b"), ("MIDGE_JSON", "1")];
        let options = read(&["--cluster", "arg", "-q"], &environment).unwrap();
        assert_eq!(options.last(CLUSTER).unwrap().text, "arg");
        assert_eq!(items(&options, JOIN), ["a", "b"]);
        assert!(options.has(JSON) && options.has(QUIET) && !options.has(PERIOD));
    }

    #[test]
    fn lists_may_be_repeated_and_separated_by_commas() {
        let options = read(&["--join=a,b", "--join", "c", "operand"], &[]).unwrap();
        assert_eq!(items(&options, JOIN), ["a", "b", "c"]);
        assert_eq!(options.operands, ["operand"]);
    }

    #[test]
    fn slips_are_named() {
        for (arguments, environment, message) in [
            (&["--nonsense"][..], &[][..], "unknown option --nonsense"),
            (&["-x"], &[], "unknown option -x"),
            (&["--period"], &[], "--period: the value is missing"),
            (&["--json=5"], &[], "--json takes no value"),
            (&[], &[("MIDGE_JSON", "perhaps")], "MIDGE_JSON: `perhaps` is not yes or no"),
        ] {
            assert_eq!(read(arguments, environment).err().as_deref(), Some(message));
        }
    }

    #[test]
    fn only_slips_among_variables_are_reported() {
        let names = [
            "MIDGE_CLSTER",
            "MIDGE_CLUSTER",
            "MIDGE_PORT",
            "MIDGE_PORT_6434_UDP",
            "MIDGE_PORT_6434_UDP_ADDR",
            "MIDGE_SERVICE_HOST",
            "MIDGE_METRICS_SERVICE_PORT",
            "MIDGE_EVENT_NAME",
            "MIDGE_TOKEN",
            "MIDGE_BIN",
            "HOME",
        ];
        let environment = names.iter().map(|n| (n.into(), "x".into()));
        let unknown: Vec<_> = unknown_variables(environment).collect();
        assert_eq!(unknown, ["MIDGE_CLSTER"]);
    }
}
