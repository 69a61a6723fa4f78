//! `GET /v1/clock`: what the time certainly is, or why that is not known and what to do. The status,
//! the metrics and the events have less of the same.

use core::fmt;

use midge::clockbound::{Bounded, SegmentError};
use midge::{Node, TimeWindow};
use nix::errno::Errno;

use super::Api;
use crate::clock::{Cause, Clock, Trouble};
use crate::http::{ContentType, Page, Reply, StatusCode, Values, fill_form, none, show};
use crate::logger::write_date;
use crate::os;

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// What the status has, too, as text and as JSON.
const HEAD: &str = "\
!u$a
source       !s
bound        !b
trouble      !t
|{\"status\":!u,\"source\":!s,\"bound_ns\":!b,\"trouble\":!t";

/// What only an agent has.
const LEASES: &str = "\
leases       rest on $ba drift of #a ppm at most
|,\"leases\":$c,\"max_drift_ppm\":#a";

/// What only a clock has.
const MORE: &str = "\
earliest     !e
latest       !l
width        !w
age          !a
layout       #b
marker       !m
|,\"earliest\":!e,\"latest\":!l,\"earliest_unix_ns\":!f,\"latest_unix_ns\":!g,\"width_ns\":!w,\
\"age_ns\":!a,\"layout\":#b,\"disruption_marker\":!m}\n";

/// The words of a clock without a bound, and of one with it.
const WORDS: [[&str; 3]; 2] =
    [[", time is unbounded", "", "monotonic"], ["", "true time, and on ", "true_time"]];

/// A clock, and what it said last.
#[derive(Debug)]
pub struct TrueTime<'p> {
    clock: Clock<'p>,
    reading: Result<Bounded, Trouble<'p>>,
    max_drift_ppm: u32,
}

/// What is told when it changes: the status, the segment's path, and whether there is nothing worth
/// telling because there is just no segment.
pub(crate) type Standing<'p> = (&'static str, Option<&'p str>, bool);

impl<'p> TrueTime<'p> {
    /// A clock that reads one of these segments, as [`Clock::new`] has it, and is off if there are
    /// none. `max_drift_ppm` is by how much clocks drift at most, parts per million; 0 if nobody's
    /// leases rest on it.
    #[inline(never)]
    pub fn new(paths: &'p [&'p str], vm_clock_path: &'p str, max_drift_ppm: u32) -> Self {
        let path = paths.first().copied().unwrap_or_default();
        let missing = Trouble { path, is_vm_clock: false, cause: Cause::System(Errno::ENOENT) };
        let clock = Clock::new(paths, vm_clock_path);
        Self { clock, reading: Err(missing), max_drift_ppm }
    }

    /// Reads the clock. `false` if there is no reading.
    #[inline(never)]
    pub(crate) fn read(&mut self) -> bool {
        self.reading = self.clock.read();
        self.reading.is_ok()
    }

    /// Reads the clock, and tells the node: with the instant after it, since what is counted from
    /// then on must not be over too early.
    pub fn tell<const N: usize>(&mut self, node: &mut Node<N>) {
        self.read();
        node.handle_clock(os::now(), self.window());
    }

    /// Whether no segment is looked for.
    pub(crate) fn is_off(&self) -> bool {
        self.reading.is_err_and(|trouble| trouble.path.is_empty())
    }

    /// What the time certainly was at the last reading.
    pub(crate) fn window(&self) -> Option<TimeWindow> {
        self.usable().map(|bounded| bounded.window)
    }

    #[inline(never)]
    fn usable(&self) -> Option<&Bounded> {
        self.reading.as_ref().ok().filter(|bounded| bounded.status.is_usable_for_leases())
    }

    /// Why there is no reading, or one of a copy.
    pub(crate) fn trouble(&self) -> Option<Trouble<'p>> {
        let trouble = self.reading.err().or_else(|| self.clock.trouble());
        trouble.filter(|trouble| !trouble.path.is_empty())
    }

    /// The name that the API has for it.
    pub(crate) fn status(&self) -> &'static str {
        match &self.reading {
            Ok(bounded) => bounded.status.name(),
            Err(_) if self.is_off() => "off",
            Err(_) => "unavailable",
        }
    }

    /// The path of the segment.
    pub(crate) fn source(&self) -> Option<&'p str> {
        self.clock.path()
    }

    pub(crate) fn standing(&self) -> Standing<'p> {
        const MISSING: Cause = Cause::System(Errno::ENOENT);
        let is_missing = self.reading.is_err_and(|trouble| trouble.cause == MISSING);
        (self.status(), self.source(), is_missing)
    }

    /// How far from the true time the clock was at most, nanoseconds.
    pub(super) fn bound_ns(&self) -> Option<u64> {
        self.usable().map(|bounded| bounded.bound_ns as u64)
    }

    /// Writes all that there is to say.
    pub(crate) fn write_all(&self, page: &mut Page<'_>, in_json: bool) {
        page.push(if in_json { b"" } else { b"status       " });
        self.write(page, in_json, true);
    }

    /// Writes what there is to say, all of it or what the status has.
    pub(super) fn write(&self, page: &mut Page<'_>, in_json: bool, all: bool) {
        let texts = &WORDS[usize::from(self.usable().is_some())];
        let layout = self.clock.segment().map_or(0, |segment| segment.layout.number().into());
        let numbers = &[self.max_drift_ppm.into(), layout];
        let write = |page: &mut Page<'_>, what, in_json| self.value(page, what, in_json);
        let values = Values { numbers, texts, write: &write };
        fill_form(page, in_json, HEAD, &values);
        if self.max_drift_ppm > 0 {
            fill_form(page, in_json, LEASES, &values);
        }
        if all {
            fill_form(page, in_json, MORE, &values);
        }
    }

    fn value(&self, page: &mut Page<'_>, what: u8, in_json: bool) {
        let number = match what {
            b'u' | b's' | b't' => return self.word(page, what, in_json),
            b'a' => self.reading.ok().map(|bounded| bounded.age_ns as u64),
            b'm' => {
                let segment = self.clock.segment().filter(|segment| segment.disruption_support);
                segment.map(|segment| segment.disruption_marker)
            }
            _ => self.usable().map(|bounded| match what {
                b'b' => bounded.bound_ns as u64,
                b'w' => bounded.window.width_ns(),
                b'e' | b'f' => bounded.window.earliest_ns() as u64,
                _ => bounded.window.latest_ns() as u64,
            }),
        };
        match number {
            Some(number) => show(page, in_json, &Shown { what, in_json, number }),
            None => none(page, in_json),
        }
    }

    fn word(&self, page: &mut Page<'_>, what: u8, in_json: bool) {
        let word = if what == b'u' { Some(self.status()) } else { self.source() };
        match (self.trouble(), word) {
            (Some(trouble), _) if what == b't' => show(page, in_json, &trouble),
            (_, Some(word)) if what != b't' => show(page, in_json, &word),
            _ => none(page, in_json),
        }
    }
}

/// A number in its place.
pub(super) struct Shown {
    pub(super) what: u8,
    pub(super) in_json: bool,
    /// As it is in 64 bits.
    pub(super) number: u64,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number;
        match self.what {
            // An instant as RFC 3339 has it, and as a number.
            b'e' | b'l' => {
                write_date(f, (number as i64).div_euclid(NS_PER_S));
                write!(f, ".{:09}Z", (number as i64).rem_euclid(NS_PER_S))
            }
            b'f' | b'g' => (number as i64).fmt(f),
            b'a' | b'b' | b'w' if !self.in_json => {
                write!(f, "{}.{:06} ms", number / NS_PER_MS, number % NS_PER_MS)
            }
            _ => number.fmt(f),
        }
    }
}

impl fmt::Display for TrueTime<'_> {
    /// What is wrong, where, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("time is unbounded: ")?;
        match self.trouble() {
            Some(trouble) => write!(f, "{trouble}; {}", remedy(&trouble))?,
            None => f.write_str("the agent has --clockbound off")?,
        }
        match self.max_drift_ppm {
            0 => Ok(()),
            ppm => write!(f, ". Leases rest on a drift of {ppm} ppm at most"),
        }
    }
}

pub(super) fn remedy(trouble: &Trouble<'_>) -> &'static str {
    match trouble.cause {
        _ if trouble.is_vm_clock => {
            "the segment demands it: mount it here, readable for this user; in a systemd unit, \
             PrivateDevices=no and DeviceAllow=/dev/vmclock0"
        }
        Cause::System(Errno::ENOENT | Errno::ENOTDIR) => "start the ClockBound daemon",
        Cause::System(Errno::EACCES | Errno::EPERM) => "make it readable for this user",
        Cause::System(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => {
            "raise this limit, or end what uses it up; later readings try again"
        }
        Cause::System(_) | Cause::NotAFile | Cause::Segment(SegmentError::Magic) => {
            "name a segment of the ClockBound daemon"
        }
        Cause::Segment(SegmentError::Version) | Cause::NoCounter => {
            "name another segment of the daemon, as /var/run/clockbound/shm0"
        }
        Cause::SteppedBack => "see the log of the ClockBound daemon; later readings count again",
        Cause::Segment(_) | Cause::Clock(_) => "if it stays so, restart the ClockBound daemon",
    }
}

impl<const N: usize> Api<'_, N> {
    /// Reads the clock, so that what is told is true now.
    pub(super) fn clock(&mut self, content: ContentType, reply: &mut Reply<'_>) {
        let time = &mut *self.true_time;
        time.tell(self.node);
        if time.reading.is_err() {
            return reply.error(StatusCode::NoClock, content, time);
        }
        let page = reply.begin(StatusCode::Ok, content);
        time.write_all(page, content != ContentType::Text);
    }
}
