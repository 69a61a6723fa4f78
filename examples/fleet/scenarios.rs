//! What a fleet goes through, phase by phase.

use std::fmt::Write;

use super::harness::{HostId, MS, Micros, Net, SECOND, Scope, Start, Violation, World};

/// How long one view may take after nodes came, at any size, at a period of a second.
const UP_WITHIN: Micros = 20 * SECOND;

/// How long it may take until a partition is healed, likewise.
const HEAL_WITHIN: Micros = 10 * SECOND;

/// How long it may take until what was wrong is over for everybody, likewise.
const CALM_WITHIN: Micros = 60 * SECOND;

/// Bytes a second that the worst node of an idle fleet may send, IP and UDP headers included.
const IDLE_BYTES_PER_S: u64 = 118;

/// Crashes that are measured, one after the other.
const CRASHES: usize = 20;

/// What happened in the phases of a run.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    phase: String,
    nodes: usize,
    one_view: Option<Micros>,
    traffic: Option<(u64, u64)>,
}

impl Table {
    fn view(&mut self, phase: impl Into<String>, nodes: usize, one_view: Micros) {
        let (phase, one_view) = (phase.into(), Some(one_view));
        self.rows.push(Row { phase, nodes, one_view, traffic: None });
    }

    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        let (phase, nodes, view) = ("phase", "nodes", "one view after");
        let _ = writeln!(out, "{phase:<24}{nodes:>7}{view:>17}   worst B/s   mean B/s");
        for row in &self.rows {
            let view = row
                .one_view
                .map_or_else(String::new, |us| format!("{:.2} s", us as f64 / SECOND as f64));
            let (worst, mean) = row.traffic.map_or_else(Default::default, |(worst, mean)| {
                (worst.to_string(), mean.to_string())
            });
            let line = format!("{:<24}{:>7}{view:>17}{worst:>12}{mean:>11}", row.phase, row.nodes);
            let _ = writeln!(out, "{}", line.trim_end());
        }
        out
    }
}

/// A fleet, and what is noted about it.
pub(crate) struct Fleet {
    pub(crate) world: World,
    pub(crate) nodes: usize,
    pub(crate) table: Table,
}

impl Fleet {
    /// A bound that holds at a period of a second, at the fleet's own.
    fn scaled(&self, bound: Micros) -> Micros {
        bound * u64::from(self.world.rules.period_ms.max(1_000)) / 1_000
    }

    /// Starts nodes within a span of time, all through host 0 and, if it runs, host 1.
    fn start(&mut self, hosts: std::ops::Range<HostId>, within: Micros) -> Result<(), Violation> {
        let seeds: &[HostId] = if hosts.start >= 2 { &[0, 1] } else { &[0] };
        let mut times: Vec<_> =
            hosts.map(|host| (self.world.now + self.world.between(0, within), host)).collect();
        times.sort_unstable();
        for (at, host) in times {
            self.world.run_until(at, |_| false)?;
            self.world.start(host, &Start::with_seeds(seeds));
        }
        Ok(())
    }

    fn settle(&mut self, phase: &str, from: Micros, within: Micros) -> Result<(), Violation> {
        self.world.settle(phase, Scope::Cluster, within)?;
        let nodes = self.world.well().count();
        self.table.view(phase, nodes, self.world.now - from);
        Ok(())
    }

    /// Lets a span of time go by, and notes what was sent: by the worst node, bytes a second.
    fn measure(&mut self, phase: &str, span: Micros) -> Result<u64, Violation> {
        let traffic = self.world.measure_traffic(span)?;
        let worst = traffic.worst_bytes_per_s;
        let traffic = Some((worst, traffic.mean_bytes_per_s));
        let phase = phase.into();
        self.table.rows.push(Row { phase, nodes: self.nodes, one_view: None, traffic });
        Ok(worst)
    }

    fn form(&mut self) -> Result<(), Violation> {
        let from = self.world.now;
        self.start(0..self.nodes, 100 * MS)?;
        self.settle("start", from, self.scaled(UP_WITHIN))?;
        // All have heard of all; names and tags are asked for one by one, 15 a period.
        let asking = self.nodes as u64 / 10 * SECOND;
        self.world.run_for(self.scaled(asking.max(30 * SECOND)))
    }

    pub(crate) fn idle(&mut self) -> Result<(), Violation> {
        self.form()?;
        let period = u64::from(self.world.rules.period_ms) * MS;
        let worst = self.measure("idle", (120 * SECOND).max(self.nodes as u64 * period))?;
        if worst > IDLE_BYTES_PER_S && period >= SECOND {
            return Err(Violation(format!("a node sends {worst} B/s idle")));
        }
        Ok(())
    }

    pub(crate) fn burst(&mut self) -> Result<(), Violation> {
        let from = self.world.now;
        self.start(0..self.nodes, 10 * MS)?;
        self.settle("burst", from, self.scaled(UP_WITHIN))?;
        self.world.stay("after the burst", Scope::Cluster, 30 * SECOND)
    }

    pub(crate) fn crash(&mut self) -> Result<(), Violation> {
        self.form()?;
        let mut times = Vec::new();
        for _ in 0..CRASHES {
            let host = self.any_but_the_seed();
            self.stop(host);
            times.push(self.world.settle("crash", Scope::Cluster, self.scaled(60 * SECOND))?);
            self.world.start(host, &Start::with_seeds(&[0]));
            self.world.settle("back", Scope::Cluster, self.scaled(UP_WITHIN))?;
            let pause = self.world.between(10 * SECOND, 12 * SECOND);
            self.world.run_for(pause)?;
        }
        times.sort_unstable();
        let last = CRASHES - 1;
        for (name, at) in [("median", last / 2), ("p95", last - 1), ("worst", last)] {
            self.table.view(format!("crash known, {name}"), self.nodes, times[at]);
        }
        Ok(())
    }

    /// Splits parts of so many tenths of the fleet off the rest and each other.
    pub(crate) fn partition(&mut self, tenths: &[usize]) -> Result<(), Violation> {
        self.form()?;
        let mut end = self.nodes;
        for (part, tenths) in (1..).zip(tenths) {
            let first = end - (self.nodes * tenths / 10).max(1);
            (first..end).for_each(|host| self.world.net.set_group(host, part));
            (0..part).for_each(|other| self.world.net.split(other, part));
            end = first;
        }
        let from = self.world.now;
        self.world.settle("the parts", Scope::Group, 600 * SECOND)?;
        self.table.view("split: each part agrees", self.nodes, self.world.now - from);
        self.world.run_until(from + 600 * SECOND, |_| false)?;
        self.world.net.heal();
        let from = self.world.now;
        self.settle("healed", from, self.scaled(HEAL_WITHIN))?;
        self.world.settle_quiet("calm again", Scope::Cluster, self.scaled(CALM_WITHIN))?;
        self.table.view("no suspect left", self.nodes, self.world.now - from);
        self.world.stay("after the partition", Scope::Cluster, 30 * SECOND)
    }

    pub(crate) fn loss(&mut self, hours: u64) -> Result<(), Violation> {
        self.form()?;
        self.world.net.loss_ppm = 50_000;
        self.measure(&format!("{hours} h, 5% lost"), hours * 3_600 * SECOND)?;
        self.world.net.loss_ppm = 0;
        self.calm_again()
    }

    /// One datagram in five is lost from the start on; a crash, and the node comes back.
    pub(crate) fn lossy(&mut self) -> Result<(), Violation> {
        self.world.net.loss_ppm = 200_000;
        self.form()?;
        self.measure("20% lost", self.scaled(60 * SECOND))?;
        let host = self.any_but_the_seed();
        let from = self.world.now;
        self.stop(host);
        self.settle("a crash is known", from, self.scaled(CALM_WITHIN))?;
        let from = self.world.now;
        self.world.start(host, &Start::with_seeds(&[0]));
        self.settle("it is back", from, self.scaled(UP_WITHIN))?;
        self.world.run_for(self.scaled(60 * SECOND))?;
        self.world.net = Net::default();
        self.calm_again()
    }

    /// One node reads its packets 5 to 20 s late, half of the time.
    pub(crate) fn slow(&mut self) -> Result<(), Violation> {
        self.form()?;
        let host = self.any_but_the_seed();
        let process = self.world.hosts[host].running[0];
        self.world.slow_down(process);
        self.measure("one is slow", 600 * SECOND)?;
        self.world.processes[process].slow = None;
        self.calm_again()
    }

    /// One node and half of the others do not hear each other.
    pub(crate) fn half_connected(&mut self) -> Result<(), Violation> {
        self.form()?;
        let host = self.any_but_the_seed();
        let process = self.world.hosts[host].running[0];
        self.world.processes[process].exempt = true;
        self.world.net.set_group(host, 1);
        let others = (1..self.nodes).filter(|other| *other != host);
        for other in others.take(self.nodes / 2) {
            self.world.net.set_group(other, 2);
        }
        self.world.net.split(1, 2);
        self.measure("one is half connected", self.scaled(300 * SECOND))?;
        self.world.net.heal();
        self.calm_again()
    }

    fn any_but_the_seed(&mut self) -> HostId {
        self.world.between(1, self.nodes as u64 - 1) as usize
    }

    fn stop(&mut self, host: HostId) {
        let process = self.world.hosts[host].running[0];
        self.world.stop(process);
    }

    /// What was wrong is over: how long until nobody is suspected any more.
    fn calm_again(&mut self) -> Result<(), Violation> {
        let from = self.world.now;
        self.world.settle_quiet("calm again", Scope::Cluster, self.scaled(CALM_WITHIN))?;
        self.table.view("no suspect left", self.nodes, self.world.now - from);
        self.world.stay("at rest", Scope::Cluster, self.scaled(30 * SECOND))
    }

    pub(crate) fn sawtooth(&mut self) -> Result<(), Violation> {
        self.start(0..2, 10 * MS)?;
        self.world.settle("two", Scope::Cluster, self.scaled(UP_WITHIN))?;
        for cycle in 1..=20 {
            self.world.run_for(5 * SECOND)?;
            let from = self.world.now;
            self.start(2..self.nodes, SECOND)?;
            self.settle(&format!("up {cycle}"), from, self.scaled(UP_WITHIN))?;
            self.world.run_for(5 * SECOND)?;
            let from = self.world.now;
            let leave = cycle % 2 == 1;
            for host in 2..self.nodes {
                if leave {
                    self.world.leave(self.world.hosts[host].running[0]);
                } else {
                    self.stop(host);
                }
            }
            let how = if leave { "left" } else { "crashed" };
            let within = self.scaled(if leave { UP_WITHIN } else { 1_200 * SECOND });
            self.settle(&format!("down {cycle}, {how}"), from, within)?;
        }
        Ok(())
    }
}
