//! The man page and the completions of shells, made from the table of commands and the texts of
//! `--help`: there is no second list. The program has nothing of it; `examples/manual.rs` writes
//! the files.
//!
//! `man` makes the man page, `shells` makes the completions.

mod man;
mod shells;
#[cfg(test)]
mod tests;

use midge::State;

use super::options::Flag;
use super::{Command, help};
use crate::logger;

pub use man::man_page;
pub use shells::{bash, fish, zsh};

/// The text of a help, in its parts.
#[derive(Debug, Default)]
struct Parts {
    /// How the command is called.
    usage: Vec<String>,
    /// What it does, in a few words.
    summary: String,
    entries: Vec<Entry>,
    paragraphs: Vec<String>,
    /// What the example is of, if that is said, and its lines.
    example: (String, Vec<String>),
}

/// A line about one option or several, or about a command.
#[derive(Clone, Debug, Default)]
struct Entry {
    /// As they are written, with the names of their values.
    heads: Vec<String>,
    text: String,
}

/// What may stand for the value of an option, or as an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Values {
    /// One of these.
    Words(Vec<&'static str>),
    Files,
    /// Nothing that could be listed.
    Any,
}

impl Values {
    /// By the name that the help gives them.
    fn of(placeholder: &str) -> Self {
        match placeholder.trim_end_matches(",...") {
            "PATH" | "auto|PATH|off" | "FILE" | "DIR" | "CMD" => Self::Files,
            "LEVEL" => Self::Words(logger::LEVELS.map(|(name, _)| name).to_vec()),
            "S" => {
                let states = [State::Alive, State::Suspect, State::Failed, State::Left];
                Self::Words(states.map(State::name).to_vec())
            }
            _ => Self::Any,
        }
    }
}

/// An option of a command, with its words.
#[derive(Debug)]
struct Described {
    flag: Flag,
    /// What its value is called.
    placeholder: String,
    text: String,
}

impl Parts {
    fn of(text: help::Text) -> Self {
        let text = text.concat();
        let mut parts = Self::default();
        for block in text.split("\n\n").map(|block| block.trim_matches('\n')) {
            if let Some(usage) = block.strip_prefix("usage: ") {
                for line in usage.lines() {
                    let (usage, summary) = halves(line.trim());
                    parts.usage.push(usage.into());
                    parts.summary += summary;
                }
            } else if block.starts_with("  ") {
                parts.entries.extend(entries(block));
            } else {
                parts.prose(block);
            }
        }
        parts
    }

    /// Paragraphs, and an example at their end.
    fn prose(&mut self, block: &str) {
        let mut words = String::new();
        let mut lines = block.lines();
        for line in lines.by_ref() {
            if let Some(example) = line.strip_prefix("example") {
                let (of, first) = example.split_once(':').unwrap_or(("", example));
                let first = (!first.is_empty()).then_some(first);
                let all = first.into_iter().chain(lines);
                let all = all.map(|line| line.trim().to_string()).collect();
                self.example = (of.trim_start_matches([',', ' ']).into(), all);
                break;
            }
            words += if words.is_empty() { "" } else { " " };
            words += line;
        }
        if !words.is_empty() {
            self.paragraphs.push(words);
        }
    }

    fn entry(&self, head: &str) -> Option<&Entry> {
        let is_it = |entry: &&Entry| entry.heads.iter().any(|given| first_word(given) == head);
        self.entries.iter().find(is_it)
    }
}

/// What stands before and after the first two spaces or more.
fn halves(line: &str) -> (&str, &str) {
    line.split_once("  ").map_or((line, ""), |(left, right)| (left, right.trim()))
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// Lines of two columns; what goes on in the right one is indented further.
fn entries(block: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')), entries.last_mut()) {
            (None, Some(entry)) => {
                entry.text += " ";
                entry.text += line.trim();
            }
            (begins, _) => {
                let (left, right) = halves(begins.unwrap_or(line));
                // A comma within a value has no space behind it.
                let heads = left.split(", ").map(String::from).collect();
                entries.push(Entry { heads, text: right.into() });
            }
        }
    }
    entries
}

/// Texts that say more about the options of a command.
const MORE: [(&str, help::Text); 2] = [("agent", help::JOINING), ("agent", help::CLOCKBOUND)];

/// All texts about a command, its own first.
fn texts(command: &Command) -> Vec<Parts> {
    let more = MORE.iter().filter(|(name, _)| *name == command.name).map(|(_, text)| *text);
    [command.help].into_iter().chain(more).map(Parts::of).collect()
}

/// The options of a command, in the order of its table, and what its texts say about them.
fn described(command: &Command) -> Vec<Described> {
    let texts = texts(command);
    let describe = |&flag: &Flag| {
        let long = format!("--{}", flag.name());
        let entry = texts.iter().find_map(|text| text.entry(&long));
        let entry = entry.unwrap_or_else(|| panic!("no help of {} tells of {long}", command.name));
        let head = entry.heads.iter().find(|head| first_word(head) == long);
        let placeholder = head.and_then(|head| head.split_once(' ')).map_or("", |(_, name)| name);
        Described { flag, placeholder: placeholder.into(), text: entry.text.clone() }
    };
    let mut all: Vec<_> = command.flags.iter().map(describe).collect();
    let (flag, text) = (Flag::Help, "show the help of this command".into());
    all.push(Described { flag, placeholder: String::new(), text });
    all
}

/// What a command does, as the overview says.
fn summary(command: &Command) -> String {
    let overview = Parts::of(help::OVERVIEW);
    let entry = overview.entry(command.name);
    entry.unwrap_or_else(|| panic!("the overview lacks {}", command.name)).text.clone()
}

/// What may stand as an argument of a command.
fn arguments(command: &Command) -> Values {
    let usage = Parts::of(command.help).usage;
    let words: Vec<&str> = usage.iter().filter_map(|line| line.split(' ').nth(2)).collect();
    let verbs = |words: &[&str]| {
        words.iter().all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
    };
    if words.len() > 1 && verbs(&words) {
        let leaked = words.iter().map(|word| &*String::from(*word).leak());
        return Values::Words(leaked.collect());
    }
    let last = usage.first().and_then(|line| line.split(' ').next_back()).unwrap_or_default();
    Values::of(last.trim_matches(['[', ']']))
}
