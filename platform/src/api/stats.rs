//! `GET /v1/stats` and `GET /metrics`: counters. Their names are in `docs/metrics.md`.

use midge::{Duration, Reject, State};

use super::Api;
use crate::http::json::Object;
use crate::http::{ContentType, Cursor, Next, Page, Reply, Stats as Http, StatusCode};
use crate::text::{cut, parts};

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

/// A figure a line, in the order of [`Api::values`]: `c` for a counter, `g` for what also falls, in
/// capitals for microseconds, which are seconds for Prometheus; then its name and what it means.
const FIGURES: &str = "\
cdatagrams_in Datagrams accepted
cdatagrams_out Datagrams built
cbytes_in UDP payload accepted
cbytes_out UDP payload built
csend_dropped Datagrams that the system did not send
cunknown_sections Sections of later versions, skipped
cprobes Probes begun
cprobes_failed Probes without an answer
crefutations Accusations of this node refuted
creconciliations Reconciliations begun
crows_refused Rumours ignored, no row was free
caccusations_ignored Accusations beyond the limit of a sender
crequests_ignored Requests beyond the limit of a sender
cepochs_ignored Statements from too far in the future
coverflows Answers dropped, no place was free
cevents Events
cevents_lost Events not told
capi_connections API connections
capi_requests API requests answered
capi_refused API requests malformed or too large
capi_timeouts API connections too slow
capi_busy API clients without a place
capi_evicted API connections closed for others
capi_accept_errors API connections not accepted
clog_dropped Log lines dropped
cstate_errors Writes to the state directory that failed
chook_runs Programs begun for events
chook_failures Programs for events that failed
chook_events_merged Events passed over for newer ones about the same
chook_events_lost Events lost, programs ran too slowly
callocations Heap allocations since the loop began
cloop_rounds Rounds of the loop
Cloop_busy_us Time not spent waiting
Gloop_longest_us Longest round of the loop
Grtt_us Smoothed round trip of probes, 0 if none yet
ghealth Local health multiplier, 0 is well
gcapacity Rows there is room for
gseeds Addresses to join through
gready 1 if this node has joined
gjoined 1 if another member is known, or none sought
gisolated 1 if nothing is heard of any member
gpartial 1 if the fleet is larger than the table
Guptime_us Time since the start";

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
        let mut lines = parts(FIGURES, b'\n');
        self.values().map(|value| Figure::read(lines.next().unwrap_or_default(), value))
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
        describe(page, "rejects", "_total", "Datagrams rejected, by reason");
        for (reason, count) in Reject::ALL.iter().zip(rejects) {
            sample(page, ("rejects_total{reason=\"", reason.name()), count);
        }
        let status = self.node.status();
        describe(page, "members", "", "Members by state, this node included");
        let members = [status.alive, status.suspect, status.failed, status.left];
        for (state, count) in STATES.iter().zip(members) {
            sample(page, ("members{state=\"", state.name()), count);
        }
        describe(page, "build_info", "", "Always 1");
        sample(page, ("build_info{version=\"", self.about.version), 1);
    }
}

/// A line of the table and its value.
pub(crate) struct Figure {
    is_counter: bool,
    in_seconds: bool,
    pub(crate) name: &'static str,
    help: &'static str,
    pub(crate) value: u64,
}

impl Figure {
    fn read(line: &'static str, value: u64) -> Self {
        let (name, help) = cut(line, b' ').unwrap_or_default();
        let (kind, name) = name.split_at(1);
        let in_seconds = kind == "C" || kind == "G";
        Self { is_counter: kind == "c" || kind == "C", in_seconds, name, help, value }
    }
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
    let (stem, suffix) = match (figure.name.strip_suffix("us"), figure.is_counter) {
        (Some(stem), true) if figure.in_seconds => (stem, "seconds_total"),
        (Some(stem), false) if figure.in_seconds => (stem, "seconds"),
        (_, true) => (figure.name, "_total"),
        (_, false) => (figure.name, ""),
    };
    describe(page, stem, suffix, figure.help);
    name_of(page, stem, suffix);
    page.push(b" ");
    if figure.in_seconds {
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

fn name_of(page: &mut Page<'_>, stem: &str, suffix: &str) {
    page.push(b"midge_");
    page.push(stem.as_bytes());
    page.push(suffix.as_bytes());
}

fn describe(page: &mut Page<'_>, stem: &str, suffix: &str, help: &str) {
    page.push(b"# HELP ");
    name_of(page, stem, suffix);
    page.push(b" ");
    page.push(help.as_bytes());
    page.push(b"\n# TYPE ");
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
