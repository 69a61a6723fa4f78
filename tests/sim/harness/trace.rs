//! The running hash over everything that happens, and the lines that explain a failure.

use std::collections::VecDeque;
use std::fmt::Write;

use midge::rng::mix;
use midge::wire::{self, Section};

use super::Micros;
use super::world::CLUSTERS;

/// Lines that are kept for an excerpt.
const KEPT: usize = 100_000;

/// Lines that a failure prints about all nodes, and about the nodes concerned.
const PRINTED: usize = 60;

struct Line {
    at: Micros,
    /// The hosts it is about.
    hosts: [usize; 2],
    text: String,
}

/// How much of its trace a run keeps and a failure prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Nothing: it costs more than the simulation.
    Nothing,
    /// The last lines, and those about the nodes concerned.
    Excerpt,
    /// All that is kept.
    All,
}

impl Detail {
    /// As `SIM_TRACE` asks for: 1 or `all`.
    pub(crate) fn from_environment() -> Self {
        match std::env::var("SIM_TRACE").as_deref() {
            Ok("1") => Self::Excerpt,
            Ok("all") => Self::All,
            _ => Self::Nothing,
        }
    }
}

/// The trace of one run.
pub(crate) struct Trace {
    hash: u64,
    detail: Detail,
    lines: VecDeque<Line>,
}

impl Trace {
    pub(crate) fn new(detail: Detail) -> Self {
        Self { hash: 0, detail, lines: VecDeque::new() }
    }

    /// The hash over everything so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Takes in a number.
    pub(crate) fn number(&mut self, word: u64) {
        self.hash = mix(self.hash.rotate_left(5) ^ word);
    }

    /// Takes in bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(word));
        }
    }

    /// Keeps a line about one or two hosts, if lines are kept.
    pub(crate) fn line(
        &mut self,
        at: Micros,
        hosts: [usize; 2],
        text: impl FnOnce(&mut String) -> std::fmt::Result,
    ) {
        if self.detail == Detail::Nothing {
            return;
        }
        let mut line = Line { at, hosts, text: String::new() };
        text(&mut line.text).expect("writing to a string succeeds");
        if self.lines.len() == KEPT && self.detail == Detail::Excerpt {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The last lines, and the last lines about these hosts.
    pub(crate) fn excerpt(&self, concerned: &[usize]) -> String {
        let lines = &self.lines;
        let mut out = String::new();
        if self.detail != Detail::Excerpt {
            lines.iter().for_each(|line| write_line(&mut out, line));
            return out;
        }
        out += "the last lines:\n";
        let from = lines.len().saturating_sub(PRINTED);
        lines.iter().skip(from).for_each(|line| write_line(&mut out, line));
        for &host in concerned {
            let _ = writeln!(out, "the last lines about n{host}:");
            let about: Vec<_> = lines.iter().filter(|line| line.hosts.contains(&host)).collect();
            let from = about.len().saturating_sub(PRINTED * 4);
            about[from..].iter().for_each(|line| write_line(&mut out, line));
        }
        out
    }
}

/// A datagram in words; of one that no cluster reads, the bytes.
pub(crate) fn words(bytes: &[u8]) -> String {
    let Some(datagram) = CLUSTERS.iter().find_map(|name| wire::open(name, bytes).ok()) else {
        return format!("{bytes:02x?}");
    };
    let header = datagram.header;
    let mut out = format!("[{} digest {:08x}", header.incarnation, header.digest);
    let flags = [
        (header.partial, " partial"),
        (header.wants_details, " wants details"),
        (header.leaving, " leaving"),
    ];
    flags.iter().filter(|(set, _)| *set).for_each(|(_, name)| out += name);
    if let Some(address) = header.advertised {
        let _ = write!(out, " advertised {address}");
    }
    for section in datagram.sections() {
        let _ = match section {
            Section::Rumours(rumours) => write_rumours(&mut out, rumours),
            Section::Page(page) => {
                let _ = write!(out, " | page {:x} {}..{}", page.buckets, page.first, page.next);
                write_rumours(&mut out, page.rows)
            }
            Section::Buckets(_) => write!(out, " | buckets"),
            other => write!(out, " | {other:?}"),
        };
    }
    out + "]"
}

fn write_rumours(out: &mut String, rumours: wire::Rumours<'_>) -> std::fmt::Result {
    for rumour in rumours {
        write!(out, " | {} {} {}", rumour.address, rumour.state, rumour.incarnation)?;
        if let Some(accuser) = rumour.accuser {
            write!(out, " by {accuser}")?;
        }
    }
    Ok(())
}

fn write_line(out: &mut String, line: &Line) {
    let _ = writeln!(out, "{:>12.6} {}", line.at as f64 / 1e6, line.text);
}
