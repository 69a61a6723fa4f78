//! The checks of every step: what a node sends, what it says, what its table holds.
//!
//! Two pictures of each table are compared: one kept from the node's events, and the table
//! itself. The table is read after every step that changed it (or once a second, where a scenario
//! is large and says so), and once a second in any case.

use std::fmt::Write;

use midge::rng::mix;
use midge::{Address, Change, Event, Incarnation, State};

use super::hostile::Recorded;
use super::later::{Build, needs_later};
use super::process::{HostId, Process, ProcessId, Seen};
use super::trace::words;
use super::world::{CLUSTERS, Violation, World};
use super::{MS, SECOND};

/// Wake-ups in any second of virtual time beyond which a node is busy for nothing: 5 gossip ticks,
/// probes, their time-outs and helpers' pings make some 20; a burst of newcomers some more.
const WAKES_PER_SECOND: u32 = 200;

/// Datagrams are counted over so many protocol periods.
const WINDOW_PERIODS: u64 = 10;

/// Datagrams that a node may send in a period, on average over a window: 5 gossip ticks to 3
/// members each (15), questions for details with each tick (15) and as many answers to others'
/// (15); its own probe with a second ping and 3 helpers (5), acks of both pings of one prober (2),
/// 3 pings for others and what came of them (6); what it holds, told to those who gossip otherwise
/// to it (15); seeds and a knock (4). Pages come out of what the rest leaves.
const DATAGRAMS_PER_PERIOD: u64 = 80;

/// And once in a window for every host: a challenge, a hello, a page and the details, in both
/// roles; and the whole table, page by page, as a joiner reads it.
const DATAGRAMS_PER_HOST: u64 = 8;

/// Rows that fit a page at least: of IPv6.
const ROWS_PER_PAGE: u64 = 37;

/// How long an address may be taken for alive anew after its node began to leave.
const LEFT_IS_KNOWN: u64 = 60 * SECOND;

/// IP and UDP headers.
const HEADERS_V4: u64 = 28;
const HEADERS_V6: u64 = 48;

/// What a node says about itself.
struct Summary {
    own: Incarnation,
    own_address: Address,
    digest: u32,
    live: u32,
    rows: u32,
    capacity: u32,
}

/// A row, copied out.
#[derive(Clone, Copy)]
struct Row {
    address: Address,
    state: State,
    incarnation: Incarnation,
    own: bool,
}

/// The share of a live host in the sum that stands for a view.
pub(crate) fn share(host: HostId) -> u64 {
    mix(host as u64 + 1)
}

impl World {
    /// A node broke a rule. The first violation counts.
    pub(crate) fn fail(&mut self, process: ProcessId, text: impl AsRef<str>) {
        if self.violation.is_none() {
            let host = self.processes[process].host;
            let seconds = self.now as f64 / 1e6;
            let excerpt = self.trace.excerpt(&[host]);
            let text = text.as_ref();
            self.violation = Some(Violation(format!(
                "at {seconds:.6} s, n{host} (p{process}): {text}\n{excerpt}"
            )));
        }
    }

    /// Hands a node's datagram to the network.
    pub(crate) fn send(&mut self, process: ProcessId, to: Address, bytes: &[u8]) {
        let Process { host, address, .. } = self.processes[process];
        let headers = if self.rules.ipv6 { HEADERS_V6 } else { HEADERS_V4 };
        self.processes[process].meter.bytes += bytes.len() as u64 + headers;
        self.totals.datagrams += 1;
        self.count_datagram(process);
        self.totals.bytes += bytes.len() as u64;
        self.totals.longest = self.totals.longest.max(bytes.len() as u64);
        self.trace.number(host as u64);
        let target = self.host_of(to);
        self.trace.line(self.now, [host, target.unwrap_or(host)], |out| {
            write!(out, "n{host} -> {to} {}", words(bytes))
        });
        if to == address {
            self.fail(process, "it sends to itself");
        }
        let Some(target) = target else {
            self.totals.strays += 1;
            if !self.rules.hostile || !to.is_usable() {
                self.fail(process, format!("it sends to {to}, which is nobody's address"));
            }
            return;
        };
        if let Some(recording) = &mut self.recording {
            recording.add(Recorded { from: address, to: target, bytes: bytes.to_vec() });
        }
        if self.hosts[target].stranger {
            let (claimed, answered) = &mut self.hosts[target].spoofed_bytes;
            *answered += bytes.len() as u64;
            if answered > claimed {
                self.fail(process, format!("{to} gets more bytes than were sent in its name"));
            }
        }
        self.judge_protocol(process, target, bytes);
        self.travel(host, target, address, bytes);
    }

    /// Whoever knows of a node of this build says nothing to it that it cannot understand.
    fn judge_protocol(&mut self, by: ProcessId, to: HostId, bytes: &[u8]) {
        let sender = &self.processes[by];
        let cluster = CLUSTERS[usize::from(sender.cluster)];
        if sender.build == Build::This || !needs_later(cluster, bytes) {
            return;
        }
        let epoch = sender.seen(to).incarnation.epoch;
        let knows_it = self.hosts[to].running.iter().any(|&p| {
            let reader = &self.processes[p];
            reader.build == Build::This && reader.own.iter().any(|own| own.epoch == epoch)
        });
        if knows_it {
            self.fail(by, format!("it tells n{to} what that cannot understand"));
        }
    }

    /// The way of a datagram through the network.
    fn travel(&mut self, from: HostId, to: HostId, source: Address, bytes: &[u8]) {
        if self.net.blocked(from, to) {
            return;
        }
        for _ in 0..self.net.copies(&mut self.rng) {
            let at = self.now + self.net.delay(&mut self.rng);
            if self.net.corrupt_ppm > 0 {
                let mut damaged = bytes.to_vec();
                self.net.corrupt(&mut self.rng, &mut damaged);
                self.enqueue(at, to, source, &damaged);
            } else {
                self.enqueue(at, to, source, bytes);
            }
        }
    }

    /// Counts a datagram that a node sends. Without Lifeguard a fleet with a slow node buries and
    /// revives its members all the time: then there is no bound.
    fn count_datagram(&mut self, process: ProcessId) {
        let window = self.now / (WINDOW_PERIODS * u64::from(self.rules.period_ms) * MS);
        let meter = &mut self.processes[process].meter;
        if meter.window != window {
            meter.window = window;
            meter.datagrams_in_window = 0;
        }
        meter.datagrams_in_window += 1;
        let sent = meter.datagrams_in_window;
        self.totals.datagrams_in_window = self.totals.datagrams_in_window.max(sent);
        let hosts = self.hosts.len() as u64;
        let per_host = DATAGRAMS_PER_HOST + hosts / ROWS_PER_PAGE;
        let bound = WINDOW_PERIODS * DATAGRAMS_PER_PERIOD + hosts * per_host;
        if sent > bound && self.rules.lifeguard {
            self.fail(process, format!("it sends without end: more than {bound} in 10 periods"));
        }
    }

    /// Counts a wake-up.
    pub(crate) fn count_wake(&mut self, process: ProcessId) {
        let second = self.now / SECOND;
        let meter = &mut self.processes[process].meter;
        meter.wakes += 1;
        if meter.second != second {
            meter.second = second;
            meter.wakes_in_second = 0;
        }
        meter.wakes_in_second += 1;
        let wakes = meter.wakes_in_second;
        self.totals.wakes += 1;
        self.totals.wakes_in_second = self.totals.wakes_in_second.max(u64::from(wakes));
        if wakes > WAKES_PER_SECOND {
            self.fail(process, "it wakes up without end");
        }
    }

    /// Takes an event of a node.
    pub(crate) fn take_event(&mut self, process: ProcessId, event: Event) {
        let name = name(&event);
        *self.events.entry(name).or_default() += 1;
        let host = self.processes[process].host;
        self.trace.bytes(name.as_bytes());
        self.trace.line(self.now, [host; 2], |out| write!(out, "n{host} says {event:?}"));
        let Event::Member { change, address, state, incarnation } = event else { return };
        let Some(subject) = self.host_of(address) else {
            self.fail(process, format!("it has an event about {address}, nobody's address"));
            return;
        };
        self.trace.number(subject as u64);
        self.trace.number(incarnation.epoch);
        self.trace.number(u64::from(incarnation.refutation));
        self.trace.line(self.now, [subject; 2], |out| write!(out, "n{host} says {event:?}"));
        match change {
            Change::Suspected => self.totals.suspicions += 1,
            Change::Recovered => self.totals.recoveries += 1,
            _ => {}
        }
        if subject != host {
            let state = (change != Change::Forgotten).then_some(state);
            self.see(process, subject, Seen { state, incarnation });
        }
    }

    /// A node counts itself.
    pub(crate) fn see_own(&mut self, process: ProcessId) {
        let host = self.processes[process].host;
        self.processes[process].live_sum = share(host);
    }

    /// Takes over what a node now holds about a host, and judges the step.
    fn see(&mut self, process: ProcessId, host: HostId, after: Seen) {
        let before = self.processes[process].seen(host);
        if let Err(text) = self.judge(process, host, before, after) {
            let (was, is) = (describe(before), describe(after));
            self.fail(process, format!("about n{host}, {was} -> {is}: {text}"));
        }
        if after.state == Some(State::Failed) && before.state != Some(State::Failed) {
            self.judge_failure(process, host, after.incarnation);
        }
        let seen = &mut self.processes[process].seen;
        if seen.len() <= host {
            seen.resize(host + 1, Seen::default());
        }
        seen[host] = if after.state.is_some() { after } else { Seen::default() };
        let process = &mut self.processes[process];
        match (before.is_live(), after.is_live()) {
            (false, true) => process.live_sum = process.live_sum.wrapping_add(share(host)),
            (true, false) => process.live_sum = process.live_sum.wrapping_sub(share(host)),
            _ => {}
        }
        let is_suspect = |seen: Seen| u32::from(seen.state == Some(State::Suspect));
        process.suspects = process.suspects + is_suspect(after) - is_suspect(before);
        self.changed = true;
    }

    /// Whether a row may become what it became.
    fn judge(
        &self,
        process: ProcessId,
        host: HostId,
        before: Seen,
        after: Seen,
    ) -> Result<(), &'static str> {
        let Some(state) = after.state else { return Ok(()) };
        let subject = &self.hosts[host];
        if subject.clusters & (1 << self.processes[process].cluster) == 0 {
            return Err("no node of this cluster was ever there");
        }
        if after.incarnation > subject.incarnation {
            return Err("its member never had that incarnation");
        }
        if before.state.is_some() && after.incarnation < before.incarnation {
            return Err("the incarnation decreased");
        }
        match (before.state, state) {
            (None, State::Failed | State::Left) => return Err("it was not known"),
            (Some(State::Alive), State::Failed) => return Err("it was not suspect"),
            _ => {}
        }
        if state.is_live() && !before.is_live() && !self.has_life(host, after.incarnation) {
            let epoch = after.incarnation.epoch;
            let same_life = before.incarnation.epoch == epoch;
            if before.state == Some(State::Left) && same_life {
                return Err("it had left");
            }
            let known_by = |&&(life, at): &&(u64, u64)| {
                life == epoch && self.now > at + LEFT_IS_KNOWN && !self.rules.hostile
            };
            if subject.left.iter().find(known_by).is_some() {
                return Err("it left long ago");
            }
        }
        Ok(())
    }

    /// Whether a process that runs on this host gave itself this incarnation and does not leave.
    fn has_life(&self, host: HostId, incarnation: Incarnation) -> bool {
        self.hosts[host].running.iter().any(|&p| {
            let process = &self.processes[p];
            !process.leaving && process.own.contains(&incarnation)
        })
    }

    /// A node takes another for dead: was that right?
    fn judge_failure(&mut self, by: ProcessId, host: HostId, incarnation: Incarnation) {
        let subject = self.hosts[host].running.iter().copied().find(|&p| {
            let process = &self.processes[p];
            !process.paused && process.own.contains(&incarnation)
        });
        let Some(subject) = subject else { return };
        if self.processes[subject].leaving {
            self.totals.failed_leavers += 1;
        } else if self.processes[subject].exempt {
            self.totals.failed_exempt += 1;
        } else if self.processes[by].exempt {
            self.totals.failed_by_exempt += 1;
        } else {
            self.totals.false_failures += 1;
            if self.rules.no_false_failures {
                self.fail(by, format!("it takes n{host} for dead, which is well"));
            }
        }
    }

    /// Looks at a node after a step.
    pub(crate) fn inspect(&mut self, process: ProcessId, member_changed: bool) {
        let Some(summary) = self.summary(process) else { return };
        let reader = &mut self.processes[process];
        if summary.own_address != reader.address {
            self.fail(process, "it has another address than it was given");
            return;
        }
        let last = reader.own.last().copied().unwrap_or_default();
        if summary.own != last {
            reader.own.push(summary.own);
            let host = reader.host;
            self.hosts[host].incarnation = self.hosts[host].incarnation.max(summary.own);
            if summary.own < last {
                self.fail(process, "its own incarnation decreased");
            }
        }
        if summary.live > summary.capacity || summary.rows > summary.capacity {
            self.fail(process, "its table holds more than it has room for");
        }
        let reader = &self.processes[process];
        let changed = member_changed || summary.digest != reader.digest;
        if self.now >= reader.next_scan || (changed && self.rules.scan_changes) {
            self.scan(process, &summary);
        }
    }

    fn summary(&self, process: ProcessId) -> Option<Summary> {
        let status = self.processes[process].node.as_ref()?.status();
        Some(Summary {
            own: status.own.incarnation,
            own_address: status.own.address,
            digest: status.digest,
            live: status.alive + status.suspect,
            rows: status.alive + status.suspect + status.failed + status.left,
            capacity: status.capacity,
        })
    }

    /// Compares a node's whole table with what its events said, and its digest with the others'.
    fn scan(&mut self, process: ProcessId, summary: &Summary) {
        self.processes[process].next_scan = self.now + self.rules.scan_every;
        let mut rows: Vec<Row> = Vec::with_capacity(summary.rows as usize);
        if let Some(node) = &self.processes[process].node {
            node.visit_members(&mut |m| {
                let (address, state, incarnation) = (m.address, m.state, m.incarnation);
                rows.push(Row { address, state, incarnation, own: m.own });
            });
        }
        if rows.len() != summary.rows as usize {
            self.fail(process, "its counts by state are not those of its rows");
        }
        let mut view = 0_u64;
        let mut others = 0;
        for row in &rows {
            let Some(host) = self.host_of(row.address) else {
                self.fail(process, format!("it has a row for {}, nobody's address", row.address));
                return;
            };
            if row.state.is_live() {
                let word = mix(row.incarnation.epoch) ^ u64::from(row.incarnation.refutation);
                view = view.wrapping_add(mix(share(host) ^ mix(word)));
            }
            if !row.own {
                others += 1;
                self.compare(process, host, row);
            }
        }
        let noted = self.processes[process].seen.iter().filter(|seen| seen.state.is_some()).count();
        if noted != others {
            self.fail(process, format!("its events made {noted} rows, its table has {others}"));
        }
        self.compare_digest(process, summary.digest, view);
    }

    fn compare(&mut self, process: ProcessId, host: HostId, row: &Row) {
        let noted = self.processes[process].seen(host);
        let row = Seen { state: Some(row.state), incarnation: row.incarnation };
        if noted.state != row.state {
            let (said, has) = (describe(noted), describe(row));
            self.fail(process, format!("about n{host} its events say {said}, its table {has}"));
        }
        if noted.incarnation != row.incarnation {
            self.see(process, host, row);
        }
    }

    /// Digests are equal exactly if views are.
    fn compare_digest(&mut self, process: ProcessId, digest: u32, view: u64) {
        self.forget_view(process);
        let Process { cluster, .. } = self.processes[process];
        self.processes[process].digest = digest;
        self.processes[process].view = view;
        if self.digests.add(cluster, digest, view) {
            return;
        }
        let other = self.processes.iter().find(|other| {
            other.node.is_some()
                && other.cluster == cluster
                && other.view != 0
                && (other.digest == digest) != (other.view == view)
        });
        if let Some(other) = other {
            let (other, theirs) = (other.host, other.digest);
            let equal = if theirs == digest {
                "equal digests for different"
            } else {
                "different digests for equal"
            };
            self.fail(process, format!("{equal} views as n{other}: {digest:08x}, {theirs:08x}"));
        }
    }

    /// What a node's digest and view were does not count any more.
    pub(crate) fn forget_view(&mut self, process: ProcessId) {
        let Process { cluster, digest, view, .. } = self.processes[process];
        if view != 0 {
            self.digests.remove(cluster, digest, view);
        }
    }
}

fn describe(seen: Seen) -> String {
    match seen.state {
        None => "unknown".into(),
        Some(state) => format!("{state} {}", seen.incarnation),
    }
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::Joined => "joined",
        Event::Isolated => "isolated",
        Event::Left => "left",
        Event::Member { change, .. } => match change {
            Change::Joined => "member_joined",
            Change::Suspected => "member_suspected",
            Change::Recovered => "member_recovered",
            Change::Failed => "member_failed",
            Change::Left => "member_left",
            Change::Updated => "member_updated",
            Change::Forgotten => "member_forgotten",
        },
        Event::AddressConflict { .. } => "address_conflict",
        Event::NameConflict { .. } => "name_conflict",
        Event::ForeignCluster { .. } => "foreign_cluster",
        Event::ParameterMismatch { .. } => "parameter_mismatch",
        Event::TableFull { .. } => "table_full",
        Event::Partial(_) => "partial",
        Event::Refused { .. } => "refused",
        Event::NoAnswer => "no_answer",
        _ => "other",
    }
}
