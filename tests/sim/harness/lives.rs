//! Starting and stopping of nodes, and what they are told to do.

use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use midge::{Config, Incarnation, Instant};

use super::faulty::{Fault, Faulty};
use super::later::{Build, Later};
use super::machine::{self, Capacity};
use super::process::{HostId, Meter, Process, ProcessId, Slow};
use super::world::{CLUSTERS, World};

/// Unix time at the start of every run, milliseconds.
const UNIX_START_MS: u64 = 1_750_000_000_000;

/// What a node takes for its epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Epoch {
    /// The wall clock.
    Clock,
    /// A wall clock that is behind by so many milliseconds.
    Behind(u64),
    /// It has no clock.
    Zero,
}

/// How a node is started.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) cluster: u8,
    pub(crate) seeds: Vec<HostId>,
    pub(crate) epoch: Epoch,
    /// `None`: as the rules say.
    pub(crate) capacity: Option<Capacity>,
    /// A node that breaks a rule on purpose.
    pub(crate) fault: Option<Fault>,
    /// The program that it runs.
    pub(crate) build: Build,
}

impl Start {
    /// A node of the first cluster with these seeds.
    pub(crate) fn with_seeds(seeds: &[HostId]) -> Self {
        Self {
            cluster: 0,
            seeds: seeds.to_vec(),
            epoch: Epoch::Clock,
            capacity: None,
            fault: None,
            build: Build::This,
        }
    }
}

impl World {
    /// Starts a node on a host, and hands it its seeds.
    pub(crate) fn start(&mut self, host: HostId, start: &Start) -> ProcessId {
        let process = self.processes.len();
        let unix_ms = UNIX_START_MS + self.now / 1_000;
        let epoch = match start.epoch {
            Epoch::Clock => unix_ms,
            Epoch::Behind(ms) => unix_ms.saturating_sub(ms),
            Epoch::Zero => 0,
        };
        let name = format!("n{host}");
        let mut config = Config::new(&name, self.address(host));
        config.cluster = CLUSTERS[usize::from(start.cluster)];
        config.id = self.rng.next() | 1;
        config.epoch = epoch;
        config.lifeguard = self.rules.lifeguard;
        config.period_ms = self.rules.period_ms;
        let mut entropy = [0; 32];
        for chunk in entropy.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.rng.next().to_le_bytes());
        }
        let node_seed = self.rng.next();
        // A monotonic clock starts anywhere, and right at its start too.
        let clock_start = if self.rng.below(2) == 0 { 0 } else { self.between(0, 1 << 50) };
        let drift = u64::from(self.rules.drift_ppm);
        let drift_ppm =
            if drift == 0 { 0 } else { self.between(0, 2 * drift) as i64 - drift as i64 };
        let capacity = start.capacity.unwrap_or(self.rules.capacity);
        let mut node = machine::take(capacity);
        if let Some(fault) = start.fault {
            node = Box::new(Faulty::new(node, fault));
        }
        if start.build != Build::This {
            node = Box::new(Later::new(node, start.build, Rc::clone(&self.heard_later)));
        }
        node.init(&config, entropy, node_seed, Instant::from_micros(clock_start))
            .expect("the simulator's configuration is valid");
        self.processes.push(Process {
            host,
            address: config.advertise,
            cluster: start.cluster,
            capacity,
            node: Some(node),
            leaving: false,
            paused: false,
            exempt: false,
            partial: false,
            faulty: start.fault.is_some(),
            build: start.build,
            slow: None,
            inbox: VecDeque::new(),
            started: self.now,
            clock_start,
            drift_ppm,
            wake_at: None,
            wake_token: 0,
            own: Vec::new(),
            seen: Vec::new(),
            live_sum: 0,
            suspects: 0,
            next_scan: 0,
            digest: 0,
            view: 0,
            meter: Meter::default(),
        });
        self.running += 1;
        self.hosts[host].running.push(process);
        self.hosts[host].clusters |= 1 << start.cluster;
        self.note_start(process, epoch);
        for &seed in &start.seeds {
            self.join(process, seed);
        }
        self.after(process, None);
        process
    }

    fn note_start(&mut self, process: ProcessId, epoch: u64) {
        let host = self.processes[process].host;
        self.trace.number(self.now);
        self.trace.number(host as u64);
        self.trace.line(self.now, [host; 2], |out| {
            fmt::Write::write_fmt(out, format_args!("n{host} starts (p{process}, epoch {epoch})"))
        });
        let own = Incarnation { epoch, refutation: 0 };
        self.processes[process].own.push(own);
        self.hosts[host].incarnation = self.hosts[host].incarnation.max(own);
        self.see_own(process);
        self.changed = true;
    }

    /// Tells a node to join through a host.
    pub(crate) fn join(&mut self, process: ProcessId, seed: HostId) {
        let seed = self.address(seed);
        let now = self.clock(process);
        if let Some(node) = &mut self.processes[process].node {
            node.join(now, seed).expect("a host's address is usable and few are given");
        }
        self.after(process, None);
    }

    /// Tells a node to leave; it stops when it has.
    pub(crate) fn leave(&mut self, process: ProcessId) {
        let now = self.clock(process);
        let Process { host, ref own, .. } = self.processes[process];
        let epoch = own.last().map_or(0, |own| own.epoch);
        self.hosts[host].left.push((epoch, self.now));
        self.processes[process].leaving = true;
        self.changed = true;
        self.trace.line(self.now, [host; 2], |out| {
            fmt::Write::write_fmt(out, format_args!("n{host} is told to leave"))
        });
        if let Some(node) = &mut self.processes[process].node {
            node.leave(now);
        }
        self.after(process, None);
    }

    /// Changes a node's tags.
    pub(crate) fn set_tags(&mut self, process: ProcessId, tags: &str) {
        let now = self.clock(process);
        if let Some(node) = &mut self.processes[process].node {
            node.set_tags(now, tags).expect("the simulator's tags are valid");
        }
        self.after(process, None);
    }

    /// Ends a process without a word, as a crash and as its exit after leaving.
    pub(crate) fn stop(&mut self, process: ProcessId) {
        let Process { host, capacity, faulty, build, .. } = self.processes[process];
        let Some(node) = self.processes[process].node.take() else { return };
        self.running -= 1;
        self.forget_view(process);
        self.totals.add(&node.stats());
        if !faulty && build == Build::This {
            machine::put(capacity, node);
        }
        self.hosts[host].running.retain(|&p| p != process);
        self.processes[process].seen = Vec::new();
        self.processes[process].inbox = VecDeque::new();
        self.changed = true;
        self.trace.number(self.now);
        self.trace.line(self.now, [host; 2], |out| {
            fmt::Write::write_fmt(out, format_args!("n{host} stops (p{process})"))
        });
    }

    /// Stops a process as SIGSTOP does: its socket fills meanwhile.
    pub(crate) fn pause(&mut self, process: ProcessId) {
        self.processes[process].paused = true;
        self.processes[process].exempt = true;
        self.processes[process].wake_token += 1;
        self.processes[process].wake_at = None;
        self.changed = true;
    }

    /// Lets it go on: it gets everything at once, and wakes up before or after.
    pub(crate) fn resume(&mut self, process: ProcessId) {
        self.processes[process].paused = false;
        self.changed = true;
        let wake_first = self.rng.below(2) == 0;
        if wake_first {
            self.wake(process);
        }
        while let Some((from, bytes)) = self.processes[process].inbox.pop_front() {
            self.deliver(process, from, &bytes);
            self.spare.push(bytes);
        }
        if !wake_first {
            self.wake(process);
        }
    }

    /// Makes a process read its packets 5 to 20 s late, half of the time.
    pub(crate) fn slow_down(&mut self, process: ProcessId) {
        self.processes[process].exempt = true;
        self.processes[process].slow = Some(Slow { phase_end: self.now, ..Slow::default() });
    }
}
