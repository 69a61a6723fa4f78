//! Agents in one fleet with nodes that speak a later protocol: replaced one by one, in both
//! directions, with one view all the while and nobody taken for dead.

// The same later protocol as in the simulator.
#[path = "../../../tests/sim/harness/dialect.rs"]
mod dialect;

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dialect::{Heard, LATER, dress, undress};
use midge::limits::MTU_BYTES;
use midge::{Address, Change, Config, Event, Node};

use crate::harness::{Agent, Options, eventually, sees};

const CLUSTER: &str = "test";

/// Long enough for a machine that has other things to do: a node that is late is not dead.
const PERIOD_MS: u32 = 500;

const AGENTS: usize = 3;

/// What a later node shows of itself.
#[derive(Clone, Debug, Default)]
struct Seen {
    live: Vec<String>,
    protocol: u8,
    heard: Heard,
    failures: Vec<Address>,
}

/// A node of a later build, on a thread of its own.
struct Later {
    addr: String,
    seen: Arc<Mutex<Seen>>,
    leave: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Later {
    fn start(seed: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let addr = socket.local_addr().expect("an address").to_string();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (leave, told) = channel();
        let (shown, seed) = (Arc::clone(&seen), seed.parse().expect("an address"));
        let thread = thread::spawn(move || Driver::new(socket, seed, shown).run(&told));
        Self { addr, seen, leave: Some(leave), thread: Some(thread) }
    }

    fn seen(&self) -> Seen {
        self.seen.lock().expect("it has not panicked").clone()
    }
}

/// It leaves.
impl Drop for Later {
    fn drop(&mut self) {
        drop(self.leave.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))), "{} panicked", self.addr);
    }
}

struct Driver {
    node: Box<Node<16>>,
    socket: UdpSocket,
    started: Instant,
    seen: Arc<Mutex<Seen>>,
    heard: Heard,
    failures: Vec<Address>,
}

impl Driver {
    fn new(socket: UdpSocket, seed: SocketAddr, seen: Arc<Mutex<Seen>>) -> Self {
        let own = Address::from(socket.local_addr().expect("an address"));
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
        let name = format!("later-{}", own.port());
        let mut config = Config::new(&name, own);
        config.cluster = CLUSTER;
        config.period_ms = PERIOD_MS;
        config.epoch = unix.as_millis() as u64;
        config.protocol_high = LATER;
        let mut entropy = [0; 32];
        for (at, byte) in entropy.iter_mut().enumerate() {
            *byte = (config.epoch >> (at % 6 * 8)) as u8 ^ own.port() as u8;
        }
        let mut node = Box::new(Node::EMPTY);
        let now = midge::Instant::from_micros(0);
        node.init(&config, entropy, config.epoch, now).expect("a valid configuration");
        node.join(now, Address::from(seed)).expect("a usable seed");
        let (started, heard) = (Instant::now(), Heard::default());
        Self { node, socket, started, seen, heard, failures: Vec::new() }
    }

    fn now(&self) -> midge::Instant {
        midge::Instant::from_micros(self.started.elapsed().as_micros() as u64)
    }

    fn run(mut self, told: &Receiver<()>) {
        let mut buffer = [0; MTU_BYTES + 1];
        while !self.node.has_left() {
            let gone = told.try_recv() == Err(TryRecvError::Disconnected);
            if gone {
                self.node.leave(self.now());
            }
            self.node.handle_timeout(self.now());
            self.drain();
            let due = self.node.poll_timeout().map_or(0, midge::Instant::as_micros);
            let wait = due.saturating_sub(self.now().as_micros()).clamp(1_000, 20_000);
            self.socket.set_read_timeout(Some(Duration::from_micros(wait))).expect("not zero");
            // Without a datagram it was time, or a port is not reachable: both are nothing to do.
            let Ok((len, from)) = self.socket.recv_from(&mut buffer) else { continue };
            let bytes = undress(CLUSTER, &buffer[..len], &mut self.heard);
            // What it rejects it has counted.
            let _ = self.node.handle_datagram(self.now(), Address::from(from), &bytes);
            self.drain();
        }
    }

    fn drain(&mut self) {
        let now = self.now();
        let mut buffer = [0; MTU_BYTES];
        while let Some(transmit) = self.node.poll_transmit(now, &mut buffer) {
            let in_use = self.node.status().protocol;
            let bytes = dress(CLUSTER, &buffer[..transmit.len], in_use);
            let to = SocketAddr::new(transmit.to.ip(), transmit.to.port());
            // Whoever has ended does not read; that is found by probes.
            let _ = self.socket.send_to(&bytes, to);
        }
        while let Some(event) = self.node.poll_event() {
            if let Event::Member { change: Change::Failed, address, .. } = event {
                self.failures.push(address);
            }
        }
        let live = self.node.members(0).filter(|(_, member)| member.state.is_live());
        let mut live: Vec<_> = live.map(|(_, member)| member.address.to_string()).collect();
        live.sort();
        let mut seen = self.seen.lock().expect("no reader panics");
        seen.live = live;
        seen.protocol = self.node.status().protocol;
        seen.heard = self.heard;
        seen.failures.clone_from(&self.failures);
    }
}

/// Waits until all have the same view, of exactly themselves, and use the same protocol.
fn agree(agents: &[Agent], laters: &[Later]) {
    let addrs = agents.iter().map(Agent::addr).chain(laters.iter().map(|l| l.addr.as_str()));
    let mut expected: Vec<_> = addrs.map(String::from).collect();
    expected.sort();
    let protocol = if agents.is_empty() { LATER } else { 1 };
    eventually("one view and one protocol", || {
        for agent in agents {
            sees(agent, &expected)?;
            assert_eq!(agent.get("/v1/status")?["protocol"], 1);
        }
        for later in laters {
            let seen = later.seen();
            if seen.live != expected || seen.protocol != protocol {
                return Err(format!("{} sees {seen:?}, not {expected:?}", later.addr));
            }
        }
        Ok(())
    });
    for agent in agents {
        assert!(!agent.log().contains("event=member_failed"), "{}", agent.log());
    }
    for later in laters {
        assert_eq!(later.seen().failures, [], "{}", later.addr);
    }
}

#[test]
fn agents_and_nodes_of_a_later_protocol_replace_each_other_one_by_one() {
    let start = |seed: &str| {
        let join = if seed.is_empty() { Vec::new() } else { vec![seed.to_string()] };
        Agent::start(&Options { join, period_ms: PERIOD_MS, ..Options::default() })
    };
    let mut agents = vec![start("")];
    let seed = agents[0].addr().to_string();
    agents.extend((1..AGENTS).map(|_| start(&seed)));
    let mut laters = Vec::new();
    agree(&agents, &laters);
    while let Some(mut agent) = agents.pop() {
        laters.push(Later::start(agent.addr()));
        agree_with(&agents, &agent, &laters);
        assert!(agent.client(&["leave"]).status.success());
        assert_eq!(agent.ended().code(), Some(0), "{}", agent.log());
        agree(&agents, &laters);
    }
    // Only now is anything heard that an agent would not have understood.
    let heard = |of: &Later| {
        eventually("a ping of the later protocol", || {
            let heard = of.seen().heard;
            if heard.pings > 0 && heard.acks > 0 { Ok(heard) } else { Err(format!("{heard:?}")) }
        })
    };
    for later in &laters {
        let heard = heard(later);
        assert!(heard.extras > 0 && heard.fields > 0, "{heard:?}");
    }
    while let Some(later) = laters.pop() {
        agents.push(start(&later.addr));
        eventually("all go back to protocol 1", || {
            let mut all = laters.iter().chain([&later]);
            let ahead = all.find(|later| later.seen().protocol != 1);
            ahead.map_or(Ok(()), |later| Err(format!("{}: {:?}", later.addr, later.seen())))
        });
        drop(later);
        agree(&agents, &laters);
    }
}

/// The same before the agent goes.
fn agree_with(agents: &[Agent], leaver: &Agent, laters: &[Later]) {
    for agent in agents.iter().chain([leaver]) {
        for later in laters {
            agent.sees(&later.addr, "alive");
        }
        assert_eq!(agent.get("/v1/status").expect("it answers")["protocol"], 1);
    }
    for later in laters {
        let heard = later.seen().heard;
        assert_eq!((heard.pings, heard.acks), (0, 0), "{} is not understood by all", later.addr);
    }
}
