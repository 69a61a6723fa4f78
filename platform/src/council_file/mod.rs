//! The file `council` in the state directory: what a node must not forget of its council, safe on
//! the disk before anybody hears of it. `docs/decisions/council-file.md` says why it is as it is.
//!
//! A helper writes it, so that the loop never waits for the disk. [`slot`] is what the bytes say,
//! [`disk`] in which order they are written; both without a disk, so that a test can cut the power at
//! every step.

mod disk;
mod slot;
#[cfg(test)]
mod tests;

use core::fmt;
use std::os::fd::BorrowedFd;

use midge::council::Record;
use midge::{Duration, Instant};
use nix::errno::Errno;

use crate::helper::Helper;
use crate::os::Reason;
use crate::poll::{Poll, Token};
use disk::{Files, Order};
use slot::SLOT_BYTES;
pub use slot::{NewId, Owner, Refusal};

/// After so long without an answer the disk counts as stalled: half of the default lease.
const STALL: Duration = Duration::from_millis(1_000);

/// How soon after a failure the next attempt begins.
const RETRY: Duration = Duration::from_millis(1_000);

/// Why the node has no vote at the moment: what it would have to remember is not safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The disk does not answer. Whether it will is not known; nothing else is tried until then.
    Stalled,
    /// The disk is full, read-only, gone or broken. It is tried again once a second.
    Failed(Errno),
    /// Whoever wrote was killed. It is tried again in a second.
    Killed,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stalled => f.write_str("the disk does not answer"),
            Self::Failed(error) => Reason(*error).fmt(f),
            Self::Killed => f.write_str("the writer was killed"),
        }
    }
}

/// The file, and what is being written to it.
#[derive(Debug)]
pub struct CouncilFile {
    owner: Owner,
    order: Order,
    helper: Option<Helper>,
    /// Which change the helper writes, and since when.
    change: u64,
    begun_at: Instant,
    /// It has told what became of it.
    told: bool,
    retry_at: Instant,
    due: Instant,
    trouble: Option<Trouble>,
    errors: u32,
}

impl CouncilFile {
    /// Of this owner; not read yet.
    #[must_use]
    pub const fn new(owner: Owner) -> Self {
        Self {
            owner,
            order: Order::after(0),
            helper: None,
            change: 0,
            begun_at: Instant::ZERO,
            told: false,
            retry_at: Instant::ZERO,
            due: Instant::FAR_FUTURE,
            trouble: None,
            errors: 0,
        }
    }

    /// Reads the file in this directory, which the caller has locked, before anything is written.
    /// This waits for the disk. Returns what the node remembers, or why it needs a new node id. A
    /// record counts only when it was written once more: until then a power cut may take it back.
    ///
    /// # Errors
    /// [`Refusal`]: no agent may start with this file. Nothing has changed.
    pub fn read(&mut self, directory: BorrowedFd<'_>) -> Result<Result<Record, NewId>, Refusal> {
        let mut pieces = [[0; SLOT_BYTES]; _];
        let Some(slots) = disk::read(directory, &mut pieces)? else {
            return Ok(Err(NewId::NoFile));
        };
        let (slot, sequence) = slot::newest(slots)?;
        self.order = Order::after(sequence);
        match slot::check_owner(slot, &self.owner)? {
            None => slot::record(slot).map(Ok).ok_or(Refusal::Damaged),
            Some(why) => Ok(Err(why)),
        }
    }

    /// Writes `wanted`, the newest record with the number of its change, unless an older one is
    /// being written: that comes first. Says which change is safe now, once.
    ///
    /// To be called when there is something new, when the token is ready, at
    /// [`poll_timeout`](Self::poll_timeout), and again after it has said something. `wanted` is
    /// `None` when all is safe.
    #[must_use]
    pub fn run(
        &mut self,
        now: Instant,
        poll: &Poll,
        token: Token,
        directory: BorrowedFd<'_>,
        wanted: Option<(u64, &Record)>,
    ) -> Option<u64> {
        let safe = self.hear(now);
        if self.helper.is_some() {
            let stalls_at = self.begun_at + STALL;
            let stalled = !self.told && now >= stalls_at;
            if stalled {
                self.trouble = Some(Trouble::Stalled);
            }
            self.due = if stalled || self.told { Instant::FAR_FUTURE } else { stalls_at };
            return safe;
        }
        self.due = if wanted.is_some() { self.retry_at } else { Instant::FAR_FUTURE };
        if let (None, Some((change, record))) = (safe, wanted)
            && now >= self.retry_at
        {
            self.begin(now, poll, token, directory, change, record);
        }
        safe
    }

    /// When [`run`](Self::run) has something to do beside what the helper tells.
    #[must_use]
    pub const fn poll_timeout(&self) -> Instant {
        self.due
    }

    /// Why the last record is not safe, if more is wrong than that it takes its time. The node
    /// neither votes nor acknowledges until then; it is a member as before.
    #[must_use]
    pub const fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// How often writing has failed.
    #[must_use]
    pub const fn errors(&self) -> u32 {
        self.errors
    }

    fn begin(
        &mut self,
        now: Instant,
        poll: &Poll,
        token: Token,
        directory: BorrowedFd<'_>,
        change: u64,
        record: &Record,
    ) {
        let (sequence, place) = self.order.next();
        let mut slot = [0; SLOT_BYTES];
        if !slot::encode(&mut slot, &self.owner, sequence, record) {
            return self.fail(now, Trouble::Failed(Errno::EFBIG));
        }
        let helper = Helper::start(poll, token, Some(directory), &mut |socket| {
            let error = disk::write(&mut Files::new(directory), place, &slot).err();
            // All numbers of errors are below 134, and 0 is none.
            let _ = socket.send(&[error.map_or(0, |error| error as u8)]);
        });
        match helper {
            Ok(helper) => {
                self.helper = Some(helper);
                self.change = change;
                self.begun_at = now;
                self.told = false;
                self.due = now + STALL;
            }
            Err(error) => self.fail(now, Trouble::Failed(error)),
        }
    }

    /// Hears what the helper tells; says which change is safe now.
    fn hear(&mut self, now: Instant) -> Option<u64> {
        let mut safe = None;
        // Its end comes after what it tells.
        while let Some(helper) = &self.helper {
            let mut told = [0];
            match helper.read(&mut told) {
                Ok(0) => {
                    self.helper = None;
                    if !self.told {
                        self.fail(now, Trouble::Killed);
                    }
                }
                Ok(_) => {
                    self.told = true;
                    if told == [0] {
                        self.order.settle(true);
                        self.trouble = None;
                        safe = Some(self.change);
                    } else {
                        self.fail(now, Trouble::Failed(Errno::from_raw(told[0].into())));
                    }
                }
                Err(_) => break,
            }
        }
        safe
    }

    fn fail(&mut self, now: Instant, trouble: Trouble) {
        self.order.settle(false);
        self.trouble = Some(trouble);
        self.errors = self.errors.saturating_add(1);
        self.retry_at = now + RETRY;
        self.due = self.retry_at;
    }
}
