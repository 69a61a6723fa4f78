//! Events: what the application has not been told yet.

use super::incarnation::State;
use super::row::{Flags, Slot};
use super::swim::{Phase, Swim};
use super::table::Forgotten;
use crate::address::Address;
use crate::event::{Change, Event};
use crate::limits::NOISY_SOURCES;
use crate::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// How many places there are for [`place_of`].
const PLACES: usize = 10;

/// Where an event that concerns the node waits to be read; those that come first are read first.
/// `None` for those that are made when they are read.
const fn place_of(event: &Event) -> Option<usize> {
    Some(match event {
        Event::Left => 0,
        Event::Isolated => 1,
        Event::NoAnswer => 2,
        Event::Partial(_) => 3,
        Event::AddressConflict { .. } => 4,
        Event::NameConflict { .. } => 5,
        Event::ParameterMismatch { .. } => 6,
        Event::TableFull { .. } => 7,
        Event::Refused { .. } => 8,
        Event::ForeignCluster { .. } => 9,
        Event::Joined | Event::Member { .. } => return None,
    })
}

/// An event that is never noted; as bytes it is all zeroes.
const NOTHING: Event = Event::Joined;

/// What concerns the node and not one row: of each kind the last.
#[derive(Debug)]
pub(super) struct Notices {
    joined_told: bool,
    /// `NOTHING` where there is none.
    pending: [Event; PLACES],
    quiet_until: [Instant; PLACES],
    /// Sources of bad packets that were reported, and until when they are not again.
    noisy: [(Address, Instant); NOISY_SOURCES],
}

impl Notices {
    pub(super) const NONE: Self = Self {
        joined_told: false,
        pending: [NOTHING; PLACES],
        quiet_until: [Instant::ZERO; PLACES],
        noisy: [(Address::NONE, Instant::ZERO); NOISY_SOURCES],
    };

    /// Notes an event.
    #[inline(never)]
    pub(super) fn tell(&mut self, event: Event) {
        if let Some(place) = place_of(&event) {
            self.pending[place] = event;
        }
    }

    /// Notes an event of a kind that is reported at most once a minute.
    #[inline(never)]
    pub(super) fn tell_rarely(&mut self, now: Instant, event: Event) {
        if let Some(place) = place_of(&event)
            && now >= self.quiet_until[place]
        {
            self.quiet_until[place] = now + MINUTE;
            self.tell(event);
        }
    }

    /// A packet with a bad tag: reported once a minute a source, and of no more sources than are
    /// remembered.
    pub(super) fn noise(&mut self, now: Instant, from: &Address) {
        let known = |(source, until): &(Address, Instant)| *source == *from && *until > now;
        if self.noisy.iter().any(known) {
            return;
        }
        if let Some(place) = self.noisy.iter_mut().find(|(_, until)| *until <= now) {
            *place = (*from, now + MINUTE);
            self.tell(Event::ForeignCluster { from: *from });
        }
    }

    fn next(&mut self) -> Option<Event> {
        let next = self.pending.iter_mut().find(|event| !matches!(**event, NOTHING))?;
        Some(core::mem::replace(next, NOTHING))
    }
}

/// What a row was last told to be: 0 is nothing.
const fn told(state: State) -> u8 {
    state as u8 + 1
}

/// The event that leads from what was told towards what is; and what is told then.
fn difference(last: u8, state: State, updated: bool) -> Option<(Change, State)> {
    use State::{Alive, Failed, Left, Suspect};
    let last = last.checked_sub(1).map(State::from_bits);
    Some(match (last, state) {
        (None | Some(Left), Alive | Suspect) => (Change::Joined, Alive),
        (None, Failed | Left) => return None,
        (Some(Alive), Alive) if updated => (Change::Updated, Alive),
        (Some(Suspect), Suspect) if updated => (Change::Updated, Suspect),
        (Some(Suspect), Alive) => (Change::Recovered, Alive),
        (Some(Failed), Alive) => (Change::Joined, Alive),
        (Some(Alive | Failed), Suspect) => (Change::Suspected, Suspect),
        (Some(Alive | Suspect | Left), Failed) => (Change::Failed, Failed),
        (Some(Alive | Suspect | Failed), Left) => (Change::Left, Left),
        (Some(Alive), Alive)
        | (Some(Suspect), Suspect)
        | (Some(Failed), Failed)
        | (Some(Left), Left) => return None,
    })
}

impl<const N: usize> Swim<N> {
    /// See [`Node::poll_event`](crate::Node::poll_event).
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.phase == Phase::Unborn {
            return None;
        }
        if let Some(event) = self.notices.next() {
            return Some(event);
        }
        // Before the rows: one of these may be known again, in a new row.
        if let Some(Forgotten { address, state, incarnation }) = self.table.next_forgotten() {
            return Some(Event::Member { change: Change::Forgotten, address, state, incarnation });
        }
        while let Some(slot) = self.table.next_event() {
            if let Some(event) = self.row_event(slot) {
                return Some(event);
            }
        }
        // Last, so that the members are known when it is said.
        let joined = self.has_joined();
        if joined != self.notices.joined_told {
            self.notices.joined_told = joined;
            if joined {
                return Some(Event::Joined);
            }
        }
        None
    }

    /// Two live nodes use this address.
    #[inline(never)]
    pub(super) fn note_conflict(&mut self, address: &Address) {
        self.notices.tell_rarely(self.now, Event::AddressConflict { address: *address });
    }

    fn row_event(&mut self, slot: Slot) -> Option<Event> {
        let row = self.row_mut(slot);
        let updated = row.flags.has(Flags::UPDATED);
        let (change, state) = difference(row.told, row.state, updated)?;
        row.told = told(state);
        row.flags.clear(Flags::UPDATED);
        let event = Event::Member {
            change,
            address: row.address,
            state: row.state,
            incarnation: row.incarnation,
        };
        if state != row.state {
            self.table.note_event(slot);
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From anything told, the events lead to what is, and then end.
    #[test]
    fn differences_lead_to_what_is() {
        let states = [State::Alive, State::Suspect, State::Failed, State::Left];
        for first in 0..=4 {
            for state in states {
                for updated in [false, true] {
                    let (mut last, mut updated, mut steps) = (first, updated, 0);
                    while let Some((_, next)) = difference(last, state, updated) {
                        (last, updated) = (told(next), false);
                        steps += 1;
                        assert!(steps <= 2);
                    }
                    let silent = first == 0 && !state.is_live();
                    assert!(silent || last == told(state), "{first} {state}");
                }
            }
        }
    }

    #[test]
    fn noise_is_reported_once_a_minute_a_source() {
        let mut notices = Notices::NONE;
        let mut now = Instant::from_micros(1);
        let mut reported = 0;
        for round in 0..2_u16 {
            for port in 1..=1_000 {
                notices.noise(now, &Address::v4([10, 0, 0, 1], port));
                reported += u16::from(notices.next().is_some());
            }
            assert_eq!(usize::from(reported), NOISY_SOURCES * (usize::from(round) + 1));
            now += MINUTE;
        }
    }
}
