//! midge, with room for its agent's 8,192 members.

use midge::limits::{BUCKETS, MTU_BYTES};
use midge::wire::{self, Buckets, Builder, Header, Rumour, Section, Token, header, kind, probe};
use midge::{Address, Config, Duration, Incarnation, Instant, Node, State};

use super::{EPOCH, PORT, Peer, RUMOURS, Work, octets};

const CLUSTER: &str = "default";

pub struct Midge {
    node: Box<Node<8192>>,
    members: usize,
    now: Instant,
    /// The peer's.
    header: Header,
    buckets: [u32; BUCKETS],
    buffer: [u8; MTU_BYTES],
}

fn address(member: usize) -> Address {
    Address::v4(octets(member), PORT)
}

fn start(member: usize, now: Instant) -> Box<Node<8192>> {
    let mut config = Config::new("node", address(member));
    config.epoch = EPOCH;
    let mut node: Box<Node<8192>> = Box::new(Node::EMPTY);
    node.init(&config, [member as u8; 32], member as u64, now).expect("a valid configuration");
    node
}

impl Midge {
    pub fn new(members: usize) -> Self {
        let now = Instant::ZERO + Duration::from_secs(1);
        let (mut node, mut peer) = (start(0, now), start(1, now));
        let mut buffer = [0; MTU_BYTES];
        node.join(now, address(1)).expect("a seed");
        // The two introduce themselves, until they have nothing more to say.
        let (mut now, mut settled) = (now, false);
        while !settled {
            now += Duration::from_millis(10);
            node.handle_timeout(now);
            settled = node.status().alive == 2;
            while let Some(transmit) = node.poll_transmit(now, &mut buffer) {
                settled = false;
                let _ = peer.handle_datagram(now, address(0), &buffer[..transmit.len]);
            }
            while let Some(transmit) = peer.poll_transmit(now, &mut buffer) {
                settled = false;
                let _ = node.handle_datagram(now, address(1), &buffer[..transmit.len]);
            }
        }
        // Its digest means nothing yet.
        let incarnation = Incarnation { epoch: EPOCH, refutation: 0 };
        let header = Header { incarnation, partial: true, ..Header::default() };
        let mut this = Self { node, members, now, header, buckets: [0; BUCKETS], buffer };
        for first in (2..members).step_by(RUMOURS) {
            let about: Vec<usize> = (first..members.min(first + RUMOURS)).collect();
            let datagram = this.rumours(&about, 0);
            this.receive(&datagram);
        }
        // Until all of it is old news, acks pass it on; to another what is about the peer.
        let ping = this.ping(0);
        for from in [1, 2] {
            while this.receive_from(from, &ping) > ping.len() {}
        }
        this.header.partial = false;
        this.buckets = this.own_buckets();
        this
    }

    fn take_in(&mut self, member: usize, datagram: &[u8]) {
        self.node.handle_datagram(self.now, address(member), datagram).expect("it is accepted");
    }

    fn receive_from(&mut self, member: usize, datagram: &[u8]) -> usize {
        if !datagram.is_empty() {
            self.take_in(member, datagram);
        }
        let mut sent = 0;
        while let Some(transmit) = self.node.poll_transmit(self.now, &mut self.buffer) {
            sent += transmit.len;
        }
        while self.node.poll_event().is_some() {}
        sent
    }

    fn datagram_of(&self, body: impl FnOnce(&mut Builder<'_>) -> bool) -> Vec<u8> {
        let mut space = [0; MTU_BYTES];
        let mut builder = Builder::new(&mut space);
        assert!(self.header.encode(&mut builder) && body(&mut builder));
        header::seal(CLUSTER, &mut builder);
        builder.bytes().to_vec()
    }

    fn rumours(&self, about: &[usize], refutation: u32) -> Vec<u8> {
        let rumours = |builder: &mut Builder<'_>| {
            about.iter().all(|&member| {
                let incarnation = Incarnation { epoch: EPOCH, refutation };
                let (address, state) = (address(member), State::Alive);
                Rumour { address, incarnation, state, accuser: None }.encode(builder)
            })
        };
        self.datagram_of(|builder| builder.section(kind::RUMOURS, rumours))
    }

    fn ping(&self, round: u32) -> Vec<u8> {
        let number = Token(round.to_le_bytes());
        self.datagram_of(|builder| probe::encode_number(builder, kind::PING, number))
    }

    /// The digests of a table with the same rows: the node's own, which it sends to a peer whose
    /// sum is another.
    fn own_buckets(&mut self) -> [u32; BUCKETS] {
        self.header.digest = self.node.status().digest;
        let agrees = self.datagram_of(|_| true);
        self.receive(&agrees);
        self.header.digest = !self.header.digest;
        let differs = self.datagram_of(|_| true);
        self.take_in(1, &differs);
        let sent = self.node.poll_transmit(self.now, &mut self.buffer).expect("its digests");
        let datagram = wire::read(&self.buffer[..sent.len]).expect("a datagram");
        for section in datagram.sections() {
            if let Section::Buckets(buckets) = section {
                let mut digests = [0; BUCKETS];
                digests.iter_mut().zip(buckets.digests()).for_each(|(to, from)| *to = from);
                return digests;
            }
        }
        panic!("it sent something else");
    }
}

impl Peer for Midge {
    fn datagram(&mut self, work: Work, round: u32) -> Option<Vec<u8>> {
        let about = about(self.members, round);
        if matches!(work, Work::Spread | Work::Transmit) {
            let news = self.rumours(&about, round + 1);
            self.receive(&news);
        }
        // As the node's own, which moves with the news: so nothing is to be reconciled.
        self.header.digest = self.node.status().digest;
        if work == Work::Digests {
            // Each period has its budget of requests.
            self.now += Duration::from_secs(1);
        }
        Some(match work {
            Work::Ping | Work::Spread => self.ping(round),
            Work::Transmit => {
                let ping = self.ping(round);
                self.take_in(1, &ping);
                Vec::new()
            }
            Work::News => self.rumours(&about, round + 1),
            Work::Known => self.rumours(&about, 0),
            Work::Digests => self.datagram_of(|builder| Buckets::encode(builder, &self.buckets)),
        })
    }

    fn receive(&mut self, datagram: &[u8]) -> usize {
        self.receive_from(1, datagram)
    }

    fn alive(&self) -> usize {
        self.node.status().alive as usize
    }
}

/// The members that a datagram speaks of: all but the node and its peer, in turn.
pub(crate) fn about(members: usize, round: u32) -> Vec<usize> {
    let others = members - 2;
    let first = round as usize * RUMOURS % others;
    (0..RUMOURS.min(others)).map(|at| 2 + (first + at) % others).collect()
}
