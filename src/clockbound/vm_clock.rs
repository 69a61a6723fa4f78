//! The `VMClock` device: a page that the hypervisor writes. Of it only the marker is of interest,
//! which changes when the machine was moved or restored, so that what is known of its clocks is
//! void.

use super::SegmentError;
use super::bytes::field;

/// Bytes of the structure, of which the device's page begins.
pub const VM_CLOCK_BYTES: usize = 104;

/// Where the sequence is, a little-endian u32: the hypervisor makes it odd, writes, and makes it
/// even.
pub const VM_CLOCK_SEQUENCE_OFFSET: usize = 12;

/// "VCLK" in little endian.
const MAGIC: u32 = 0x4B4C_4356;

/// The only version there is.
const VERSION: u16 = 1;

/// One state of the `VMClock`, copied while nobody wrote it, decoded and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmClock {
    /// Which state this is: even. 0 is as good as any.
    pub sequence: u32,
    /// A number that is another one after each disruption.
    pub disruption_marker: u64,
}

impl VmClock {
    /// Decodes the page, or its beginning: [`VM_CLOCK_BYTES`] bytes are enough.
    ///
    /// # Errors
    ///
    /// [`SegmentError`] says which of its demands the bytes do not meet.
    #[inline(never)]
    pub fn decode(bytes: &[u8]) -> Result<Self, SegmentError> {
        let copy = bytes.first_chunk::<VM_CLOCK_BYTES>().ok_or(SegmentError::Short)?;
        if u32::from_le_bytes(field(copy, 0)) != MAGIC {
            return Err(SegmentError::Magic);
        }
        let version = u16::from_le_bytes(field(copy, 8));
        if version != VERSION {
            return Err(SegmentError::Version);
        }
        let size = u32::from_le_bytes(field(copy, 4));
        if (size as usize) < VM_CLOCK_BYTES {
            return Err(SegmentError::Size);
        }
        let sequence = u32::from_le_bytes(field(copy, VM_CLOCK_SEQUENCE_OFFSET));
        if sequence % 2 == 1 {
            return Err(SegmentError::Busy);
        }
        Ok(Self { sequence, disruption_marker: u64::from_le_bytes(field(copy, 16)) })
    }
}
