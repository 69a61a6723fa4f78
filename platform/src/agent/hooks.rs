//! `--on-event`: runs a program for what happens, one at a time, in the order of the events.
//!
//! It reads the ring of events as a client of the API does, at its own pace. An event is passed
//! over when a later one about the same member makes it old news: whether a member is there, how
//! it answers, and what it is called are told by their newest fact each. When events come faster
//! than programs run for so long that the ring has forgotten some, those are lost; they are
//! counted, and the log says so.

use core::fmt::{self, Write as _};

use log::Level;
use midge::{Duration, Instant};

use crate::api::events::{Events, Kind, Record};
use crate::http::Page;
use crate::logger::say;
use crate::socket::SocketPath;

/// How often the log tells at most that events were lost.
const LOST_PAUSE: Duration = Duration::from_secs(60);

/// What has become of events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HookStats {
    /// Programs that were to be started.
    pub(crate) runs: u64,
    /// Those among them that were not, or did not end with status 0.
    pub(crate) failed: u64,
    /// Events that were passed over because a newer one says more.
    pub(crate) merged: u64,
    /// Events that were forgotten before a program could be started for them.
    pub(crate) lost: u64,
}

/// Which event is next.
#[derive(Debug)]
pub(super) struct Hooks {
    /// The number of the next event to look at.
    next: u64,
    pub(super) stats: HookStats,
    /// Lost events, as the log has told, and when it may tell again.
    lost_told: u64,
    lost_again: Instant,
}

impl Hooks {
    /// The first event of this life is next.
    pub(super) fn new() -> Self {
        Self { next: 1, stats: HookStats::default(), lost_told: 0, lost_again: Instant::ZERO }
    }

    /// The next event that a program is to be started for.
    pub(super) fn next<'e>(&mut self, now: Instant, events: &'e Events) -> Option<&'e Record> {
        self.note_lost(now, events.first());
        loop {
            let record = events.get(self.next)?;
            self.next += 1;
            if !is_old_news(events, record) {
                self.stats.runs += 1;
                return Some(record);
            }
            self.stats.merged += 1;
        }
    }

    fn note_lost(&mut self, now: Instant, first: u64) {
        self.stats.lost += first.saturating_sub(self.next);
        self.next = self.next.max(first);
        let lost = self.stats.lost - self.lost_told;
        if lost > 0 && now >= self.lost_again {
            self.lost_told = self.stats.lost;
            self.lost_again = now + LOST_PAUSE;
            say(
                Level::Warn,
                format_args!(
                    "event=hooks_late lost={lost} note=\"events come faster than --on-event runs; \
                     ask midge members for what is true\""
                ),
            );
        }
    }
}

/// What the events from `member_joined` to `member_forgotten` say of a member: whether it is there,
/// how it answers, what it is called. Each is told by its newest fact; that it is there or not makes
/// the others old, too.
const FACTS: [u8; 7] = [THERE, ANSWERS, ANSWERS, THERE, THERE, CALLED, THERE];
const THERE: u8 = 0;
const ANSWERS: u8 = 1;
const CALLED: u8 = 2;

fn fact(record: &Record) -> Option<u8> {
    let at = (record.kind as usize).checked_sub(Kind::MemberJoined as usize)?;
    FACTS.get(at).copied()
}

/// Whether there is a later event that makes this one not worth telling.
fn is_old_news(events: &Events, record: &Record) -> bool {
    let Some(old) = fact(record) else { return false };
    let mut seq = record.seq;
    loop {
        seq += 1;
        let Some(later) = events.get(seq) else { return false };
        if later.member.address == record.member.address
            && let Some(new) = fact(later)
            && (new == old || new == THERE)
        {
            return true;
        }
    }
}

/// Writes the entries of the environment that say what has happened. All are there for every event;
/// those that it has nothing to say for are empty.
pub(super) fn write_variables(
    events: &Events,
    record: &Record,
    api: SocketPath,
    page: &mut Page<'_>,
) {
    let member = &record.member;
    let mut values: [&dyn fmt::Display; 5] = [&""; 5];
    if record.has_member() {
        let epoch = &member.incarnation.epoch;
        values = [&member.name, &member.address, &member.state, epoch, &member.tags];
    }
    let [name, address, state, epoch, tags] = values;
    let (kind, time) = (record.kind.name(), record.time_ms);
    // The page cannot fail, nor can what is written to it here.
    let _ = write!(
        page,
        "MIDGE_API={api}\0MIDGE_EVENT_KIND={kind}\0MIDGE_EVENT_NAME={name}\0\
         MIDGE_EVENT_ADDR={address}\0MIDGE_EVENT_STATE={state}\0MIDGE_EVENT_EPOCH={epoch}\0\
         MIDGE_EVENT_TAGS={tags}\0MIDGE_EVENT_TIME={time}\0MIDGE_EVENT_ID="
    );
    events.id(record, page);
    page.push(b"\0");
}
