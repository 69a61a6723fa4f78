//! One reading of a segment that has not changed, beside the official client of its layout: the 3.x
//! client reads the third layout, and the 2.x client the second, which the 3.x client refuses.
//!
//! ```text
//! cargo bench --manifest-path tests/official_clock/Cargo.toml
//! ```
//!
//! It fails if a reading takes more than 0.8 of the official time.

use std::ffi::CString;
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clock_bound::Client;
use clock_bound_shm::ShmReader;
use midge::clockbound::{ClockStatus, Layout};
use midge_agent::clock::Clock;

#[allow(dead_code, unreachable_pub, reason = "the tests of the reader use other parts of it")]
#[path = "../../../platform/tests/clockbound/writer.rs"]
mod writer;

use writer::{Folder, Now, Writer, fresh};

const LIMIT: f64 = 0.8;

/// Rounds of each, one after the other, so that both meet what else the machine does. The median
/// counts.
const ROUNDS: usize = 101;
const READINGS: u32 = 20_000;

const HOUR_NS: i64 = 3_600_000_000_000;

fn main() -> ExitCode {
    // `cargo test --all-targets` only wants to know that it builds and starts.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let folder = Folder::new("reading");
    println!("{:<8} {:>10} {:>10} {:>7}", "layout", "midge ns", "client ns", "ratio");
    let is_quick = [second(&folder), third(&folder)];
    if is_quick == [true, true] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A segment of which readings are good for as long as this takes.
fn write(path: &Path, layout: Layout) -> Writer {
    let writer = Writer::start(path, layout);
    writer.update(&fresh(layout, Now::read(), HOUR_NS));
    writer
}

fn second(folder: &Folder) -> bool {
    let path = folder.path("shm0");
    let writer = write(&path, Layout::V2);
    let c_path = CString::new(path.to_str().expect("UTF-8")).expect("no null");
    let mut official = ShmReader::new(&c_path).expect("it is a segment");
    compare("second", &path, &writer, &mut || {
        let read = official.snapshot().expect("it is written").now();
        black_box(read.expect("it is fine"));
    })
}

fn third(folder: &Folder) -> bool {
    let path = folder.path("shm1");
    let writer = write(&path, Layout::V3);
    let mut official =
        Client::new_with_paths(path.to_str().expect("UTF-8"), "").expect("a segment");
    compare("third", &path, &writer, &mut || {
        black_box(official.now().expect("it is fine"));
    })
}

/// Prints what both take; whether ours is within the limit.
fn compare(name: &str, path: &Path, writer: &Writer, official: &mut dyn FnMut()) -> bool {
    let paths = [path.to_str().expect("UTF-8")];
    let mut clock = Clock::new(&paths, "");
    let bounded = clock.read().expect("it is fine");
    assert_eq!(bounded.status, ClockStatus::Synchronized);
    let layout = clock.segment().expect("it was read").layout;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        // As a daemon does, so that neither finds it old.
        writer.update(&fresh(layout, Now::read(), HOUR_NS));
        ours.push(time(&mut || {
            black_box(clock.read().expect("it is fine"));
        }));
        theirs.push(time(official));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = ours / theirs;
    println!("{name:<8} {ours:>10.1} {theirs:>10.1} {ratio:>7.2}");
    let check = format!("tests/official_clock/benches/reading.rs::{name}");
    println!("numbers: {check} {ratio:.2}: {ours:.1} ns, {theirs:.1} ns");
    ratio <= LIMIT
}

/// Nanoseconds of one reading. Both are called in the same way.
fn time(read: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..READINGS {
        read();
    }
    start.elapsed().as_nanos() as f64 / f64::from(READINGS)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
