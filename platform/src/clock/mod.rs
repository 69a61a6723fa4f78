//! True time with a bound, from the shared memory of the ClockBound daemon.
//!
//! The core decodes segments and does the arithmetic ([`midge::clockbound`]); this maps them, copies
//! them whole or not at all, and reads the clocks. Reading survives whatever the daemon does to its
//! file. Of a fresh and usable copy of the layout `V3` a reading makes no system call and reads no
//! clock of the system; of one of the others it reads two of these, which is no call where the vDSO
//! has them.

mod clocks;
mod guard;
mod marker;
mod page;
#[cfg(test)]
pub(crate) mod tests;

use core::{fmt, mem};

use midge::clockbound::{Bounded, ClockError, Layout, Segment, SegmentError};
use nix::errno::Errno;

use crate::os::Reason;
use marker::Marker;
use page::{Kind, Page};

/// Where the daemon puts its segments: the one first that says most.
pub const SEGMENT_PATHS: &[&str] =
    &["/var/run/clockbound/shm1", "/var/run/clockbound/shm0", "/var/run/clockbound/shm"];

/// Where the system has the `VMClock`, if the machine has one.
pub const VM_CLOCK_PATH: &str = "/dev/vmclock0";

/// The daemon may have put another file in the place of one that nobody has written to for so long.
/// It writes every second, or after each answer that it gets, which may be every 16.
const LOOK_AGAIN_NS: i64 = 5_000_000_000;

/// Why a file is of no use now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It cannot be opened or mapped.
    System(Errno),
    /// It is a directory, a pipe or the like.
    NotAFile,
    /// What it holds.
    Segment(SegmentError),
    /// What it says of now.
    Clock(ClockError),
    /// It counts by a counter that this processor has not.
    NoCounter,
    /// What an earlier reading said was certainly over lies ahead: one of the two was wrong. Told
    /// once; later readings are held against this one.
    SteppedBack,
}

impl From<Errno> for Cause {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

impl From<SegmentError> for Cause {
    fn from(error: SegmentError) -> Self {
        Self::Segment(error)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => Reason(*error).fmt(f),
            Self::NotAFile => f.write_str("it is not a file"),
            Self::Segment(error) => error.fmt(f),
            Self::Clock(error) => error.fmt(f),
            Self::NoCounter => f.write_str("it counts by what this processor has not"),
            Self::SteppedBack => f.write_str("it was later before"),
        }
    }
}

/// Why there is no window: what is wrong with which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble<'p> {
    /// The segment's, or the `VMClock`'s if that is what is missing.
    pub path: &'p str,
    /// Whether it is the `VMClock`, which the segment demands.
    pub is_vm_clock: bool,
    /// What is wrong with it.
    pub cause: Cause,
}

impl<'p> Trouble<'p> {
    const fn of_segment(path: &'p str, cause: Cause) -> Self {
        Self { path, is_vm_clock: false, cause }
    }
}

impl fmt::Display for Trouble<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.cause)
    }
}

/// Whether it is the `VMClock` that is of no use, and why; else it is the segment.
type Fault = (bool, Cause);

/// A segment's file, and the last good copy of it.
#[derive(Debug)]
struct Found {
    /// Which of the paths is its.
    at: usize,
    segment: Segment,
    page: Page,
}

impl Found {
    fn open(path: &str, at: usize, stuck: &mut u32) -> Result<Self, Cause> {
        let page = Page::open(path, Kind::Segment)?;
        Ok(Self { at, segment: page.segment(stuck)?, page })
    }

    /// Whether the daemon has written nothing since the copy was made.
    #[inline]
    fn is_current(&self) -> bool {
        self.page.stamp() == u32::from(self.segment.generation)
    }

    /// What the copy says of now.
    #[inline]
    fn bounded(&self, vm_clock: &mut Marker<'_>) -> Result<Bounded, Fault> {
        let reading = clocks::reading(self.segment.layout).ok_or((false, Cause::NoCounter))?;
        // After the clocks, so that no disruption before them is missed.
        let mut marker = None;
        if self.segment.disruption_support {
            marker = Some(vm_clock.read().map_err(|cause| (true, cause))?);
        }
        self.segment.at(reading, marker).map_err(|error| (false, Cause::Clock(error)))
    }

    fn is_usable(&self, vm_clock: &mut Marker<'_>) -> bool {
        self.bounded(vm_clock).is_ok_and(|bounded| bounded.status.is_usable_for_leases())
    }
}

/// A reader of true time.
#[derive(Debug)]
pub struct Clock<'p> {
    paths: &'p [&'p str],
    /// What readings are made of. When its file can be read no longer, the copy serves until it says
    /// itself that it is void.
    found: Option<Found>,
    /// Why there is nothing, or nothing newer, and of which path: the last that there was.
    trouble: (usize, Cause),
    is_troubled: bool,
    /// See [`Page`]: the odd generation that a segment was left with.
    stuck: u32,
    vm_clock: Marker<'p>,
    /// At this age of the copy the files are looked at again.
    look_again_ns: i64,
    /// When the files were looked at, by the coarse monotonic clock.
    looked_ns: i64,
    /// The earliest that it was at the last reading, Unix nanoseconds.
    earliest_ns: i64,
}

impl<'p> Clock<'p> {
    /// A reader of the first of these segments that is usable for leases, or else the first that is
    /// readable: [`SEGMENT_PATHS`], or one that somebody chose. `vm_clock_path` is [`VM_CLOCK_PATH`]
    /// but in tests. Files are opened by [`read`](Self::read).
    ///
    /// The first file that is opened in a process takes the handling of SIGBUS over, for all of it: the
    /// system raises that signal when a file is cut while it is read. A handler that was there before
    /// is called for what has nothing to do with these files, with SIGBUS blocked, whatever its mask. One
    /// that is installed later must pass on to the one that it replaces what it does not know itself;
    /// this one is not installed again. SIGBUS must not be blocked in a thread that reads: the system
    /// ends a process whose fault is blocked.
    pub fn new(paths: &'p [&'p str], vm_clock_path: &'p str) -> Self {
        Self {
            paths,
            found: None,
            trouble: (0, Cause::System(Errno::ENOENT)),
            is_troubled: true,
            stuck: 0,
            vm_clock: Marker::new(vm_clock_path),
            look_again_ns: LOOK_AGAIN_NS,
            looked_ns: i64::MIN,
            earliest_ns: i64::MIN,
        }
    }

    /// What the time certainly is, if the status that comes with it is usable.
    ///
    /// Without a segment, each reading looks for one; with one that is not usable, a reading does
    /// every 5 s.
    ///
    /// # Errors
    /// [`Trouble`]; the next reading tries again.
    #[inline]
    pub fn read(&mut self) -> Result<Bounded, Trouble<'p>> {
        if let Some(found) = &self.found
            && !self.is_troubled
            && found.is_current()
            && let Ok(bounded) = found.bounded(&mut self.vm_clock)
            && self.is_plain(&bounded)
        {
            self.earliest_ns = bounded.window.earliest_ns();
            return Ok(bounded);
        }
        self.doubt()
    }

    /// The path of the segment that the last reading was made of.
    pub fn path(&self) -> Option<&'p str> {
        self.found.as_ref().map(|found| self.path_at(found.at))
    }

    /// The segment that the last reading was made of.
    pub fn segment(&self) -> Option<&Segment> {
        self.found.as_ref().map(|found| &found.segment)
    }

    /// Why the last reading was made of nothing, or of a copy whose file cannot be read at present.
    pub fn trouble(&self) -> Option<Trouble<'p>> {
        self.is_troubled.then(|| self.told())
    }

    fn told(&self) -> Trouble<'p> {
        Trouble::of_segment(self.path_at(self.trouble.0), self.trouble.1)
    }

    #[inline(never)]
    fn path_at(&self, at: usize) -> &'p str {
        self.paths.get(at).copied().unwrap_or_default()
    }

    /// Whether there is nothing more to be asked about this reading.
    #[inline]
    fn is_plain(&self, bounded: &Bounded) -> bool {
        bounded.age_ns < self.look_again_ns
            && self.is_good(bounded)
            && bounded.window.latest_ns() >= self.earliest_ns
    }

    /// Whether there is no reason to look for a better one. If the counter lies behind the segment's,
    /// as after the machine was moved or slept, the time that is made of it stands still.
    #[inline]
    fn is_good(&self, bounded: &Bounded) -> bool {
        let is_counted = self.segment().is_some_and(|segment| segment.layout == Layout::V3);
        bounded.status.is_usable_for_leases() && (bounded.age_ns > 0 || !is_counted)
    }

    /// Whether the files are to be looked at again.
    fn is_due(&self, bounded: &Bounded) -> bool {
        bounded.age_ns >= self.look_again_ns
            || (!self.is_good(bounded)
                && clocks::monotonic_coarse_ns().saturating_sub(self.looked_ns) >= LOOK_AGAIN_NS)
    }

    /// A reading when something is new, or wrong, or may be.
    #[inline(never)]
    fn doubt(&mut self) -> Result<Bounded, Trouble<'p>> {
        self.renew();
        let mut read = self.bounded();
        if !self.is_troubled && read.map_or(true, |bounded| self.is_due(&bounded)) {
            self.choose(true);
            read = self.bounded();
        }
        // That a copy is of no use says less than that there is no file to copy again.
        let bounded = match read {
            Ok(bounded) => bounded,
            Err(_) if self.is_troubled => return Err(self.told()),
            Err((false, cause)) => return Err(self.of_copy(cause)),
            Err((true, cause)) => {
                return Err(Trouble { path: self.vm_clock.path, is_vm_clock: true, cause });
            }
        };
        if bounded.age_ns >= self.look_again_ns {
            self.look_again_ns = bounded.age_ns.saturating_add(LOOK_AGAIN_NS);
        } else if bounded.age_ns < LOOK_AGAIN_NS {
            self.look_again_ns = LOOK_AGAIN_NS;
        }
        if self.is_troubled && bounded.is_void {
            self.found = None;
            return Err(self.told());
        }
        if bounded.status.is_usable_for_leases() {
            let before_ns = mem::replace(&mut self.earliest_ns, bounded.window.earliest_ns());
            if bounded.window.latest_ns() < before_ns {
                return Err(self.of_copy(Cause::SteppedBack));
            }
        }
        Ok(bounded)
    }

    fn of_copy(&self, cause: Cause) -> Trouble<'p> {
        Trouble::of_segment(self.path().unwrap_or_default(), cause)
    }

    /// What the copy says of now.
    fn bounded(&mut self) -> Result<Bounded, Fault> {
        let found = self.found.as_ref().ok_or((false, self.trouble.1))?;
        found.bounded(&mut self.vm_clock)
    }

    /// Makes a new copy if there is something new, of another file if need be.
    fn renew(&mut self) {
        if let Some(found) = &mut self.found
            && !self.is_troubled
        {
            if found.is_current() {
                return;
            }
            if let Ok(segment) = found.page.segment(&mut self.stuck) {
                found.segment = segment;
                if found.at != 0 {
                    // A daemon that has just begun to write this one may have begun a better one.
                    self.choose(false);
                }
                return;
            }
        }
        self.choose(true);
    }

    /// Opens files anew: the daemon may have replaced its own, or cut it. The first that is usable is
    /// taken, or else the first that can be read, but nothing unusable of others for a copy that is
    /// usable. Who stays with that looks for its own file only: while the daemon starts again, what
    /// another one has left may look good.
    fn choose(&mut self, stays: bool) {
        const MISSING: Cause = Cause::System(Errno::ENOENT);
        self.vm_clock.forget();
        self.looked_ns = clocks::monotonic_coarse_ns();
        let own = self.found.as_ref().filter(|found| found.is_usable(&mut self.vm_clock));
        let own = own.map(|own| own.at);
        self.is_troubled = true;
        self.trouble = (own.filter(|_| stays).unwrap_or(0), MISSING);
        for (at, path) in self.paths.iter().enumerate() {
            let is_asked = own.is_none_or(|own| own == at);
            if stays && !is_asked {
                continue;
            }
            match Found::open(path, at, &mut self.stuck) {
                Ok(found) => {
                    let is_usable = found.is_usable(&mut self.vm_clock);
                    if is_usable || (self.is_troubled && is_asked) {
                        self.found = Some(found);
                        self.is_troubled = false;
                    }
                    if is_usable {
                        return;
                    }
                }
                // That a file is missing is told if there is nothing else to be told.
                Err(cause) if self.trouble.1 == MISSING && cause != MISSING => {
                    self.trouble = (at, cause);
                }
                Err(_) => {}
            }
        }
    }
}
