//! Two processes stamp events with windows of true time, and a third puts them in order: it says
//! which of two came first, or that nobody can tell.
//!
//! ```text
//! cargo run --package midge-agent --example ordering -- [SEGMENT]
//! ```
//!
//! Without a segment the usual ones of the ClockBound daemon are read. The two could be on different
//! machines: a window means the same everywhere.

use std::env;
use std::hint::black_box;
use std::process::{Child, Command, ExitCode, Stdio};

use midge::TimeWindow;
use midge_agent::clock::{Clock, SEGMENT_PATHS, VM_CLOCK_PATH};

const EVENTS: usize = 5;

/// What a process does between two events.
const STEPS: u64 = 1_000_000;

struct Event {
    name: String,
    window: TimeWindow,
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let result = match &arguments[..] {
        [role, name, segments @ ..] if role == "--stamp" => stamp(name, segments),
        segments => order(segments),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("ordering: {error}");
    ExitCode::FAILURE
}

/// A process that something happens in: prints a line for each event.
pub(crate) fn stamp(name: &str, segments: &[String]) -> Result<(), String> {
    let chosen: Vec<_> = segments.iter().map(String::as_str).collect();
    let paths = if chosen.is_empty() { SEGMENT_PATHS } else { &chosen };
    let mut clock = Clock::new(paths, VM_CLOCK_PATH);
    for event in 1..=EVENTS {
        for step in 0..STEPS {
            black_box(step);
        }
        let bounded = clock.read().map_err(|trouble| trouble.to_string())?;
        // With another status the true time may be anywhere.
        if !bounded.status.is_usable_for_leases() {
            return Err(format!("the clock is {}", bounded.status));
        }
        let window = bounded.window;
        println!("{name}-{event} {} {}", window.earliest_ns(), window.latest_ns());
    }
    Ok(())
}

/// The process that puts them in order: each event of the one with each of the other.
pub(crate) fn order(segments: &[String]) -> Result<(), String> {
    // Both run at the same time.
    let processes = [start("a", segments)?, start("b", segments)?];
    let [of_a, of_b] = processes.map(events);
    let (of_a, of_b) = (of_a?, of_b?);
    for a in &of_a {
        for b in &of_b {
            println!("{} {} {}", a.name, relation(a.window, b.window), b.name);
        }
    }
    Ok(())
}

/// What is certain of two windows.
fn relation(a: TimeWindow, b: TimeWindow) -> &'static str {
    if a.definitely_before(b) {
        "before"
    } else if a.definitely_after(b) {
        "after"
    } else {
        "cannot tell"
    }
}

fn start(name: &str, segments: &[String]) -> Result<Child, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["--stamp", name]).args(segments).stdout(Stdio::piped());
    command.spawn().map_err(|error| error.to_string())
}

/// What a process says until it ends.
fn events(process: Child) -> Result<Vec<Event>, String> {
    let output = process.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err("a process could not tell the time".to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| Event::parse(line).ok_or(format!("not an event: {line}"))).collect()
}

impl Event {
    /// From a line as `stamp` prints it.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let name = words.next()?.to_owned();
        let mut time = || words.next()?.parse().ok();
        Some(Self { name, window: TimeWindow::new(time()?, time()?)? })
    }
}
