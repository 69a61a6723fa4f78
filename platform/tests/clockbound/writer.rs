//! Writes segments as the daemon does, into files of tests: the other side of the reader.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::ptr::write_volatile;
use std::sync::atomic::{AtomicU16, Ordering, fence};

use memmap2::{MmapOptions, MmapRaw};
use midge::clockbound::{
    ClockStatus, Fraction, GENERATION_OFFSET, HEADER_BYTES, Layout, Segment, VERSION_OFFSET,
};

const NS_PER_S: i64 = 1_000_000_000;

/// A synchronised segment without markers: right until now, for as long as `lasts_ns`, with a bound
/// of a millisecond.
pub fn fresh(layout: Layout, now: Now, lasts_ns: i64) -> Segment {
    let as_of_ns = if layout == Layout::V3 { now.realtime_ns } else { now.monotonic_coarse_ns };
    Segment {
        layout,
        generation: 2,
        as_of_ns,
        void_after_ns: as_of_ns + lasts_ns,
        bound_ns: 1_000_000,
        max_drift_ppb: 15_000,
        status: ClockStatus::Synchronized,
        disruption_support: false,
        disruption_marker: 0,
        as_of_counter: now.counter,
        // A third of a nanosecond: counters run at some GHz.
        period: Fraction { numerator: 0xb780_0000_0000_0000, shift: 31 },
        // Two parts in a million.
        period_error: match layout {
            Layout::V3 => Fraction { numerator: 0x8000_0000_0000_0000, shift: 18 },
            Layout::V1 | Layout::V2 => Fraction::default(),
        },
    }
}

/// What the clocks show.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub realtime_ns: i64,
    pub monotonic_coarse_ns: i64,
    pub counter: u64,
}

impl Now {
    /// Reads them.
    pub fn read() -> Self {
        use nix::time::ClockId;
        let ns = |clock: ClockId| {
            let time = clock.now().expect("every Linux has it");
            time.tv_sec() * NS_PER_S + time.tv_nsec()
        };
        Self {
            realtime_ns: ns(ClockId::CLOCK_REALTIME),
            monotonic_coarse_ns: ns(ClockId::CLOCK_MONOTONIC_COARSE),
            counter: counter(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn counter() -> u64 {
    // SAFETY: every processor of the kind has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "aarch64")]
fn counter() -> u64 {
    let counter: u64;
    // SAFETY: Linux lets programs read this register.
    unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) counter) };
    counter
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn counter() -> u64 {
    0
}

/// The bytes of a segment, header included.
pub fn encode(segment: &Segment) -> Vec<u8> {
    let mut bytes = vec![0; segment.layout.bytes()];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, &0x414D_5A4E_u32.to_ne_bytes());
    put(4, &0x4342_0200_u32.to_ne_bytes());
    put(8, &(segment.layout.bytes() as u32).to_ne_bytes());
    put(VERSION_OFFSET, &version(segment.layout).to_ne_bytes());
    put(GENERATION_OFFSET, &segment.generation.to_ne_bytes());
    let long = |number: i64| number.to_ne_bytes();
    let times = if segment.layout == Layout::V3 { 24 } else { 16 };
    for (at, ns) in [(times, segment.as_of_ns), (times + 16, segment.void_after_ns)] {
        put(at, &long(ns.div_euclid(NS_PER_S)));
        put(at + 8, &long(ns.rem_euclid(NS_PER_S)));
    }
    let (bound, marker, drift, status, support) = match segment.layout {
        Layout::V1 => (48, None, 56, 64, None),
        Layout::V2 => (48, Some(56), 64, 68, Some(72)),
        Layout::V3 => (72, Some(80), 88, 92, Some(96)),
    };
    put(bound, &long(segment.bound_ns));
    put(drift, &segment.max_drift_ppb.to_ne_bytes());
    put(status, &(segment.status as u32).to_ne_bytes());
    if let (Some(marker), Some(support)) = (marker, support) {
        put(marker, &segment.disruption_marker.to_ne_bytes());
        put(support, &[segment.disruption_support.into()]);
    }
    if segment.layout == Layout::V3 {
        put(16, &segment.as_of_counter.to_ne_bytes());
        put(56, &segment.period.numerator.to_ne_bytes());
        put(64, &segment.period_error.numerator.to_ne_bytes());
        put(97, &[segment.period.shift, segment.period_error.shift]);
    }
    bytes
}

const fn version(layout: Layout) -> u16 {
    match layout {
        Layout::V1 => 1,
        Layout::V2 => 2,
        Layout::V3 => 0x0303,
    }
}

/// The first bytes of a `VMClock` device with this marker.
pub fn vm_clock(marker: u64) -> Vec<u8> {
    let mut bytes = vec![0; 104];
    bytes[..4].copy_from_slice(b"VCLK");
    bytes[4..8].copy_from_slice(&104_u32.to_le_bytes());
    bytes[8] = 1;
    bytes[16..24].copy_from_slice(&marker.to_le_bytes());
    bytes
}

/// A daemon, as far as its file is concerned.
#[derive(Debug)]
pub struct Writer {
    map: MmapRaw,
    layout: Layout,
}

impl Writer {
    /// Starts: cuts the file if there is one, writes a header without a version and zeros behind it,
    /// in small pieces, and then tells the version. There is no state yet.
    pub fn start(path: &Path, layout: Layout) -> Self {
        let mut file = File::create(path).expect("the folder can be written to");
        let empty = Segment { generation: 0, ..fresh(layout, Now::read(), 0) };
        let bytes = encode(&empty);
        for piece in [0..4, 4..8, 8..VERSION_OFFSET] {
            file.write_all(&bytes[piece]).expect("there is space");
        }
        file.write_all(&[0; HEADER_BYTES - VERSION_OFFSET]).expect("there is space");
        file.write_all(&vec![0; bytes.len() - HEADER_BYTES]).expect("there is space");
        let writer = Self { map: map(path, bytes.len()), layout };
        writer.word(VERSION_OFFSET).store(version(layout), Ordering::Release);
        writer
    }

    /// Writes the next state; the segment's own generation does not matter.
    pub fn update(&self, segment: &Segment) {
        assert_eq!(segment.layout, self.layout);
        let bytes = encode(segment);
        let odd = self.begin();
        for (at, word) in bytes.as_chunks().0.iter().enumerate().skip(HEADER_BYTES / 8) {
            // SAFETY: the mapping is as long as the segment, whose words are aligned in it.
            unsafe {
                write_volatile(
                    self.map.as_mut_ptr().cast::<u64>().add(at),
                    u64::from_ne_bytes(*word),
                )
            };
        }
        // 0 would mean that nothing was written yet.
        self.word(GENERATION_OFFSET).store(odd.wrapping_add(1).max(2) & !1, Ordering::Release);
    }

    /// Makes the generation odd, as at the beginning of an update, and gives it.
    pub fn begin(&self) -> u16 {
        let generation = self.word(GENERATION_OFFSET);
        let odd = generation.load(Ordering::Relaxed) | 1;
        generation.store(odd, Ordering::Relaxed);
        fence(Ordering::Release);
        odd
    }

    fn word(&self, at: usize) -> &AtomicU16 {
        // SAFETY: it is within the header of the mapping, and aligned.
        unsafe { &*self.map.as_mut_ptr().add(at).cast() }
    }
}

fn map(path: &Path, bytes: usize) -> MmapRaw {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("it was just written");
    MmapOptions::new().len(bytes).map_raw(&file).expect("a file can be mapped")
}

/// A folder for the files of one test, removed with it.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// An empty folder; on a file system in memory, as `/run` is, if there is one.
    pub fn new(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self::in_folder(&parent, name)
    }

    /// An empty folder in this one.
    pub fn in_folder(parent: &Path, name: &str) -> Self {
        let folder = parent.join(format!("midge-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the test");
        Self(folder)
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes part of a file, without cutting it.
pub fn patch(path: &Path, at: usize, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(path).expect("the file is there");
    file.write_all_at(bytes, at as u64).expect("there is space");
}

/// Makes a file this long.
pub fn resize(path: &Path, bytes: u64) {
    let file = OpenOptions::new().write(true).open(path).expect("the file is there");
    file.set_len(bytes).expect("there is space");
}
