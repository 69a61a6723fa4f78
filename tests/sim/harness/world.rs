//! Virtual time, and what a node's driver does in it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use midge::limits::MTU_BYTES;
use midge::rng::Rng;
use midge::{Address, Event, Instant, Reject};

use super::dialect::Heard;
use super::digests::Digests;
use super::hostile::Recording;
use super::machine::Capacity;
use super::net::{Net, between};
use super::process::{Host, HostId, Process, ProcessId, SOCKET_DATAGRAMS};
use super::queue::{Queue, What};
use super::trace::{Detail, Trace, words};
use super::view::Totals;
use super::{Micros, SECOND};

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
    /// How much faster or slower than true time a monotonic clock may run, in millionths.
    pub(crate) drift_ppm: u32,
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
            drift_ppm: 0,
        }
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
    /// Which digest each view has, of those that nodes have now.
    pub(crate) digests: Digests,
    /// Processes that run.
    pub(crate) running: u64,
    queue: Queue,
    pub(crate) spare: Vec<Vec<u8>>,
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
            digests: Digests::default(),
            running: 0,
            queue: Queue::default(),
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

    /// What the monotonic clock of a process shows.
    pub(crate) fn clock(&self, process: ProcessId) -> Instant {
        Instant::from_micros(self.processes[process].clock(self.now))
    }

    /// Puts a datagram onto the wire.
    pub(crate) fn enqueue(&mut self, at: Micros, host: HostId, from: Address, bytes: &[u8]) {
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(bytes);
        self.queue.push(at, What::Arrive { host, from, bytes: copy });
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
        while let Some((at, what)) = self.queue.pop(deadline) {
            self.pass(at);
            self.happen(what);
            self.watch();
            if let Some(violation) = self.violation.take() {
                return Err(violation);
            }
            if done(self) {
                return Ok(true);
            }
        }
        self.pass(deadline);
        self.violation.take().map_or(Ok(false), Err)
    }

    /// It is now so late, if it was not already.
    fn pass(&mut self, at: Micros) {
        let now = self.now.max(at);
        self.totals.node_us += (now - self.now) * self.running;
        self.now = now;
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
            self.queue.push(self.now + delay, What::Read { process, from, bytes });
        } else {
            self.deliver(process, from, &bytes);
            self.spare.push(bytes);
        }
    }

    pub(crate) fn deliver(&mut self, process: ProcessId, from: Address, bytes: &[u8]) {
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

    pub(crate) fn wake(&mut self, process: ProcessId) {
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
    pub(crate) fn after(&mut self, process: ProcessId, unproven: Option<(Address, usize)>) {
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
        let at = node.poll_timeout().map(|due| reader.when(due.as_micros()).max(self.now));
        if at == reader.wake_at {
            return;
        }
        reader.wake_at = at;
        reader.wake_token += 1;
        let token = reader.wake_token;
        if let Some(at) = at {
            // A process is scheduled late, never early.
            let late = u64::from(self.rng.below(LATE_US + 1));
            self.queue.push(at + late, What::Wake { process, token });
        }
    }
}
