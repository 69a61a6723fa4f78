//! True time with a bound: what the ClockBound daemon says in shared memory, and how far it still
//! holds at a reading of the clocks. `docs/clockbound.md` is the specification.
//!
//! The driver maps the segment, copies it consistently and reads the clocks. This module decodes
//! the copy and does the arithmetic, in integers, on any byte string: it reads no clock and no
//! memory but what it is given.

mod bytes;
mod fraction;
mod projection;
mod segment;
#[cfg(test)]
mod tests;
mod vm_clock;

use core::fmt;

pub use fraction::Fraction;
pub use projection::{Bounded, ClockError, FREE_RUNNING_GRACE_NS, Reading};
pub use segment::{
    GENERATION_OFFSET, HEADER_BYTES, Header, Layout, SEGMENT_BYTES_MAX, Segment, VERSION_OFFSET,
};
pub use vm_clock::{VM_CLOCK_BYTES, VM_CLOCK_SEQUENCE_OFFSET, VmClock};

/// What is known of the clock that a segment describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockStatus {
    /// Nothing: the daemon has not synchronised yet, or has not been heard of for too long.
    Unknown,
    /// It follows its sources.
    Synchronized,
    /// It follows none at present; the bound still holds, and grows.
    FreeRunning,
    /// The machine was moved or restored, and the daemon has not caught up: the bound is wrong.
    Disrupted,
}

impl ClockStatus {
    /// The status that a segment stores as this number.
    const fn stored(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Unknown),
            1 => Some(Self::Synchronized),
            2 => Some(Self::FreeRunning),
            3 => Some(Self::Disrupted),
            _ => None,
        }
    }

    /// Whether the true time certainly lies in the window, so that a lease may rest on it.
    pub const fn is_usable_for_leases(self) -> bool {
        matches!(self, Self::Synchronized | Self::FreeRunning)
    }

    /// The name used in the API: lower case, words joined by `_`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Synchronized => "synchronized",
            Self::FreeRunning => "free_running",
            Self::Disrupted => "disrupted",
        }
    }
}

impl fmt::Display for ClockStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why bytes are no segment, or none that can be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentError {
    /// It has fewer bytes than its header, or than its layout has.
    Short,
    /// It does not begin with the right number: something else.
    Magic,
    /// A version that this code does not read.
    Version,
    /// It declares fewer bytes than its layout has, or more than the file has.
    Size,
    /// The daemon has laid it out, and not yet written it.
    NeverWritten,
    /// It is being written right now, or whoever wrote it died meanwhile.
    Busy,
    /// `as_of` has nanoseconds that are no part of a second, or does not fit 64 bits of them.
    AsOf,
    /// `void_after`, likewise.
    VoidAfter,
    /// `bound_nsec` is negative.
    Bound,
    /// `max_drift_ppb` is 10^9 or more: the clock would stand still, or go backwards.
    Drift,
    /// A tick of the counter takes no time: the clock would stand still. A segment whose status is
    /// not usable may say so.
    Period,
    /// `clock_status` is none of the four.
    Status,
    /// Whether disruptions are supported is neither 0 nor 1.
    DisruptionSupport,
}

impl SegmentError {
    /// In the order of the variants.
    const TEXTS: [&str; 13] = [
        "it is too short",
        "it begins with a wrong number",
        "it has an unknown version",
        "it declares a wrong size",
        "it has not been written yet",
        "it is being written",
        "its as_of is out of range",
        "its void_after is out of range",
        "its bound is negative",
        "its drift is out of range",
        "its period is out of range",
        "its status is unknown",
        "its disruption support is unknown",
    ];
}

impl fmt::Display for SegmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::TEXTS[*self as usize])
    }
}

impl core::error::Error for SegmentError {}
