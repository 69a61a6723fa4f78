//! One node of the simulated council: its machine, its clocks and its disk.

use midge::council::{Constants, Council, Message, Now, Record, Rules, Settings, Voter};
use midge::rng::Rng;
use midge::{Address, Instant, TimeWindow};

/// Nanoseconds of a microsecond.
pub(crate) const MICRO: i64 = 1_000;

/// How the clocks of a node behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    /// By how many millionths the monotonic clock is fast.
    pub(crate) drift_ppm: i64,
    /// How wide the window of true time is at most, nanoseconds; `None`: there is no bounded clock.
    pub(crate) width_ns: Option<i64>,
    /// By how much the window is wrong: 0 unless this axis is at fault.
    pub(crate) error_ns: i64,
}

pub(crate) struct Node {
    pub(crate) voter: Voter,
    pub(crate) clocks: Clocks,
    /// What the monotonic clock read at what true instant.
    base: (i64, u64),
    pub(crate) council: Option<Council>,
    /// What the disk holds; `None` for a node that has no disk.
    disk: Option<Option<Record>>,
    /// A write that has begun.
    writing: Option<(u64, Record)>,
}

impl Node {
    pub(crate) fn new(id: u64, clocks: Clocks, has_disk: bool, now_ns: i64) -> Self {
        Self {
            voter: Voter { id, address: address(id) },
            clocks,
            base: (now_ns, 1_000_000),
            council: None,
            disk: has_disk.then_some(None),
            writing: None,
        }
    }

    /// What the monotonic clock reads.
    pub(crate) fn mono(&self, now_ns: i64) -> Instant {
        let true_us = i128::from((now_ns - self.base.0) / MICRO);
        let local = true_us * i128::from(1_000_000 + self.clocks.drift_ppm) / 1_000_000;
        Instant::from_micros(self.base.1 + local as u64)
    }

    /// When the monotonic clock reads so much, as true time.
    pub(crate) fn when(&self, mono: Instant) -> i64 {
        let local = i128::from(mono.as_micros()) - i128::from(self.base.1);
        let true_us = local * 1_000_000 / i128::from(1_000_000 + self.clocks.drift_ppm);
        self.base.0 + true_us as i64 * MICRO
    }

    /// From now on the monotonic clock runs so much too fast.
    pub(crate) fn drift(&mut self, now_ns: i64, drift_ppm: i64) {
        self.base = (now_ns, self.mono(now_ns).as_micros());
        self.clocks.drift_ppm = drift_ppm;
    }

    /// A reading of both clocks, somewhere inside the bound.
    pub(crate) fn read(&self, now_ns: i64, rng: &mut Rng) -> Now {
        let window = self.clocks.width_ns.and_then(|width| {
            let before = i64::from(rng.below((width / MICRO) as u32 + 1)) * MICRO;
            let wrong = now_ns + self.clocks.error_ns;
            TimeWindow::new(wrong - before, wrong - before + width)
        });
        Now { mono: self.mono(now_ns), window }
    }

    /// The reading inside the bound that allows the most: exactly the time.
    pub(crate) fn most_permissive(&self, now_ns: i64) -> Now {
        let wrong = now_ns + self.clocks.error_ns;
        let window = self.clocks.width_ns.and_then(|_| TimeWindow::new(wrong, wrong));
        Now { mono: self.mono(now_ns), window }
    }

    fn settings(&self, rules: Rules) -> Settings {
        Settings { me: self.voter, require_clock: false, rules }
    }

    /// Starts the node: with what its disk holds, or as somebody new.
    pub(crate) fn start(&mut self, now_ns: i64, rules: Rules, rng: &mut Rng, fresh_id: u64) {
        let now = self.read(now_ns, rng);
        let seed = rng.next();
        let restored = self.disk.as_ref().and_then(Clone::clone);
        self.council = Some(match restored {
            Some(record) => Council::restore(self.settings(rules), record, seed, &now),
            None => {
                self.voter = Voter { id: fresh_id, address: address(fresh_id) };
                Council::new(self.settings(rules), seed, &now)
            }
        });
    }

    pub(crate) fn found(&mut self, now: &Now, constants: Constants) {
        let council = self.council.as_mut().expect("it was started");
        assert!(council.found(now, 1, constants));
    }

    /// The process dies. A write that has begun may have reached the disk.
    pub(crate) fn crash(&mut self, rng: &mut Rng) {
        self.council = None;
        if let Some((_, record)) = self.writing.take()
            && rng.below(2) == 0
        {
            self.disk = self.disk.take().map(|_| Some(record));
        }
    }

    /// Begins to write, or ends it. Without a disk there is nothing to wait for.
    pub(crate) fn write(&mut self, now: &Now) {
        let Some(council) = &mut self.council else { return };
        if let Some((change, record)) = self.writing.take() {
            self.disk = Some(Some(record));
            council.handle_persisted(now, change);
        } else if let Some((change, record)) = council.poll_persist() {
            if self.disk.is_some() {
                self.writing = Some((change, record.clone()));
            } else {
                council.handle_persisted(now, change);
            }
        }
    }

    /// Whether a record has to be written.
    pub(crate) fn has_to_write(&self) -> bool {
        let unsafe_yet = self.council.as_ref().is_some_and(|c| c.poll_persist().is_some());
        self.writing.is_some() || unsafe_yet
    }

    /// What is safe: what the disk holds, or for a node without one, what it knows.
    pub(crate) fn safe(&self) -> Option<&Record> {
        match &self.disk {
            Some(disk) => disk.as_ref(),
            None => self.council.as_ref().map(Council::record),
        }
    }

    pub(crate) fn has_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// The next message that leaves.
    pub(crate) fn send(&mut self, now: &Now) -> Option<Message> {
        self.council.as_mut()?.poll_message(now)
    }
}

pub(crate) fn address(id: u64) -> Address {
    Address::v4([10, 0, (id >> 8) as u8, id as u8], 6434)
}
