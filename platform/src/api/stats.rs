//! `GET /v1/stats` and `GET /metrics`: counters. Their names are in `docs/metrics.md`.

use midge::{Duration, Reject, State};

use super::Api;
use crate::http::json::Object;
use crate::http::{ContentType, Cursor, Next, Page, Reply, Stats as Http, StatusCode};

/// What has become of the events that a program was to be run for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hooks {
    /// Programs that were to be started.
    pub runs: u64,
    /// Those among them that were not, or did not end with status 0.
    pub failed: u64,
    /// Events that were passed over because a newer one says more.
    pub merged: u64,
    /// Events that were forgotten before a program could be started for them.
    pub lost: u64,
}

/// What the agent counts around the node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Of the API.
    pub http: Http,
    /// Datagrams that the system refused to send.
    pub send_dropped: u64,
    /// Log lines dropped because nobody read them.
    pub log_dropped: u32,
    /// Writes to the state directory that failed.
    pub state_errors: u32,
    /// Times that the heap was used since the loop began.
    pub allocations: u32,
    /// Of `--on-event`.
    pub hooks: Hooks,
    /// Rounds of the loop.
    pub rounds: u64,
    /// Time that the loop has worked and not waited, microseconds.
    pub busy_us: u64,
    /// The longest round, microseconds.
    pub longest_us: u64,
}

impl Counters {
    /// Counts a round of the loop that took so long.
    pub fn round(&mut self, time: Duration) {
        self.rounds += 1;
        self.busy_us += time.as_micros();
        self.longest_us = self.longest_us.max(time.as_micros());
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Microseconds that only rise; the name ends with `us`, and for Prometheus with `seconds`.
    Time,
    /// Microseconds that rise and fall, likewise.
    GaugeTime,
}

impl Kind {
    const fn is_counter(self) -> bool {
        matches!(self, Self::Counter | Self::Time)
    }
}

/// A name and what it means.
type Figure = (&'static str, Kind, &'static str);

use Kind::{Counter, Gauge, GaugeTime, Time};

/// In the order of [`Api::values`].
const FIGURES: [Figure; 43] = [
    ("datagrams_in", Counter, "Datagrams accepted"),
    ("datagrams_out", Counter, "Datagrams built"),
    ("bytes_in", Counter, "UDP payload accepted"),
    ("bytes_out", Counter, "UDP payload built"),
    ("send_dropped", Counter, "Datagrams that the system did not send"),
    ("unknown_sections", Counter, "Sections of later versions, skipped"),
    ("probes", Counter, "Probes begun"),
    ("probes_failed", Counter, "Probes without an answer"),
    ("refutations", Counter, "Accusations of this node refuted"),
    ("reconciliations", Counter, "Reconciliations begun"),
    ("rows_refused", Counter, "Rumours ignored, no row was free"),
    ("accusations_ignored", Counter, "Accusations beyond the limit of a sender"),
    ("requests_ignored", Counter, "Requests beyond the limit of a sender"),
    ("epochs_ignored", Counter, "Statements from too far in the future"),
    ("overflows", Counter, "Answers dropped, no place was free"),
    ("events", Counter, "Events"),
    ("events_lost", Counter, "Events not told"),
    ("api_connections", Counter, "API connections"),
    ("api_requests", Counter, "API requests answered"),
    ("api_refused", Counter, "API requests malformed or too large"),
    ("api_timeouts", Counter, "API connections too slow"),
    ("api_busy", Counter, "API clients without a place"),
    ("api_evicted", Counter, "API connections closed for others"),
    ("api_accept_errors", Counter, "API connections not accepted"),
    ("log_dropped", Counter, "Log lines dropped"),
    ("state_errors", Counter, "Writes to the state directory that failed"),
    ("hook_runs", Counter, "Programs begun for events"),
    ("hook_failures", Counter, "Programs for events that failed"),
    ("hook_events_merged", Counter, "Events with newer ones about the same, passed over"),
    ("hook_events_lost", Counter, "Events that came faster than programs ran, lost"),
    ("allocations", Counter, "Heap allocations since the loop began"),
    ("loop_rounds", Counter, "Rounds of the loop"),
    ("loop_busy_us", Time, "Time not spent waiting"),
    ("loop_longest_us", GaugeTime, "Longest round of the loop"),
    ("rtt_us", GaugeTime, "Smoothed round trip of probes, 0 if none yet"),
    ("health", Gauge, "Local health multiplier, 0 is well"),
    ("capacity", Gauge, "Rows there is room for"),
    ("seeds", Gauge, "Addresses to join through"),
    ("ready", Gauge, "1 if this node has joined"),
    ("joined", Gauge, "1 if another member is known, or none sought"),
    ("isolated", Gauge, "1 if nothing is heard of any member"),
    ("partial", Gauge, "1 if the fleet is larger than the table"),
    ("uptime_us", GaugeTime, "Time since the start"),
];

/// How many of them `/v1/stats` has: what follows is in the status.
const COUNTED: usize = 35;

const STATES: [State; 4] = [State::Alive, State::Suspect, State::Failed, State::Left];

impl<const N: usize> Api<'_, N> {
    fn values(&self) -> [u64; FIGURES.len()] {
        let stats = self.node.stats();
        let status = self.node.status();
        let counters = self.counters;
        let http = &counters.http;
        [
            stats.datagrams_in,
            stats.datagrams_out,
            stats.bytes_in,
            stats.bytes_out,
            counters.send_dropped,
            stats.unknown_sections.into(),
            stats.probes.into(),
            stats.probes_failed.into(),
            stats.refutations.into(),
            stats.reconciliations.into(),
            stats.rows_refused.into(),
            stats.accusations_ignored.into(),
            stats.requests_ignored.into(),
            stats.epochs_ignored.into(),
            stats.overflows.into(),
            self.events.last(),
            stats.events_lost.into(),
            http.connections,
            http.requests,
            http.refused,
            http.timeouts,
            http.busy,
            http.evicted,
            http.accept_errors,
            counters.log_dropped.into(),
            counters.state_errors.into(),
            counters.hooks.runs,
            counters.hooks.failed,
            counters.hooks.merged,
            counters.hooks.lost,
            counters.allocations.into(),
            counters.rounds,
            counters.busy_us,
            counters.longest_us,
            stats.rtt_us.into(),
            status.health.into(),
            status.capacity.into(),
            status.seeds.len() as u64,
            self.ready.into(),
            status.joined.into(),
            status.isolated.into(),
            status.partial.into(),
            self.now.since(self.about.started).as_micros(),
        ]
    }

    /// All figures by name.
    pub(crate) fn figures(&self) -> [(&'static str, u64); FIGURES.len()] {
        let values = self.values();
        core::array::from_fn(|at| (FIGURES[at].0, values[at]))
    }

    pub(super) fn stats(&self, content: ContentType, reply: &mut Reply<'_>) {
        let page = reply.begin(StatusCode::Ok, content);
        let values = self.values();
        let rejects = self.node.stats().rejects;
        let counted = FIGURES.iter().zip(&values).take(COUNTED);
        if content == ContentType::Text {
            for ((name, ..), value) in counted {
                line(page, name, *value);
            }
            for reason in Reject::ALL {
                page.push(b"rejects ");
                line(page, reason.name(), rejects[reason.index()].into());
            }
            return;
        }
        let mut object = Object::open(page);
        for ((name, ..), value) in counted {
            object.number(name, *value);
        }
        let mut reasons = Object::open(object.key("rejects"));
        for reason in Reject::ALL {
            reasons.number(reason.name(), rejects[reason.index()].into());
        }
        reasons.close();
        object.close();
        page.push(b"\n");
    }

    /// Writes metrics from the cursor on until the page is full.
    pub(super) fn metrics_page(&self, mut cursor: Cursor, page: &mut Page<'_>) -> Next {
        let values = self.values();
        loop {
            let mark = page.mark();
            let at = cursor.at as usize;
            match (FIGURES.get(at), values.get(at)) {
                (Some(figure), Some(value)) => metric(page, figure, *value),
                _ => {
                    self.labelled_metrics(page);
                    // They fit a page, as a test shows.
                    return if page.keep(mark) { Next::Done } else { Next::More(cursor) };
                }
            }
            if !page.keep(mark) {
                return Next::More(cursor);
            }
            cursor.at += 1;
        }
    }

    fn labelled_metrics(&self, page: &mut Page<'_>) {
        let rejects = self.node.stats().rejects;
        describe(page, &["rejects_total"], "Datagrams rejected, by reason", true);
        for reason in Reject::ALL {
            sample(page, "rejects_total", "reason", reason.name(), rejects[reason.index()].into());
        }
        let status = self.node.status();
        describe(page, &["members"], "Members by state, this node included", false);
        let members = [status.alive, status.suspect, status.failed, status.left];
        for (state, count) in STATES.iter().zip(members) {
            sample(page, "members", "state", state.name(), count.into());
        }
        describe(page, &["build_info"], "Always 1", false);
        sample(page, "build_info", "version", self.about.version, 1);
    }
}

/// Where the values of the text begin.
const VALUE: usize = 26;

fn line(page: &mut Page<'_>, name: &str, value: u64) {
    page.push(name.as_bytes());
    page.spaces(VALUE - name.len());
    page.number(value);
    page.push(b"\n");
}

fn metric(page: &mut Page<'_>, &(name, kind, help): &Figure, value: u64) {
    let in_seconds = matches!(kind, Time | GaugeTime);
    let stem = if in_seconds { name.strip_suffix("us").unwrap_or(name) } else { name };
    let unit = if in_seconds { "seconds" } else { "" };
    let total = if kind.is_counter() { "_total" } else { "" };
    let full = [stem, unit, total];
    describe(page, &full, help, kind.is_counter());
    name_of(page, &full);
    page.push(b" ");
    if in_seconds {
        page.number(value / 1_000_000);
        page.push(b".");
        // Six digits: those of a number of seven, without its first.
        let mut space = [0; 8];
        let mut digits = Page::new(&mut space);
        digits.number(1_000_000 + value % 1_000_000);
        page.push(&digits.written()[1..]);
    } else {
        page.number(value);
    }
    page.push(b"\n");
}

fn name_of(page: &mut Page<'_>, name: &[&str]) {
    page.push(b"midge_");
    for part in name {
        page.push(part.as_bytes());
    }
}

fn describe(page: &mut Page<'_>, name: &[&str], help: &str, counter: bool) {
    page.push(b"# HELP ");
    name_of(page, name);
    page.push(b" ");
    page.push(help.as_bytes());
    page.push(b"\n# TYPE ");
    name_of(page, name);
    page.push(if counter { b" counter\n" } else { b" gauge\n" });
}

fn sample(page: &mut Page<'_>, name: &str, label: &str, of: &str, value: u64) {
    name_of(page, &[name]);
    page.push(b"{");
    page.push(label.as_bytes());
    page.push(b"=\"");
    page.push(of.as_bytes());
    page.push(b"\"} ");
    page.number(value);
    page.push(b"\n");
}
