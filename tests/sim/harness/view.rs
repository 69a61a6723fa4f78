//! Who agrees with whom; traffic; totals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use midge::Stats;

use super::observe::share;
use super::process::{HostId, ProcessId};
use super::world::{Violation, World};
use super::{MS, Micros, SECOND};

/// Which nodes have to agree with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of a cluster.
    Cluster,
    /// Those of a cluster within one group of the network.
    Group,
}

/// Sums over all nodes of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Virtual time of all nodes together, microseconds.
    pub(crate) node_us: u64,
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
    /// The longest datagram.
    pub(crate) longest: u64,
    pub(crate) rejected: u64,
    /// Sent to nobody's address (possible only where an attacker names one).
    pub(crate) strays: u64,
    pub(crate) wakes: u64,
    /// Most wake-ups of one node in one second.
    pub(crate) wakes_in_second: u64,
    /// Most datagrams that one node sent in one window.
    pub(crate) datagrams_in_window: u64,
    pub(crate) suspicions: u64,
    pub(crate) recoveries: u64,
    /// Times that a node which is well was taken for dead by one that is well.
    pub(crate) false_failures: u64,
    /// By one with a fault of its own.
    pub(crate) failed_by_exempt: u64,
    /// Times that a node with a fault was taken for dead while it ran.
    pub(crate) failed_exempt: u64,
    /// Times that a node which said goodbye was taken for dead.
    pub(crate) failed_leavers: u64,
    pub(crate) probes: u64,
    pub(crate) probes_failed: u64,
    pub(crate) refutations: u64,
    pub(crate) reconciliations: u64,
    pub(crate) overflows: u64,
    pub(crate) events_lost: u64,
}

impl Totals {
    /// Adds a node's own counters.
    pub(crate) fn add(&mut self, stats: &Stats) {
        self.probes += u64::from(stats.probes);
        self.probes_failed += u64::from(stats.probes_failed);
        self.refutations += u64::from(stats.refutations);
        self.reconciliations += u64::from(stats.reconciliations);
        self.overflows += u64::from(stats.overflows);
        self.events_lost += u64::from(stats.events_lost);
    }
}

/// What was sent in a span of time, IP and UDP headers included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) worst_bytes_per_s: u64,
    pub(crate) mean_bytes_per_s: u64,
    pub(crate) wakes_per_s: u64,
}

impl World {
    /// Whether all nodes that are well list the same addresses as alive or suspect, and the right
    /// ones: those of the nodes that are well, in their cluster or their group of it.
    pub(crate) fn agreed(&self, scope: Scope) -> bool {
        let key = |p: ProcessId| {
            let process = &self.processes[p];
            let group = if scope == Scope::Group { self.net.group(process.host) } else { 0 };
            (process.cluster, group)
        };
        let mut right: BTreeMap<(u8, u8), u64> = BTreeMap::new();
        for host in 0..self.hosts.len() {
            let here = |p: &ProcessId| self.processes[*p].is_well();
            if let Some(&p) = self.hosts[host].running.iter().find(|&p| here(p)) {
                let sum = right.entry(key(p)).or_default();
                *sum = sum.wrapping_add(share(host));
            }
        }
        let mut observers = self.well().filter(|&p| !self.processes[p].partial);
        observers.all(|p| right.get(&key(p)) == Some(&self.processes[p].live_sum))
    }

    /// The processes that are well.
    pub(crate) fn well(&self) -> impl Iterator<Item = ProcessId> {
        let well = self.processes.iter().enumerate().filter(|(_, process)| process.is_well());
        well.map(|(p, _)| p)
    }

    /// Whether no node that is well holds a suspect.
    pub(crate) fn unsuspecting(&self) -> bool {
        self.well().all(|p| self.processes[p].suspects == 0)
    }

    /// Runs until there is one view, and says how long that took; a violation if it takes longer
    /// than the bound.
    pub(crate) fn settle(
        &mut self,
        what: &str,
        scope: Scope,
        within: Micros,
    ) -> Result<Micros, Violation> {
        self.wait_for(what, within, |world| world.agreed(scope))
    }

    /// The same, and no suspect is left anywhere.
    pub(crate) fn settle_quiet(
        &mut self,
        what: &str,
        scope: Scope,
        within: Micros,
    ) -> Result<Micros, Violation> {
        self.wait_for(what, within, |world| world.agreed(scope) && world.unsuspecting())
    }

    fn wait_for(
        &mut self,
        what: &str,
        within: Micros,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Result<Micros, Violation> {
        let from = self.now;
        // To judge costs time: not more often than it can matter.
        let pause = (self.processes.len() as Micros * 20).min(50 * MS);
        let mut next = 0;
        self.changed = true;
        let settled = self.run_until(from + within, |world| {
            if !world.changed || world.now < next {
                return false;
            }
            world.changed = false;
            next = world.now + pause;
            holds(world)
        })?;
        // What changed within the last pause has not been judged.
        if settled || holds(self) {
            return Ok(self.now - from);
        }
        let seconds = within as f64 / SECOND as f64;
        let text = format!("{what}: no one view within {seconds} s\n{}", self.disagreement());
        let excerpt = self.trace.excerpt(&[]);
        Err(Violation(format!("at {:.6} s, {text}{excerpt}", self.now as f64 / 1e6)))
    }

    /// Runs on, and wants one view without a suspect at the end of it.
    pub(crate) fn stay(&mut self, what: &str, scope: Scope, span: Micros) -> Result<(), Violation> {
        self.run_for(span)?;
        if self.agreed(scope) && self.unsuspecting() {
            return Ok(());
        }
        let text = format!("{what}: the view did not stay\n{}", self.disagreement());
        let excerpt = self.trace.excerpt(&[]);
        Err(Violation(format!("at {:.6} s, {text}{excerpt}", self.now as f64 / 1e6)))
    }

    /// Who sees what, for people: the first nodes that differ.
    fn disagreement(&self) -> String {
        let well: BTreeSet<HostId> = self.well().map(|p| self.processes[p].host).collect();
        let mut out = format!("{} nodes are well\n", well.len());
        let mut listed = 0;
        for p in self.well() {
            let process = &self.processes[p];
            let live = |host: HostId| host == process.host || process.seen(host).is_live();
            let lacks: Vec<_> = well.iter().filter(|&&host| !live(host)).collect();
            let extra: Vec<_> =
                (0..self.hosts.len()).filter(|host| !well.contains(host) && live(*host)).collect();
            if lacks.is_empty() && extra.is_empty() && process.suspects == 0 {
                continue;
            }
            listed += 1;
            if listed <= 12 {
                let (host, suspects) = (process.host, process.suspects);
                let _ = writeln!(
                    out,
                    "n{host} lacks {lacks:?}, has {extra:?} too, {suspects} suspects"
                );
            }
        }
        let _ = writeln!(out, "{listed} nodes differ");
        out
    }

    /// Runs for a span and measures what each node that is well sends.
    pub(crate) fn measure_traffic(&mut self, span: Micros) -> Result<Traffic, Violation> {
        let wakes = self.totals.wakes;
        for process in &mut self.processes {
            process.meter.bytes = 0;
        }
        self.run_for(span)?;
        let seconds = (span / SECOND).max(1);
        let sent: Vec<_> = self.well().map(|p| self.processes[p].meter.bytes / seconds).collect();
        let count = sent.len().max(1) as u64;
        Ok(Traffic {
            worst_bytes_per_s: sent.iter().copied().max().unwrap_or(0),
            mean_bytes_per_s: sent.iter().sum::<u64>() / count,
            wakes_per_s: (self.totals.wakes - wakes) / seconds / count,
        })
    }

    /// Reconciliations begun by the nodes that run.
    pub(crate) fn reconciliations(&self) -> u64 {
        let nodes = self.processes.iter().filter_map(|process| process.node.as_ref());
        nodes.map(|node| u64::from(node.stats().reconciliations)).sum()
    }

    /// Stops everything and returns the totals.
    pub(crate) fn finish(&mut self) -> Result<Totals, Violation> {
        for process in 0..self.processes.len() {
            self.stop(process);
        }
        if self.totals.events_lost > 0 {
            return Err(Violation("events were lost though every one was read at once".into()));
        }
        self.violation.take().map_or(Ok(self.totals), Err)
    }
}
