//! An introduction between whole nodes, datagram by datagram, compared with
//! `introduction/transcript.txt`. After a change that is meant:
//! `MIDGE_REWRITE=1 cargo test --test introduction`, and read the difference.

use std::fmt::Write;
use std::net::SocketAddr;

use midge::limits::MTU_BYTES;
use midge::wire::{Challenge, Details, Header, Hello, Page, PingReq, Rumour, Section, Token, open};
use midge::{Address, Config, Duration, Instant, Node, Reject, State};

const NODES: usize = 8;
const CLUSTER: &str = "default";
const LATENCY: Duration = Duration::from_millis(1);

struct Peer {
    node: Node<NODES>,
    address: Address,
}

fn address(text: &str) -> Address {
    text.parse::<SocketAddr>().expect(text).into()
}

fn start(name: &str, at: &str, epoch: u64, now: Instant) -> Peer {
    let mut node = Node::EMPTY;
    let address = address(at);
    let config = Config { epoch, tags: "zone=a", ..Config::new(name, address) };
    let entropy = [name.as_bytes()[0]; 32];
    node.init(&config, entropy, epoch, now).unwrap();
    Peer { node, address }
}

/// Delivers what the nodes owe each other until nobody owes anything, a millisecond each way;
/// what was sent, in words. A peer that is sent to at `alias` has another address, too.
fn talk(peers: &mut [Peer], now: &mut Instant, alias: Option<(Address, usize)>) -> String {
    let mut transcript = String::new();
    for _ in 0..20 {
        let mut in_flight = Vec::new();
        for peer in &mut *peers {
            let mut buffer = [0xa5; MTU_BYTES];
            while let Some(sent) = peer.node.poll_transmit(*now, &mut buffer) {
                let bytes = buffer[..sent.len].to_vec();
                describe(&mut transcript, peer.address, sent.to, &bytes);
                in_flight.push((peer.address, sent.to, bytes));
            }
        }
        if in_flight.is_empty() {
            return transcript;
        }
        *now += LATENCY;
        for (from, to, bytes) in in_flight {
            let other = alias.filter(|(alias, _)| *alias == to).map(|(_, at)| at);
            let at = other.or_else(|| peers.iter().position(|peer| peer.address == to));
            let node = &mut peers[at.expect("sent to a node of this test")].node;
            match node.handle_datagram(*now, from, &bytes) {
                Ok(()) | Err(Reject::Unproven) => {}
                Err(reject) => panic!("{reject}:\n{transcript}"),
            }
        }
    }
    panic!("the nodes never fall silent:\n{transcript}");
}

/// Lets the nodes run until they have told each other all their news.
fn settle(peers: &mut [Peer], now: &mut Instant) {
    let end = *now + Duration::from_secs(5);
    while *now < end {
        talk(peers, now, None);
        let due = peers.iter().filter_map(|peer| peer.node.poll_timeout()).min();
        *now = due.expect("nodes have deadlines").max(*now);
        for peer in &mut *peers {
            peer.node.handle_timeout(*now);
        }
    }
    talk(peers, now, None);
}

fn describe(out: &mut String, from: Address, to: Address, bytes: &[u8]) {
    let datagram = open(CLUSTER, bytes).expect("what a node sends is valid");
    writeln!(out, "{from} -> {to}, {} bytes", bytes.len()).unwrap();
    for line in bytes.chunks(24) {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(out, "    {}", hex.join(" ")).unwrap();
    }
    let Header { advertised, partial, wants_details, leaving, incarnation, digest } =
        datagram.header;
    write!(out, "  header: incarnation {incarnation}, digest {digest:08x}").unwrap();
    if let Some(advertised) = advertised {
        write!(out, ", advertises {advertised}").unwrap();
    }
    for (flag, name) in
        [(partial, "partial"), (wants_details, "wants details"), (leaving, "leaving")]
    {
        if flag {
            write!(out, ", {name}").unwrap();
        }
    }
    out.push('\n');
    for section in datagram.sections() {
        writeln!(out, "  {}", words(section)).unwrap();
    }
    out.push('\n');
}

fn words(section: Section<'_>) -> String {
    match section {
        Section::Ping(number) => format!("ping {}", token(number)),
        Section::Ack(number) => format!("ack {}", token(number)),
        Section::PingReq(PingReq { number, target }) => {
            format!("ping-req {} for {target}", token(number))
        }
        Section::Nack(number) => format!("nack {}", token(number)),
        Section::Rumours(rumours) => format!("rumours:{}", rows(rumours)),
        Section::Details(details) => format!("details: {}", details_words(details)),
        Section::Hello(Hello { token: own, echo, uptime_s, details }) => format!(
            "hello: token {}, {}, up {uptime_s} s, {}",
            token(own),
            echo_words(echo),
            details_words(details)
        ),
        Section::Challenge(Challenge { token: own, echo, observed }) => {
            let observed = observed.map_or(String::new(), |from| format!(", seen from {from}"));
            format!("challenge: token {}, {}{observed}", token(own), echo_words(echo))
        }
        Section::PageRequest(request) => {
            format!("page request: buckets {:016x} from {}", request.buckets, request.first)
        }
        Section::Page(Page { buckets, first, next, rows: run }) => {
            format!("page: buckets {buckets:016x} from {first}, next {next}:{}", rows(run))
        }
        Section::Buckets(buckets) => {
            let filled = buckets.digests().enumerate().filter(|(_, digest)| *digest != 0);
            let words: Vec<_> = filled.map(|(at, digest)| format!("{at}: {digest:08x}")).collect();
            format!("buckets: {}", words.join(", "))
        }
        Section::Refused(refused) => format!("refused: {}", refused.reason),
        Section::Council(message) => format!("council {}", message.kind()),
        Section::Unknown(kind, _) => format!("unknown section {kind}"),
    }
}

fn token(Token(bytes): Token) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn echo_words(echo: Option<Token>) -> String {
    echo.map_or("no echo".to_owned(), |echo| format!("echo {}", token(echo)))
}

fn details_words(details: Details<'_>) -> String {
    let Details { life, id, protocol_low, protocol_high, period_ms, name, tags, .. } = details;
    let life = token(Token(life));
    format!(
        "life {life}, id {id:016x}, protocol {protocol_low} to {protocol_high}, \
         period {period_ms} ms, name {name}, tags {tags}"
    )
}

fn rows(rumours: impl Iterator<Item = Rumour>) -> String {
    rumours.fold(String::new(), |text, Rumour { address, incarnation, state, accuser }| {
        let by = accuser.map_or(String::new(), |accuser| format!(" by {accuser}"));
        format!("{text}\n    {address} {incarnation} {state}{by}")
    })
}

#[test]
fn a_newcomer_is_introduced_and_learns_the_fleet() {
    let mut now = Instant::from_micros(100_000_000);
    let mut peers = vec![
        start("alice", "10.0.0.1:6434", 1_700_000_000_000, now),
        start("bob", "[2001:db8::2]:6434", 1_700_000_001_000, now),
        start("carol", "10.0.0.3:6434", 1_700_000_002_000, now),
    ];
    let seed = peers[0].address;
    for peer in &mut peers[1..] {
        peer.node.join(now, seed).unwrap();
        peer.node.handle_timeout(now);
    }
    settle(&mut peers, &mut now);

    peers.push(start("dave", "10.0.0.4:6434", 1_700_000_100_000, now));
    peers[3].node.join(now, seed).unwrap();
    peers[3].node.handle_timeout(now);
    let transcript = talk(&mut peers, &mut now, None);

    let fleet: Vec<_> = peers.iter().map(|peer| peer.address).collect();
    for peer in [&peers[0], &peers[3]] {
        let known: Vec<_> = fleet.iter().filter_map(|at| peer.node.member(*at)).collect();
        assert_eq!(known.len(), 4, "{transcript}");
        assert!(known.iter().all(|member| member.state == State::Alive), "{transcript}");
    }
    assert_eq!(peers[0].node.status().digest, peers[3].node.status().digest);
    assert_eq!(peers[0].node.member(fleet[3]).unwrap().name, "dave");

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/introduction/transcript.txt");
    if std::env::var_os("MIDGE_REWRITE").is_some() {
        std::fs::write(path, &transcript).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    assert_eq!(transcript, expected, "see the head of this file");
}

/// Joining through a loopback or public address of a seed that advertises another one.
#[test]
fn a_seed_may_be_asked_at_another_address_than_it_advertises() {
    let mut now = Instant::from_micros(100_000_000);
    let mut peers = vec![
        start("alice", "10.0.0.1:6434", 1_700_000_000_000, now),
        start("bob", "10.0.0.2:6434", 1_700_000_001_000, now),
    ];
    let alias = address("192.0.2.1:6434");
    peers[1].node.join(now, alias).unwrap();
    peers[1].node.handle_timeout(now);
    let transcript = talk(&mut peers, &mut now, Some((alias, 0)));
    for (at, other) in [(0, peers[1].address), (1, peers[0].address)] {
        let member = peers[at].node.member(other).map(|member| member.state);
        assert_eq!(member, Some(State::Alive), "{transcript}");
        assert!(peers[at].node.member(alias).is_none(), "the alias is no member");
    }
}

/// The shortest hello that comes from elsewhere than it advertises leaves no room in the answer
/// to show the address that was seen; it is answered all the same.
#[test]
fn the_shortest_hello_is_challenged() {
    let now = Instant::from_micros(100_000_000);
    let config = Config::new("a", address("[2001:db8::1]:6434"));
    let mut seed = Node::<NODES>::EMPTY;
    seed.init(&Config::new("seed", address("[2001:db8::3]:6434")), [1; 32], 1, now).unwrap();
    let mut node = Node::<NODES>::EMPTY;
    node.init(&config, [2; 32], 2, now).unwrap();
    node.join(now, address("[2001:db8::3]:6434")).unwrap();
    node.handle_timeout(now);
    let mut buffer = [0; MTU_BYTES];
    let hello = node.poll_transmit(now, &mut buffer).unwrap();
    seed.handle_datagram(now, address("[2001:db8::2]:6434"), &buffer[..hello.len]).unwrap();
    let challenge = seed.poll_transmit(now, &mut buffer).expect("a challenge");
    assert_eq!(challenge.to, config.advertise);
    assert!(challenge.len <= hello.len);
}
