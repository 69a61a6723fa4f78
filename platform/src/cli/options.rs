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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Flag {
    Bind,
    Advertise,
    Name,
    Period,
    Api,
    Http,
    Metrics,
    ApiGroup,
    ApiMode,
    OnEvent,
    JoinCmd,
    Log,
    StateDir,
    JoinFile,
    Cluster,
    State,
    Since,
    Clockbound,
    MaxDriftPpm,
    Segment,
    // From here on they take a list.
    Tag,
    Join,
    AllowCidr,
    Dns,
    // From here on they take no value.
    Json,
    Watch,
    Quiet,
    Check,
    /// Every command takes it.
    Help,
}

/// Their names, without the dashes.
const NAMES: &str = "bind advertise name period api http metrics api-group api-mode on-event \
                     join-cmd log state-dir join-file cluster state since clockbound max-drift-ppm \
                     segment tag join allow-cidr dns json watch quiet check help";

impl Flag {
    /// Its name, without the dashes.
    #[inline(never)]
    pub(crate) fn name(self) -> &'static str {
        parts(NAMES, b' ').nth(self as usize).unwrap_or_default()
    }

    /// Its one-letter form.
    pub(crate) fn letter(self) -> Option<u8> {
        match self {
            Self::Quiet => Some(b'q'),
            Self::Help => Some(b'h'),
            _ => None,
        }
    }

    /// Whether it takes a value.
    pub(crate) fn takes_value(self) -> bool {
        (self as u8) < Self::Json as u8
    }

    fn takes_list(self) -> bool {
        self.takes_value() && self as u8 >= Self::Tag as u8
    }
}

/// What a command was given, checked as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    arguments: Strings,
    flags: &'static [Flag],
    pub(crate) environment: Strings,
}

/// A value and where it came from. As text it is how a message about it begins: `` --bind: `x` ``
/// or `` MIDGE_BIND: `x` ``.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) text: &'static str,
    pub(crate) flag: Flag,
    /// It is the value of a variable.
    pub(crate) from_environment: bool,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.flag.name();
        if self.from_environment {
            f.write_str(PREFIX)?;
            name.bytes().try_for_each(|byte| f.write_char(upper(byte) as char))?;
        } else {
            f.write_str("--")?;
            f.write_str(name)?;
        }
        write!(f, ": `{}`", self.text)
    }
}

/// What is wrong with the arguments or the environment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slip {
    /// These words, one after the other.
    Words([&'static str; 3]),
    /// A switch in the environment.
    NotYesOrNo(Value),
}

impl fmt::Display for Slip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => words.iter().try_for_each(|word| f.write_str(word)),
            Self::NotYesOrNo(value) => write!(f, "{value} is not yes or no"),
        }
    }
}

impl Options {
    /// Only the flags of the command are accepted in the arguments; the environment may hold
    /// options of other commands.
    pub(crate) fn read(
        arguments: Strings,
        flags: &'static [Flag],
        environment: Strings,
    ) -> Result<Self, Slip> {
        let options = Self { arguments, flags, environment };
        let mut walk = options.walk();
        while walk.next().is_some() {}
        if let Some(words) = walk.slip {
            return Err(Slip::Words(words));
        }
        for (name, value) in Variables(environment) {
            if value.is_none() && flags.iter().any(|flag| is_variable(name, flag.name())) {
                return Err(Slip::Words([PREFIX, name, ": the value is not UTF-8"]));
            }
        }
        for &flag in flags {
            if let Some(value) = options.last(flag)
                && !flag.takes_value()
                && is_on(value.text).is_none()
            {
                return Err(Slip::NotYesOrNo(value));
            }
        }
        Ok(options)
    }

    /// Whether a switch is on.
    pub(crate) fn has(&self, flag: Flag) -> bool {
        self.last(flag).is_some_and(|value| is_on(value.text) == Some(true))
    }

    /// Whether the arguments ask for help; a variable cannot.
    pub(crate) fn wants_help(&self) -> bool {
        self.last(Flag::Help).is_some_and(|value| !value.from_environment)
    }

    /// The value of an option: the last one given.
    #[inline(never)]
    pub(crate) fn last(&self, flag: Flag) -> Option<Value> {
        let mut last = None;
        // It does not fail.
        let _ = self.given(flag, &mut |value| {
            last = Some(value);
            Ok(())
        });
        last
    }

    /// Hands over what counts of an option: the last value, or every item of a list.
    pub(crate) fn values(&self, flag: Flag, take: &mut Take<'_>) -> Result<(), Failure> {
        if !flag.takes_list() {
            return self.last(flag).map_or(Ok(()), take);
        }
        self.given(flag, &mut |value| {
            for text in parts(value.text, b',') {
                take(Value { text, ..value })?;
            }
            Ok(())
        })
    }

    /// Hands over an option as often as it is in the arguments, or as the environment has it.
    fn given(&self, flag: Flag, take: &mut Take<'_>) -> Result<(), Failure> {
        let mut given = false;
        let mut walk = self.walk();
        while let Some((of, text)) = walk.next() {
            if of == Some(flag) {
                given = true;
                take(Value { text, flag, from_environment: false })?;
            }
        }
        if given {
            return Ok(());
        }
        let name = flag.name();
        for (of, text) in Variables(self.environment) {
            // `read` has seen to it that it is UTF-8.
            if let Some(text) = text
                && is_variable(of, name)
            {
                let value = Value { text, flag, from_environment: true };
                return if text.is_empty() { Ok(()) } else { take(value) };
            }
        }
        Ok(())
    }

    /// Arguments that are no options.
    pub(crate) fn operands(&self) -> Operands {
        Operands(self.walk())
    }

    fn walk(&self) -> Walk {
        let (rest, flags) = (self.arguments, self.flags);
        Walk { rest, flags, letters: "", only_operands: false, slip: None }
    }
}

/// Where the values of an option go.
pub(crate) type Take<'a> = dyn FnMut(Value) -> Result<(), Failure> + 'a;

/// Arguments that are no options.
pub(crate) struct Operands(Walk);

impl Iterator for Operands {
    type Item = &'static str;

    #[inline(never)]
    fn next(&mut self) -> Option<&'static str> {
        loop {
            if let (None, text) = self.0.next()? {
                return Some(text);
            }
        }
    }
}

/// An option and its value, or an operand.
type Argument = (Option<Flag>, &'static str);

/// Looks through the arguments, to their end or to where they are wrong.
struct Walk {
    rest: Strings,
    flags: &'static [Flag],
    /// The rest of one-letter options in one argument, as in `-qh`.
    letters: &'static str,
    /// `--` has come.
    only_operands: bool,
    /// What is wrong, in words.
    slip: Option<[&'static str; 3]>,
}

impl Walk {
    #[inline(never)]
    fn next(&mut self) -> Option<Argument> {
        while self.letters.is_empty() {
            let argument = self.text()?;
            let rest = argument.strip_prefix("-").unwrap_or_default();
            if self.only_operands || rest.is_empty() {
                return Some((None, argument));
            }
            match rest.strip_prefix("-") {
                None => self.letters = rest,
                Some("") => self.only_operands = true,
                Some(option) => return self.long(option),
            }
        }
        self.letter()
    }

    fn text(&mut self) -> Option<&'static str> {
        let text = self.rest.next()?.to_str().ok();
        text.or_else(|| self.wrong(["an argument is not UTF-8", "", ""]))
    }

    #[cold]
    fn wrong<T>(&mut self, words: [&'static str; 3]) -> Option<T> {
        self.slip = Some(words);
        None
    }

    fn find(&self, is_it: &dyn Fn(Flag) -> bool) -> Option<Flag> {
        let known = self.flags.iter().copied().find(|flag| is_it(*flag));
        known.or_else(|| is_it(Flag::Help).then_some(Flag::Help))
    }

    /// `name` or `name=value`.
    fn long(&mut self, option: &'static str) -> Option<Argument> {
        let (name, value) = match cut(option, b'=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let Some(flag) = self.find(&|flag| flag.name() == name) else {
            return self.wrong(["unknown option --", name, ""]);
        };
        let value = match (flag.takes_value(), value) {
            (true, Some(value)) => value,
            (true, None) => match self.text() {
                Some(value) => value,
                None if self.slip.is_some() => return None,
                None => return self.wrong(["--", name, ": the value is missing"]),
            },
            (false, Some(_)) => return self.wrong(["--", name, " takes no value"]),
            (false, None) => ON,
        };
        Some((Some(flag), value))
    }

    /// The next of several.
    fn letter(&mut self) -> Option<Argument> {
        let mut end = 1;
        while !self.letters.is_char_boundary(end) {
            end += 1;
        }
        let (letter, rest) = self.letters.split_at(end);
        self.letters = rest;
        match self.find(&|flag| flag.letter() == letter.bytes().next()) {
            Some(flag) => Some((Some(flag), ON)),
            None => self.wrong(["unknown option -", letter, ""]),
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
#[inline(never)]
fn is_variable(variable: &str, name: &str) -> bool {
    let mut bytes = variable.bytes().zip(name.bytes());
    variable.len() == name.len() && bytes.all(|(byte, of_name)| byte == upper(of_name))
}

/// The variables that begin with `MIDGE_`: what follows that, and their values where they are
/// UTF-8.
struct Variables(Strings);

impl Iterator for Variables {
    type Item = (&'static str, Option<&'static str>);

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = self.0.next()?.to_bytes();
            if let Some(entry) = entry.strip_prefix(PREFIX.as_bytes())
                && let Some(end) = entry.iter().position(|byte| *byte == b'=')
                && let Ok(name) = str::from_utf8(&entry[..end])
            {
                return Some((name, str::from_utf8(&entry[end + 1..]).ok()));
            }
        }
    }
}

/// Hands over the `MIDGE_` variables that mean nothing to any command, in case one is a slip of the
/// pen; what follows the prefix. Passed over are what Kubernetes sets for a service called midge,
/// and what hooks and commands run by midge find in their environment.
pub(crate) fn unknown_variables(environment: Strings, take: &mut dyn FnMut(&'static str)) {
    for (name, _) in Variables(environment) {
        let foreign = name.starts_with("PORT")
            || name.starts_with("EVENT_")
            || name.as_bytes().windows(7).any(|part| part == b"SERVICE")
            || name == "TOKEN";
        let is_option = |of: &str| of != "help" && is_variable(name, of);
        if !foreign && !parts(NAMES, b' ').any(is_option) {
            take(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[Flag::Cluster, Flag::Join, Flag::Period, Flag::Json, Flag::Quiet];

    fn read(arguments: &[&str], environment: &[&str]) -> Result<Options, String> {
        let (arguments, environment) = (Strings::leak(arguments), Strings::leak(environment));
        Options::read(arguments, FLAGS, environment).map_err(|slip| slip.to_string())
    }

    fn items(options: &Options, flag: Flag) -> Vec<&'static str> {
        let mut items = Vec::new();
        options
            .values(flag, &mut |value| {
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
        assert_eq!(options.last(Flag::Cluster).unwrap().text, "arg");
        assert_eq!(items(&options, Flag::Join), ["a", "b"]);
        assert!(
            options.has(Flag::Json)
                && options.has(Flag::Quiet)
                && options.last(Flag::Period).is_none()
        );
    }

    #[test]
    fn switches_in_the_environment_can_be_off_and_options_empty() {
        let options = read(&[], &["MIDGE_JSON=no", "MIDGE_QUIET=true", "MIDGE_PERIOD="]).unwrap();
        assert!(
            !options.has(Flag::Json)
                && options.has(Flag::Quiet)
                && options.last(Flag::Period).is_none()
        );
        assert!(read(&["--json"], &["MIDGE_JSON=0"]).unwrap().has(Flag::Json));
    }

    #[test]
    fn lists_may_be_repeated_and_separated_by_commas() {
        let options = read(&["--join=a,b", "--join", "c", "operand"], &["MIDGE_JOIN=d"]).unwrap();
        assert_eq!(items(&options, Flag::Join), ["a", "b", "c"]);
        assert_eq!(options.last(Flag::Join).unwrap().text, "c");
        assert!(options.operands().eq(["operand"]));
    }

    #[test]
    fn dashes_of_every_kind() {
        let options = read(&["-", "-hq", "--period=-5=", "--", "-x", "--json"], &[]).unwrap();
        assert!(options.operands().eq(["-", "-x", "--json"]));
        assert!(options.has(Flag::Help) && options.has(Flag::Quiet) && !options.has(Flag::Json));
        assert_eq!(options.last(Flag::Period).unwrap().text, "-5=");
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
        let mut unknown = Vec::new();
        unknown_variables(Strings::leak(&environment), &mut |name| unknown.push(name));
        assert_eq!(unknown, ["CLSTER"]);
    }

    #[test]
    fn every_option_has_its_name_and_its_kind() {
        let named = [
            (Flag::Bind, "bind"),
            (Flag::Since, "since"),
            (Flag::Tag, "tag"),
            (Flag::Dns, "dns"),
            (Flag::Json, "json"),
            (Flag::Help, "help"),
        ];
        for (flag, name) in named {
            assert_eq!(flag.name(), name);
        }
        assert_eq!(parts(NAMES, b' ').count(), Flag::Help as usize + 1);
        assert!(Flag::Since.takes_value() && !Flag::Since.takes_list());
        assert!(Flag::Tag.takes_list() && Flag::Dns.takes_list() && Flag::Dns.takes_value());
        assert!(!Flag::Json.takes_value() && !Flag::Json.takes_list());
    }
}
