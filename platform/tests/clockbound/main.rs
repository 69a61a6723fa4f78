//! Readers of shared memory beside a writer that does its worst. Each is a process of its own.
//!
//! Plain `cargo test` runs a short form. The long one:
//!
//! ```text
//! CLOCK_TORTURE_SECONDS=600 cargo test --release --package midge-agent --test clockbound
//! ```
//!
//! The long form demands its numbers of updates, cuts and readings as well.

#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../../examples/ordering.rs"]
mod ordering;
mod payload;
mod real;
mod roles;
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod writer;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use midge::clockbound::{Layout, Segment};
use payload::Random;
use roles::Seen;
use writer::{Folder, Now, Writer, fresh, resize};

const DEFAULT_SECONDS: u64 = 3;

/// From so many seconds on there must be so many updates, cuts and readings.
const LONG_SECONDS: u64 = 600;
const LONG_COUNTS: [u64; 3] = [1_000_000, 100_000, 10_000_000];

/// So many different states must have been seen by careful readers.
const LEAST_STATES: u64 = 50;

/// How long a reader may take for what it does often. It is reached only when something is wrong.
const DEADLINE: Duration = Duration::from_secs(60);

/// How often the daemon is started again under a reader.
const RESTARTS: u64 = 1_000;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [role, path, more @ ..] = &arguments[..]
        && roles::play(role, path, more)
    {
        return;
    }
    // Whoever wants to know which tests there are, or others than these, gets nothing.
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    let filters: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let tests: [(&str, fn()); 6] = [
        ("restarts", restarts),
        ("torture", torture),
        ("no_system_call", no_system_call),
        ("other_faults", other_faults),
        ("events_in_order", events_in_order),
        ("real_daemon", real::outside),
    ];
    for (name, test) in tests {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())) {
            if name == "real_daemon" && !real::is_wanted() {
                println!("test {name} left out: `make test-clockbound` runs it");
                continue;
            }
            test();
            println!("test {name} ... ok");
        }
    }
}

/// Starts this program again in another role; it ends by itself when the file `stop` is there.
fn start(role: &str, path: &Path) -> Child {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command.arg(role).arg(path).stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().expect("this program starts")
}

/// What a reader says at its end, in numbers.
fn end(reader: Child) -> Vec<u64> {
    let Output { status, stdout, .. } = reader.wait_with_output().expect("it is a child");
    let said = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "a reader ended with {status}: {said}");
    said.split_whitespace().map(|word| word.parse().expect("a number")).collect()
}

/// Starts readers, has `write` done, and gives the sum of what the readers say of themselves.
fn beside(folder: &Folder, roles: &[&str], write: impl FnOnce(&Path)) -> Vec<roles::Counts> {
    let path = folder.path("shm");
    let readers: Vec<_> = roles.iter().map(|role| start(role, &path)).collect();
    write(&path);
    fs::write(folder.path("stop"), "").expect("there is space");
    readers.into_iter().map(|reader| roles::Counts::of(&end(reader))).collect()
}

/// The daemon starts again and again: each time it cuts its file and writes another first state,
/// which the reader sees while it goes on.
fn restarts() {
    let folder = Folder::new("restarts");
    let counts = beside(&folder, &["reader"], |path| {
        let seen = Seen::new(path);
        let mut random = Random::new();
        for restart in 0..RESTARTS {
            let writer = Writer::start(path, Layout::V3);
            let segment = payload::new(Layout::V3, &mut random);
            writer.update(&segment);
            let deadline = Instant::now() + DEADLINE;
            while seen.marker().load(Ordering::Relaxed) != segment.disruption_marker {
                assert!(Instant::now() < deadline, "restart {restart} is not seen");
                thread::yield_now();
            }
            for _ in 0..random.below(4) {
                writer.update(&payload::new(Layout::V3, &mut random));
            }
        }
    });
    println!("restarts: {RESTARTS} restarts, {}", counts[0]);
    assert_eq!(counts[0].torn, 0);
    assert!(counts[0].states >= RESTARTS);
    println!("numbers: {}::restarts {RESTARTS}, {} torn", file!(), counts[0].torn);
}

/// Updates, cuts, rewrites and replacements as fast as they can be made.
fn torture() {
    let given = std::env::var("CLOCK_TORTURE_SECONDS").ok();
    let seconds =
        given.map_or(DEFAULT_SECONDS, |given| given.parse().expect("a number of seconds"));
    let folder = Folder::new("torture");
    let (mut updates, mut cuts) = (0, 0);
    let counts = beside(&folder, &["reader", "reader", "careless"], |path| {
        let seen = Seen::new(path);
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut random = Random::new();
        let is_enough = || {
            seen.torn().load(Ordering::Relaxed) > 0
                && seen.states().load(Ordering::Relaxed) >= LEAST_STATES
        };
        // On a busy machine it takes longer until the readers had their turns.
        while Instant::now() < end || (!is_enough() && Instant::now() < end + DEADLINE) {
            updates += misuse(path, &mut random);
            cuts += 1;
        }
    });
    let [careful @ .., careless] = &counts[..] else { unreachable!("there are three") };
    println!("torture: {seconds} s, {updates} updates, {cuts} cuts");
    for counts in careful {
        println!("torture: careful reader: {counts}");
        assert_eq!(counts.torn, 0, "a reader saw half of an update");
    }
    println!("torture: reader without a look at the generation: {careless}");
    let states: u64 = careful.iter().map(|counts| counts.states).sum();
    assert!(states >= LEAST_STATES, "the careful readers saw next to nothing");
    assert!(careless.torn > 0, "no update was ever under way: this has shown nothing");
    if seconds >= LONG_SECONDS {
        let readings: u64 = careful.iter().map(|counts| counts.good + counts.errors).sum();
        for (counted, wanted) in [updates, cuts, readings].into_iter().zip(LONG_COUNTS) {
            assert!(counted >= wanted, "{counted}, and not {wanted}");
        }
        let torn: u64 = careful.iter().map(|counts| counts.torn).sum();
        println!(
            "numbers: {}::torture {updates:.1e}, {cuts:.1e}, {readings:.1e}; {torn} torn; caught {} times",
            file!(),
            careless.torn,
        );
    }
}

/// One life of a daemon, and its end; gives how many updates it wrote.
fn misuse(path: &Path, random: &mut Random) -> u64 {
    let layout = [Layout::V1, Layout::V2, Layout::V3][random.below(3) as usize];
    let writer = Writer::start(path, layout);
    let updates = 1 + random.below(200);
    for _ in 0..updates {
        writer.update(&payload::new(layout, random));
    }
    let somewhere = random.below(layout.bytes() as u64);
    match random.below(400) {
        // Its service removes the file.
        0 => fs::remove_file(path).expect("it is there"),
        // Another file is put in its place, whole.
        1 => {
            let other = path.with_extension("new");
            Writer::start(&other, layout).update(&payload::new(layout, random));
            fs::rename(&other, path).expect("both are there");
        }
        // It dies while it writes.
        2..100 => {
            writer.begin();
        }
        // Somebody cuts the file, and it stays so for a moment, or for longer.
        100..150 => resize(path, somewhere),
        150..200 => {
            resize(path, somewhere);
            thread::yield_now();
        }
        // It just starts again.
        _ => {}
    }
    updates
}

/// In a process that the system kills at any system call but the end, a reading works.
fn no_system_call() {
    let folder = Folder::new("strict");
    let path = folder.path("shm");
    Writer::start(&path, Layout::V3).update(&payload::new(Layout::V3, &mut Random::new()));
    assert!(end(start("strict", &path)).is_empty());
    println!("numbers: {}::no_system_call 0", file!());
}

/// A SIGBUS that has nothing to do with the clock still ends the process, or does what a handler of
/// the process makes of it.
fn other_faults() {
    use std::os::unix::process::ExitStatusExt;
    let folder = Folder::new("faults");
    let path = folder.path("shm");
    for role in ["fault", "signal"] {
        Writer::start(&path, Layout::V2).update(&payload::new(Layout::V2, &mut Random::new()));
        let status = start(role, &path).wait().expect("it is a child");
        assert_eq!(status.signal(), Some(nix::libc::SIGBUS), "{role}: {status}");
    }
    let handlers = [
        ("handler-before-fault", roles::HANDLED),
        ("handler-before-signal", roles::HANDLED),
        ("number-before-fault", roles::HANDLED),
        ("ignored-signal", roles::NOT_HANDLED),
        ("handler-after", roles::HANDLED),
    ];
    for (role, code) in handlers {
        Writer::start(&path, Layout::V2).update(&payload::new(Layout::V2, &mut Random::new()));
        let status = start(role, &path).wait().expect("it is a child");
        assert_eq!(status.code(), Some(code), "{role}: {status}");
    }
}

/// The example: with narrow windows events are told apart, with wide ones they are not.
fn events_in_order() {
    let folder = Folder::new("ordering");
    let path = folder.path("shm");
    for (bound_ns, is_told) in [(0, true), (3_600_000_000_000, false)] {
        let segment = fresh(Layout::V2, Now::read(), 3_600_000_000_000);
        let segment = Segment { bound_ns, max_drift_ppb: 0, ..segment };
        Writer::start(&path, Layout::V2).update(&segment);
        let output = start("order", &path).wait_with_output().expect("it is a child");
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let rows: Vec<Vec<_>> = text.lines().map(|line| line.splitn(2, ' ').collect()).collect();
        assert_eq!(rows.len(), 25, "{text}");
        // What is before one event of the other is before all that follow it.
        for of_a in rows.chunks(5) {
            let is_before = |row: &Vec<&str>| row[1].starts_with("before");
            let first = of_a.iter().position(is_before).unwrap_or(of_a.len());
            assert!(of_a[first..].iter().all(is_before), "{text}");
        }
        assert_eq!(rows.iter().any(|row| !row[1].starts_with("cannot tell")), is_told, "{text}");
    }
}
