//! The power is cut at every step of every write, over a disk that loses, tears and reorders what was
//! not synced, and fails; agents crash, also in the middle of a step that the system does later, and
//! others go on. All that can happen is walked through, up to so many faults one after the other.

use midge::council::Record;
use nix::errno::Errno;

use super::super::disk::{Disk, OFFSETS, Order, Place, write};
use super::super::slot::{Refusal, SLOT_BYTES, Slot, sequence};
use super::{OWNER, load, record, slot};

/// Agents one after the other on one disk, and what each writes at most.
const LIVES: u32 = 2;
const WRITES: u32 = 3;

/// Decisions, one after the other; the next walk takes another one at the end.
#[derive(Default)]
struct Choices {
    taken: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    /// One of so many ways.
    fn pick(&mut self, count: usize) -> usize {
        if self.at == self.taken.len() {
            self.taken.push((0, count));
        }
        let (way, of) = self.taken[self.at];
        assert_eq!(of, count, "a walk depends on its choices alone");
        self.at += 1;
        way
    }

    /// Goes to the next walk, if there is one.
    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((way, count)) = self.taken.pop() {
            if way + 1 < count {
                self.taken.push((way + 1, count));
                return true;
            }
        }
        false
    }
}

/// What the code could do wrong, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// A record is written over the last one.
    OneSlot,
    /// After a failure the other slot is taken, which holds the last record that is safe.
    OtherSlotAfterFailure,
    /// What was read counts as safe at once.
    TrustWhatWasRead,
    NoSync,
    NoSyncOfTheDirectory,
    NoSyncOfTheNewFile,
    NoLock,
}

struct File {
    /// What is read, and what is left of that when the power is cut.
    seen: [Slot; 2],
    disk: [Slot; 2],
    /// What was written to each slot and not synced.
    unsynced: [Vec<Slot>; 2],
}

/// A step of an agent that is gone, which the system has still to do.
struct Late {
    step: Step,
    /// Which file it keeps locked.
    lock: Option<usize>,
}

enum Step {
    Open,
    Write { file: usize, at: usize, slot: Box<Slot> },
    Sync { file: usize },
    Rename,
    SyncDirectory,
}

struct SimDisk<'a> {
    choices: &'a mut Choices,
    flaw: Flaw,
    faults: u32,
    files: Vec<File>,
    /// Which file has which name: as it is seen, and after a cut.
    name: Option<usize>,
    new_name: Option<usize>,
    name_on_disk: Option<usize>,
    open: usize,
    lock: Option<usize>,
    late: Option<Late>,
    is_off: bool,
    is_dead: bool,
}

impl SimDisk<'_> {
    /// Whether a step is done; it may fail, the power may be cut before it, or the agent dies and it
    /// is done later.
    fn step(&mut self, step: Step) -> Result<(), Errno> {
        if self.is_off || self.is_dead {
            return Err(Errno::EIO);
        }
        if self.late.is_some() && self.choices.pick(2) == 1 {
            self.catch_up();
        }
        let ways = if self.late.is_some() { 3 } else { 4 };
        match if self.faults == 0 { 0 } else { self.choices.pick(ways) } {
            0 => return Ok(()),
            1 => {}
            2 => self.is_off = true,
            _ => {
                self.is_dead = true;
                self.late = Some(Late { step, lock: self.lock });
            }
        }
        self.faults -= 1;
        Err(Errno::EIO)
    }

    /// Does the late step.
    fn catch_up(&mut self) {
        match self.late.take().map(|late| late.step) {
            Some(Step::Write { file, at, slot }) => self.files[file].put(at, *slot),
            Some(Step::Sync { file }) => self.files[file].sync(),
            Some(Step::Rename) => self.name = self.new_name.take().or(self.name),
            Some(Step::SyncDirectory) => self.name_on_disk = self.name,
            Some(Step::Open) | None => {}
        }
    }

    /// Whether only a failure is left to be told.
    fn is_failure(&self, step: Result<(), Errno>) -> bool {
        step.is_err() && !self.is_off && !self.is_dead
    }

    fn file(&mut self) -> &mut File {
        &mut self.files[self.open]
    }

    /// What a start reads.
    fn load(&self) -> Result<Option<Found>, Refusal> {
        let Some(name) = self.name else { return Ok(None) };
        let (sequence, record) = load(&self.files[name].seen)?;
        Ok(Some(Found { sequence, record }))
    }

    /// Of what was not synced, anything may have come to the disk, in any order, and one write is
    /// torn at any byte.
    fn cut_power(&mut self) {
        if self.name != self.name_on_disk && self.choices.pick(2) == 1 {
            self.name_on_disk = self.name;
        }
        self.name = self.name_on_disk;
        self.new_name = self.new_name.filter(|new| Some(*new) != self.name);
        (self.is_off, self.late) = (false, None);
        for (at, file) in self.files.iter_mut().enumerate() {
            for slot in 0..2 {
                let mut contents = std::mem::take(&mut file.unsynced[slot]);
                // What nobody can read any more need not be told apart.
                if Some(at) == self.name {
                    contents.push(file.disk[slot]);
                    let outcomes = mixtures(&contents);
                    file.disk[slot] = outcomes[self.choices.pick(outcomes.len())];
                }
                file.seen[slot] = file.disk[slot];
            }
        }
    }
}

/// All that is different of: the beginning of one, up to each byte, and the end of another.
fn mixtures(contents: &[Slot]) -> Vec<Slot> {
    let mut mixtures = contents.to_vec();
    for first in contents {
        for second in contents {
            let runs = first.chunks(64).zip(second.chunks(64)).enumerate();
            for (run, _) in runs.filter(|(_, (one, other))| one != other) {
                let differs = |at: &usize| first[*at] != second[*at];
                let bytes = (64 * run..64 * (run + 1)).filter(differs);
                mixtures.extend(bytes.map(|at| torn(first, second, at + 1)));
            }
        }
    }
    mixtures.sort_unstable();
    mixtures.dedup();
    mixtures
}

fn torn(first: &Slot, second: &Slot, at: usize) -> Slot {
    let mut slot = *second;
    slot[..at].copy_from_slice(&first[..at]);
    slot
}

impl File {
    fn put(&mut self, at: usize, slot: Slot) {
        self.seen[at] = slot;
        self.unsynced[at].push(slot);
    }

    fn sync(&mut self) {
        self.disk = self.seen;
        self.unsynced = [vec![], vec![]];
    }

    /// What a failure to sync may leave behind.
    fn fail_to_sync(&mut self, outcome: usize) {
        for at in 0..2 {
            match outcome {
                // The system tries again some time.
                0 => continue,
                // All has come to the disk, or a part; the system has it all.
                1 => self.disk[at] = self.seen[at],
                2 => self.disk[at] = torn(&self.seen[at], &self.disk[at], HALF),
                // Nothing has; the system shows what it has, or what the disk has.
                3 => {}
                _ => self.seen[at] = self.disk[at],
            }
            self.unsynced[at].clear();
        }
    }
}

impl Disk for SimDisk<'_> {
    fn open(&mut self) -> Result<(), Errno> {
        self.lock = None;
        self.step(Step::Open)?;
        self.open = self.name.expect("it was there");
        Ok(())
    }

    fn create(&mut self) -> Result<(), Errno> {
        self.lock = None;
        self.step(Step::Open)?;
        let is_locked = |late: &Late| late.lock.is_some() && late.lock == self.new_name;
        if self.late.as_ref().is_some_and(is_locked) && self.flaw != Flaw::NoLock {
            return Err(Errno::EAGAIN);
        }
        self.open = self.new_name.unwrap_or(self.files.len());
        (self.new_name, self.lock) = (Some(self.open), Some(self.open));
        if self.open == self.files.len() {
            let nothing = [[0; SLOT_BYTES]; 2];
            self.files.push(File { seen: nothing, disk: nothing, unsynced: [vec![], vec![]] });
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, slot: &Slot) -> Result<(), Errno> {
        let at = OFFSETS.iter().position(|o| *o == offset).expect("it is a slot's");
        let step = self.step(Step::Write { file: self.open, at, slot: Box::new(*slot) });
        if step.is_ok() {
            self.file().put(at, *slot);
        } else if self.is_failure(step) && self.choices.pick(2) == 1 {
            let half = torn(slot, &self.file().seen[at], HALF);
            self.file().put(at, half);
        }
        step
    }

    fn sync(&mut self) -> Result<(), Errno> {
        let step = self.step(Step::Sync { file: self.open });
        let is_left_out = match self.flaw {
            Flaw::NoSync => true,
            Flaw::NoSyncOfTheNewFile => self.new_name == Some(self.open),
            _ => false,
        };
        if step.is_ok() && !is_left_out {
            self.file().sync();
        }
        if self.is_failure(step) {
            let outcome = self.choices.pick(5);
            self.file().fail_to_sync(outcome);
        }
        step
    }

    fn rename(&mut self) -> Result<(), Errno> {
        self.step(Step::Rename)?;
        // An agent before this one may have done it.
        self.name = Some(self.new_name.take().ok_or(Errno::ENOENT)?);
        Ok(())
    }

    fn sync_directory(&mut self) -> Result<(), Errno> {
        let step = self.step(Step::SyncDirectory);
        let is_synced = step.is_ok() && self.flaw != Flaw::NoSyncOfTheDirectory;
        if is_synced || self.is_failure(step) && self.choices.pick(2) == 1 {
            self.name_on_disk = self.name;
        }
        step
    }
}

/// Where a slot is torn that is torn at one place alone: the record is new, the sum is not.
const HALF: usize = SLOT_BYTES / 2;

/// An agent's order, with a flaw.
struct Agent {
    order: Order,
    flaw: Flaw,
    place: Place,
}

impl Agent {
    fn start(disk: &SimDisk<'_>, last: u64) -> Self {
        let place = match disk.name {
            Some(name) if disk.flaw == Flaw::TrustWhatWasRead => {
                let is_last = sequence(&disk.files[name].seen[0]) == last;
                Place::Slot(usize::from(is_last))
            }
            _ => Place::NewFile,
        };
        Self { order: Order::after(last), flaw: disk.flaw, place }
    }

    fn next(&mut self) -> (u64, Place) {
        let (sequence, place) = self.order.next();
        let is_other = matches!(
            self.flaw,
            Flaw::OneSlot | Flaw::OtherSlotAfterFailure | Flaw::TrustWhatWasRead
        );
        (sequence, if is_other { self.place } else { place })
    }

    fn settle(&mut self, synced: bool) {
        self.order.settle(synced);
        self.place = match self.place {
            _ if !synced && self.flaw != Flaw::OtherSlotAfterFailure => Place::NewFile,
            Place::NewFile if !synced => Place::NewFile,
            Place::Slot(0) if self.flaw != Flaw::OneSlot => Place::Slot(1),
            _ => Place::Slot(0),
        };
    }
}

/// What a start found.
struct Found {
    sequence: u64,
    record: Record,
}

/// What must be found: what was said to be safe, or what was written after it.
struct Ledger {
    safe: Option<Record>,
    later: Vec<Record>,
}

impl Ledger {
    fn allows(&self, found: Option<&Found>) -> bool {
        match found.map(|found| &found.record) {
            Some(record) => self.safe.as_ref() == Some(record) || self.later.contains(record),
            None => self.safe.is_none(),
        }
    }
}

/// One way through the lives of some agents; whether every start found what it had to.
fn walk(choices: &mut Choices, flaw: Flaw, faults: u32) -> bool {
    let mut disk = SimDisk {
        choices,
        flaw,
        faults,
        files: vec![],
        name: None,
        new_name: None,
        name_on_disk: None,
        open: 0,
        lock: None,
        late: None,
        is_off: false,
        is_dead: false,
    };
    let mut ledger = Ledger { safe: None, later: vec![] };
    let mut term = 0;
    for _ in 0..LIVES {
        let Ok(found) = disk.load() else { return false };
        if !ledger.allows(found.as_ref()) {
            return false;
        }
        disk.is_dead = false;
        live(&mut disk, &mut ledger, &mut term, found);
        if disk.is_off {
            disk.cut_power();
        }
    }
    disk.cut_power();
    disk.load().is_ok_and(|found| ledger.allows(found.as_ref()))
}

/// An agent starts, writes, and ends when the power is cut, or it crashes, or has written enough.
fn live(disk: &mut SimDisk<'_>, ledger: &mut Ledger, term: &mut u64, found: Option<Found>) {
    let sequence = found.as_ref().map_or(0, |found| found.sequence);
    let mut agent = Agent::start(disk, sequence);
    let mut unconfirmed = found.map(|found| found.record);
    if disk.flaw == Flaw::TrustWhatWasRead {
        ledger.safe = unconfirmed.take().or(ledger.safe.take());
    }
    for _ in 0..WRITES {
        let next = unconfirmed.clone().unwrap_or_else(|| {
            *term += 1;
            record(*term)
        });
        ledger.later.push(next.clone());
        let (sequence, place) = agent.next();
        let slot = slot(&OWNER, sequence, &next);
        let written = write(disk, place, &slot);
        if disk.is_off || disk.is_dead {
            return;
        }
        agent.settle(written.is_ok());
        if written.is_ok() {
            unconfirmed = None;
            ledger.later.clear();
            ledger.safe = Some(next);
        }
        if disk.faults > 0 && disk.choices.pick(2) == 1 {
            disk.faults -= 1;
            return;
        }
    }
}

/// Walks all ways; how many there were, and whether all were good, at least up to the first that was
/// not.
fn walk_all(flaw: Flaw, faults: u32) -> (u32, bool) {
    let mut choices = Choices::default();
    let mut walks = 0;
    loop {
        walks += 1;
        if !walk(&mut choices, flaw, faults) {
            return (walks, false);
        }
        if !choices.advance() {
            return (walks, true);
        }
    }
}

#[test]
fn what_was_safe_is_found_wherever_the_power_is_cut() {
    let (walks, good) = walk_all(Flaw::None, 2);
    assert!(good, "walk {walks}");
    assert!(walks > 10_000, "{walks}");
}

#[test]
fn whatever_is_left_out_is_missed() {
    for flaw in [
        Flaw::OneSlot,
        Flaw::OtherSlotAfterFailure,
        Flaw::TrustWhatWasRead,
        Flaw::NoSync,
        Flaw::NoSyncOfTheDirectory,
        Flaw::NoSyncOfTheNewFile,
        Flaw::NoLock,
    ] {
        let (walks, good) = walk_all(flaw, 2);
        assert!(!good, "{flaw:?} is not found in {walks} walks");
    }
}
