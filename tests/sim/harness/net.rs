//! What the network does to a datagram.

use midge::rng::Rng;

use super::process::HostId;
use super::{MS, Micros, SECOND};

/// How many groups of hosts a partition can tell apart.
const GROUPS: usize = 4;

/// The state of the network. Rates are in parts per million.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    /// One way, lowest and highest; one datagram in a hundred takes up to ten times the highest.
    pub(crate) latency_us: (Micros, Micros),
    /// Datagrams that vanish.
    pub(crate) loss_ppm: u32,
    /// Datagrams that arrive twice.
    pub(crate) duplicate_ppm: u32,
    /// Datagrams that arrive with up to three bits flipped, or cut short.
    pub(crate) corrupt_ppm: u32,
    /// Datagrams that arrive up to `late_us` late, and so out of order.
    pub(crate) late_ppm: u32,
    /// See `late_ppm`.
    pub(crate) late_us: Micros,
    groups: Vec<u8>,
    walls: [[bool; GROUPS]; GROUPS],
}

impl Default for Net {
    /// A local network in good order.
    fn default() -> Self {
        Self {
            latency_us: (100, MS),
            loss_ppm: 0,
            duplicate_ppm: 0,
            corrupt_ppm: 0,
            late_ppm: 0,
            late_us: 120 * SECOND,
            groups: Vec::new(),
            walls: [[false; GROUPS]; GROUPS],
        }
    }
}

impl Net {
    /// Puts a host into a group; hosts are in group 0 until told otherwise.
    pub(crate) fn set_group(&mut self, host: HostId, group: u8) {
        if self.groups.len() <= host {
            self.groups.resize(host + 1, 0);
        }
        self.groups[host] = group;
    }

    /// The group of a host.
    pub(crate) fn group(&self, host: HostId) -> u8 {
        self.groups.get(host).copied().unwrap_or(0)
    }

    /// Drops what goes from one group to another, in this direction only.
    pub(crate) fn block(&mut self, from: u8, to: u8) {
        self.walls[usize::from(from)][usize::from(to)] = true;
    }

    /// Drops what goes between two groups, in both directions.
    pub(crate) fn split(&mut self, one: u8, other: u8) {
        self.block(one, other);
        self.block(other, one);
    }

    /// Takes all walls down. The groups stay.
    pub(crate) fn heal(&mut self) {
        self.walls = [[false; GROUPS]; GROUPS];
    }

    /// Whether a wall stands between two hosts in this direction.
    pub(crate) fn blocked(&self, from: HostId, to: HostId) -> bool {
        self.walls[usize::from(self.group(from))][usize::from(self.group(to))]
    }

    /// How often a datagram arrives: 0, 1 or 2 times.
    pub(crate) fn copies(&self, rng: &mut Rng) -> u32 {
        if chance(rng, self.loss_ppm) { 0 } else { 1 + u32::from(chance(rng, self.duplicate_ppm)) }
    }

    /// How long one copy is under way.
    pub(crate) fn delay(&self, rng: &mut Rng) -> Micros {
        let (lowest, highest) = self.latency_us;
        let tail = if rng.below(100) == 0 { highest * 10 } else { highest };
        let delay = lowest + between(rng, 0, tail.saturating_sub(lowest));
        if chance(rng, self.late_ppm) { delay + between(rng, 0, self.late_us) } else { delay }
    }

    /// Damages a copy, at the rate of `corrupt_ppm`. Says whether it did.
    pub(crate) fn corrupt(&self, rng: &mut Rng, bytes: &mut Vec<u8>) -> bool {
        if bytes.is_empty() || !chance(rng, self.corrupt_ppm) {
            return false;
        }
        let len = bytes.len() as u32;
        if rng.below(4) == 0 {
            bytes.truncate(rng.below(len) as usize);
            return true;
        }
        // Up to three bits: a CRC-32C finds every one of these at this length.
        for _ in 0..1 + rng.below(3) {
            let bit = rng.below(len * 8);
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        true
    }
}

/// True in `ppm` of a million cases.
pub(crate) fn chance(rng: &mut Rng, ppm: u32) -> bool {
    ppm > 0 && rng.below(1_000_000) < ppm
}

/// A number in `low..=high`, for spans of any length.
pub(crate) fn between(rng: &mut Rng, low: u64, high: u64) -> u64 {
    let span = high.saturating_sub(low).saturating_add(1);
    low + ((u128::from(rng.next()) * u128::from(span)) >> 64) as u64
}
