//! midge, with room for its agent's 8,192 members.

use midge::limits::MTU_BYTES;
use midge::wire::{Builder, Header, Rumour, Token, header, kind, probe};
use midge::{Address, Config, Duration, Incarnation, Instant, Node, State};

use super::{EPOCH, PORT, Peer, RUMOURS, Work, octets};

const CLUSTER: &str = "default";

pub struct Midge {
    node: Box<Node<8192>>,
    members: usize,
    now: Instant,
    digest: u32,
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
        // The two introduce themselves.
        let mut now = now;
        while node.status().alive < 2 {
            now += Duration::from_millis(10);
            node.handle_timeout(now);
            while let Some(transmit) = node.poll_transmit(now, &mut buffer) {
                let _ = peer.handle_datagram(now, address(0), &buffer[..transmit.len]);
            }
            while let Some(transmit) = peer.poll_transmit(now, &mut buffer) {
                let _ = node.handle_datagram(now, address(1), &buffer[..transmit.len]);
            }
        }
        let mut this = Self { node, members, now, digest: 0, buffer };
        for first in (2..members).step_by(RUMOURS) {
            let about: Vec<usize> = (first..members.min(first + RUMOURS)).collect();
            let datagram = this.rumours(&about, 0);
            this.receive(&datagram);
        }
        // Until all of it is old news, acks pass it on.
        loop {
            let ping = this.datagram(Work::Ping, 0);
            if this.receive(&ping) <= ping.len() {
                return this;
            }
        }
    }

    /// The digest is the node's own, so that nothing is to be reconciled.
    fn begin<'b>(&self, space: &'b mut [u8; MTU_BYTES]) -> Builder<'b> {
        let mut builder = Builder::new(space);
        let incarnation = Incarnation { epoch: EPOCH, refutation: 0 };
        let header = Header { incarnation, digest: self.digest, ..Header::default() };
        assert!(header.encode(&mut builder));
        builder
    }

    fn rumours(&self, about: &[usize], refutation: u32) -> Vec<u8> {
        let mut space = [0; MTU_BYTES];
        let mut builder = self.begin(&mut space);
        assert!(builder.section(kind::RUMOURS, |builder| about.iter().all(|&member| {
            let incarnation = Incarnation { epoch: EPOCH, refutation };
            let state = State::Alive;
            Rumour { address: address(member), incarnation, state, accuser: None }.encode(builder)
        })));
        header::seal(CLUSTER, &mut builder);
        builder.bytes().to_vec()
    }
}

impl Peer for Midge {
    fn datagram(&mut self, work: Work, round: u32) -> Vec<u8> {
        // The digest moves with the news.
        self.digest = self.node.status().digest;
        match work {
            Work::Ping => {
                let mut space = [0; MTU_BYTES];
                let mut builder = self.begin(&mut space);
                assert!(probe::encode_number(&mut builder, kind::PING, Token(round.to_le_bytes())));
                header::seal(CLUSTER, &mut builder);
                builder.bytes().to_vec()
            }
            Work::News => self.rumours(&about(self.members, round), round + 1),
            Work::Known => self.rumours(&about(self.members, round), 0),
        }
    }

    fn receive(&mut self, datagram: &[u8]) -> usize {
        self.node.handle_datagram(self.now, address(1), datagram).expect("it is accepted");
        let mut sent = 0;
        while let Some(transmit) = self.node.poll_transmit(self.now, &mut self.buffer) {
            sent += transmit.len;
        }
        while self.node.poll_event().is_some() {}
        sent
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
