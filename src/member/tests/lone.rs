//! One node alone, driven by hand, and the datagrams that are thrown at it.

use std::boxed::Box;
use std::vec::Vec;

use super::world::address;
use crate::limits::MTU_BYTES;
use crate::member::{Incarnation, State, Swim};
use crate::wire::{Builder, Details, Header, Hello, Rumour, Section, Token, header, kind, open};
use crate::{Address, Config, Duration, Event, Instant, Reject};

/// The incarnation of everybody who introduces itself to a lone node.
pub(super) const ALIVE: Incarnation = Incarnation { epoch: 9, refutation: 0 };

/// A datagram of the cluster `default`.
pub(super) fn craft(header: &Header, body: impl FnOnce(&mut Builder<'_>)) -> Vec<u8> {
    let mut buffer = [0; MTU_BYTES];
    let mut builder = Builder::new(&mut buffer);
    assert!(header.encode(&mut builder));
    body(&mut builder);
    header::seal("default", &mut builder);
    builder.bytes().to_vec()
}

/// A section with these rumours.
pub(super) fn rumours(list: &[Rumour]) -> impl FnOnce(&mut Builder<'_>) + '_ {
    move |b| {
        assert!(b.section(kind::RUMOURS, |b| list.iter().all(|rumour| rumour.encode(b))));
    }
}

pub(super) fn rumour(host: u8, incarnation: Incarnation, state: State) -> Rumour {
    Rumour { address: address(host), incarnation, state, accuser: None }
}

/// The details of a host whose life is numbered so.
pub(super) fn details(life: u8) -> Details<'static> {
    Details {
        life: [life; 4],
        id: 0,
        protocol_low: 1,
        protocol_high: 1,
        period_ms: 1_000,
        name: "x",
        tags: "",
        later: &[],
    }
}

/// A hello of a host that started so many seconds ago.
pub(super) fn hello(
    uptime_s: u32,
    incarnation: Incarnation,
    echo: Option<Token>,
    details: &Details<'_>,
) -> Vec<u8> {
    let header = Header { incarnation, ..Header::default() };
    let hello = Hello { token: Token([1; 4]), echo, uptime_s, details: *details };
    craft(&header, |b| assert!(hello.encode(b)))
}

/// The sections of a datagram that a node has sent.
pub(super) fn sections(bytes: &[u8]) -> Vec<Section<'_>> {
    open("default", bytes).unwrap().sections().collect()
}

pub(super) struct Lone<const M: usize> {
    pub(super) swim: Box<Swim<M>>,
    pub(super) now: Instant,
}

impl<const M: usize> Lone<M> {
    /// Host 1.
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(adapt: impl FnOnce(&mut Config<'_>)) -> Self {
        let mut config = Config { epoch: 5, ..Config::new("node-1", address(1)) };
        adapt(&mut config);
        let (mut swim, now) = (Box::new(Swim::EMPTY), Instant::from_micros(5_000_000));
        swim.init(&config, [7; 32], 1, now).unwrap();
        Self { swim, now }
    }

    /// A lone node that these hosts have introduced themselves to.
    pub(super) fn among(hosts: impl IntoIterator<Item = u8>) -> Self {
        let mut lone = Self::new();
        for host in hosts {
            lone.introduce(host, ALIVE, &details(host)).unwrap();
        }
        lone
    }

    /// All that it has to send.
    pub(super) fn send(&mut self) -> Vec<(Address, Vec<u8>)> {
        let (mut sent, mut buffer) = (Vec::new(), [0; MTU_BYTES]);
        while let Some(transmit) = self.swim.poll_transmit(self.now, &mut buffer) {
            sent.push((transmit.to, buffer[..transmit.len].to_vec()));
            assert!(sent.len() < 100, "it sends without end");
        }
        sent
    }

    pub(super) fn hear(&mut self, host: u8, bytes: &[u8]) -> Result<(), Reject> {
        self.swim.handle_datagram(self.now, address(host), bytes)
    }

    /// A member says something.
    pub(super) fn hear_member(&mut self, host: u8, body: impl FnOnce(&mut Builder<'_>)) {
        let header = Header { incarnation: ALIVE, ..Header::default() };
        self.hear(host, &craft(&header, body)).unwrap();
    }

    /// A host that has just started introduces itself.
    pub(super) fn introduce(
        &mut self,
        host: u8,
        incarnation: Incarnation,
        details: &Details<'_>,
    ) -> Result<(), Reject> {
        self.introduce_after(0, host, incarnation, details)
    }

    /// A host that started so many seconds ago says hello, is challenged, and says hello again.
    pub(super) fn introduce_after(
        &mut self,
        uptime_s: u32,
        host: u8,
        incarnation: Incarnation,
        details: &Details<'_>,
    ) -> Result<(), Reject> {
        let hello = |echo| hello(uptime_s, incarnation, echo, details);
        self.hear(host, &hello(None))?;
        let token = self.send().iter().find_map(|(to, bytes)| {
            sections(bytes).into_iter().find_map(|section| match section {
                Section::Challenge(challenge) if *to == address(host) => Some(challenge.token),
                _ => None,
            })
        });
        let outcome = self.hear(host, &hello(Some(token.expect("a challenge"))));
        self.send();
        outcome
    }

    /// Lets it sleep until it is due, and wakes it up this much later.
    pub(super) fn wake(&mut self, late: Duration) {
        self.now = self.swim.poll_timeout().unwrap().max(self.now) + late;
        self.swim.handle_timeout(self.now);
    }

    /// Lets this much time go by, with wake-ups but no answers; what it sent.
    pub(super) fn run_ms(&mut self, ms: u64) -> Vec<(Address, Vec<u8>)> {
        let end = self.now + Duration::from_millis(ms);
        let mut sent = self.send();
        while self.swim.poll_timeout().is_some_and(|at| at <= end) {
            self.wake(Duration::ZERO);
            sent.append(&mut self.send());
        }
        self.now = end;
        sent
    }

    pub(super) fn state(&self, host: u8) -> Option<State> {
        self.swim.member(address(host)).map(|member| member.state)
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.swim.poll_event()).collect()
    }
}
