//! What the other processes of the tests do.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use midge::clockbound::{GENERATION_OFFSET, Segment, SegmentError};
use midge_agent::clock::{Cause, Clock};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;

use super::ordering;
use super::payload::is_whole;
use super::real;
use super::writer::resize;

/// After so many readings of the same state a reader begins anew: another file may be in the place
/// of the one that it has, and it would look for that every few seconds only.
const STALE_READINGS: u32 = 10_000;

/// Between looks whether it is over.
const READINGS_AT_ONCE: u32 = 1_000;

/// What readers tell the writer while they go on, in memory that they share.
#[derive(Debug)]
pub(crate) struct Seen(MmapRaw);

impl Seen {
    /// Beside the segment.
    pub(crate) fn new(path: &Path) -> Self {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path.with_file_name("seen")).expect("there is space");
        file.set_len(24).expect("there is space");
        Self(MmapOptions::new().len(24).map_raw(&file).expect("a file can be mapped"))
    }

    fn numbers(&self) -> &[AtomicU64; 3] {
        // SAFETY: the file is as long, a mapping begins at a page, and all use it like this.
        unsafe { &*self.0.as_ptr().cast() }
    }

    /// The marker of the state that was read last.
    pub(crate) fn marker(&self) -> &AtomicU64 {
        &self.numbers()[0]
    }

    /// How often a careful reader saw another state than before.
    pub(crate) fn states(&self) -> &AtomicU64 {
        &self.numbers()[2]
    }

    /// How many states were read that nobody wrote.
    pub(crate) fn torn(&self) -> &AtomicU64 {
        &self.numbers()[1]
    }
}

/// What a reader has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Readings that gave a window.
    pub(crate) good: u64,
    /// Different states among them.
    pub(crate) states: u64,
    /// Readings that an older copy served, as the file could not be read.
    pub(crate) served: u64,
    /// Readings that gave an error.
    pub(crate) errors: u64,
    /// States that nobody wrote.
    pub(crate) torn: u64,
}

impl Counts {
    /// Out of what a reader said.
    pub(crate) fn of(said: &[u64]) -> Self {
        let &[good, states, served, errors, torn] = said else { panic!("a reader said {said:?}") };
        Self { good, states, served, errors, torn }
    }

    fn say(&self) {
        let Self { good, states, served, errors, torn } = self;
        println!("{good} {states} {served} {errors} {torn}");
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { good, states, served, errors, torn } = self;
        write!(
            f,
            "{good} readings of {states} states, {served} of them of an older copy; \
             {errors} errors, {torn} torn"
        )
    }
}

/// Plays a role, if there is one of this name, on this segment.
pub(crate) fn play(role: &str, name: &str, more: &[String]) -> bool {
    let path = Path::new(name);
    match role {
        "order" => ordering::order(&[name.to_owned()]).expect("the segment is fine"),
        // That starts processes of its own, and says so.
        "--stamp" => ordering::stamp(name, more).expect("the segment is fine"),
        "reader" => until_told(path, &mut careful(path)),
        "careless" => until_told(path, &mut careless(path)),
        "strict" => strict(path),
        "fault" => fault(path),
        "signal" => signal(path),
        "handler-before-fault" => {
            handle_with(exit_of_handler as *const () as usize, libc::SA_SIGINFO);
            survives_a_cut(path);
            fault(path);
        }
        "handler-before-signal" => {
            handle_with(exit_of_handler as *const () as usize, libc::SA_SIGINFO);
            signal(path);
        }
        "number-before-fault" => {
            handle_with(exit_by_number as *const () as usize, 0);
            fault(path);
        }
        "ignored-signal" => {
            handle_with(libc::SIG_IGN, 0);
            signal(path);
            survives_a_cut(path);
            std::process::exit(NOT_HANDLED);
        }
        "handler-after" => {
            survives_a_cut(path);
            handle_with(exit_of_handler as *const () as usize, libc::SA_SIGINFO);
            signal(path);
        }
        "real" => real::inside(path),
        _ => return false,
    }
    true
}

fn until_told(path: &Path, read: &mut dyn FnMut(&mut Counts)) {
    let stop = path.with_file_name("stop");
    let mut counts = Counts::default();
    while !stop.exists() {
        for _ in 0..READINGS_AT_ONCE {
            read(&mut counts);
        }
    }
    counts.say();
}

/// The reader under test.
fn careful(path: &Path) -> impl FnMut(&mut Counts) {
    // For as long as the process.
    let path: &'static str = path.to_str().expect("paths of tests are UTF-8").to_owned().leak();
    let paths: &'static [&str] = vec![path].leak();
    let mut clock = Clock::new(paths, "");
    let seen = Seen::new(Path::new(path));
    let mut last = None;
    let mut stale = 0;
    move |counts| match clock.read() {
        Ok(bounded) => {
            let segment = *clock.segment().expect("a reading is of a segment");
            counts.good += 1;
            counts.served += u64::from(clock.trouble().is_some());
            counts.torn += u64::from(!is_whole(&segment) || bounded.bound_ns < segment.bound_ns);
            stale += 1;
            if last.replace(segment) != Some(segment) {
                seen.marker().store(segment.disruption_marker, Ordering::Relaxed);
                seen.states().fetch_add(1, Ordering::Relaxed);
                counts.states += 1;
                stale = 0;
            }
            if stale == STALE_READINGS {
                clock = Clock::new(paths, "");
                stale = 0;
            }
        }
        Err(trouble) => {
            assert!(is_expected(trouble.cause), "{trouble}");
            counts.errors += 1;
        }
    }
}

/// Whether a reader may say this of a file that is cut, written, left, removed and replaced.
fn is_expected(cause: Cause) -> bool {
    use SegmentError::{Busy, Magic, NeverWritten, Short, Size};
    match cause {
        Cause::System(error) => error == Errno::ENOENT,
        // What was cut and is there again may be read as zeros, which have no magic.
        Cause::Segment(error) => [Short, Magic, Size, NeverWritten, Busy].contains(&error),
        _ => false,
    }
}

/// A reader that takes what it finds, whatever the generation says.
fn careless(path: &Path) -> impl FnMut(&mut Counts) {
    let seen = Seen::new(path);
    move |counts| {
        let Ok(mut bytes) = fs::read(path) else { return };
        let Some(generation) = bytes.get_mut(GENERATION_OFFSET..GENERATION_OFFSET + 2) else {
            return;
        };
        generation.copy_from_slice(&2_u16.to_ne_bytes());
        let Ok(segment) = Segment::decode(&bytes) else { return };
        counts.good += 1;
        // Before the first update there is nothing.
        let is_written = segment.as_of_ns != 0 && segment.void_after_ns != 0;
        counts.torn += u64::from(is_written && !is_whole(&segment));
        seen.torn().store(counts.torn, Ordering::Relaxed);
    }
}

/// Reads where the system kills at any call but the one that ends the process.
fn strict(path: &Path) {
    let paths = [path.to_str().expect("paths of tests are UTF-8")];
    let mut clock = Clock::new(&paths, "");
    clock.read().expect("it was written");
    forbid_system_calls();
    let failed = (0..100_000).filter(|_| clock.read().is_err()).count();
    // SAFETY: the process has one thread, which this ends with a number.
    unsafe { libc::syscall(libc::SYS_exit, failed) };
}

/// Allows this process the end alone, with a filter: the system's own strict mode forbids the
/// counter as well.
fn forbid_system_calls() {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const COMPARE: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const ANSWER: u32 = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, k: u32, jf| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    let mut steps = [
        // The number of the call is the first that it knows of it.
        step(LOAD, 0, 0),
        step(COMPARE, libc::SYS_exit as u32, 1),
        step(ANSWER, libc::SECCOMP_RET_ALLOW, 0),
        step(ANSWER, libc::SECCOMP_RET_KILL_PROCESS, 0),
    ];
    let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: the filter and its steps live until the calls return; the rest are numbers.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter),
            0
        );
    }
}

/// Touches another mapping behind the end of its file.
fn fault(path: &Path) {
    let paths = [path.to_str().expect("paths of tests are UTF-8")];
    Clock::new(&paths, "").read().expect("it was written");
    let file = File::open(path).expect("it is there");
    // SAFETY: what is read of it matters to nobody.
    let map = unsafe { MmapOptions::new().len(64).map(&file).expect("a file can be mapped") };
    resize(path, 0);
    println!("{}", map[0]);
}

/// How a process ends in a handler of its own.
pub(crate) const HANDLED: i32 = 42;

/// How one ends that did not get there.
pub(crate) const NOT_HANDLED: i32 = 43;

extern "C" fn exit_of_handler(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system, or who passes it on, describes the signal.
    let is_told = unsafe { (*info).si_signo } == libc::SIGBUS && !context.is_null();
    // SAFETY: it ends the process.
    unsafe { libc::_exit(if is_told && signal == libc::SIGBUS { HANDLED } else { NOT_HANDLED }) };
}

extern "C" fn exit_by_number(signal: i32) {
    // SAFETY: it ends the process.
    unsafe { libc::_exit(if signal == libc::SIGBUS { HANDLED } else { NOT_HANDLED }) };
}

/// Has this process handle SIGBUS, as a program with a handler of its own does.
fn handle_with(handler: usize, flags: i32) {
    // SAFETY: an action of zeros is one; the handlers only end the process.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()), 0);
    }
}

/// The segment is cut under a reader, and is there again.
fn survives_a_cut(path: &Path) {
    let bytes = fs::read(path).expect("it is there");
    let paths = [path.to_str().expect("paths of tests are UTF-8")];
    let mut clock = Clock::new(&paths, "");
    clock.read().expect("it was written");
    resize(path, 0);
    clock.read().expect("the copy serves");
    fs::write(path, bytes).expect("there is space");
    clock.read().expect("it is there again");
}

/// Gets the signal from a process, which happens to be itself.
fn signal(path: &Path) {
    let paths = [path.to_str().expect("paths of tests are UTF-8")];
    Clock::new(&paths, "").read().expect("it was written");
    kill(getpid(), Signal::SIGBUS).expect("one can send signals to oneself");
}
