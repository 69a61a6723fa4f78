//! Well-formed datagrams of every kind, at random, against tables of all small sizes: nothing
//! panics, and the structures agree after each.

use std::vec::Vec;

use super::lone::{Lone, craft, details, sections};
use super::world::address;
use crate::limits::{BUCKETS, EPOCH_END, REFUTATION_END};
use crate::member::{Incarnation, State};
use crate::rng::Rng;
use crate::wire::{
    Buckets, Builder, Challenge, Details, Header, Hello, Page, PageRequest, PingReq, Refusal,
    Refused, Rumour, Section, Token, kind, probe,
};
use crate::{Address, Duration, SHORTER};

/// Datagrams for each table size.
const STEPS: u32 = 12_000 / SHORTER;
/// Hosts that take part; host 0 has no usable port.
const HOSTS: u32 = 9;
/// Numbers and tokens of the node that are remembered, to be given back.
const REMEMBERED: usize = 32;

fn host(rng: &mut Rng) -> Address {
    match rng.below(HOSTS + 1) as u8 {
        0 => Address::v4([10, 0, 0, 9], 0),
        number => address(number),
    }
}

fn incarnation(rng: &mut Rng) -> Incarnation {
    let ordinary = Incarnation { epoch: u64::from(4 + rng.below(3)), refutation: rng.below(3) };
    match rng.below(16) {
        0 => Incarnation { epoch: EPOCH_END - 1, refutation: REFUTATION_END - 1 },
        1 => Incarnation { refutation: REFUTATION_END - 1, ..ordinary },
        _ => ordinary,
    }
}

fn rumour(rng: &mut Rng, accused: bool) -> Rumour {
    let state = State::from_bits(rng.below(4) as u8);
    let may_be_accused = accused && matches!(state, State::Suspect | State::Failed);
    let accuser = (may_be_accused && rng.below(2) == 0).then(|| usable_host(rng));
    Rumour { address: usable_host(rng), incarnation: incarnation(rng), state, accuser }
}

fn usable_host(rng: &mut Rng) -> Address {
    address(1 + rng.below(HOSTS) as u8)
}

fn any_details(rng: &mut Rng) -> Details<'static> {
    Details {
        protocol_low: 1 + (rng.below(8) / 7) as u8,
        protocol_high: 9,
        period_ms: 1_000 + rng.below(2),
        name: ["x", "yy", "zzz"][rng.below(3) as usize],
        later: if rng.below(2) == 0 { &[] } else { &[1, 2, 3] },
        ..details(rng.below(3) as u8)
    }
}

/// What the node has sent, to be given back: to whom, and the number or token.
#[derive(Default)]
struct Heard {
    numbers: Vec<(Address, Token)>,
    tokens: Vec<(Address, Token)>,
}

impl Heard {
    fn note(&mut self, to: Address, bytes: &[u8]) {
        for section in sections(bytes) {
            match section {
                Section::Ping(number) => self.numbers.push((to, number)),
                Section::PingReq(request) => self.numbers.push((to, request.number)),
                Section::Challenge(challenge) => self.tokens.push((to, challenge.token)),
                Section::Hello(hello) => self.tokens.push((to, hello.token)),
                _ => {}
            }
        }
        for list in [&mut self.numbers, &mut self.tokens] {
            let surplus = list.len().saturating_sub(REMEMBERED);
            list.drain(..surplus);
        }
    }

    fn number(&self, rng: &mut Rng) -> Token {
        let at = rng.below(self.numbers.len() as u32) as usize;
        self.numbers.get(at).map_or(Token([1; 4]), |(_, number)| *number)
    }

    /// The latest token that was sent there.
    fn token(&self, to: Address) -> Option<Token> {
        self.tokens.iter().rev().find(|(at, _)| *at == to).map(|(_, token)| *token)
    }
}

fn put_section(rng: &mut Rng, b: &mut Builder<'_>, kind: u8, heard: &Heard, sender: Address) {
    let echo = heard.token(sender).filter(|_| rng.below(4) > 0);
    match kind {
        kind::PING => probe::encode_number(b, kind, Token([3; 4])),
        kind::ACK | kind::NACK => probe::encode_number(b, kind, heard.number(rng)),
        kind::PING_REQ => PingReq { number: Token([2; 4]), target: usable_host(rng) }.encode(b),
        kind::RUMOURS => {
            let list: Vec<Rumour> = (0..rng.below(8)).map(|_| rumour(rng, true)).collect();
            b.section(kind, |b| list.iter().all(|rumour| rumour.encode(b)))
        }
        kind::DETAILS => any_details(rng).encode(b),
        kind::HELLO => {
            let (uptime_s, details) = (rng.below(5), any_details(rng));
            Hello { token: Token([1; 4]), echo, uptime_s, details }.encode(b)
        }
        kind::CHALLENGE => {
            let observed = echo.filter(|_| rng.below(4) == 0).map(|_| usable_host(rng));
            Challenge { token: Token([8; 4]), echo, observed }.encode(b)
        }
        kind::PAGE_REQUEST => {
            PageRequest { buckets: rng.next(), first: rng.below(8) as u16 }.encode(b)
        }
        kind::PAGE => {
            let (buckets, first) = (rng.next() | rng.next(), rng.below(2) as u16);
            Page::encode(b, buckets, first, |b| {
                rumour(rng, false).encode(b);
                if rng.below(2) == 0 { 0 } else { 2 + rng.below(5) as u16 }
            })
        }
        kind::BUCKETS => Buckets::encode(b, &[rng.below(2); BUCKETS]),
        kind::REFUSED => {
            let echo = echo.unwrap_or_default();
            Refused { echo, reason: Refusal::Full }.encode(b)
        }
        unknown => b.section(unknown, |b| b.put_bytes(&[7; 3])),
    };
}

/// A datagram, and where it comes from.
fn datagram<const M: usize>(rng: &mut Rng, lone: &Lone<M>, heard: &Heard) -> (Address, Vec<u8>) {
    let from = host(rng);
    let advertised = (rng.below(10) == 0).then(|| usable_host(rng));
    let digest = if rng.below(2) == 0 { lone.swim.status().digest } else { rng.next() as u32 };
    let header = Header {
        advertised,
        partial: rng.below(20) == 0,
        wants_details: rng.below(4) == 0,
        leaving: rng.below(10) == 0,
        incarnation: incarnation(rng),
        digest,
    };
    // One type more than there are, each at most once.
    let mut kinds: Vec<u8> = (1..=kind::REFUSED + 1).collect();
    let bytes = craft(&header, |b| {
        for _ in 0..rng.below(5) {
            let kind = kinds.swap_remove(rng.below(kinds.len() as u32) as usize);
            put_section(rng, b, kind, heard, advertised.unwrap_or(from));
        }
    });
    (from, bytes)
}

/// What must hold after every step.
fn check<const M: usize>(lone: &Lone<M>) {
    let due = lone.swim.poll_timeout();
    assert!(due.is_none_or(|due| due > lone.now), "a deadline stays behind");
    let table = &lone.swim.table;
    let mut counts = [0; 4];
    let mut live_others = 0;
    for (slot, row) in table.rows_from(0) {
        counts[row.state as usize] += 1;
        live_others += usize::from(row.is_live() && slot.index() > 0);
        assert!(row.address.is_usable());
        assert_eq!(table.find(&row.address), Some(slot));
    }
    let status = lone.swim.status();
    assert_eq!([status.alive, status.suspect, status.failed, status.left], counts);
    assert!(counts.iter().sum::<u32>() <= M as u32);
    assert_eq!(table.order.len(), live_others);
    assert_eq!(status.own.address, address(1));
    assert_eq!(status.own.state, State::Alive);
}

fn throw_at<const M: usize>() {
    let mut rng = Rng::new(M as u64);
    let mut lone = Lone::<M>::new();
    let mut heard = Heard::default();
    let (mut accepted, mut rejected) = (0, 0);
    for step in 0..STEPS {
        let (from, bytes) = datagram(&mut rng, &lone, &heard);
        match lone.swim.handle_datagram(lone.now, from, &bytes) {
            Ok(()) => accepted += 1,
            Err(_) => rejected += 1,
        }
        for (to, bytes) in lone.send() {
            assert!(to.is_usable() && to != address(1), "it sends to {to}");
            heard.note(to, &bytes);
        }
        if rng.below(3) > 0 {
            lone.events();
        }
        lone.now += Duration::from_micros(match rng.below(1_000) {
            0 => 4_000_000_000,
            1..10 => 20_000_000,
            usual => u64::from(usual) * 400,
        });
        if rng.below(50) == 0 {
            let _ = lone.swim.forget(lone.now, usable_host(&mut rng));
        }
        if step % 997 == 0 {
            let tags = if step % 2 == 0 { "a=1" } else { "" };
            lone.swim.set_tags(lone.now, tags).unwrap();
        }
        lone.swim.handle_timeout(lone.now);
        check(&lone);
    }
    assert!(accepted > STEPS / 20 && rejected > STEPS / 20, "{accepted} {rejected}");
}

#[test]
fn a_table_of_one_survives_anything() {
    throw_at::<1>();
}

#[test]
fn a_table_of_two_survives_anything() {
    throw_at::<2>();
}

#[test]
fn a_table_of_three_survives_anything() {
    throw_at::<3>();
}

#[test]
fn a_table_of_five_survives_anything() {
    throw_at::<5>();
}
