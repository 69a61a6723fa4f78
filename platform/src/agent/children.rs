//! The programs that the agent runs beside its loop, one at a time: `--on-event` for what happens,
//! and `--join-cmd`, which names members to join through as long as this node knows none.
//!
//! The latter is asked soon after the start and then once a minute at most, each node at a time of its own;
//! not while the node has joined, unless it hears nothing of those it knows. What a program that
//! fails has said does not count, and what an earlier one said still does.

use core::fmt;

use log::Level;
use midge::{Duration, Instant, Node};

use super::hooks::{self, Hooks};
use super::{PROGRAM, Settings, take};
use crate::api::events::Events;
use crate::child::{
    self, COMMAND_BYTES, CommandLine, INPUT_BYTES, Limits, Program, Task, next_ended, reap,
};
use crate::http::Page;
use crate::logger::say;
use crate::os::{self, Reason, Slot, Strings};
use crate::poll::Poll;
use crate::seeds::{Seeds, Source};
use crate::socket::SocketPath;
use crate::text::Quoted;

/// What any program may take.
const TIME: Duration = Duration::from_secs(30);

/// What `--on-event` may write, bytes; nobody reads it.
const HOOK_OUTPUT_BYTES: usize = 64 * 1024;

/// What `--join-cmd` may write, bytes.
const SEEDS_BYTES: usize = 4_096;

/// How long `--join-cmd` is not asked again. To it come up to 16.8 seconds by chance, and up to 2.1
/// at the start: nodes that boot together shall not ask together.
const PAUSE: Duration = Duration::from_secs(60);
const CHANCE_BITS: u32 = 24;
const FIRST_CHANCE_BITS: u32 = 21;

/// How long nothing is started after that has failed.
const RETRY: Duration = Duration::from_secs(1);

/// How long the log does not tell again what it has told last.
const QUIET: Duration = Duration::from_secs(60);

/// The variables of an event with everything at its longest, and the path of the API.
pub(super) const VARIABLES_BYTES: usize = 1_024;

/// What a program has written, in memory that costs nothing until there is one.
static OUTPUT: Slot<[u8; SEEDS_BYTES]> = Slot::new([0; _]);

/// A random time up to so many microseconds later, as many as fit into these bits.
fn by_chance(time: Instant, bits: u32) -> Instant {
    let mut random = [0; 4];
    // Without random bytes it is the earliest.
    let _ = os::fill_random(&mut random);
    time + Duration::from_micros(u64::from(u32::from_ne_bytes(random)) & ((1 << bits) - 1))
}

#[derive(Debug)]
pub(super) struct Children {
    on_event: Option<CommandLine>,
    join_cmd: Option<CommandLine>,
    pub(super) environment: Strings,
    /// The socket of the agent, so that commands in a program ask this one.
    api: SocketPath,
    task: Task,
    /// The program in it is `--join-cmd`.
    asking: bool,
    output: &'static mut [u8; SEEDS_BYTES],
    /// When `--join-cmd` may be asked again.
    ask_after: Instant,
    /// A program could not be started: when that is tried again; else zero.
    retry_at: Instant,
    pub(super) hooks: Hooks,
    /// What a program runs for: the kind of an event, or `seeds`; or `start` if none has run.
    kind: &'static str,
    /// The failure that the log has told last, until when it is not told again, and how many it
    /// has not told since.
    told: (&'static str, i32),
    quiet_until: Instant,
    untold: u64,
    /// No more are started.
    stopping: bool,
}

impl Children {
    pub(super) fn new(settings: &Settings, api: SocketPath) -> Self {
        let mut children = Self {
            on_event: settings.on_event,
            join_cmd: settings.join_cmd,
            environment: settings.environment,
            api,
            task: Task::default(),
            asking: false,
            output: take(&OUTPUT),
            ask_after: by_chance(os::now(), FIRST_CHANCE_BITS),
            retry_at: Instant::ZERO,
            hooks: Hooks::new(),
            kind: "start",
            told: ("", 0),
            quiet_until: Instant::ZERO,
            untold: 0,
            stopping: false,
        };
        // Better now than when it is needed for the first time.
        for (asking, command) in [(true, children.join_cmd), (false, children.on_event)] {
            children.asking = asking;
            if let Some(what) = command.and_then(|at| child::check(at, settings.environment)) {
                children.complain(os::now(), (what, -1), &what);
            }
        }
        children
    }

    /// The program has written something.
    pub(super) fn handle_output(&mut self, now: Instant) {
        self.task.handle_output(now, self.output);
    }

    /// Processes may have ended, which may have been left behind by programs of ours.
    pub(super) fn handle_ends(&mut self, now: Instant, seeds: &mut Seeds) {
        while let Some((pid, ended)) = next_ended() {
            let ended = self.task.handle_end(now, pid, ended, self.output);
            reap(pid);
            let Some(outcome) = ended else { continue };
            if !outcome.what.is_empty() {
                self.hooks.stats.failed += u64::from(!self.asking);
                self.complain(now, (outcome.what, outcome.number), &outcome);
            } else if self.asking && !self.stopping {
                seeds.set_lines(Source::Command, &self.output[..outcome.written]);
            }
        }
    }

    /// Tells the log of a failure, which is the same as another if `which` is.
    fn complain(&mut self, now: Instant, which: (&'static str, i32), what: &dyn fmt::Display) {
        if self.told == which && now < self.quiet_until {
            self.untold += 1;
            return;
        }
        (self.told, self.quiet_until) = (which, now + QUIET);
        let (option, command) =
            if self.asking { ("join-cmd", self.join_cmd) } else { ("on-event", self.on_event) };
        let mut space = [0; COMMAND_BYTES];
        // The words after the first are not shown: they may be secret.
        let command = command.map(|command| command.program(&mut space));
        let command = Quoted(command.and_then(|at| at.to_str().ok()).unwrap_or_default());
        let (kind, untold) = (self.kind, core::mem::take(&mut self.untold));
        say(
            Level::Warn,
            format_args!(
                "event=command_failed option={option} command={command} for={kind} \
                 untold={untold} note=\"{what}\""
            ),
        );
    }

    /// Enforces bounds, and starts what is to be started.
    pub(super) fn advance<const N: usize>(
        &mut self,
        now: Instant,
        node: &Node<N>,
        events: &Events,
        poll: &Poll,
    ) {
        self.task.handle_timeout(now);
        while !self.task.is_busy() && !self.stopping && now >= self.retry_at {
            self.retry_at = Instant::ZERO;
            let (mut variables, mut input) = ([0; VARIABLES_BYTES], [0; INPUT_BYTES]);
            let (mut variables, mut input) = (Page::new(&mut variables), Page::new(&mut input));
            self.asking = self.shall_ask(now, node);
            let (command, output_bytes) = if self.asking {
                self.kind = "seeds";
                (self.join_cmd, SEEDS_BYTES)
            } else {
                let record = self.on_event.and_then(|_| self.hooks.next(now, events));
                let Some(record) = record else { return };
                self.kind = record.kind.name();
                hooks::write_variables(events, record, self.api, &mut variables);
                events.json(record, &mut input);
                input.push(b"\n");
                (self.on_event, HOOK_OUTPUT_BYTES)
            };
            let Some(command) = command else { return };
            let environment = self.environment;
            let (input, variables) = (input.written(), variables.written());
            let program = Program { command, input, variables, environment };
            let limits = Limits { time: TIME, output_bytes };
            let started = self.task.start(&program, limits, now, poll, PROGRAM);
            if let Err(error) = started {
                // The event is still the next one.
                self.retry_at = now + RETRY;
                if self.asking {
                    self.ask_after = self.retry_at;
                }
                let reason = Reason(error);
                let what = format_args!("cannot start it, tries again: {reason}");
                self.complain(now, ("start", error as i32), &what);
            } else if !self.asking {
                self.hooks.begun();
            }
        }
    }

    /// Whether it is time for `--join-cmd`.
    fn shall_ask<const N: usize>(&mut self, now: Instant, node: &Node<N>) -> bool {
        if self.join_cmd.is_none() || now < self.ask_after {
            return false;
        }
        self.ask_after = by_chance(now + PAUSE, CHANCE_BITS);
        let status = node.status();
        !status.joined || status.isolated
    }

    /// When [`advance`](Self::advance) is due.
    pub(super) fn poll_timeout(&self) -> Instant {
        if self.task.is_busy() {
            self.task.poll_timeout()
        } else if self.retry_at > Instant::ZERO {
            self.retry_at
        } else if self.join_cmd.is_some() {
            self.ask_after
        } else {
            Instant::FAR_FUTURE
        }
    }

    /// Tells what runs to end; says whether it may still do so.
    pub(super) fn stop(&mut self, now: Instant) -> bool {
        self.stopping = true;
        self.task.end(now, "");
        self.task.poll_timeout() != Instant::FAR_FUTURE
    }
}
