//! `--on-event`: runs a program for what happens, one at a time, in the order of the events.
//!
//! It reads the ring of events as a client of the API does, at its own pace. An event is passed
//! over when a later one about the same life of a member makes it old news: whether a member is
//! there, how it answers, and what it is called are told by their newest fact each. When events come
//! faster than programs run for so long that the ring has forgotten some, those are lost; they are
//! counted, and the log says so.

use core::fmt::Write as _;

use log::Level;
use midge::{Duration, Instant};

use crate::api::HookStats;
use crate::api::events::{Events, Kind, Record, Snapshot};
use crate::http::Page;
use crate::logger::say;
use crate::socket::SocketPath;

/// How often the log tells at most that events were lost.
const LOST_PAUSE: Duration = Duration::from_secs(60);

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

    /// The next event that a program is to be started for; the same until that is [`begun`](Self::begun).
    pub(super) fn next<'e>(&mut self, now: Instant, events: &'e Events) -> Option<&'e Record> {
        self.note_lost(now, events.first());
        loop {
            let record = events.get(self.next)?;
            if !is_old_news(events, record) {
                return Some(record);
            }
            self.next += 1;
            self.stats.merged += 1;
        }
    }

    /// The program for the next event runs.
    pub(super) fn begun(&mut self) {
        self.next += 1;
        self.stats.runs += 1;
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
            // Another life, perhaps of another host, says nothing about this one.
            && later.member.incarnation.epoch == record.member.incarnation.epoch
            && let Some(new) = fact(later)
            && (new == old || new == THERE)
        {
            return true;
        }
    }
}

/// Writes the entries of the environment that say what has happened, and to which member, if it is
/// about one.
pub(super) fn write_variables(
    events: &Events,
    record: &Record,
    api: SocketPath,
    page: &mut Page<'_>,
) {
    let (kind, time) = (record.kind.name(), record.time_ms);
    // The page cannot fail, nor can what is written to it here.
    let _ = write!(
        page,
        "MIDGE_API={api}\0MIDGE_EVENT_KIND={kind}\0MIDGE_EVENT_TIME={time}\0MIDGE_EVENT_ID="
    );
    events.id(record, page);
    page.push(b"\0");
    if record.has_member() {
        let Snapshot { address, state, incarnation, name, tags, .. } = &record.member;
        let epoch = incarnation.epoch;
        let _ = write!(
            page,
            "MIDGE_EVENT_ADDR={address}\0MIDGE_EVENT_STATE={state}\0MIDGE_EVENT_EPOCH={epoch}\0\
             MIDGE_EVENT_NAME={name}\0MIDGE_EVENT_TAGS={tags}\0"
        );
    }
}

#[cfg(test)]
mod tests {
    use midge::event::{Change, Event};
    use midge::{Address, Config, Incarnation, Node, State};

    use super::*;
    use crate::api::events::KEPT;

    const NOW: Instant = Instant::ZERO;

    fn node() -> Box<Node<4>> {
        let mut node = Box::new(Node::EMPTY);
        let config = Config::new("a", Address::v4([10, 0, 0, 1], 6434));
        node.init(&config, [1; 32], 1, NOW).unwrap();
        node
    }

    fn ring() -> Box<Events> {
        let mut events = Box::new(Events::EMPTY);
        events.begin(1);
        events
    }

    fn member(last: u8, change: Change) -> Event {
        member_of(1, last, change)
    }

    fn member_of(epoch: u64, last: u8, change: Change) -> Event {
        let address = Address::v4([10, 0, 0, last], 6434);
        let incarnation = Incarnation { epoch, ..Incarnation::ZERO };
        Event::Member { change, address, state: State::Alive, incarnation }
    }

    /// The members and kinds that programs are started for, of these changes.
    fn told(changes: &[(u8, Change)]) -> (Vec<(u8, &'static str)>, HookStats) {
        let (node, mut events, mut hooks) = (node(), ring(), Hooks::new());
        for (last, change) in changes {
            events.add(&*node, &member(*last, *change), 1);
        }
        let mut told = Vec::new();
        while let Some(record) = hooks.next(NOW, &events) {
            let octets = record.member.address.octets_v4().unwrap();
            told.push((octets[3], record.kind.name()));
            hooks.begun();
        }
        (told, hooks.stats)
    }

    #[test]
    fn the_newest_fact_of_each_sort_is_told() {
        use Change::{Failed, Forgotten, Joined, Left, Recovered, Suspected, Updated};
        for (changes, expected) in [
            (&[Joined, Updated][..], &["member_joined", "member_updated"][..]),
            (&[Joined, Updated, Updated], &["member_joined", "member_updated"]),
            (&[Joined, Suspected, Recovered], &["member_joined", "member_recovered"]),
            (&[Suspected, Failed], &["member_failed"]),
            (&[Joined, Updated, Suspected, Failed], &["member_failed"]),
            (&[Failed, Joined], &["member_joined"]),
            (&[Left, Forgotten], &["member_forgotten"]),
            (&[Failed, Joined, Suspected], &["member_joined", "member_suspected"]),
        ] {
            // Another member's events make no difference, wherever they are.
            let mut all = vec![(9, Joined)];
            all.extend(changes.iter().map(|change| (2, *change)));
            all.push((8, Left));
            let (told, stats) = told(&all);
            let of_it = told.iter().filter(|(last, _)| *last == 2).map(|(_, kind)| *kind);
            assert!(of_it.eq(expected.iter().copied()), "{changes:?}: {told:?}");
            assert_eq!(told.len(), expected.len() + 2);
            assert_eq!(stats.runs + stats.merged, all.len() as u64);
        }
    }

    /// An address may have another host the next day, and a hook may know members by their names.
    #[test]
    fn each_life_of_an_address_is_told() {
        use Change::{Failed, Joined, Left, Updated};
        let (node, mut events, mut hooks) = (node(), ring(), Hooks::new());
        for (epoch, change) in [(1, Joined), (1, Left), (2, Joined), (2, Updated), (3, Failed)] {
            events.add(&*node, &member_of(epoch, 2, change), 1);
        }
        let mut told = Vec::new();
        while let Some(record) = hooks.next(NOW, &events) {
            told.push((record.member.incarnation.epoch, record.kind.name()));
            hooks.begun();
        }
        let expected =
            [(1, "member_left"), (2, "member_joined"), (2, "member_updated"), (3, "member_failed")];
        assert_eq!(told, expected);
    }

    #[test]
    fn events_about_no_member_are_all_told() {
        let (node, mut events, mut hooks) = (node(), ring(), Hooks::new());
        for event in [Event::Isolated, Event::Joined, Event::Isolated, Event::NoAnswer] {
            events.add(&*node, &event, 1);
        }
        let mut kinds = Vec::new();
        while let Some(record) = hooks.next(NOW, &events) {
            kinds.push(record.kind.name());
            hooks.begun();
        }
        assert_eq!(kinds, ["isolated", "joined", "isolated", "no_answer"]);
    }

    #[test]
    fn what_the_ring_has_forgotten_is_lost_and_counted() {
        let (node, mut events, mut hooks) = (node(), ring(), Hooks::new());
        for at in 0..KEPT + 44 {
            events.add(&*node, &member(at as u8, Change::Updated), 1);
        }
        // It is the next until a program for it runs.
        for _ in 0..2 {
            assert_eq!(hooks.next(NOW, &events).unwrap().seq, 45);
        }
        assert_eq!(hooks.stats.runs, 0);
        hooks.begun();
        assert_eq!(hooks.stats.runs, 1);
        assert_eq!((hooks.stats.lost, hooks.lost_told), (44, 44));
        // The log is told once a minute.
        for _ in 0..KEPT {
            events.add(&*node, &Event::Isolated, 1);
        }
        let soon = NOW + Duration::from_secs(59);
        assert!(hooks.next(soon, &events).is_some());
        assert_eq!((hooks.stats.lost, hooks.lost_told), (44 + KEPT as u64 - 1, 44));
        assert!(hooks.next(NOW + LOST_PAUSE, &events).is_some());
        assert_eq!(hooks.lost_told, hooks.stats.lost);
    }

    #[test]
    fn variables_fit_with_everything_at_its_longest() {
        let (node, mut events) = (node(), ring());
        let mut record = events.add(&*node, &member(2, Change::Recovered), u64::MAX).clone();
        let longest = Address::v6([0xFF; 16], u16::MAX);
        record.member.address = longest;
        record.member.incarnation.epoch = u64::MAX;
        record.member.name = "n".repeat(midge::limits::NAME_BYTES).as_str().try_into().unwrap();
        record.member.tags = "t".repeat(midge::limits::TAGS_BYTES).as_str().try_into().unwrap();
        record.seq = u64::MAX;
        let path = "p".repeat(crate::socket::PATH_BYTES).leak();
        let api = crate::socket::SocketPaths::given(path).first;
        let mut space = [0; super::super::children::VARIABLES_BYTES];
        let mut page = Page::new(&mut space);
        write_variables(&events, &record, api, &mut page);
        assert!(!page.is_overfull());
        let text = str::from_utf8(page.written()).unwrap();
        let entries: Vec<_> = text.strip_suffix('\0').unwrap().split('\0').collect();
        assert_eq!(entries.len(), 9);
        assert_eq!(entries[0], format!("MIDGE_API={path}"));
        assert!(entries[1..].iter().all(|entry| entry.starts_with("MIDGE_EVENT_")), "{text}");
        assert!(entries.contains(&&*format!("MIDGE_EVENT_ADDR={longest}")), "{text}");
    }
}
