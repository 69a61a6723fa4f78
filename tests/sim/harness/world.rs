//! Virtual time, the queue of what happens next, starting and stopping of nodes.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::fmt;
use std::rc::Rc;

use midge::limits::MTU_BYTES;
use midge::rng::Rng;
use midge::{Address, Config, Event, Incarnation, Instant, Reject};

use super::dialect::Heard;
use super::faulty::{Fault, Faulty};
use super::hostile::Recording;
use super::later::{Build, Later};
use super::machine::{self, Capacity};
use super::net::{Net, between};
use super::process::{Host, HostId, Meter, Process, ProcessId, SOCKET_DATAGRAMS, Slow};
use super::trace::{Detail, Trace, words};
use super::view::Totals;
use super::{Micros, SECOND};

/// Unix time at the start of every run, milliseconds.
const UNIX_START_MS: u64 = 1_750_000_000_000;

/// The port of every node.
pub(crate) const PORT: u16 = 6434;

/// Names of the clusters on the network.
pub(crate) const CLUSTERS: [&str; 2] = ["fleet", "other"];

/// Datagrams that one call may lead to: bounded work.
const DATAGRAMS_PER_STEP: u32 = 256;

/// How late a driver wakes up at most: its kernel rounds up, and schedules others first.
const LATE_US: u32 = 2_000;

/// A rule that was broken, in words.
#[derive(Clone, Debug)]
pub(crate) struct Violation(pub(crate) String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What holds in a scenario, and how its nodes are configured.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) capacity: Capacity,
    pub(crate) ipv6: bool,
    pub(crate) lifeguard: bool,
    pub(crate) period_ms: u32,
    /// A failure of a node that is well and not exempt is a violation; else it is counted.
    pub(crate) no_false_failures: bool,
    /// An attacker is at work: datagrams may go to addresses that no one has.
    pub(crate) hostile: bool,
    /// How often a whole table is compared, besides after every step that changed it.
    pub(crate) scan_every: Micros,
    /// Compare the whole table after every step that changed it.
    pub(crate) scan_changes: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            capacity: Capacity::Shipped,
            ipv6: false,
            lifeguard: true,
            period_ms: 1_000,
            no_false_failures: true,
            hostile: false,
            scan_every: SECOND,
            scan_changes: true,
        }
    }
}

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

enum What {
    /// A datagram arrives at a host.
    Arrive { host: HostId, from: Address, bytes: Vec<u8> },
    /// A slow process reads a datagram.
    Read { process: ProcessId, from: Address, bytes: Vec<u8> },
    /// A process wakes up, unless its token has changed.
    Wake { process: ProcessId, token: u64 },
}

struct Item {
    at: Micros,
    sequence: u64,
    what: What,
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    /// The heap gives the greatest first: so the earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

/// Is told how far a run is.
pub(crate) type Watcher = Box<dyn FnMut(&World)>;

/// Everything.
pub(crate) struct World {
    pub(crate) now: Micros,
    pub(crate) rng: Rng,
    pub(crate) net: Net,
    pub(crate) rules: Rules,
    pub(crate) hosts: Vec<Host>,
    pub(crate) processes: Vec<Process>,
    pub(crate) trace: Trace,
    pub(crate) totals: Totals,
    pub(crate) recording: Option<Recording>,
    /// What nodes of a later build have heard of its protocol.
    pub(crate) heard_later: Rc<Cell<Heard>>,
    pub(crate) events: BTreeMap<&'static str, u64>,
    /// Something changed that agreement depends on.
    pub(crate) changed: bool,
    pub(crate) violation: Option<Violation>,
    /// Told now and then how far the run is: a person may be watching.
    pub(crate) watcher: Option<Watcher>,
    next_watch: Micros,
    queue: BinaryHeap<Item>,
    sequence: u64,
    spare: Vec<Vec<u8>>,
    buffer: Box<[u8; MTU_BYTES]>,
}

impl World {
    /// An empty world.
    pub(crate) fn new(seed: u64, rules: Rules) -> Self {
        Self {
            now: SECOND,
            rng: Rng::new(seed),
            net: Net::default(),
            rules,
            hosts: Vec::new(),
            processes: Vec::new(),
            trace: Trace::new(Detail::from_environment()),
            totals: Totals::default(),
            recording: None,
            heard_later: Rc::default(),
            events: BTreeMap::new(),
            changed: true,
            violation: None,
            watcher: None,
            next_watch: 0,
            queue: BinaryHeap::new(),
            sequence: 0,
            spare: Vec::new(),
            buffer: Box::new([0; MTU_BYTES]),
        }
    }

    /// Adds hosts without a node and returns the first one's number.
    pub(crate) fn add_hosts(&mut self, count: usize) -> HostId {
        let first = self.hosts.len();
        self.hosts.resize_with(first + count, Host::default);
        first
    }

    /// The address of a host.
    pub(crate) fn address(&self, host: HostId) -> Address {
        let [_, a, b, c] = (host as u32 + 1).to_be_bytes();
        if self.rules.ipv6 {
            Address::v6([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c], PORT)
        } else {
            Address::v4([10, a, b, c], PORT)
        }
    }

    /// The host of an address, if it has one.
    pub(crate) fn host_of(&self, address: Address) -> Option<HostId> {
        let [.., a, b, c] = *address.octets();
        let host = (u32::from_be_bytes([0, a, b, c]) as usize).checked_sub(1)?;
        (host < self.hosts.len() && self.address(host) == address).then_some(host)
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        between(&mut self.rng, low, high)
    }

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

    fn clock(&self, process: ProcessId) -> Instant {
        Instant::from_micros(self.processes[process].clock(self.now))
    }

    /// Puts a datagram onto the wire.
    pub(crate) fn enqueue(&mut self, at: Micros, host: HostId, from: Address, bytes: &[u8]) {
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(bytes);
        self.push(at, What::Arrive { host, from, bytes: copy });
    }

    fn push(&mut self, at: Micros, what: What) {
        self.sequence += 1;
        self.queue.push(Item { at, sequence: self.sequence, what });
    }

    /// Runs until `deadline`, or until `done` says so after a step. Says whether it did.
    pub(crate) fn run_until(
        &mut self,
        deadline: Micros,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<bool, Violation> {
        if done(self) {
            return Ok(true);
        }
        while self.queue.peek().is_some_and(|item| item.at <= deadline) {
            let Some(item) = self.queue.pop() else { break };
            self.now = self.now.max(item.at);
            self.happen(item.what);
            self.watch();
            if let Some(violation) = self.violation.take() {
                return Err(violation);
            }
            if done(self) {
                return Ok(true);
            }
        }
        self.now = self.now.max(deadline);
        self.violation.take().map_or(Ok(false), Err)
    }

    /// Runs for a span.
    pub(crate) fn run_for(&mut self, span: Micros) -> Result<(), Violation> {
        self.run_until(self.now + span, |_| false).map(|_| ())
    }

    fn watch(&mut self) {
        if self.now >= self.next_watch {
            self.next_watch = self.now + SECOND / 10;
            if let Some(mut watcher) = self.watcher.take() {
                watcher(self);
                self.watcher = Some(watcher);
            }
        }
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Arrive { host, from, bytes } => self.arrive(host, from, bytes),
            What::Read { process, from, bytes } => {
                self.deliver(process, from, &bytes);
                self.spare.push(bytes);
            }
            What::Wake { process, token } => {
                if self.processes[process].wake_token == token {
                    self.processes[process].wake_at = None;
                    self.wake(process);
                }
            }
        }
    }

    fn arrive(&mut self, host: HostId, from: Address, bytes: Vec<u8>) {
        let readers = self.hosts[host].running.len() as u32;
        if readers == 0 {
            self.spare.push(bytes);
            return;
        }
        let process = self.hosts[host].running[self.rng.below(readers) as usize];
        let reader = &mut self.processes[process];
        if reader.paused {
            if reader.inbox.len() < SOCKET_DATAGRAMS {
                reader.inbox.push_back((from, bytes));
            }
            return;
        }
        let delay = match &mut reader.slow {
            Some(slow) => slow.delay_at(self.now, &mut self.rng),
            None => 0,
        };
        if delay > 0 {
            self.push(self.now + delay, What::Read { process, from, bytes });
        } else {
            self.deliver(process, from, &bytes);
            self.spare.push(bytes);
        }
    }

    fn deliver(&mut self, process: ProcessId, from: Address, bytes: &[u8]) {
        let now = self.clock(process);
        let Some(node) = &mut self.processes[process].node else { return };
        let outcome = node.handle_datagram(now, from, bytes);
        self.totals.rejected += u64::from(outcome.is_err());
        let host = self.processes[process].host;
        self.trace.number(self.now);
        self.trace.number(host as u64);
        self.trace.bytes(bytes);
        self.trace.number(outcome.map_or_else(|reject| reject.index() as u64, |()| 99));
        self.trace.line(self.now, [host, self.host_of(from).unwrap_or(host)], |out| {
            use fmt::Write;
            write!(out, "n{host} <- {from} {}", words(bytes))?;
            outcome.map_or_else(|reject| write!(out, " {reject}"), |()| Ok(()))
        });
        let unproven = outcome == Err(Reject::Unproven);
        self.after(process, unproven.then_some((from, bytes.len())));
    }

    fn wake(&mut self, process: ProcessId) {
        let now = self.clock(process);
        let Some(node) = &mut self.processes[process].node else { return };
        node.handle_timeout(now);
        self.count_wake(process);
        self.after(process, None);
        let Some(node) = &self.processes[process].node else { return };
        if node.poll_timeout().is_some_and(|at| at <= now) {
            self.fail(process, "its deadline is not after the wake-up that served it");
        }
    }

    /// What a driver does after each call: datagrams, events, then the deadline.
    fn after(&mut self, process: ProcessId, unproven: Option<(Address, usize)>) {
        let now = self.clock(process);
        let mut sent = 0;
        let mut answered_bytes = 0;
        while let Some(node) = &mut self.processes[process].node {
            let Some(transmit) = node.poll_transmit(now, &mut self.buffer) else { break };
            sent += 1;
            if unproven.is_some_and(|(from, _)| from == transmit.to) {
                answered_bytes += transmit.len;
            }
            if sent > DATAGRAMS_PER_STEP || transmit.len > MTU_BYTES || transmit.len == 0 {
                self.fail(process, "it sends too much at once");
                return;
            }
            let mut bytes = self.spare.pop().unwrap_or_default();
            bytes.clear();
            bytes.extend_from_slice(&self.buffer[..transmit.len]);
            self.send(process, transmit.to, &bytes);
            self.spare.push(bytes);
        }
        if unproven.is_some_and(|(_, received)| answered_bytes > received) {
            self.fail(process, "it answers an unproven source with more than it got");
        }
        self.take_events(process);
        self.schedule(process);
    }

    fn take_events(&mut self, process: ProcessId) {
        let mut member_changed = false;
        while let Some(node) = &mut self.processes[process].node {
            let Some(event) = node.poll_event() else { break };
            member_changed |= matches!(event, Event::Member { .. });
            self.take_event(process, event);
        }
        self.inspect(process, member_changed);
        if self.processes[process].node.as_ref().is_some_and(|node| node.has_left()) {
            self.stop(process);
        }
    }

    /// One wake-up is scheduled per process; a later decision outdates it.
    fn schedule(&mut self, process: ProcessId) {
        let reader = &mut self.processes[process];
        let Some(node) = &reader.node else { return };
        if reader.paused {
            return;
        }
        let clock = reader.clock(self.now);
        let at = node
            .poll_timeout()
            .map(|due| self.now.saturating_add(due.as_micros().saturating_sub(clock)).min(1 << 60));
        if at == reader.wake_at {
            return;
        }
        reader.wake_at = at;
        reader.wake_token += 1;
        let token = reader.wake_token;
        if let Some(at) = at {
            // A process is scheduled late, never early.
            let late = u64::from(self.rng.below(LATE_US + 1));
            self.push(at + late, What::Wake { process, token });
        }
    }
}
