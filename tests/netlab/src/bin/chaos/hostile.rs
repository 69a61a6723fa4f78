//! What a stranger sends that means harm: noise, and datagrams that have the cluster's tag.

use std::net::Ipv4Addr;

use midge::limits::MTU_BYTES;
use midge::wire::{
    Builder, Details, Header, Hello, PROTOCOL, Refusal, Refused, Rumour, Token, VERSION, header,
    kind, probe,
};
use midge::{Address, Incarnation, Reject, State};

/// The agents' default.
const CLUSTER: &str = "default";
/// Of all agents.
pub(crate) const PORT: u16 = 6434;
/// Longer than what any datagram may be.
const NOISE_BYTES_END: u64 = 1_400;

/// What an agent must take a datagram for: rejected for this reason, or a hello, which is challenged.
pub(crate) type Fate = Option<Reject>;

/// What a stranger without a valid token can be rejected for.
pub(crate) const REASONS: [Reject; 7] = [
    Reject::Own,
    Reject::Short,
    Reject::Long,
    Reject::Version,
    Reject::Tag,
    Reject::Malformed,
    Reject::Unproven,
];

/// A stranger at this address that knows who is in the fleet, and draws numbers.
pub(crate) struct Stranger<'a> {
    pub(crate) own: Address,
    pub(crate) fleet: &'a [Ipv4Addr],
    pub(crate) random: u64,
}

/// The address of an agent.
fn address(of: Ipv4Addr) -> Address {
    Address::v4(of.octets(), PORT)
}

impl Stranger<'_> {
    fn next(&mut self) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.random >> 32
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn token(&mut self) -> Token {
        Token((self.next() as u32).to_le_bytes())
    }

    fn member(&mut self) -> Address {
        let at = self.below(self.fleet.len() as u64) as usize;
        address(self.fleet[at])
    }

    /// A datagram to this agent: one in three has the right tag.
    pub(crate) fn datagram(&mut self, to: Ipv4Addr) -> (Vec<u8>, Fate) {
        match self.below(3) {
            0 => self.tagged(address(to)),
            _ => self.noise(),
        }
    }

    /// Of any length that a packet can have; half of them have the version of the protocol.
    fn noise(&mut self) -> (Vec<u8>, Fate) {
        let length = self.below(NOISE_BYTES_END) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| self.next() as u8).collect();
        if let Some(version) = bytes.first_mut().filter(|version| **version & 1 == 1) {
            *version = VERSION;
        }
        let reason = match bytes.len() {
            ..header::BYTES_MIN => Reject::Short,
            len if len > MTU_BYTES => Reject::Long,
            _ if bytes[0] != VERSION => Reject::Version,
            _ => Reject::Tag,
        };
        (bytes, Some(reason))
    }

    fn tagged(&mut self, to: Address) -> (Vec<u8>, Fate) {
        let mut header = Header { incarnation: self.incarnation(), ..Header::default() };
        header.digest = self.next() as u32;
        let mut fate = Some(Reject::Unproven);
        // In the name of a member, or in its own.
        if self.below(2) == 0 {
            let member = self.member();
            header.advertised = Some(member);
            if member == to {
                fate = Some(Reject::Own);
            }
        }
        let mut space = [0; MTU_BYTES];
        let mut builder = Builder::new(&mut space);
        let body = self.below(8);
        if body == 0 {
            // A member's hello would be answered to the member.
            header.advertised = Some(self.own);
            fate = None;
        } else if body <= 3 {
            fate = Some(Reject::Malformed);
        }
        assert!(header.encode(&mut builder), "there is room");
        let fits = match body {
            0 => self.hello(&mut builder),
            1 => self.cut(&mut builder),
            2 => self.ping(&mut builder) && self.ping(&mut builder),
            3 => builder.section(kind::RUMOURS, |b| b.put_bytes(&[0xff; 14])),
            4 => self.ping(&mut builder),
            5 => self.rumours(&mut builder, State::Alive, None),
            6 => {
                let accuser = self.member();
                self.rumours(&mut builder, State::Failed, Some(accuser))
            }
            _ => {
                let refused = Refused { echo: self.token(), reason: Refusal::Conflict };
                self.rumours(&mut builder, State::Left, None) && refused.encode(&mut builder)
            }
        };
        assert!(fits, "there is room");
        header::seal(CLUSTER, &mut builder);
        (builder.bytes().to_vec(), fate)
    }

    /// Newer than that of any member, in half of the cases.
    fn incarnation(&mut self) -> Incarnation {
        let epoch = if self.below(2) == 0 { (1 << 42) - 1 } else { self.next() };
        Incarnation { epoch, refutation: self.next() as u32 >> 1 }
    }

    fn ping(&mut self, builder: &mut Builder<'_>) -> bool {
        probe::encode_number(builder, kind::PING, self.token())
    }

    /// About every member.
    fn rumours(
        &mut self,
        builder: &mut Builder<'_>,
        state: State,
        accuser: Option<Address>,
    ) -> bool {
        builder.section(kind::RUMOURS, |b| {
            self.fleet.iter().all(|member| {
                let address = address(*member);
                let incarnation = Incarnation { epoch: (1 << 42) - 1, refutation: 0 };
                Rumour { address, incarnation, state, accuser }.encode(b)
            })
        })
    }

    /// With a guessed echo, or none.
    fn hello(&mut self, builder: &mut Builder<'_>) -> bool {
        let echo = if self.below(2) == 0 { Some(self.token()) } else { None };
        let Token(life) = self.token();
        let details = Details {
            life,
            id: self.next(),
            protocol_low: PROTOCOL,
            protocol_high: PROTOCOL,
            period_ms: 1_000,
            name: "node1",
            tags: "",
            later: &[],
        };
        Hello { token: self.token(), echo, uptime_s: 1, details }.encode(builder)
    }

    /// A section that says that it is longer than it is.
    fn cut(&mut self, builder: &mut Builder<'_>) -> bool {
        const SAID: u8 = 127;
        let kind = 1 + self.below(u64::from(kind::REFUSED)) as u8;
        let length = self.below(u64::from(SAID));
        let body: Vec<u8> = (0..length).map(|_| self.next() as u8).collect();
        builder.put_bytes(&[kind, SAID]) && builder.put_bytes(&body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use midge::wire::{Section, open};

    #[test]
    fn each_is_what_it_is_said_to_be() {
        let fleet: Vec<_> = (1..=10).map(|host| Ipv4Addr::new(10, 77, 0, host)).collect();
        let own = Address::v4([10, 77, 255, 254], 5_000);
        let mut stranger = Stranger { own, fleet: &fleet, random: 1 };
        let mut of = [0_u32; Reject::COUNT];
        let mut hellos = 0;
        for round in 0..20_000 {
            let to = fleet[round % fleet.len()];
            let (bytes, fate) = stranger.datagram(to);
            let opened = open(CLUSTER, &bytes);
            match fate {
                None => {
                    let has_hello = |section| matches!(section, Section::Hello(_));
                    assert!(opened.expect("a hello").sections().any(has_hello));
                    hellos += 1;
                }
                Some(Reject::Unproven) => assert!(opened.is_ok()),
                Some(Reject::Own) => {
                    assert_eq!(opened.expect("valid").header.advertised, Some(address(to)));
                }
                Some(reason) => assert_eq!(opened.map(drop), Err(reason)),
            }
            fate.inspect(|reason| of[reason.index()] += 1);
        }
        assert!(hellos > 100, "{hellos} hellos");
        for reason in REASONS {
            assert!(of[reason.index()] > 100, "{reason}: {}", of[reason.index()]);
        }
    }
}
