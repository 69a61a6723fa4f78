//! The digests of the specification, and the table against a twin that is as dumb as can be.

use super::*;
use crate::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::vec::Vec;

const SPECIFICATION: &str = include_str!("../../../docs/wire.md");

/// The digests of the specification: another implementation computes the same.
#[test]
fn digests_are_those_of_the_specification() {
    let heading = "| address | epoch | refutation | address_hash | bucket | row digest |";
    let (_, table) = SPECIFICATION.split_once(heading).expect("the table of digests");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut checked = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [address, epoch, refutation, hash, bucket, digest] = cells[..] else { panic!("{row}") };
        let address = Address::from(address.parse::<SocketAddr>().unwrap());
        let (epoch, refutation) = (epoch.parse().unwrap(), refutation.parse().unwrap());
        let hashed = address_hash(&address);
        assert_eq!(hashed, u64::from_str_radix(hash, 16).unwrap(), "{row}");
        assert_eq!(bucket_of(hashed), bucket.parse().unwrap(), "{row}");
        let expected = u32::from_str_radix(digest, 16).unwrap();
        let incarnation = Incarnation { epoch, refutation };
        assert_eq!(digest_of(hashed, incarnation), expected, "{row}");
        checked += 1;
    }
    assert_eq!(checked, 6);
}

/// A row of the twin. Its slot is not of interest.
#[derive(Clone, Debug)]
struct TwinRow {
    address: Address,
    state: State,
    incarnation: Incarnation,
    deadline: Option<Instant>,
    /// The highest protocol that it speaks.
    protocol: u8,
}

/// Rows in a plain list, and everything else worked out from them.
#[derive(Default)]
struct Twin {
    own: Option<TwinRow>,
    /// Live rows of others, in no order.
    live: Vec<TwinRow>,
    /// Those that failed and those that left, in the order in which they did.
    failed: VecDeque<TwinRow>,
    left: VecDeque<TwinRow>,
    pinned: Option<Address>,
    /// What is owed datagrams and has events, in the order in which that was noted.
    owed: VecDeque<Address>,
    events: VecDeque<Address>,
}

impl Twin {
    fn others(&self) -> impl Iterator<Item = &TwinRow> {
        self.live.iter().chain(&self.failed).chain(&self.left)
    }

    fn rows(&self) -> impl Iterator<Item = &TwinRow> {
        self.own.iter().chain(self.others())
    }

    fn take(&mut self, address: Address) -> TwinRow {
        let (live, failed, left) = (&mut self.live, &mut self.failed, &mut self.left);
        if let Some(at) = live.iter().position(|row| row.address == address) {
            return live.swap_remove(at);
        }
        for list in [failed, left] {
            if let Some(at) = list.iter().position(|row| row.address == address) {
                return list.remove(at).unwrap();
            }
        }
        panic!("{address} has no row")
    }

    fn put(&mut self, row: TwinRow) {
        match row.state {
            State::Alive | State::Suspect => self.live.push(row),
            State::Failed => self.failed.push_back(row),
            State::Left => self.left.push_back(row),
        }
    }

    fn remove(&mut self, address: Address) {
        self.take(address);
        self.owed.retain(|owed| *owed != address);
        self.events.retain(|owed| *owed != address);
    }

    /// Who makes room: the one that left first, then the one that failed first.
    fn evicted(&self) -> Option<Address> {
        let all = self.left.iter().chain(&self.failed).map(|row| row.address);
        all.into_iter().find(|address| Some(*address) != self.pinned)
    }
}

/// A table and its twin, and the same is done to both.
struct Pair<const N: usize> {
    table: Table<N>,
    twin: Twin,
    rng: Rng,
    now: Instant,
}

fn host(number: u32) -> Address {
    Address::v4([10, 0, 0, 1], 1 + number as u16)
}

impl<const N: usize> Pair<N> {
    fn new() -> Self {
        let mut pair = Self {
            table: Table::EMPTY,
            twin: Twin::default(),
            rng: Rng::new(N as u64),
            now: Instant::from_micros(1),
        };
        pair.table.reset((1, 2));
        let (address, incarnation, state) = (host(0), Incarnation::ZERO, State::Alive);
        assert_eq!(pair.table.insert(&address, incarnation, state, pair.now), Some(Slot::OWN));
        pair.table.set_protocols(Slot::OWN, 1, 9);
        pair.twin.own = Some(TwinRow { address, state, incarnation, deadline: None, protocol: 9 });
        pair
    }

    /// Epochs are few, so that some follow upon themselves.
    fn incarnation(&mut self) -> Incarnation {
        Incarnation { epoch: self.rng.next() >> 62, refutation: self.rng.below(3) }
    }

    fn state(&mut self) -> State {
        State::from_bits(self.rng.below(4) as u8)
    }

    fn insert(&mut self, address: Address) {
        let (incarnation, state) = (self.incarnation(), self.state());
        let full = self.twin.rows().count() == N;
        let evicted = self.twin.evicted();
        assert_eq!(self.table.has_room(), !full || evicted.is_some());
        let slot = self.table.insert(&address, incarnation, state, self.now);
        assert_eq!(slot.is_some(), !full || evicted.is_some());
        let Some(slot) = slot else { return };
        if full {
            self.twin.remove(evicted.unwrap());
        }
        self.twin.put(TwinRow { address, state, incarnation, deadline: None, protocol: 1 });
        let random = self.rng.next() as u32;
        self.table.settle_order(slot, random);
    }

    fn change(&mut self, slot: Slot, address: Address) {
        let (incarnation, state) = (self.incarnation(), self.state());
        let row = self.twin.take(address);
        self.table.change(slot, incarnation, state, self.now);
        let same_life = row.incarnation.epoch == incarnation.epoch;
        let protocol = if same_life { row.protocol } else { 1 };
        self.twin.put(TwinRow { state, incarnation, protocol, ..row });
        let random = self.rng.next() as u32;
        self.table.settle_order(slot, random);
    }

    fn set_deadline(&mut self, slot: Slot, address: Address) {
        let later = Duration::from_micros(u64::from(self.rng.below(20)));
        let deadline = (self.rng.below(3) > 0).then_some(self.now + later);
        match deadline {
            Some(deadline) => self.table.set_deadline(slot, deadline),
            None => self.table.clear_deadline(slot),
        }
        let row = self.twin.take(address);
        self.put_back(slot, TwinRow { deadline, ..row });
    }

    fn set_protocols(&mut self, slot: Slot, address: Address) {
        let protocol = 1 + self.rng.below(6) as u8;
        self.table.set_protocols(slot, 1, protocol);
        let row = self.twin.take(address);
        self.put_back(slot, TwinRow { protocol, ..row });
    }

    /// As it was: the order of those who are gone does not change.
    fn put_back(&mut self, slot: Slot, row: TwinRow) {
        let at = self.twin_place(slot);
        match row.state {
            State::Alive | State::Suspect => self.twin.live.push(row),
            State::Failed => self.twin.failed.insert(at, row),
            State::Left => self.twin.left.insert(at, row),
        }
    }

    /// How many of its kind are before a row that is gone.
    fn twin_place(&self, slot: Slot) -> usize {
        let (mut at, mut before) = (slot, 0);
        while let Some(previous) = self.table.row(at).links[Kind::Gone as usize].previous {
            (at, before) = (previous, before + 1);
        }
        before
    }

    /// Does something at random to both.
    fn step(&mut self) {
        self.now += Duration::from_micros(1);
        let address = host(1 + self.rng.below(2 * N as u32));
        let Some(slot) = self.table.find(&address) else {
            assert!(self.twin.rows().all(|row| row.address != address));
            return self.insert(address);
        };
        match self.rng.below(9) {
            0 if !self.table.row(slot).is_live() && self.twin.pinned != Some(address) => {
                self.table.remove(slot);
                self.twin.remove(address);
            }
            0..=3 => self.change(slot, address),
            8 => self.set_protocols(slot, address),
            4 => self.set_deadline(slot, address),
            5 => {
                self.table.owe(slot, Flags::TELL);
                self.table.note_event(slot);
                for list in [&mut self.twin.owed, &mut self.twin.events] {
                    if !list.contains(&address) {
                        list.push_back(address);
                    }
                }
            }
            6 => {
                self.table.pin(Some(slot));
                self.twin.pinned = Some(address);
            }
            _ => {
                self.table.pin(None);
                self.twin.pinned = None;
                let owed = self.table.next_owed().map(|slot| self.table.row(slot).address);
                assert_eq!(owed, self.twin.owed.pop_front());
                let event = self.table.next_event().map(|slot| self.table.row(slot).address);
                assert_eq!(event, self.twin.events.pop_front());
            }
        }
    }

    /// The table is what the twin says that it is.
    fn check(&self) {
        let (table, twin) = (&self.table, &self.twin);
        let (mut counts, mut digests) = ([0; 4], [0_u32; BUCKETS]);
        for row in twin.rows() {
            let slot = table.find(&row.address).expect("a row that is in the index");
            let held = table.row(slot);
            assert_eq!((held.state, held.incarnation), (row.state, row.incarnation));
            counts[row.state as usize] += 1;
            if row.state.is_live() {
                let hash = address_hash(&row.address);
                let digest = &mut digests[usize::from(bucket_of(hash))];
                *digest = digest.wrapping_add(digest_of(hash, row.incarnation));
            }
        }
        assert_eq!((table.counts, table.digests), (counts, digests));
        let live = twin.rows().filter(|row| row.state.is_live());
        let protocol = live.map(|row| row.protocol).min().expect("the own row").min(4);
        assert_eq!(table.protocol(), protocol);
        assert_eq!(table.digest(), digests.iter().fold(0, |sum: u32, d| sum.wrapping_add(*d)));
        assert_eq!(table.rows_from(0).count(), twin.rows().count());
        for number in 0..=2 * N as u32 {
            let known = twin.rows().any(|row| row.address == host(number));
            assert_eq!(table.find(&host(number)).is_some(), known);
        }
        let mut ordered: Vec<Address> = (0..table.order.len())
            .map(|at| table.row(table.order.at(at).unwrap()).address)
            .collect();
        let mut live: Vec<Address> = twin.live.iter().map(|row| row.address).collect();
        ordered.sort();
        live.sort();
        assert_eq!(ordered, live);
        let first = table.first_deadline().map(|(deadline, _)| deadline);
        assert_eq!(first, twin.rows().filter_map(|row| row.deadline).min());
    }

    /// Knocking goes from the newest failure to the oldest, and round again.
    fn check_knocks(&self) {
        let mut after = None;
        let failed = &self.twin.failed;
        for row in failed.iter().rev().chain(failed.back()) {
            after = self.table.next_failed(after);
            assert_eq!(after.map(|slot| self.table.row(slot).address), Some(row.address));
        }
        assert_eq!(self.table.next_failed(None).is_none(), failed.is_empty());
    }
}

fn against_twin<const N: usize>(steps: u32) {
    let mut pair = Pair::<N>::new();
    for _ in 0..steps / crate::SHORTER {
        pair.step();
        pair.check();
        pair.check_knocks();
    }
}

#[test]
fn a_table_of_three_against_its_twin() {
    against_twin::<3>(8_000);
}

#[test]
fn a_table_of_eight_against_its_twin() {
    against_twin::<8>(8_000);
}

/// Evicted rows are reported, up to a bound, and what is lost is counted.
#[test]
fn forgotten_rows_are_reported_if_they_were_told() {
    const ROWS: usize = FORGOTTEN_EVENTS + 4;
    let mut table = Table::<ROWS>::EMPTY;
    table.reset((1, 2));
    let now = Instant::from_micros(1);
    for number in 0..ROWS as u32 {
        table.insert(&host(number), Incarnation::ZERO, State::Left, now).unwrap();
    }
    for number in 1..ROWS as u32 {
        let slot = table.find(&host(number)).unwrap();
        table.row_mut(slot).told = u8::from(number > 1);
        table.remove(slot);
    }
    let reported: Vec<Address> =
        core::iter::from_fn(|| table.next_forgotten()).map(|gone| gone.address).collect();
    let expected: Vec<Address> = (2..2 + FORGOTTEN_EVENTS as u32).map(host).collect();
    assert_eq!(reported, expected);
    assert_eq!(table.events_lost as usize, ROWS - 2 - FORGOTTEN_EVENTS);
}
