//! A page of shared memory: opened, guarded, and copied whole or not at all.

use core::hint::spin_loop;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering, fence};

use memmap2::{MmapOptions, MmapRaw};
use midge::clockbound::{
    GENERATION_OFFSET, SEGMENT_BYTES_MAX, Segment, SegmentError, VM_CLOCK_BYTES,
    VM_CLOCK_SEQUENCE_OFFSET, VmClock,
};
use nix::errno::Errno;
use nix::libc;

use super::Cause;
use super::guard::{GUARDED_BYTES, Guard};
use crate::files::{kind_and_bytes, open_file};
use crate::poll::number;

/// While another process writes, which takes it less than a microsecond, it is waited for without
/// giving up the processor so often, and then so often by giving it up, as the writer may stand in
/// line for it.
const SPINS: u32 = 100;
const YIELDS: u32 = 20;

const WORDS: usize = GUARDED_BYTES / 4;
const _: () = assert!(VM_CLOCK_BYTES == GUARDED_BYTES && SEGMENT_BYTES_MAX == 4 * WORDS);

/// The first bytes of a mapped file, which others write.
#[derive(Debug)]
pub(super) struct Page {
    // It goes before the mapping does.
    _guard: Guard,
    map: MmapRaw,
    file: OwnedFd,
    kind: Kind,
}

/// Whose page it is: each has its own number that tells that it is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Segment,
    VmClock,
}

impl Page {
    /// Maps the file.
    pub(super) fn open(path: &str, kind: Kind) -> Result<Self, Cause> {
        let file = open_file(path)?;
        match kind_and_bytes(&file)? {
            (libc::S_IFREG, _) => {}
            (libc::S_IFCHR, _) if kind == Kind::VmClock => {}
            _ => return Err(Cause::NotAFile),
        }
        let map = MmapOptions::new().len(GUARDED_BYTES).map_raw_read_only(&file);
        let map = map.map_err(number)?;
        let guard = Guard::new(map.as_mut_ptr()).ok_or(Errno::ENOMEM)?;
        Ok(Self { _guard: guard, map, file, kind })
    }

    fn words(&self) -> &[AtomicU32; WORDS] {
        // SAFETY: the mapping begins at a page and has as many bytes; the guard sees to it that
        // they can be read. All that is done with them are relaxed loads, of which Rust allows
        // those of up to 4 bytes of memory that can only be read; others change them, and no
        // reference to plain bytes is ever made.
        unsafe { &*self.map.as_ptr().cast() }
    }

    /// The number that says which state this is: odd while it is being written.
    #[inline]
    pub(super) fn stamp(&self) -> u32 {
        match self.kind {
            Kind::Segment => {
                // SAFETY: as for the words; the place is even, and within them.
                let generation: &AtomicU16 =
                    unsafe { &*self.map.as_ptr().add(GENERATION_OFFSET).cast() };
                generation.load(Ordering::Relaxed).into()
            }
            Kind::VmClock => {
                let sequence = &self.words()[VM_CLOCK_SEQUENCE_OFFSET / 4];
                u32::from_le(sequence.load(Ordering::Relaxed))
            }
        }
    }

    /// The words of a `VMClock` that say that it is one, in which state, and the marker itself.
    /// Not every hypervisor counts its states.
    #[inline]
    pub(super) fn marks(&self) -> [u32; 4] {
        [0, 3, 4, 5].map(|at: usize| self.words()[at].load(Ordering::Relaxed))
    }

    /// How many bytes the file has; a device has all that are asked for.
    fn file_bytes(&self) -> Result<u64, Errno> {
        let (kind, bytes) = kind_and_bytes(&self.file)?;
        Ok(if kind == libc::S_IFREG { bytes } else { u64::MAX })
    }

    /// Copies one state, and says how many bytes the file had then: what lies behind its end are
    /// zeros, and not what was written there. `stuck` is the odd stamp of the last copy that failed,
    /// or 0: who died while it wrote is not waited for again.
    fn copy(&self, to: &mut [u8; GUARDED_BYTES], stuck: &mut u32) -> Result<u64, Cause> {
        for attempt in 0..SPINS + YIELDS {
            let before = self.stamp();
            fence(Ordering::Acquire);
            for (bytes, word) in to.as_chunks_mut().0.iter_mut().zip(self.words()) {
                *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
            }
            fence(Ordering::Acquire);
            if before % 2 == 1 {
                if before == *stuck {
                    break;
                }
            } else if self.stamp() == before {
                // Cutting a file does not change what is before the cut, such as the stamp.
                let bytes = self.file_bytes()?;
                if self.stamp() == before {
                    *stuck = 0;
                    return Ok(bytes);
                }
            }
            if attempt < SPINS {
                spin_loop();
            } else {
                // SAFETY: it is a system call without arguments.
                unsafe { libc::sched_yield() };
            }
        }
        *stuck = self.stamp();
        // What another file has where the stamp would be may be odd for ever. The magic of a segment
        // is not written again.
        Err(match Segment::decode(to) {
            Err(SegmentError::Magic) if self.kind == Kind::Segment => SegmentError::Magic,
            _ => SegmentError::Busy,
        }
        .into())
    }

    /// The segment, in one state.
    pub(super) fn segment(&self, stuck: &mut u32) -> Result<Segment, Cause> {
        let mut copy = [0; _];
        let file_bytes = self.copy(&mut copy, stuck)?;
        let here = &copy[..file_bytes.min(GUARDED_BYTES as u64) as usize];
        Ok(Segment::decode_of_file(here, file_bytes)?)
    }

    /// The `VMClock`, in one state.
    pub(super) fn vm_clock(&self, stuck: &mut u32) -> Result<VmClock, Cause> {
        let mut copy = [0; _];
        let file_bytes = self.copy(&mut copy, stuck)?;
        Ok(VmClock::decode(&copy[..file_bytes.min(GUARDED_BYTES as u64) as usize])?)
    }
}
