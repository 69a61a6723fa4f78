//! A reader beside a writer that does what daemons do, and what they should not.

#[allow(dead_code, unreachable_pub, reason = "other tests use other parts of it")]
#[path = "../../tests/clockbound/writer.rs"]
pub(crate) mod writer;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use midge::clockbound::{ClockStatus, Layout, SegmentError};

use super::*;
use writer::{Folder, Now, Writer, encode, fresh, patch, resize, vm_clock};

const LAYOUTS: [Layout; 3] = [Layout::V1, Layout::V2, Layout::V3];
const MINUTE_NS: i64 = 60_000_000_000;
const MISSING: Cause = Cause::System(Errno::ENOENT);

fn name(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

/// Polls until this holds; it is to be soon.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// Reads a file with nothing else around.
fn read_once(path: &Path) -> Result<Bounded, Cause> {
    let paths = [name(path)];
    let mut clock = Clock::new(&paths, "");
    let read = clock.read();
    assert_eq!(clock.trouble().is_some(), clock.path().is_none());
    read.map_err(|trouble| {
        assert_eq!(trouble.path, paths[0]);
        trouble.cause
    })
}

#[test]
fn each_layout_gives_a_window_around_now() {
    let folder = Folder::new("layouts");
    for layout in LAYOUTS {
        let path = folder.path("shm");
        let before = Now::read();
        Writer::start(&path, layout).update(&fresh(layout, before, MINUTE_NS));
        let bounded = read_once(&path).expect("it was written");
        let after = Now::read();
        assert_eq!(bounded.status, ClockStatus::Synchronized);
        // A clock that was read, or one that was made of the counter, whose rate the segment
        // guesses.
        let slack_ns = 2 * (after.realtime_ns - before.realtime_ns) + 2_000_000;
        let around = before.realtime_ns - slack_ns..=after.realtime_ns + slack_ns;
        assert!(around.contains(&bounded.window.earliest_ns()), "{layout:?} {bounded:?}");
        assert!(around.contains(&bounded.window.latest_ns()), "{layout:?} {bounded:?}");
        assert!(bounded.window.width_ns() >= 2_000_000);
    }
}

#[test]
fn new_states_are_seen_and_old_ones_kept() {
    let folder = Folder::new("states");
    let path = folder.path("shm");
    let paths = [name(&path)];
    let mut clock = Clock::new(&paths, "");
    assert_eq!(clock.read(), Err(Trouble::of_segment(paths[0], MISSING)));
    let writer = Writer::start(&path, Layout::V3);
    let never = Cause::Segment(SegmentError::NeverWritten);
    assert_eq!(clock.read(), Err(Trouble::of_segment(paths[0], never)));
    // As many as there are generations, and more.
    for count in 0..40_000 {
        let mut segment = fresh(Layout::V3, Now::read(), MINUTE_NS);
        segment.disruption_marker = count;
        writer.update(&segment);
        clock.read().expect("it was written");
        assert_eq!(clock.segment().expect("it was read").disruption_marker, count);
        assert!(clock.trouble().is_none());
    }
}

#[test]
fn what_is_no_segment_is_said_to_be_none() {
    let folder = Folder::new("wrong");
    let path = folder.path("shm");
    assert_eq!(read_once(&path), Err(MISSING));
    let long = folder.path(&"x".repeat(2_000));
    assert_eq!(read_once(&long), Err(Cause::System(Errno::ENAMETOOLONG)));
    let directory = folder.path("directory");
    fs::create_dir(&directory).expect("a folder");
    assert_eq!(read_once(&directory), Err(Cause::NotAFile));
    assert_eq!(read_once(Path::new("/dev/zero")), Err(Cause::NotAFile));
    assert_eq!(read_once(&path.join("shm")), Err(MISSING));
    let good = encode(&fresh(Layout::V2, Now::read(), MINUTE_NS));
    let said = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("there is space");
        read_once(&path).map(|_| ())
    };
    assert_eq!(said(&good), Ok(()));
    for len in 0..good.len() {
        assert_eq!(said(&good[..len]), Err(Cause::Segment(SegmentError::Short)), "{len}");
    }
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        said(&bytes).expect_err("one byte is wrong")
    };
    assert_eq!(with(0, 0), Cause::Segment(SegmentError::Magic));
    let other = "some other file, odd where a segment has its generation";
    assert_eq!(said(other.as_bytes()), Err(Cause::Segment(SegmentError::Magic)));
    assert_eq!(with(9, 1), Cause::Segment(SegmentError::Size));
    assert_eq!(with(12, 4), Cause::Segment(SegmentError::Version));
    assert_eq!(with(14, 0), Cause::Segment(SegmentError::NeverWritten));
    assert_eq!(with(14, 7), Cause::Segment(SegmentError::Busy));
    assert_eq!(with(68, 9), Cause::Segment(SegmentError::Status));
    assert_eq!(with(55, 0x80), Cause::Segment(SegmentError::Bound));
    assert_eq!(said(&good), Ok(()));
}

#[test]
fn later_than_now_is_an_error() {
    let folder = Folder::new("causality");
    let path = folder.path("shm");
    let mut ahead = Now::read();
    ahead.monotonic_coarse_ns += MINUTE_NS;
    fs::write(&path, encode(&fresh(Layout::V2, ahead, MINUTE_NS))).expect("there is space");
    assert_eq!(read_once(&path), Err(Cause::Clock(ClockError::Causality)));
}

#[test]
fn a_file_that_is_cut_is_an_error_wherever_it_is_cut() {
    let folder = Folder::new("cut");
    for layout in LAYOUTS {
        let path = folder.path("shm");
        let paths = [name(&path)];
        for len in 0..layout.bytes() {
            let writer = Writer::start(&path, layout);
            let segment = fresh(layout, Now::read(), MINUTE_NS);
            writer.update(&segment);
            let mut clock = Clock::new(&paths, "");
            clock.read().expect("it was written");
            // The stamp stays, or not; a new copy is wanted, or not.
            if len > 16 {
                writer.update(&segment);
            }
            resize(&path, len as u64);
            clock.read().expect("the copy serves");
            let short = (len > 16 || len <= 14)
                .then_some(Trouble::of_segment(paths[0], Cause::Segment(SegmentError::Short)));
            if short.is_some() {
                assert_eq!(clock.trouble(), short, "{layout:?} cut to {len}");
            }
            assert_eq!(
                read_once(&path).expect_err("it was cut"),
                Cause::Segment(SegmentError::Short)
            );
            Writer::start(&path, layout).update(&segment);
            clock.read().expect("it is there again");
            assert_eq!(clock.segment().map(|found| found.as_of_ns), Some(segment.as_of_ns));
        }
    }
}

/// Makes a segment's file unreadable, and says how the reader is to put that.
fn spoil(path: &Path, writer: &Writer, how: u32) -> Cause {
    match how {
        0 => {
            writer.begin();
            Cause::Segment(SegmentError::Busy)
        }
        1 => {
            fs::remove_file(path).expect("it is there");
            writer.begin();
            MISSING
        }
        _ => {
            resize(path, 0);
            Cause::Segment(SegmentError::Short)
        }
    }
}

#[test]
fn the_last_good_copy_serves_until_it_is_void() {
    let folder = Folder::new("void");
    let path = folder.path("shm");
    let paths = [name(&path)];
    let start = |lasts_ns| {
        let writer = Writer::start(&path, Layout::V2);
        writer.update(&fresh(Layout::V2, Now::read(), lasts_ns));
        let mut clock = Clock::new(&paths, "");
        clock.read().expect("it was written");
        (writer, clock)
    };
    for how in 0..3 {
        let (writer, mut clock) = start(MINUTE_NS);
        let trouble = Trouble::of_segment(paths[0], spoil(&path, &writer, how));
        for _ in 0..10 {
            let status = clock.read().map(|read| read.status);
            assert_eq!(status, Ok(ClockStatus::Synchronized));
            assert_eq!(clock.trouble(), Some(trouble));
        }
        Writer::start(&path, Layout::V1).update(&fresh(Layout::V1, Now::read(), MINUTE_NS));
        clock.read().expect("it is there again");
        assert_eq!(clock.trouble(), None);

        let (writer, mut clock) = start(100_000_000);
        let trouble = Trouble::of_segment(paths[0], spoil(&path, &writer, how));
        eventually("the copy becomes void", || clock.read() == Err(trouble));
        assert_eq!((clock.segment(), clock.path()), (None, None));
    }
}

/// The daemon's service removes the folder with the file when it stops, so that the next file is
/// another one.
#[test]
fn a_file_in_the_place_of_an_old_one_is_found() {
    let folder = Folder::new("replaced");
    let path = folder.path("shm");
    let paths = [name(&path)];
    let mut old = fresh(Layout::V2, Now::read(), MINUTE_NS);
    old.as_of_ns -= LOOK_AGAIN_NS - 200_000_000;
    Writer::start(&path, Layout::V2).update(&old);
    let mut clock = Clock::new(&paths, "");
    clock.read().expect("it was written");
    fs::remove_file(&path).expect("it is there");
    Writer::start(&path, Layout::V1).update(&fresh(Layout::V1, Now::read(), MINUTE_NS));
    eventually("the new file is found", || {
        clock.read().expect("either is good");
        clock.segment().is_some_and(|found| found.layout == Layout::V1)
    });
}

#[test]
fn of_several_the_first_usable_one_is_taken() {
    let folder = Folder::new("choice");
    let files = ["shm1", "shm0", "shm"].map(|name| folder.path(name));
    let paths = files.each_ref().map(|path| name(path));
    let write = |at: usize, layout: Layout, lasts_ns: i64| {
        Writer::start(&files[at], layout).update(&fresh(layout, Now::read(), lasts_ns));
    };
    let mut clock = Clock::new(&paths, "");
    assert_eq!(clock.read(), Err(Trouble::of_segment(paths[0], MISSING)));
    fs::write(&files[1], "").expect("there is space");
    let short = Cause::Segment(SegmentError::Short);
    assert_eq!(clock.read(), Err(Trouble::of_segment(paths[1], short)), "it says more");
    // Left by a daemon that is gone.
    write(0, Layout::V3, -MINUTE_NS);
    assert_eq!(clock.read().map(|read| read.status), Ok(ClockStatus::Unknown));
    assert_eq!(clock.path(), Some(paths[0]));
    write(2, Layout::V1, MINUTE_NS);
    fs::remove_file(&files[0]).expect("it is there");
    Writer::start(&files[0], Layout::V3);
    let mut clock = Clock::new(&paths, "");
    assert_eq!(clock.read().map(|read| read.status), Ok(ClockStatus::Synchronized));
    // One that serves is left for no other.
    assert_eq!(clock.path(), Some(paths[2]));
    resize(&files[2], 0);
    write(1, Layout::V2, MINUTE_NS);
    clock.read().expect("the copy serves");
    assert_eq!(clock.path(), Some(paths[2]));
    // One that does not is left for the next.
    write(2, Layout::V1, 100_000_000);
    let mut clock = Clock::new(&paths, "");
    clock.read().expect("two are good");
    resize(&files[2], 0);
    eventually("the next is taken", || clock.read().is_ok() && clock.path() == Some(paths[1]));
    assert_eq!(clock.trouble(), None);
}

/// The daemon lives and writes, and knows nothing.
#[test]
fn one_that_is_unknown_is_left_for_one_that_is_usable() {
    let folder = Folder::new("unknown");
    let files = ["shm1", "shm0"].map(|name| folder.path(name));
    let paths = files.each_ref().map(|path| name(path));
    let [first, second] = [(0, Layout::V3), (1, Layout::V2)]
        .map(|(at, layout): (usize, _)| Writer::start(&files[at], layout));
    let update_first = |status| {
        let segment = Segment { status, ..fresh(Layout::V3, Now::read(), MINUTE_NS) };
        first.update(&segment);
    };
    let mut clock = Clock::new(&paths, "");
    update_first(ClockStatus::Unknown);
    assert_eq!(clock.read().map(|read| read.status), Ok(ClockStatus::Unknown));
    second.update(&fresh(Layout::V2, Now::read(), MINUTE_NS));
    let looked_ns = clock.looked_ns;
    for _ in 0..100 {
        update_first(ClockStatus::Unknown);
        clock.read().expect("it was written");
    }
    // On a machine that took seconds for these, it was looked at again already.
    let is_early = clocks::monotonic_coarse_ns() - looked_ns < LOOK_AGAIN_NS;
    assert!(!is_early || (clock.looked_ns, clock.path()) == (looked_ns, Some(paths[0])));
    clock.looked_ns -= LOOK_AGAIN_NS;
    assert_eq!(clock.read().map(|read| read.status), Ok(ClockStatus::Synchronized));
    assert_eq!(clock.path(), Some(paths[1]));
    update_first(ClockStatus::Synchronized);
    second.update(&fresh(Layout::V2, Now::read(), MINUTE_NS));
    clock.read().expect("both are good");
    assert_eq!(clock.path(), Some(paths[0]));
}

/// The counter of a machine that was moved, or slept, may begin anew, while the daemon is gone.
#[test]
fn a_time_that_stands_still_is_looked_for_elsewhere() {
    let folder = Folder::new("still");
    let path = folder.path("shm");
    let paths = [name(&path)];
    let mut segment = fresh(Layout::V3, Now::read(), MINUTE_NS);
    segment.as_of_counter = u64::MAX;
    Writer::start(&path, Layout::V3).update(&segment);
    let mut clock = Clock::new(&paths, "");
    assert_eq!(clock.read().map(|read| read.age_ns), Ok(0));
    fs::remove_file(&path).expect("it is there");
    Writer::start(&path, Layout::V3).update(&fresh(Layout::V3, Now::read(), MINUTE_NS));
    clock.looked_ns -= LOOK_AGAIN_NS;
    assert!(clock.read().expect("it was written").age_ns > 0);

    for (numerator, shift) in [(0, 31), (u64::MAX, 64), (1, 1)] {
        segment.period = midge::clockbound::Fraction { numerator, shift };
        fs::write(&path, encode(&segment)).expect("there is space");
        assert_eq!(read_once(&path), Err(Cause::Segment(SegmentError::Period)));
        let unknown = Segment { status: ClockStatus::Unknown, ..segment };
        fs::write(&path, encode(&unknown)).expect("there is space");
        assert_eq!(read_once(&path).map(|read| read.status), Ok(ClockStatus::Unknown));
    }
}

/// A daemon that starts may have written the second choice when the first is not there yet.
#[test]
fn a_better_one_is_taken_once_there_is_one() {
    let folder = Folder::new("better");
    let files = ["shm1", "shm0"].map(|name| folder.path(name));
    let paths = files.each_ref().map(|path| name(path));
    let mut clock = Clock::new(&paths, "");
    let first = Writer::start(&files[0], Layout::V3);
    let second = Writer::start(&files[1], Layout::V2);
    let update = |clock: &mut Clock<'_>| {
        second.update(&fresh(Layout::V2, Now::read(), MINUTE_NS));
        clock.read().expect("one is good");
        clock.segment().expect("it was read").layout
    };
    assert_eq!(update(&mut clock), Layout::V2);
    assert_eq!(update(&mut clock), Layout::V2);
    // Left by another daemon: it does not replace what is good, not even for one reading.
    first.update(&fresh(Layout::V3, Now::read(), -MINUTE_NS));
    second.update(&fresh(Layout::V2, Now::read(), MINUTE_NS));
    assert_eq!(update(&mut clock), Layout::V2);
    second.begin();
    assert_eq!(clock.read().map(|read| read.status), Ok(ClockStatus::Synchronized));
    first.update(&fresh(Layout::V3, Now::read(), MINUTE_NS));
    assert_eq!(update(&mut clock), Layout::V2, "its own file is there again");
    assert_eq!(update(&mut clock), Layout::V3);
    resize(&files[0], 0);
    assert_eq!(update(&mut clock), Layout::V3, "the copy serves");
}

#[test]
fn a_marker_that_is_demanded_is_compared() {
    let folder = Folder::new("marker");
    let (path, device) = (folder.path("shm"), folder.path("vmclock0"));
    let paths = [name(&path)];
    let writer = Writer::start(&path, Layout::V3);
    let mut segment = fresh(Layout::V3, Now::read(), MINUTE_NS);
    segment.disruption_support = true;
    segment.disruption_marker = 5;
    writer.update(&segment);
    let mut clock = Clock::new(&paths, name(&device));
    let because = |cause| Trouble { path: name(&device), is_vm_clock: true, cause };
    assert_eq!(clock.read(), Err(because(MISSING)));
    fs::write(&device, &vm_clock(5)[..103]).expect("there is space");
    assert_eq!(clock.read(), Err(because(Cause::Segment(SegmentError::Short))));
    fs::write(&device, vm_clock(5)).expect("there is space");
    let mut status = || clock.read().map(|read| read.status);
    // Its sequence is 0, which is as good as any.
    assert_eq!(status(), Ok(ClockStatus::Synchronized));
    patch(&device, 12, &1_u32.to_le_bytes());
    assert_eq!(status(), Err(because(Cause::Segment(SegmentError::Busy))));
    patch(&device, 16, &6_u64.to_le_bytes());
    patch(&device, 12, &2_u32.to_le_bytes());
    assert_eq!(status(), Ok(ClockStatus::Disrupted));
    segment.disruption_marker = 6;
    writer.update(&segment);
    assert_eq!(status(), Ok(ClockStatus::Synchronized));
    let short = Err(because(Cause::Segment(SegmentError::Short)));
    resize(&device, 0);
    assert_eq!(status(), short);
    // One that stays at its first sequence.
    fs::write(&device, vm_clock(6)).expect("there is space");
    assert_eq!(status(), Ok(ClockStatus::Synchronized));
    for marker in [7_u64, 6 | 1 << 32] {
        patch(&device, 16, &marker.to_le_bytes());
        assert_eq!(status(), Ok(ClockStatus::Disrupted));
        patch(&device, 16, &6_u64.to_le_bytes());
        assert_eq!(status(), Ok(ClockStatus::Synchronized));
    }
    resize(&device, 0);
    assert_eq!(status(), short);
    segment.disruption_support = false;
    writer.update(&segment);
    assert_eq!(status(), Ok(ClockStatus::Synchronized));
}

/// A daemon that is killed while it writes leaves an odd generation for good.
#[test]
fn who_died_while_it_wrote_is_waited_for_once() {
    let folder = Folder::new("stuck");
    let path = folder.path("shm");
    let paths = [name(&path)];
    let writer = Writer::start(&path, Layout::V3);
    writer.begin();
    let page = Page::open(paths[0], Kind::Segment).expect("it is there");
    let took = |stuck: &mut u32| {
        let began = Instant::now();
        assert_eq!(page.segment(stuck), Err(Cause::Segment(SegmentError::Busy)));
        assert_eq!(*stuck, 1);
        began.elapsed()
    };
    // The shortest of many: whatever else the machine does makes them longer only.
    let waits = (0..100).map(|_| took(&mut 0)).min().expect("there are some");
    let looks = (0..100).map(|_| took(&mut 1)).min().expect("there are some");
    assert!(looks * 10 < waits, "{looks:?}, not much less than {waits:?}");

    let mut clock = Clock::new(&paths, "");
    clock.read().expect_err("it was never written");
    assert_eq!(clock.stuck, 1);
    // Another one that writes is waited for again.
    writer.update(&fresh(Layout::V3, Now::read(), MINUTE_NS));
    clock.read().expect("it was written");
    assert_eq!(clock.stuck, 0);
}

#[test]
fn time_that_steps_back_is_told_once() {
    let folder = Folder::new("steps");
    let path = folder.path("shm");
    let paths = [name(&path)];
    let writer = Writer::start(&path, Layout::V3);
    let now = Now::read();
    writer.update(&fresh(Layout::V3, now, MINUTE_NS));
    let mut clock = Clock::new(&paths, "");
    let first = clock.read().expect("it was written").window;
    let earlier = Now { realtime_ns: now.realtime_ns - MINUTE_NS, ..now };
    writer.update(&fresh(Layout::V3, earlier, MINUTE_NS));
    assert_eq!(clock.read(), Err(Trouble::of_segment(paths[0], Cause::SteppedBack)));
    let second = clock.read().expect("it goes on from there").window;
    assert!(second.definitely_before(first));
}
