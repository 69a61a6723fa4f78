//! foca, with its configuration for a LAN, its postcard codec, and the identity of its own example:
//! a socket address, and the start of this life.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::BufMut;
use foca::{
    Codec, Config, Foca, Header, Identity, Member, Message, Notification, PostcardCodec, Runtime,
    State, Timer,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::with_midge::about;
use super::{EPOCH, PORT, Peer, RUMOURS, Work, octets};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Id {
    address: SocketAddr,
    epoch: u64,
}

impl Id {
    fn of(member: usize) -> Self {
        Self { address: SocketAddr::from((octets(member), PORT)), epoch: EPOCH }
    }
}

impl Identity for Id {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Self> {
        Some(Self { epoch: self.epoch + 1, ..*self })
    }

    fn addr(&self) -> SocketAddr {
        self.address
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.epoch > adversary.epoch
    }
}

/// Counts what is sent, and has no clock.
#[derive(Default)]
struct Sent(usize);

impl Runtime<Id> for &mut Sent {
    fn notify(&mut self, _: Notification<'_, Id>) {}

    fn send_to(&mut self, _: Id, data: &[u8]) {
        self.0 += data.len();
    }

    fn submit_after(&mut self, _: Timer<Id>, _: Duration) {}
}

pub struct WithFoca {
    foca: Foca<Id, PostcardCodec, StdRng, foca::NoCustomBroadcast>,
    members: usize,
}

impl WithFoca {
    pub fn new(members: usize) -> Self {
        let config = Config::new_lan(NonZeroU32::new(members as u32).expect("there are some"));
        let rng = StdRng::seed_from_u64(1);
        let mut this = Self { foca: Foca::new(Id::of(0), config, rng, PostcardCodec), members };
        for first in (1..members).step_by(RUMOURS) {
            let about: Vec<usize> = (first..members.min(first + RUMOURS)).collect();
            let datagram = this.datagram_of(Message::Gossip, &about, 0);
            this.receive(&datagram);
        }
        // What it would pass on has been passed on.
        let mut sent = Sent::default();
        while this.foca.updates_backlog() > 0 {
            this.foca.gossip(&mut sent).expect("it gossips");
        }
        this
    }

    fn datagram_of(&self, message: Message<Id>, about: &[usize], incarnation: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        let header = Header { src: Id::of(1), src_incarnation: 0, dst: Id::of(0), message };
        PostcardCodec.encode_header(&header, &mut bytes).expect("a header");
        if !about.is_empty() {
            bytes.put_u16(about.len() as u16);
        }
        for &member in about {
            let member = Member::new(Id::of(member), incarnation, State::Alive);
            PostcardCodec.encode_member(&member, &mut bytes).expect("a member");
        }
        assert!(bytes.len() <= 1400);
        bytes
    }
}

impl Peer for WithFoca {
    fn datagram(&mut self, work: Work, round: u32) -> Option<Vec<u8>> {
        let about = about(self.members, round);
        let news = (round + 1) as u16;
        Some(match work {
            Work::Ping => self.datagram_of(Message::Ping(round as u8), &[], 0),
            Work::News => self.datagram_of(Message::Gossip, &about, news),
            Work::Known => self.datagram_of(Message::Gossip, &about, 0),
            Work::Spread => {
                let news = self.datagram_of(Message::Gossip, &about, news);
                self.receive(&news);
                self.datagram_of(Message::Ping(round as u8), &[], 0)
            }
            Work::Transmit | Work::Digests => return None,
        })
    }

    fn receive(&mut self, datagram: &[u8]) -> usize {
        let mut sent = Sent::default();
        self.foca.handle_data(datagram, &mut sent).expect("it is accepted");
        sent.0
    }

    fn alive(&self) -> usize {
        self.foca.num_members() + 1
    }
}
