//! The segment that the daemon writes, in each of its layouts.

use super::bytes::field;
use super::{ClockStatus, Fraction, SegmentError};

/// Bytes of the header, which all layouts begin with.
pub const HEADER_BYTES: usize = 16;

/// Bytes of the longest layout: so many are enough to decode any of them.
pub const SEGMENT_BYTES_MAX: usize = 104;

/// Where the version is, a u16: it drops to 0 while the daemon lays the segment out anew.
pub const VERSION_OFFSET: usize = 12;

/// Where the generation is, a u16: the daemon makes it odd, writes, and makes it even.
pub const GENERATION_OFFSET: usize = 14;

/// Two native u32, not eight bytes: their order in memory is that of the machine.
const MAGIC: [u32; 2] = [0x414D_5A4E, 0x4342_0200];

const NS_PER_S: i64 = 1_000_000_000;

/// From here on a drift is not one: the clock would stand still, or go backwards.
const DRIFT_PPB_END: u32 = 1_000_000_000;

/// Which of the layouts a segment has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// 72 bytes, `/var/run/clockbound/shm`: for the system's clock, as `V2`, but without markers.
    V1,
    /// 80 bytes, `/var/run/clockbound/shm0`: bounds the error of the system's clock.
    V2,
    /// 104 bytes, `/var/run/clockbound/shm1`: makes time out of the processor's counter.
    V3,
}

/// Where the fields of a layout are.
struct Offsets {
    end: u8,
    as_of_counter: u8,
    as_of: u8,
    void_after: u8,
    period: u8,
    period_error: u8,
    bound: u8,
    marker: u8,
    drift: u8,
    status: u8,
    marker_support: u8,
    period_shift: u8,
    period_error_shift: u8,
}

/// Behind the end of every layout: a field that a layout does not have is read as zero.
const ABSENT: u8 = u8::MAX;

const V1: Offsets = Offsets {
    end: 72,
    as_of_counter: ABSENT,
    as_of: 16,
    void_after: 32,
    period: ABSENT,
    period_error: ABSENT,
    bound: 48,
    marker: ABSENT,
    drift: 56,
    status: 64,
    marker_support: ABSENT,
    period_shift: ABSENT,
    period_error_shift: ABSENT,
};

const V2: Offsets =
    Offsets { end: 80, marker: 56, drift: 64, status: 68, marker_support: 72, ..V1 };

const V3: Offsets = Offsets {
    end: SEGMENT_BYTES_MAX as u8,
    as_of_counter: 16,
    as_of: 24,
    void_after: 40,
    period: 56,
    period_error: 64,
    bound: 72,
    marker: 80,
    drift: 88,
    status: 92,
    marker_support: 96,
    period_shift: 97,
    period_error_shift: 98,
};

impl Layout {
    const fn of_version(word: u16) -> Result<Self, SegmentError> {
        match word {
            // The daemon wipes it first, and tells the layout when the rest is in order.
            0 => Err(SegmentError::NeverWritten),
            1 => Ok(Self::V1),
            2 => Ok(Self::V2),
            // The oldest version that a reader may know, and the version: 3 and 3.
            0x0303 => Ok(Self::V3),
            _ => Err(SegmentError::Version(word)),
        }
    }

    const fn offsets(self) -> &'static Offsets {
        match self {
            Self::V1 => &V1,
            Self::V2 => &V2,
            Self::V3 => &V3,
        }
    }

    /// Bytes of a segment with this layout, header included.
    pub const fn bytes(self) -> usize {
        self.offsets().end as usize
    }

    /// Its number: 1, 2 or 3.
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How long it says that it is; at least as long as its layout.
    pub segment_bytes: u32,
    /// How its fields are laid out.
    pub layout: Layout,
    /// How often it was written: 0 if never, odd while it is being written.
    pub generation: u16,
}

impl Header {
    /// Decodes a header in the machine's byte order, whatever its generation.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Magic`], [`Version`](SegmentError::Version),
    /// [`NeverWritten`](SegmentError::NeverWritten) when there is no version yet, and
    /// [`Size`](SegmentError::Size) when it declares less than its layout needs.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, SegmentError> {
        let word = |at| u32::from_ne_bytes(field(bytes, at));
        if [word(0), word(4)] != MAGIC {
            return Err(SegmentError::Magic);
        }
        let layout = Layout::of_version(u16::from_ne_bytes(field(bytes, VERSION_OFFSET)))?;
        let segment_bytes = word(8);
        if (segment_bytes as usize) < layout.bytes() {
            return Err(SegmentError::Size(segment_bytes));
        }
        let generation = u16::from_ne_bytes(field(bytes, GENERATION_OFFSET));
        Ok(Self { segment_bytes, layout, generation })
    }

    /// Whether a file of so many bytes can hold what this header declares.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Size`] if the file is shorter: it has been cut, and what lies behind its end
    /// must not be touched.
    pub const fn check_file(&self, file_bytes: u64) -> Result<(), SegmentError> {
        if file_bytes < self.segment_bytes as u64 {
            return Err(SegmentError::Size(self.segment_bytes));
        }
        Ok(())
    }

    /// Whether the payload may be read.
    ///
    /// # Errors
    ///
    /// [`SegmentError::NeverWritten`] if the generation is 0, [`SegmentError::Busy`] if it is odd.
    pub const fn check_generation(&self) -> Result<(), SegmentError> {
        match self.generation {
            0 => Err(SegmentError::NeverWritten),
            odd if odd % 2 == 1 => Err(SegmentError::Busy),
            _ => Ok(()),
        }
    }
}

/// One state of a segment, copied while nobody wrote it, decoded and checked.
///
/// Times are in nanoseconds: of `CLOCK_MONOTONIC_COARSE` in the layouts `V1` and `V2`, of UTC since
/// the Unix epoch in `V3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its layout.
    pub layout: Layout,
    /// Which state this is: even, not 0.
    pub generation: u16,
    /// When the bound was this.
    pub as_of_ns: i64,
    /// From then on nothing of it is to be believed.
    pub void_after_ns: i64,
    /// How far the clock was from the true time at most, in nanoseconds; not negative.
    pub bound_ns: i64,
    /// How fast the clock may go wrong, in parts per 10^9; below 10^9.
    pub max_drift_ppb: u32,
    /// What the daemon knew of the clock.
    pub status: ClockStatus,
    /// Whether `disruption_marker` is to be compared with the `VMClock`'s.
    pub disruption_support: bool,
    /// The marker that the daemon has caught up with.
    pub disruption_marker: u64,
    /// `V3`: the counter at `as_of_ns`.
    pub as_of_counter: u64,
    /// `V3`: how long a tick of the counter takes, in seconds.
    pub period: Fraction,
    /// `V3`: how wrong the period may be, relative to it.
    pub period_error: Fraction,
}

impl Segment {
    /// Decodes a segment, or the beginning of one: [`SEGMENT_BYTES_MAX`] bytes are always enough.
    ///
    /// # Errors
    ///
    /// [`SegmentError`] says which of its demands the bytes do not meet.
    pub fn decode(bytes: &[u8]) -> Result<Self, SegmentError> {
        let header = Header::decode(bytes.first_chunk().ok_or(SegmentError::Short)?)?;
        header.check_generation()?;
        let Header { layout, generation, .. } = header;
        let copy = bytes.get(..layout.bytes()).ok_or(SegmentError::Short)?;
        let offsets = layout.offsets();
        let long = |at: u8| u64::from_ne_bytes(field(copy, at.into()));
        let word = |at: u8| u32::from_ne_bytes(field(copy, at.into()));
        let byte = |at: u8| u8::from_ne_bytes(field(copy, at.into()));
        let segment = Self {
            layout,
            generation,
            as_of_ns: nanoseconds(long(offsets.as_of), long(offsets.as_of + 8), "as_of")?,
            void_after_ns: nanoseconds(
                long(offsets.void_after),
                long(offsets.void_after + 8),
                "void_after",
            )?,
            bound_ns: long(offsets.bound) as i64,
            max_drift_ppb: word(offsets.drift),
            status: ClockStatus::stored(word(offsets.status))
                .ok_or(SegmentError::Malformed("clock_status"))?,
            disruption_support: match byte(offsets.marker_support) {
                0 => false,
                1 => true,
                _ => return Err(SegmentError::Malformed("clock_disruption_support_enabled")),
            },
            disruption_marker: long(offsets.marker),
            as_of_counter: long(offsets.as_of_counter),
            period: Fraction { numerator: long(offsets.period), shift: byte(offsets.period_shift) },
            period_error: Fraction {
                numerator: long(offsets.period_error),
                shift: byte(offsets.period_error_shift),
            },
        };
        if segment.bound_ns < 0 {
            return Err(SegmentError::Malformed("bound_nsec"));
        }
        if segment.max_drift_ppb >= DRIFT_PPB_END {
            return Err(SegmentError::Malformed("max_drift_ppb"));
        }
        Ok(segment)
    }
}

/// A `timespec` as nanoseconds.
fn nanoseconds(s: u64, ns: u64, name: &'static str) -> Result<i64, SegmentError> {
    (ns < NS_PER_S as u64)
        .then_some(s as i64)
        .and_then(|s| s.checked_mul(NS_PER_S)?.checked_add(ns as i64))
        .ok_or(SegmentError::Malformed(name))
}
