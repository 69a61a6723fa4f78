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
    /// 72 bytes, `/var/run/clockbound/shm`: as `V2`, but without markers.
    V1,
    /// 80 bytes, `/var/run/clockbound/shm0`: bounds the error of the system's clock.
    V2,
    /// 104 bytes, `/var/run/clockbound/shm1`: makes time out of the processor's counter.
    V3,
}

/// A part of a layout, and where the third one has it: from, to, and how many bytes.
type Move = (u8, u8, u8);

/// How a layout is told, how long it is, and how it differs from the third one.
struct Shape {
    layout: Layout,
    version: u16,
    bytes: u8,
    moves: &'static [Move],
}

/// In the order of the layouts.
const SHAPES: [Shape; 3] = [
    Shape {
        layout: Layout::V1,
        version: 1,
        bytes: 72,
        moves: &[(16, 24, 32), (48, 72, 8), (56, 88, 4), (64, 92, 4)],
    },
    Shape { layout: Layout::V2, version: 2, bytes: 80, moves: &[(16, 24, 32), (48, 72, 25)] },
    Shape {
        layout: Layout::V3,
        // The high byte is the oldest version that a reader may know.
        version: 0x0303,
        bytes: SEGMENT_BYTES_MAX as u8,
        moves: &[(16, 16, 83)],
    },
];

impl Layout {
    const fn shape(self) -> &'static Shape {
        &SHAPES[self as usize]
    }

    /// Bytes of a segment with this layout, header included.
    pub const fn bytes(self) -> usize {
        self.shape().bytes as usize
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
        let &Shape { layout, .. } = shape(bytes)?;
        let segment_bytes = u32::from_ne_bytes(field(bytes, 8));
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
            return Err(SegmentError::Size);
        }
        Ok(())
    }

    /// Whether the payload may be read.
    ///
    /// # Errors
    ///
    /// [`SegmentError::NeverWritten`] if the generation is 0, [`SegmentError::Busy`] if it is odd.
    pub const fn check_generation(&self) -> Result<(), SegmentError> {
        check_generation(self.generation)
    }
}

/// The layout of a segment that begins like this; what it declares is long enough for it.
#[inline]
fn shape(header: &[u8; HEADER_BYTES]) -> Result<&'static Shape, SegmentError> {
    let word = |at| u32::from_ne_bytes(field(header, at));
    if [word(0), word(4)] != MAGIC {
        return Err(SegmentError::Magic);
    }
    let version = u16::from_ne_bytes(field(header, VERSION_OFFSET));
    // The daemon wipes the version first, and restores it when the rest is in order.
    if version == 0 {
        return Err(SegmentError::NeverWritten);
    }
    let shape = SHAPES.iter().find(|shape| shape.version == version);
    let shape = shape.ok_or(SegmentError::Version)?;
    if word(8) < shape.bytes.into() {
        return Err(SegmentError::Size);
    }
    Ok(shape)
}

const fn check_generation(generation: u16) -> Result<(), SegmentError> {
    if generation == 0 {
        return Err(SegmentError::NeverWritten);
    }
    if generation % 2 == 1 {
        return Err(SegmentError::Busy);
    }
    Ok(())
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
        Self::decode_of_file(bytes, u64::MAX)
    }

    /// The same of a file that has so many bytes: as many as the segment declares, or more.
    ///
    /// # Errors
    ///
    /// Likewise, and [`SegmentError::Size`].
    #[inline(never)]
    pub fn decode_of_file(bytes: &[u8], file_bytes: u64) -> Result<Self, SegmentError> {
        let header = bytes.first_chunk().ok_or(SegmentError::Short)?;
        let shape = shape(header)?;
        let generation = u16::from_ne_bytes(field(header, GENERATION_OFFSET));
        check_generation(generation)?;
        let copy = bytes.get(..shape.bytes.into()).ok_or(SegmentError::Short)?;
        let image = image(shape, copy);
        let long = |at| u64::from_ne_bytes(field(&image, at));
        let word = |at| u32::from_ne_bytes(field(&image, at));
        let segment = Self {
            layout: shape.layout,
            generation,
            as_of_ns: nanoseconds(long(24), long(32), SegmentError::AsOf)?,
            void_after_ns: nanoseconds(long(40), long(48), SegmentError::VoidAfter)?,
            bound_ns: long(72) as i64,
            max_drift_ppb: word(88),
            status: ClockStatus::stored(word(92)).ok_or(SegmentError::Status)?,
            disruption_support: match image[96] {
                0 => false,
                1 => true,
                _ => return Err(SegmentError::DisruptionSupport),
            },
            disruption_marker: long(80),
            as_of_counter: long(16),
            period: Fraction { numerator: long(56), shift: image[97] },
            period_error: Fraction { numerator: long(64), shift: image[98] },
        };
        if segment.bound_ns < 0 {
            return Err(SegmentError::Bound);
        }
        if segment.max_drift_ppb >= DRIFT_PPB_END {
            return Err(SegmentError::Drift);
        }
        // Of what is not usable the daemon does not know the period.
        let needs_period = segment.layout == Layout::V3 && segment.status.is_usable_for_leases();
        if needs_period && segment.period.rounded_down() == 0 {
            return Err(SegmentError::Period);
        }
        if file_bytes < u32::from_ne_bytes(field(header, 8)).into() {
            return Err(SegmentError::Size);
        }
        Ok(segment)
    }
}

/// The segment with every field where the third layout has it; those that its layout does not have
/// are zero, and so is what lies between fields.
fn image(shape: &Shape, copy: &[u8]) -> [u8; SEGMENT_BYTES_MAX] {
    let mut image = [0; SEGMENT_BYTES_MAX];
    for &(from, to, len) in shape.moves {
        for at in 0..len {
            image[usize::from(to + at)] = copy[usize::from(from + at)];
        }
    }
    image
}

/// A `timespec` as nanoseconds.
fn nanoseconds(s: u64, ns: u64, error: SegmentError) -> Result<i64, SegmentError> {
    (ns < NS_PER_S as u64)
        .then_some(s as i64)
        .and_then(|s| s.checked_mul(NS_PER_S)?.checked_add(ns as i64))
        .ok_or(error)
}
