//! Hostile datagrams by the million.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use midge::Reject;
use netlab::Agent;

use crate::fleet::{Fleet, Outcome};
use crate::hostile::{PORT, REASONS, Stranger};

pub(crate) const FILE: &str = file!();

const NODES: usize = 10;
/// Datagrams to each node between two pauses.
const BATCH: usize = 50;
/// What is sent in a second, all nodes together.
const RATE: usize = 50_000;
/// Pages of fixed tables that an agent may write for the first time, KiB.
const FIRST_TOUCHED: u64 = 16;

/// Ten agents get noise and well-made lies from a stranger that knows their cluster. Nobody is
/// suspected, no memory is taken, and every datagram that arrived is counted for what it is.
pub(crate) fn flood(fleet: &mut Fleet, quick: bool) -> Outcome {
    fleet.form(NODES)?;
    let all = fleet.addresses();
    let socket = fleet.network.socket()?;
    let rounds = if quick { 40 } else { 2_000 };
    send(&socket, &all, 20, 1)?;
    let before: Vec<Counts> = fleet.agents().map(Counts::of).collect::<Outcome<_>>()?;
    fleet.judge_from_here();

    let start = Instant::now();
    let sent = send(&socket, &all, rounds, 2)?;
    let seconds = start.elapsed().as_secs_f64();

    let mut unread = 0;
    for ((agent, before), sent) in fleet.agents().zip(&before).zip(&sent) {
        unread += judge(before, &Counts::of(agent)?, sent)
            .map_err(|wrong| format!("{}: {wrong}", agent.address()))?;
    }
    let suspected = fleet.heard("member_suspected", &all);
    if let Some(first) = suspected.first() {
        return Err(format!("{} suspicions; first {first}", suspected.len()).into());
    }
    fleet.one_view(Duration::ZERO)?;
    let total = rounds * BATCH * NODES;
    Ok(format!(
        "{total} hostile datagrams, {unread} not read, members suspected: 0 in {seconds:.0} s, all counted"
    ))
}

/// Whether an agent has counted what it was sent, and taken no memory; how much it has not read.
fn judge(before: &Counts, after: &Counts, sent: &Rejects) -> Result<u64, String> {
    let lost = after.unread - before.unread;
    for reason in REASONS {
        let at = reason.index();
        let counted = after.rejects[at] - before.rejects[at];
        if counted == 0 || counted + lost < sent[at] {
            let sent = sent[at];
            return Err(format!("of {sent} {reason}, {counted} were counted, {lost} not read"));
        }
    }
    if after.own_memory > before.own_memory + FIRST_TOUCHED {
        return Err(format!("memory: {} KiB, then {} KiB", before.own_memory, after.own_memory));
    }
    Ok(lost)
}

/// How many datagrams for each reason to reject them.
type Rejects = [u64; Reject::COUNT];

/// Sends so many batches to each, evenly; what each must have rejected.
fn send(socket: &UdpSocket, to: &[Ipv4Addr], batches: usize, random: u64) -> Outcome<Vec<Rejects>> {
    let own = socket.local_addr()?.into();
    let mut stranger = Stranger { own, fleet: to, random };
    let mut sent = vec![[0; Reject::COUNT]; to.len()];
    let pause = Duration::from_secs_f64((BATCH * to.len()) as f64 / RATE as f64);
    let mut next = Instant::now();
    for _ in 0..batches {
        for _ in 0..BATCH {
            for (address, sent) in to.iter().zip(&mut sent) {
                let (datagram, fate) = stranger.datagram(*address);
                socket.send_to(&datagram, SocketAddr::from((*address, PORT)))?;
                if let Some(reason) = fate {
                    sent[reason.index()] += 1;
                }
            }
        }
        next += pause;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    // The last ones are read.
    thread::sleep(Duration::from_millis(200));
    Ok(sent)
}

struct Counts {
    rejects: Rejects,
    unread: u64,
    /// Pages of its own, KiB.
    own_memory: u64,
}

impl Counts {
    fn of(agent: &Agent) -> Outcome<Self> {
        let metrics = agent.get("/metrics")?;
        let mut rejects = [0; Reject::COUNT];
        for reason in Reject::ALL {
            let name = format!("midge_rejects_total{{reason=\"{reason}\"}} ");
            let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
            rejects[reason.index()] = value.ok_or_else(|| format!("no {name}"))?.parse()?;
        }
        let own_memory = agent.memory()?.anonymous;
        Ok(Self { rejects, unread: agent.unread()?, own_memory })
    }
}
