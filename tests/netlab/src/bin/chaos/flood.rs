//! Hostile datagrams by the million.

use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use netlab::Agent;

use crate::fleet::{Fleet, Outcome};

pub(crate) const FILE: &str = file!();

const PORT: u16 = 6434;
const NODES: usize = 10;
/// Datagrams to each node between two pauses.
const BATCH: usize = 50;
/// What is sent in a second, all nodes together.
const RATE: usize = 50_000;
/// Pages of fixed tables that an agent may write for the first time, KiB.
const FIRST_TOUCHED: u64 = 16;

/// Ten agents get garbage from a stranger, some of which begins as their own datagrams do. Nobody
/// is suspected, no memory is taken, and every datagram that arrived is counted as rejected.
pub(crate) fn flood(fleet: &mut Fleet, quick: bool) -> Outcome {
    fleet.form(NODES)?;
    let all = fleet.addresses();
    let socket = fleet.network.socket()?;
    let rounds = if quick { 40 } else { 2_000 };
    send(&socket, &all, 20, 1)?;
    let before: Vec<Counts> = fleet.agents().map(Counts::of).collect::<Outcome<_>>()?;
    fleet.judge_from_here();

    let start = Instant::now();
    send(&socket, &all, rounds, 2)?;
    let seconds = start.elapsed().as_secs_f64();

    let sent = (rounds * BATCH) as u64;
    let mut unread = 0;
    for (agent, before) in fleet.agents().zip(&before) {
        let after = Counts::of(agent)?;
        let lost = after.unread - before.unread;
        let counted = after.rejected - before.rejected;
        if counted + lost < sent {
            let own = agent.address();
            return Err(
                format!("{own}: of {sent}, {counted} were rejected and {lost} not read").into()
            );
        }
        if after.own_memory > before.own_memory + FIRST_TOUCHED {
            let (before, after) = (before.own_memory, after.own_memory);
            return Err(
                format!("memory of {}: {before} KiB, then {after} KiB", agent.address()).into()
            );
        }
        unread += lost;
    }
    let suspected = fleet.heard("member_suspected", &all);
    if let Some(first) = suspected.first() {
        return Err(format!("{} suspicions; first {first}", suspected.len()).into());
    }
    fleet.one_view(Duration::ZERO)?;
    let total = sent * NODES as u64;
    Ok(format!(
        "{total} hostile datagrams, {unread} not read, members suspected: 0 in {seconds:.0} s, all counted"
    ))
}

/// Sends so many batches to each, evenly.
fn send(socket: &UdpSocket, to: &[Ipv4Addr], batches: usize, seed: u64) -> Outcome<()> {
    let mut random = Random(seed);
    let pause = Duration::from_secs_f64((BATCH * to.len()) as f64 / RATE as f64);
    let mut next = Instant::now();
    for _ in 0..batches {
        for address in to.iter().cycle().take(BATCH * to.len()) {
            socket.send_to(&random.datagram(), (*address, PORT))?;
        }
        next += pause;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    // The last ones are read.
    thread::sleep(Duration::from_millis(200));
    Ok(())
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 32
    }

    /// Of any length that a packet can have; half of them have the version of the protocol.
    fn datagram(&mut self) -> Vec<u8> {
        let length = (self.next() % 1_400) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| self.next() as u8).collect();
        if let Some(version) = bytes.first_mut().filter(|version| **version & 1 == 1) {
            *version = 1;
        }
        bytes
    }
}

struct Counts {
    rejected: u64,
    unread: u64,
    /// Pages of its own, KiB.
    own_memory: u64,
}

impl Counts {
    fn of(agent: &Agent) -> Outcome<Self> {
        let metrics = agent.get("/metrics")?;
        let rejects = metrics.lines().filter(|line| line.starts_with("midge_rejects_total{"));
        let rejected =
            rejects.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
        let own_memory = agent.memory()?.anonymous;
        Ok(Self { rejected, unread: agent.unread()?, own_memory })
    }
}
