//! The resolver among hostile nameservers.
//!
//! The input is a configuration and a program: each of its steps answers a query with bytes from
//! the input behind an honest beginning, sends a datagram that is made up, or lets time pass. After
//! each step what the resolver promises is checked: it asks only nameservers, each query is the one
//! that it should be, an address comes from an answer, and there is an end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midge::{Address, Duration, Instant};
use midge_agent::dns::resolver::Resolver;
use midge_fuzz::Input;

/// Given instead of the ones in the configuration, as many as the input says.
const GIVEN: [Address; 3] = [
    Address::v4([10, 0, 0, 53], 53),
    Address::v4([10, 0, 0, 54], 5353),
    Address::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 53], 53),
];

const STRANGER: Address = Address::v4([10, 0, 0, 99], 53);

/// Short and long, with and without dots, whole, and no names at all.
const HOSTS: [&str; 6] = ["a", "seed.example", "Seed.Example.", "a..b", "", "."];

const IDS: [[u8; 2]; 2] = [[0x12, 0x34], [0x56, 0x78]];

/// Longer programs end here.
const STEPS_MAX: usize = 64;

/// Times that a name is asked for at most before it ends (resolv.conf(5)).
const ATTEMPTS_MAX: usize = 5;

const HEADER_BYTES: usize = 12;
const EDNS_BYTES: usize = 11;
/// The longest name with its type and class.
const QUESTION_BYTES: usize = 255 + 4;

struct World {
    resolver: Box<Resolver>,
    now: Instant,
    /// The last query for each type of address, without EDNS.
    queries: [Vec<u8>; 2],
}

impl World {
    fn ask(&mut self) {
        while let Some((to, query)) = self.resolver.poll_transmit() {
            let edns = match query[..HEADER_BYTES] {
                [_, _, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns @ 0..=1] => usize::from(edns),
                _ => panic!("{query:02x?} is no query"),
            };
            let query = &query[..query.len() - edns * EDNS_BYTES];
            assert!(query.len() <= HEADER_BYTES + QUESTION_BYTES, "{query:02x?} is too long");
            let at = IDS.iter().position(|id| query.starts_with(id)).expect("its id");
            self.queries[at].clear();
            self.queries[at].extend_from_slice(query);
            assert!(self.resolver.config.servers.contains(&to), "{to} is no nameserver");
        }
    }

    /// Hands over a datagram. What is new came in it, from a nameserver.
    fn deliver(&mut self, from: Address, bytes: &[u8]) {
        let before = self.resolver.found.len();
        self.resolver.handle_datagram(self.now, from, bytes);
        for address in self.resolver.found.get(before..).unwrap_or_default() {
            let octets = address.octets_v4();
            let octets = octets.as_ref().map_or(&address.octets()[..], |octets| &octets[..]);
            let is_in = bytes.windows(octets.len()).any(|window| window == octets);
            assert!(is_in, "nobody named {address}");
            assert!(self.resolver.config.servers.contains(&from), "{from} was not asked");
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let kind = input.byte();
        let servers = &self.resolver.config.servers;
        let server = servers[usize::from(kind / 4) % servers.len()];
        match kind % 4 {
            // An answer to the last query for a type: its flags, how many records, the records.
            0 | 1 => {
                let mut answer = self.queries[usize::from(kind % 2)].clone();
                if let Some([_, _, flags, code, _, _, _, records]) = answer.first_chunk_mut() {
                    (*flags, *code, *records) = (input.byte(), input.byte(), input.byte());
                }
                let len = usize::from(input.number());
                answer.extend_from_slice(input.bytes(len));
                self.deliver(server, &answer);
            }
            // Whatever it is, from whomever.
            2 => {
                let len = usize::from(input.number());
                let from = if kind & 0x80 == 0 { server } else { STRANGER };
                self.deliver(from, input.bytes(len));
            }
            _ => {
                self.now += Duration::from_millis(u64::from(input.byte()) * 100);
                self.resolver.handle_timeout(self.now);
            }
        }
        self.ask();
    }
}

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let choice = input.byte();
    let given = &GIVEN[..usize::from(choice) % 4];
    let len = usize::from(input.byte());
    let mut resolver = Box::new(Resolver::IDLE);
    resolver.config.read(input.bytes(len), given);
    assert!((1..=3).contains(&resolver.config.servers.len()));
    let mut world = World { resolver, now: Instant::ZERO, queries: [Vec::new(), Vec::new()] };
    world.resolver.start(world.now, HOSTS[usize::from(choice / 4) % HOSTS.len()], IDS);
    world.ask();
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
    }
    // Silence is an end, too.
    for _ in 0..ATTEMPTS_MAX {
        let Some(due) = world.resolver.poll_timeout() else { break };
        world.now = world.now.max(due);
        world.resolver.handle_timeout(world.now);
        world.ask();
    }
    assert!(world.resolver.outcome().is_some(), "it never ends");
    assert_eq!(world.resolver.poll_timeout(), None);
});
