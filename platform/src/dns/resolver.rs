//! A name that is being looked up.
//!
//! A and AAAA are asked for at once, and all nameservers are asked at once: the first to answer
//! counts. Who gets no answer asks again, without EDNS, which an old nameserver may not know; one
//! that says so is asked again at once. A name is tried in each domain of the configuration until it has an address.

use heapless::String;
use midge::{Address, Instant};

use super::Addresses;
use super::config::{Config, SERVERS};
use super::message::{Answer, Question, TYPES, read_answer};
use crate::api::HOST_BYTES;
use crate::files::next_word;

/// How a lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All addresses are there; there may be none.
    Whole,
    /// Some or all are not: the nameservers cannot tell, or there is no room.
    Failure,
    /// No nameserver answers, about some or all.
    Silence,
}

impl Outcome {
    /// Why there is no address.
    pub fn why(self) -> &'static str {
        match self {
            Self::Whole => "there is no such name, or no host has its addresses",
            Self::Failure => "the nameservers cannot tell",
            Self::Silence => "no nameserver answers",
        }
    }
}

/// Addresses of one type.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// Nothing more is expected.
    done: bool,
    // Nameservers, as bits:
    /// those that are to be asked,
    to_ask: u8,
    /// could not tell,
    failed: u8,
    /// or could not read what they were asked with EDNS.
    without_edns: u8,
}

impl Asked {
    const NEW: Self = Self { done: false, to_ask: 0, failed: 0, without_edns: 0 };
}

/// One name at a time.
#[derive(Debug)]
pub struct Resolver {
    /// What has been found.
    pub found: Addresses,
    /// Whom to ask, and how.
    pub config: Config,
    host: String<{ HOST_BYTES + 1 }>,
    question: Question,
    /// Of the queries for each type.
    ids: [[u8; 2]; 2],
    /// Which of the names is tried that the host may mean.
    candidate: usize,
    attempt: u64,
    deadline: Instant,
    asked: [Asked; 2],
    /// A nameserver could not tell.
    failed: bool,
    /// It has not ended; and how it has.
    asking: bool,
    ended: Outcome,
}

impl Resolver {
    /// Nothing has been looked up; all bytes zero.
    pub const IDLE: Self = Self {
        found: Addresses::new(),
        config: Config::NONE,
        host: String::new(),
        question: Question::NONE,
        ids: [[0; 2]; 2],
        candidate: 0,
        attempt: 0,
        deadline: Instant::ZERO,
        asked: [Asked::NEW; 2],
        failed: false,
        asking: false,
        ended: Outcome::Whole,
    };

    /// Looks a name up, and gives up whatever was looked up before. The ids are random.
    pub fn start(&mut self, now: Instant, host: &str, ids: [[u8; 2]; 2]) {
        self.host.clear();
        // Whoever has read the name has seen to its length.
        let _ = self.host.push_str(host);
        self.ids = ids;
        self.clear();
        self.asking = true;
        self.candidate = 0;
        self.try_next(now);
    }

    /// Nothing has been found.
    pub fn clear(&mut self) {
        self.found.clear();
        self.failed = false;
    }

    /// How it ended; `None` while it has not.
    pub fn outcome(&self) -> Option<Outcome> {
        (!self.asking).then_some(self.ended)
    }

    /// All that was asked is answered, or there is nothing more to ask, or nothing was asked at
    /// all. When there is no room left, there may be more addresses.
    pub fn end(&mut self, failed: bool) {
        self.asking = false;
        self.ended = if failed || self.found.is_full() { Outcome::Failure } else { Outcome::Whole };
    }

    /// Asks for the next of the names that the host may mean. Without one, that was it.
    fn try_next(&mut self, now: Instant) {
        let whole = self.host.strip_suffix('.');
        let host = whole.unwrap_or(&self.host);
        let dots = host.bytes().filter(|byte| *byte == b'.').count();
        let mut search = if whole.is_none() { self.config.search.as_str() } else { "" };
        // As it is, it is the first or the last.
        let as_it_is = whole.is_some() || dots as u64 >= self.config.ndots;
        let mut domain = if as_it_is { "" } else { next_word(&mut search) };
        for at in 0.. {
            if at >= self.candidate
                && self.question.set(host, domain.strip_suffix('.').unwrap_or(domain))
            {
                self.candidate = at + 1;
                self.attempt = 0;
                self.asked = [Asked::NEW; 2];
                self.ask(now);
                return;
            }
            let before = domain;
            domain = next_word(&mut search);
            if domain.is_empty() && (as_it_is || before.is_empty()) {
                break;
            }
        }
        self.end(self.failed);
    }

    fn ask(&mut self, now: Instant) {
        let all = (1 << self.config.servers.len()) - 1;
        self.asked.iter_mut().for_each(|asked| asked.to_ask = all);
        self.deadline = now + self.config.timeout;
    }

    /// The next query to be sent, and to whom.
    pub fn poll_transmit(&mut self) -> Option<(Address, &[u8])> {
        if !self.asking {
            return None;
        }
        let at = self.asked.iter().position(|asked| !asked.done && asked.to_ask != 0)?;
        let asked = &mut self.asked[at];
        let server = asked.to_ask.trailing_zeros();
        asked.to_ask &= asked.to_ask - 1;
        let edns = self.attempt == 0 && asked.without_edns >> server & 1 == 0;
        let query = self.question.query(self.ids[at], TYPES[at], edns);
        Some((self.config.servers[server as usize], query))
    }

    /// Takes in one datagram. What nobody was asked for changes nothing.
    pub fn handle_datagram(&mut self, now: Instant, from: Address, bytes: &[u8]) {
        let server = self.config.servers.iter().position(|server| *server == from);
        let Some(server) = server.filter(|_| self.asking) else { return };
        let bit = 1 << server;
        for (at, asked) in self.asked.iter_mut().enumerate() {
            if asked.done {
                continue;
            }
            self.question.query(self.ids[at], TYPES[at], false);
            match read_answer(bytes, &self.question, &mut self.found) {
                Answer::Nonsense => {}
                Answer::Known => asked.done = true,
                Answer::Part => (asked.done, self.failed) = (true, true),
                Answer::NotRead if asked.without_edns & bit == 0 => {
                    asked.without_edns |= bit;
                    asked.to_ask |= bit;
                }
                Answer::Failure | Answer::NotRead => {
                    asked.failed |= bit;
                    asked.done = asked.failed + 1 == 1 << self.config.servers.len();
                    self.failed |= asked.done;
                }
            }
        }
        if self.asked.iter().all(|asked| asked.done) {
            if self.found.is_empty() {
                self.try_next(now);
            } else {
                self.end(self.failed);
            }
        }
    }

    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.asking.then_some(self.deadline)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return;
        }
        self.attempt += 1;
        if !self.found.is_empty() || self.attempt >= self.config.attempts {
            self.asking = false;
            self.ended = Outcome::Silence;
        } else {
            self.ask(now);
        }
    }
}

const _: () = assert!(SERVERS < 8, "nameservers are bits of a byte");
