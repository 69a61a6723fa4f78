//! The real daemon, started again and again under a reader and an agent, where it can touch no clock.
//!
//! `make test-clockbound` runs this; `CLOCKBOUND` names the daemon, `CHRONYD` a server for it.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use midge::clockbound::{Bounded, ClockStatus, Layout};
use midge_agent::clock::{Clock, SEGMENT_PATHS, VM_CLOCK_PATH};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::writer::{Folder, Now, patch, vm_clock};

/// From its start on the daemon takes a second, or some; on a busy machine it takes longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// How often the daemon is started again.
const RESTARTS: u32 = 10;

/// Whether there is a daemon to be run: it has to be built first, which takes minutes. Otherwise this
/// is written down as skipped.
pub(crate) fn is_wanted() -> bool {
    let is_there = env::var_os("CLOCKBOUND").is_some();
    if let (false, Some(list)) = (is_there, env::var_os("CI_SKIPPED")) {
        let list = File::options().append(true).open(list);
        writeln!(list.expect("the list is there"), "real-daemon").expect("there is space");
    }
    is_there
}

/// Runs all of it in namespaces of its own.
pub(crate) fn outside() {
    // Not below /dev, which is another one inside.
    let folder = Folder::in_folder(&env::temp_dir(), "real");
    fs::write(folder.path("vmclock0"), vm_clock(7)).expect("there is space");
    // The daemon takes a sequence of 0 for one that it has read already.
    patch(&folder.path("vmclock0"), 12, &2_u32.to_le_bytes());
    fs::write(folder.path("config"), "[[sources.ntp]]\nserver=\"127.0.0.1\"\n")
        .expect("there is space");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clockbound/real/namespace.sh");
    let work = folder.path("");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount"]).arg(script).arg(&work);
    command.arg(env::current_exe().expect("this program has a path")).arg("real").arg(&work);
    let status = command.status().expect("unshare is installed");
    if !status.success() {
        for log in ["chronyd.log", "ntp48.log", "clockbound.log"] {
            let text = fs::read_to_string(folder.path(log)).unwrap_or_default();
            println!("{log}:\n{text}");
        }
    }
    assert!(status.success(), "it ended with {status}");
}

/// The daemon at work; killed when dropped.
struct Daemon(Child);

impl Daemon {
    fn start(work: &Path) -> Self {
        let log = File::options().create(true).append(true).open(work.join("clockbound.log"));
        let log = log.expect("there is space");
        let program = env::var_os("CLOCKBOUND").map(PathBuf::from).expect("it was set outside");
        let mut command = Command::new(program);
        command.arg("-c").arg(work.join("config")).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("descriptors are left")).stderr(log);
        Self(command.spawn().expect("the daemon starts"))
    }

    fn end(&mut self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).expect("it runs");
        self.0.wait().expect("it is a child");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An agent that takes its time from the usual places; killed when dropped.
struct Agent {
    process: Child,
    api: PathBuf,
}

impl Agent {
    fn program() -> Command {
        let given = env::var_os("MIDGE_BIN").map(PathBuf::from);
        let mut command = Command::new(given.unwrap_or_else(|| env!("CARGO_BIN_EXE_midge").into()));
        command.stdin(Stdio::null());
        command
    }

    fn start(work: &Path) -> Self {
        let log = File::create(work.join("agent.log")).expect("there is space");
        let api = work.join("agent.sock");
        let mut command = Self::program();
        command.args(["agent", "--bind", "127.0.0.1:0", "--clockbound", "auto", "--api"]);
        let process = command.arg(&api).stderr(log).spawn().expect("the agent starts");
        Self { process, api }
    }

    /// What it says of the clock: its status, if time is bounded.
    fn status(&mut self) -> Option<String> {
        assert!(self.process.try_wait().expect("it is a child").is_none(), "the agent has ended");
        let mut command = Self::program();
        command.args(["clock", "--json", "--api"]).arg(&self.api).stderr(Stdio::null());
        let output = command.output().expect("the program runs");
        let clock: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        Some(clock?["status"].as_str()?.to_owned())
    }

    fn until_synchronized(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let status = self.status();
            if status.as_deref() == Some("synchronized") {
                return;
            }
            assert!(Instant::now() < deadline, "the agent's clock is {status:?}");
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Counts readings, each of which must hold.
#[derive(Default)]
struct Checked {
    good: u64,
    errors: u64,
}

impl Checked {
    /// Reads, and compares with the clock that the daemon's server serves.
    fn read(&mut self, clock: &mut Clock<'_>) -> Option<Bounded> {
        let before = Now::read().realtime_ns;
        let read = clock.read();
        let after = Now::read().realtime_ns;
        let Ok(bounded) = read else {
            self.errors += 1;
            return None;
        };
        if !bounded.status.is_usable_for_leases() {
            return None;
        }
        let window = bounded.window;
        let holds = window.earliest_ns() <= after && window.latest_ns() >= before;
        assert!(holds, "{before} to {after} is outside of {bounded:?} of {:?}", clock.segment());
        self.good += 1;
        Some(bounded)
    }

    /// Reads until this holds.
    fn until(
        &mut self,
        what: &str,
        clock: &mut Clock<'_>,
        mut holds: impl FnMut(Option<Bounded>, &Clock<'_>) -> bool,
    ) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let bounded = self.read(clock);
            if holds(bounded, clock) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {bounded:?} {clock:?}");
        }
    }
}

/// What happens in the namespaces.
pub(crate) fn inside(work: &Path) {
    let map = fs::read_to_string("/proc/self/uid_map").expect("every Linux has it");
    let all = map.split_whitespace().eq(["0", "0", "4294967295"]);
    assert!(!all, "this is no namespace of its own: a clock could be set");

    let mut checked = Checked::default();
    let mut daemon = Daemon::start(work);
    let mut clock = Clock::new(SEGMENT_PATHS, VM_CLOCK_PATH);
    checked.until("the first segment", &mut clock, |bounded, _| bounded.is_some());
    assert_eq!(clock.path(), Some(SEGMENT_PATHS[0]));
    let mut second = Clock::new(&SEGMENT_PATHS[1..2], VM_CLOCK_PATH);
    checked.until("the second layout", &mut second, |bounded, _| bounded.is_some());
    for (clock, layout) in [(&clock, Layout::V3), (&second, Layout::V2)] {
        let segment = clock.segment().expect("it was read");
        assert_eq!(segment.layout, layout);
        assert!(segment.disruption_support && segment.disruption_marker == 7);
    }
    let mut agent = Agent::start(work);
    agent.until_synchronized();
    for restart in 0..RESTARTS {
        daemon.end(if restart % 2 == 0 { Signal::SIGINT } else { Signal::SIGKILL });
        let last = clock.segment().expect("it was read").as_of_ns;
        checked.read(&mut clock).expect("the last state serves");
        daemon = Daemon::start(work);
        checked.until("a state after a restart", &mut clock, |bounded, clock| {
            let is_new = clock.segment().is_some_and(|segment| segment.as_of_ns > last);
            bounded.is_some() && is_new && clock.trouble().is_none()
        });
        agent.until_synchronized();
    }
    println!(
        "real: {RESTARTS} restarts, {} good readings, {} errors",
        checked.good, checked.errors
    );
    disrupt(work, &mut clock, &mut checked);
    agent.until_synchronized();
    println!("numbers: {}::inside {} windows", file!(), checked.good);
}

/// The machine is said to have been moved: nothing holds until the daemon has caught up.
fn disrupt(work: &Path, clock: &mut Clock<'_>, checked: &mut Checked) {
    let device = work.join("vmclock0");
    patch(&device, 12, &3_u32.to_le_bytes());
    patch(&device, 16, &8_u64.to_le_bytes());
    patch(&device, 12, &4_u32.to_le_bytes());
    let status = clock.read().expect("the segment is there").status;
    assert_eq!(status, ClockStatus::Disrupted);
    checked.until("the daemon catches up", clock, |bounded, clock| {
        bounded.is_some() && clock.segment().is_some_and(|segment| segment.disruption_marker == 8)
    });
    println!("real: disrupted, and usable again");
}
