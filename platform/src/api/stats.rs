//! `GET /v1/stats` and `GET /metrics`: counters. Their names are in `docs/metrics.md`.

use midge::{Duration, Reject, State};

use super::{Api, put};
use crate::http::json::Object;
use crate::http::{ContentType, Cursor, Next, Page, Reply, Stats as Http, StatusCode};
use crate::text::parts;

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

/// The figures in the order of [`Api::values`]: `c` for a counter, `g` for what also falls, in
/// capitals for microseconds, which are seconds for Prometheus; then its name.
const FIGURES: &str = "\
cdatagrams_in cdatagrams_out cbytes_in cbytes_out csend_dropped cunknown_sections cprobes \
cprobes_failed crefutations creconciliations crows_refused caccusations_ignored crequests_ignored \
cepochs_ignored coverflows cevents cevents_lost capi_connections capi_requests capi_refused \
capi_timeouts capi_busy capi_evicted capi_accept_errors clog_dropped cstate_errors chook_runs \
chook_failures chook_events_merged chook_events_lost callocations cloop_rounds Cloop_busy_us \
Gloop_longest_us Grtt_us ghealth gcapacity gseeds gready gjoined gisolated gpartial Guptime_us";

const COUNT: usize = 43;

/// How many of them `/v1/stats` has: what follows is in the status.
const COUNTED: usize = 35;

const STATES: [State; 4] = [State::Alive, State::Suspect, State::Failed, State::Left];

impl<const N: usize> Api<'_, N> {
    fn values(&self) -> [u64; COUNT] {
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

    /// All figures.
    #[inline(never)]
    pub(crate) fn figures(&self) -> [Figure; COUNT] {
        let mut figures = [Figure { kind: 0, name: "", value: 0 }; COUNT];
        let values = self.values();
        for ((figure, name), value) in figures.iter_mut().zip(parts(FIGURES, b' ')).zip(values) {
            *figure = Figure { kind: name.as_bytes()[0], name: &name[1..], value };
        }
        figures
    }

    pub(super) fn stats(&self, content: ContentType, reply: &mut Reply<'_>) {
        let page = reply.begin(StatusCode::Ok, content);
        let rejects = self.node.stats().rejects;
        let figures = &self.figures()[..COUNTED];
        if content == ContentType::Text {
            for figure in figures {
                line(page, "", figure.name, figure.value);
            }
            for (reason, count) in Reject::ALL.iter().zip(rejects) {
                line(page, "rejects ", reason.name(), count.into());
            }
            return;
        }
        let mut object = Object::open(page);
        for figure in figures {
            object.number(figure.name, figure.value);
        }
        let mut reasons = Object::open(object.key("rejects"));
        for (reason, count) in Reject::ALL.iter().zip(rejects) {
            reasons.number(reason.name(), count.into());
        }
        reasons.close();
        object.close();
        page.push(b"\n");
    }

    /// Writes metrics from the cursor on until the page is full.
    pub(super) fn metrics_page(&self, mut cursor: Cursor, page: &mut Page<'_>) -> Next {
        for figure in self.figures().get(cursor.at as usize..).unwrap_or_default() {
            let mark = page.mark();
            metric(page, figure);
            if !page.keep(mark) {
                return Next::More(cursor);
            }
            cursor.at += 1;
        }
        let mark = page.mark();
        self.labelled_metrics(page);
        // They fit a page, as a test shows.
        if page.keep(mark) { Next::Done } else { Next::More(cursor) }
    }

    fn labelled_metrics(&self, page: &mut Page<'_>) {
        let rejects = self.node.stats().rejects;
        describe(page, "rejects", "_total");
        for (reason, count) in Reject::ALL.iter().zip(rejects) {
            sample(page, ("rejects_total{reason=\"", reason.name()), count);
        }
        let status = self.node.status();
        describe(page, "members", "");
        let members = [status.alive, status.suspect, status.failed, status.left];
        for (state, count) in STATES.iter().zip(members) {
            sample(page, ("members{state=\"", state.name()), count);
        }
        self.clock_metrics(page);
        describe(page, "build_info", "");
        sample(page, ("build_info{version=\"", self.about.version), 1);
    }

    fn clock_metrics(&self, page: &mut Page<'_>) {
        let time = &self.true_time;
        describe(page, "clock_status", "");
        sample(page, ("clock_status{status=\"", time.status()), 1);
        if let Some(source) = time.source() {
            describe(page, "clock_source", "");
            sample(page, ("clock_source{source=\"", source), 1);
        }
        if let Some(ns) = time.bound_ns() {
            describe(page, "clock_bound_seconds", "");
            name_of(page, "clock_bound_seconds ", "");
            let (seconds, rest) = (ns / 1_000_000_000, ns % 1_000_000_000);
            put(page, &format_args!("{seconds}.{rest:09}\n"));
        }
    }
}

/// One of the [`FIGURES`] and its value.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    /// The letter before its name.
    kind: u8,
    pub(crate) name: &'static str,
    pub(crate) value: u64,
}

/// Where the values of the text begin.
const VALUE: usize = 26;

fn line(page: &mut Page<'_>, group: &str, name: &str, value: u64) {
    page.push(group.as_bytes());
    page.push(name.as_bytes());
    page.spaces(VALUE - group.len() - name.len());
    page.number(value);
    page.push(b"\n");
}

fn metric(page: &mut Page<'_>, figure: &Figure) {
    let value = figure.value;
    let in_seconds = figure.kind.is_ascii_uppercase();
    let is_counter = figure.kind | 0x20 == b'c';
    let stem = figure.name.strip_suffix("us").filter(|_| in_seconds).unwrap_or(figure.name);
    let suffix = match (in_seconds, is_counter) {
        (true, true) => "seconds_total",
        (true, false) => "seconds",
        (false, true) => "_total",
        (false, false) => "",
    };
    describe(page, stem, suffix);
    name_of(page, stem, suffix);
    page.push(b" ");
    if in_seconds {
        page.number(value / 1_000_000);
        page.push(b".");
        let mut place = 100_000;
        while place > 0 {
            page.number(value / place % 10);
            place /= 10;
        }
    } else {
        page.number(value);
    }
    page.push(b"\n");
}

fn name_of(page: &mut Page<'_>, stem: &str, suffix: &str) {
    page.push(b"midge_");
    page.push(stem.as_bytes());
    page.push(suffix.as_bytes());
}

/// What follows is a counter or a gauge. What it means is in the document, not in every answer.
fn describe(page: &mut Page<'_>, stem: &str, suffix: &str) {
    page.push(b"# TYPE ");
    name_of(page, stem, suffix);
    let is_counter = suffix.ends_with("total");
    page.push(if is_counter { b" counter\n" } else { b" gauge\n" });
}

/// A sample with a label: its name and the beginning of the label, and the label's value.
fn sample(page: &mut Page<'_>, (name, label): (&str, &str), value: u32) {
    name_of(page, name, label);
    page.push(b"\"} ");
    page.number(value.into());
    page.push(b"\n");
}
