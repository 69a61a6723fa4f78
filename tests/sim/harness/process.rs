//! What the simulator holds about a host and about a run of a node on it.

use std::collections::VecDeque;

use midge::{Address, Incarnation, State};

use super::later::Build;
use super::machine::{Capacity, Machine};
use super::net::between;
use super::{Micros, SECOND};

/// Number of a host, from 0; its address follows from it.
pub(crate) type HostId = usize;

/// Number of a run of a node, from 0, in the order of starting.
pub(crate) type ProcessId = usize;

/// Datagrams that a socket holds for a process which does not read.
pub(crate) const SOCKET_DATAGRAMS: usize = 256;

/// An address, and what was ever true of it.
#[derive(Debug, Default)]
pub(crate) struct Host {
    /// Who reads the packets that arrive here; more than one is a conflict.
    pub(crate) running: Vec<ProcessId>,
    /// The clusters that a node of this address was ever in, one bit each.
    pub(crate) clusters: u8,
    /// The highest incarnation that a node of this address ever gave itself.
    pub(crate) incarnation: Incarnation,
    /// When a life of this address began to leave.
    pub(crate) left: Vec<(u64, Micros)>,
    /// Only ever named by an attacker: what comes here is an answer to that.
    pub(crate) stranger: bool,
    /// Bytes that an attacker sent in this host's name, and bytes that nodes sent here.
    pub(crate) spoofed_bytes: (u64, u64),
}

/// What a process holds about a host, as its events and its table say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) state: Option<State>,
    pub(crate) incarnation: Incarnation,
}

impl Seen {
    pub(crate) fn is_live(self) -> bool {
        self.state.is_some_and(State::is_live)
    }
}

/// Reads its packets late, in phases.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slow {
    pub(crate) phase_end: Micros,
    pub(crate) late: bool,
    pub(crate) delay: Micros,
}

impl Slow {
    /// How late a packet that arrives now is read.
    pub(crate) fn delay_at(&mut self, now: Micros, rng: &mut midge::rng::Rng) -> Micros {
        while now >= self.phase_end {
            self.late = !self.late;
            self.phase_end = now.max(self.phase_end) + between(rng, 20, 40) * SECOND;
            self.delay = between(rng, 5 * SECOND, 20 * SECOND);
        }
        if self.late { self.delay } else { 0 }
    }
}

const MILLION: u128 = 1_000_000;

/// What was counted about a process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    /// Bytes sent, IP and UDP headers included.
    pub(crate) bytes: u64,
    /// Wake-ups.
    pub(crate) wakes: u64,
    /// The second of virtual time that `wakes_in_second` is about.
    pub(crate) second: u64,
    /// Wake-ups in that second.
    pub(crate) wakes_in_second: u32,
    /// The window of `WINDOW_PERIODS` that `datagrams_in_window` is about.
    pub(crate) window: u64,
    /// Datagrams sent in that window.
    pub(crate) datagrams_in_window: u64,
}

/// One run of a node.
pub(crate) struct Process {
    pub(crate) host: HostId,
    pub(crate) address: Address,
    pub(crate) cluster: u8,
    pub(crate) capacity: Capacity,
    /// It breaks a rule on purpose.
    pub(crate) faulty: bool,
    /// Which program it runs.
    pub(crate) build: Build,
    /// `None` once it has stopped.
    pub(crate) node: Option<Box<dyn Machine>>,
    pub(crate) leaving: bool,
    pub(crate) paused: bool,
    /// Something justifies that others take it for dead, or that it takes others for dead.
    pub(crate) exempt: bool,
    /// Its table is too small, or it cannot hear all: it need not know all that are well.
    pub(crate) partial: bool,
    pub(crate) slow: Option<Slow>,
    pub(crate) inbox: VecDeque<(Address, Vec<u8>)>,
    pub(crate) started: Micros,
    /// What its monotonic clock showed when it started.
    pub(crate) clock_start: Micros,
    /// How much faster than true time that clock runs, in millionths.
    pub(crate) drift_ppm: i64,
    pub(crate) wake_at: Option<Micros>,
    pub(crate) wake_token: u64,
    /// Every incarnation that it gave itself, in order.
    pub(crate) own: Vec<Incarnation>,
    pub(crate) seen: Vec<Seen>,
    /// Sum over a mixed hash of the live hosts it knows, itself included.
    pub(crate) live_sum: u64,
    pub(crate) suspects: u32,
    pub(crate) next_scan: Micros,
    /// Its digest, and the simulator's own hash of its live rows, as of the last scan; 0: none yet.
    pub(crate) digest: u32,
    pub(crate) view: u64,
    pub(crate) meter: Meter,
}

impl Process {
    /// Runs, and is not about to leave, and not stopped by a signal.
    pub(crate) fn is_well(&self) -> bool {
        self.node.is_some() && !self.leaving && !self.paused
    }

    /// What it holds about a host.
    pub(crate) fn seen(&self, host: HostId) -> Seen {
        self.seen.get(host).copied().unwrap_or_default()
    }

    /// What its monotonic clock shows.
    pub(crate) fn clock(&self, now: Micros) -> Micros {
        let true_us = now - self.started;
        self.clock_start + (u128::from(true_us) * self.rate() / MILLION) as Micros
    }

    /// When its monotonic clock shows this, or just did.
    pub(crate) fn when(&self, clock: Micros) -> Micros {
        let shown_us = u128::from(clock.saturating_sub(self.clock_start));
        self.started + (shown_us * MILLION).div_ceil(self.rate()) as Micros
    }

    /// What its clock advances in a million of true time.
    fn rate(&self) -> u128 {
        MILLION.saturating_add_signed(self.drift_ppm.into())
    }
}
