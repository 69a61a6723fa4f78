//! How deep stacks have been. The system hands a stack out as zeros, so that it needs no paint:
//! the lowest byte that is not zero is as deep as anything was written.

use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use midge::limits::MTU_BYTES;
use midge::{Address, Config, Duration, Instant, Swim};

use crate::Result;

/// The greatest depth of the first thread of a process, from where the program began: without its
/// arguments and environment, bytes.
pub(crate) fn of_process(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|e| e.to_string())?;
    // The name of the program, in parentheses, may have spaces. What follows begins with field 3;
    // field 28 is where the stack began.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let start = fields.split_whitespace().nth(25).and_then(|field| field.parse().ok());
    let start = start.filter(|start| *start > 0).ok_or("the system hides where the stack is")?;
    depth_below(&pid.to_string(), start)
}

/// Bytes between an address on a stack of a process and the deepest byte written below it.
fn depth_below(process: &str, start: u64) -> Result<u64> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).map_err(|e| e.to_string())?;
    let low = maps.lines().find_map(|line| {
        let (low, high) = line.split_once(' ')?.0.split_once('-')?;
        let low = u64::from_str_radix(low, 16).ok()?;
        (low..u64::from_str_radix(high, 16).ok()?).contains(&start).then_some(low)
    });
    let low = low.ok_or("no stack at that address")?;
    let memory = File::open(format!("/proc/{process}/mem")).map_err(|e| e.to_string())?;
    let mut stack = vec![0; (start - low) as usize];
    memory.read_exact_at(&mut stack, low).map_err(|e| format!("reading a stack: {e}"))?;
    let deepest = stack.iter().position(|byte| *byte != 0).unwrap_or(stack.len());
    Ok((stack.len() - deepest) as u64)
}

/// The greatest depth that any call of a [`Swim<32>`] has, with the loop that drives it, bytes.
pub(crate) fn of_core() -> Result<u64> {
    let mut fleet = Fleet::new();
    let (start, was_read) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let runner = scope.spawn(|| {
            // What starting the thread has left on its stack is above this.
            let room = black_box([0_u8; 32_768]);
            run_below(&mut fleet, &start, &was_read);
            black_box(&room);
        });
        // Read from here: reading would use the stack that it reads.
        while start.load(Ordering::Acquire) == 0 && !runner.is_finished() {
            thread::yield_now();
        }
        let depth = depth_below("self", start.load(Ordering::Acquire));
        was_read.store(true, Ordering::Release);
        runner.join().map_err(|_| "the core panicked".to_string())?;
        depth
    })
}

/// Runs the fleet with this frame as its lowest, says where that is, and waits until the stack has
/// been read.
#[inline(never)]
fn run_below(fleet: &mut Fleet, start: &AtomicU64, was_read: &AtomicBool) {
    let here = 0_u8;
    fleet.run();
    assert!(fleet.sent > 0 && fleet.rejected > 0, "the fleet did nothing");
    start.store(black_box(&raw const here).addr() as u64, Ordering::Release);
    while !was_read.load(Ordering::Acquire) {
        thread::yield_now();
    }
}

/// One more than there is room for.
const NODES: usize = 33;
const FIRST_PORT: u16 = 6_000;
const STEP: Duration = Duration::from_millis(10);

/// Nodes that hear each other at once, in virtual time.
struct Fleet {
    nodes: Vec<Swim<32>>,
    running: [bool; NODES],
    now: Instant,
    buffer: [u8; MTU_BYTES],
    /// Whether odd and even nodes hear each other.
    whole: bool,
    sent: u32,
    rejected: u32,
}

fn address(at: usize) -> Address {
    Address::v4([10, 0, 0, 1], FIRST_PORT + at as u16)
}

impl Fleet {
    fn new() -> Self {
        Self {
            nodes: (0..NODES).map(|_| Swim::EMPTY).collect(),
            running: [true; NODES],
            now: Instant::ZERO,
            buffer: [0; MTU_BYTES],
            whole: true,
            sent: 0,
            rejected: 0,
        }
    }

    /// Everything that is asked of a node, and every kind of datagram: joining, crashes, a
    /// partition, restarts, a full table, garbage, leaving.
    #[inline(never)]
    fn run(&mut self) {
        (0..NODES).for_each(|at| self.start(at, 1));
        self.pass(20);
        self.running[7] = false;
        self.running[8] = false;
        let _ = self.nodes[3].set_tags(self.now, "role=sensor,room=12");
        self.pass(60);
        let _ = self.nodes[0].forget(self.now, address(8));
        self.start(7, 2);
        // Without a clock: the fleet repairs its epoch.
        self.start(8, 0);
        self.pass(30);
        self.whole = false;
        self.pass(90);
        self.whole = true;
        self.pass(30);
        for first in 0..=u8::MAX {
            self.buffer.fill(first);
            let taken = self.nodes[0].handle_datagram(self.now, address(1), &self.buffer);
            self.rejected += u32::from(taken.is_err());
        }
        self.nodes[5].leave(self.now);
        self.pass(20);
        look(&self.nodes[0]);
    }

    #[inline(never)]
    fn start(&mut self, at: usize, epoch: u64) {
        let mut config = Config::new("sensor", address(at));
        config.epoch = epoch;
        let started = self.nodes[at].init(&config, [at as u8; 32], at as u64, self.now);
        let joined = self.nodes[at].join(self.now, address(0));
        assert!(started.is_ok() && joined.is_ok());
        self.running[at] = true;
    }

    fn pass(&mut self, secs: u64) {
        let end = self.now + Duration::from_secs(secs);
        while self.now < end {
            self.now += STEP;
            for at in 0..NODES {
                if self.running[at] {
                    self.step(at);
                }
            }
        }
    }

    /// What is due, and what is owed.
    fn step(&mut self, at: usize) {
        let now = self.now;
        if self.nodes[at].poll_timeout().is_some_and(|due| due <= now) {
            self.nodes[at].handle_timeout(now);
        }
        while let Some(transmit) = self.nodes[at].poll_transmit(now, &mut self.buffer) {
            self.sent += 1;
            let to = usize::from(transmit.to.port() - FIRST_PORT);
            if self.running[to] && (self.whole || to % 2 == at % 2) {
                let bytes = &self.buffer[..transmit.len];
                let taken = self.nodes[to].handle_datagram(now, address(at), bytes);
                self.rejected += u32::from(taken.is_err());
            }
        }
        while self.nodes[at].poll_event().is_some() {}
    }
}

/// Not a part of the loop, whose frame its answers would be in.
#[inline(never)]
fn look(node: &Swim<32>) {
    black_box((node.members(0).count(), node.status(), node.stats(), node.member(address(1))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_what_was_written_below() {
        // 8 KiB that are written, and another thread that reads how deep that was.
        #[inline(never)]
        fn write() {
            black_box([1_u8; 8_192]);
        }
        let (start, was_read) = (AtomicU64::new(0), AtomicBool::new(false));
        let depth = thread::scope(|scope| {
            // Larger than that of any other thread: a stack that one of those has left behind, with
            // what it wrote, is not taken again.
            let builder = thread::Builder::new().stack_size(16 << 20);
            let runner = builder.spawn_scoped(scope, || {
                let here = 0_u8;
                write();
                start.store(black_box(&raw const here).addr() as u64, Ordering::Release);
                while !was_read.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            });
            let runner = runner.expect("a thread");
            while start.load(Ordering::Acquire) == 0 && !runner.is_finished() {
                thread::yield_now();
            }
            let depth = depth_below("self", start.load(Ordering::Acquire));
            was_read.store(true, Ordering::Release);
            depth
        });
        assert!((8_192..65_536).contains(&depth.unwrap()));
    }
}
