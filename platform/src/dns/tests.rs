//! Answers of every kind, honest and hostile, and how long names take that get none.

use midge::{Address, Duration, Instant};

use super::config::Config;
use super::message::{Answer, QUERY_BYTES, Question, TYPES, read_answer};
use super::resolver::{Outcome, Resolver};
use super::{Addresses, hosts};

const ID: [u8; 2] = [0x12, 0x34];
const A: u8 = TYPES[0];
const AAAA: u8 = TYPES[1];
const SERVER: Address = Address::v4([10, 0, 0, 53], 53);

/// A question for a name, ready to be asked for this type; and its bytes.
fn query(name: &str, kind: u8) -> (Question, Vec<u8>) {
    let mut question = Question::NONE;
    assert!(question.set(name, ""));
    let bytes = question.query(ID, kind, false).to_vec();
    (question, bytes)
}

/// An answer to the query with these bytes after the question.
fn answer(query: &[u8], flags: u16, records: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = query.to_vec();
    bytes[2..4].copy_from_slice(&flags.to_be_bytes());
    bytes[6..8].copy_from_slice(&records.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A record; `owner` is a name as bytes.
fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = owner.to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 0, 60]);
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend(data);
    bytes
}

fn wire_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|l| [&[l.len() as u8][..], l.as_bytes()].concat());
    labels.chain([0]).collect()
}

/// The name of the question.
const QUESTION: [u8; 2] = [0xc0, 12];
const OK: u16 = 0x8180;

/// The last octets of the addresses in an answer; `None` if it is none.
fn read(message: &[u8], question: &Question) -> Option<Vec<u8>> {
    let mut found = Addresses::new();
    match read_answer(message, question, &mut found) {
        Answer::Known | Answer::Part => {
            Some(found.iter().map(|address| address.octets()[15]).collect())
        }
        Answer::Nonsense => {
            assert!(found.is_empty(), "nothing of it is kept");
            None
        }
        Answer::Failure | Answer::NotRead => panic!("a failure"),
    }
}

#[test]
fn a_query_is_as_in_the_rfc() {
    let mut question = Question::NONE;
    assert!(question.set("Seed", "example"));
    let bytes = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x04Seed\x07example\x00\
        \x00\x1c\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
    assert_eq!(question.query(ID, AAAA, true), bytes);
    let plain = question.query(ID, A, false);
    assert_eq!((plain.len(), plain[11], plain[27]), (bytes.len() - 11, 0, 1));
}

#[test]
fn names_have_their_lengths() {
    let label = "a".repeat(63);
    let longest = [&label[..], &label, &label, &label[2..]].join(".");
    let mut question = Question::NONE;
    assert!(question.set(&longest, ""));
    let query = question.query(ID, A, true);
    assert_eq!(query.len(), QUERY_BYTES);
    assert_eq!(query[12..12 + 255], wire_name(&longest));
    let short = &longest[..longest.len() - 2];
    assert!(question.set(short, "b"));
    for (host, domain) in [
        (&longest[..], "b"),
        (short, "bc"),
        (&format!("{label}a"), ""),
        ("a", &format!("{label}a")),
        ("a..b", ""),
        ("a", "b."),
        ("", "."),
    ] {
        assert!(!question.set(host, domain), "{host} {domain}");
    }
}

#[test]
fn addresses_are_read_in_every_form() {
    let (question, bytes) = query("seed.example", A);
    let one = record(&QUESTION, 1, &[10, 0, 0, 1]);
    let two = record(&wire_name("SEED.example"), 1, &[10, 0, 0, 2]);
    // "seed" and a pointer to "example".
    let three = record(b"\x04seed\xc0\x11", 1, &[10, 0, 0, 3]);
    let text = record(&QUESTION, 16, b"\x02hi");
    let message = answer(&bytes, OK, 4, &[one, two, three, text].concat());
    assert_eq!(read(&message, &question), Some(vec![1, 2, 3]));
    // Another class is another world.
    let mut chaos = answer(&bytes, OK, 1, &record(&QUESTION, 1, &[10, 0, 0, 1]));
    chaos[bytes.len() + 5] = 3;
    assert_eq!(read(&chaos, &question), Some(vec![]));
    // What comes after the answers is not looked at.
    let mut more = answer(&bytes, OK, 0, b"\xff\xff");
    assert_eq!(read(&more, &question), Some(vec![]));
    more[7] = 1;
    assert_eq!(read(&more, &question), None);

    let (question, bytes) = query("seed.example", AAAA);
    let message = answer(&bytes, OK, 1, &record(&QUESTION, 28, &[7; 16]));
    assert_eq!(read(&message, &question), Some(vec![7]));
}

#[test]
fn aliases_lead_to_addresses_in_any_order_and_circles_nowhere() {
    let (question, bytes) = query("seed.example", A);
    let alias = |from: &str, to: &str| record(&wire_name(from), 5, &wire_name(to));
    let first = alias("seed.example", "a.example");
    let second = alias("a.example", "b.example");
    let address = record(&wire_name("b.example"), 1, &[10, 0, 0, 9]);
    for records in
        [[&first, &second, &address], [&address, &second, &first], [&second, &first, &address]]
    {
        let message = answer(&bytes, OK, 3, &records.map(|r| &r[..]).concat());
        assert_eq!(read(&message, &question), Some(vec![9]));
    }
    let back = alias("a.example", "seed.example");
    let message = answer(&bytes, OK, 2, &[first, back].concat());
    assert_eq!(read(&message, &question), Some(vec![]));
}

#[test]
fn what_is_no_answer_to_the_question_is_none() {
    let (question, bytes) = query("seed.example", A);
    let good = answer(&bytes, OK, 1, &record(&QUESTION, 1, &[10, 0, 0, 1]));
    assert!(read(&good, &question).is_some());
    for (what, at, byte) in [
        ("another id", 0, 0x13),
        ("another id", 1, 0x35),
        ("a query", 2, 0x01),
        ("another kind of request", 2, 0x89),
        ("no question", 5, 0),
        ("two questions", 5, 2),
        ("another name", 13, b'x'),
        ("another type", bytes.len() - 3, 28),
        ("another class", bytes.len() - 1, 3),
        ("more records than there are", 7, 2),
        ("very many records", 6, 0xff),
    ] {
        let mut message = good.clone();
        message[at] = byte;
        assert_eq!(read(&message, &question), None, "{what}");
    }
    for len in 0..good.len() {
        assert_eq!(read(&good[..len], &question), None, "{len} bytes");
    }
    let mut other_case = good;
    other_case[13] = b'S';
    assert_eq!(read(&other_case, &question), Some(vec![1]));
}

/// Names are passed over and never followed: wherever a pointer leads, nothing goes round.
#[test]
fn pointers_lead_nowhere() {
    let (question, bytes) = query("seed.example", A);
    let end = bytes.len() as u8;
    for owner in [vec![0xc0, end], vec![0xc0, end + 2], vec![1, b'a', 0xc0, end], vec![0xff, 0xff]]
    {
        let message = answer(&bytes, OK, 1, &record(&owner, 1, &[10, 0, 0, 1]));
        assert_eq!(read(&message, &question), Some(vec![1]), "{owner:?}");
    }
    // Addresses of a wrong length.
    for data in [&[][..], &[10, 0, 0], &[10, 0, 0, 1, 0], &[0; 16]] {
        let message = answer(&bytes, OK, 1, &record(&QUESTION, 1, data));
        assert_eq!(read(&message, &question), None, "{data:?}");
    }
    let (question, bytes) = query("seed.example", AAAA);
    for data in [&[10, 0, 0, 1][..], &[0; 15], &[0; 17]] {
        let message = answer(&bytes, OK, 1, &record(&QUESTION, 28, data));
        assert_eq!(read(&message, &question), None, "{data:?}");
    }
}

/// Whatever a byte is changed to, the answer is read or refused.
#[test]
fn mutated_answers_never_panic() {
    let (question, bytes) = query("seed.example", A);
    let alias = record(&QUESTION, 5, b"\x05alias\xc0\x11");
    let address = record(b"\x05alias\xc0\x11", 1, &[10, 0, 0, 1]);
    let body = [alias, address, record(b"\0", 41, &[])].concat();
    let good = answer(&bytes, OK, 3, &body);
    assert_eq!(read(&good, &question), Some(vec![1]));
    for at in 0..good.len() {
        for byte in 0..=255 {
            let mut message = good.clone();
            message[at] = byte;
            let mut found = Addresses::new();
            let _ = read_answer(&message, &question, &mut found);
        }
    }
}

#[test]
fn of_a_truncated_answer_counts_what_is_there() {
    let (question, bytes) = query("seed.example", A);
    let both =
        [record(&QUESTION, 1, &[10, 0, 0, 1]), record(&QUESTION, 1, &[10, 0, 0, 2])].concat();
    for cut in 0..=both.len() {
        let message = answer(&bytes, OK | 0x200, 2, &both[..both.len() - cut]);
        let mut found = Addresses::new();
        let read = read_answer(&message, &question, &mut found);
        assert_eq!(found.len(), 2 - cut.div_ceil(16), "{cut} bytes cut off");
        // There is such a name, even if nothing is left of the answer.
        let expected = if found.is_empty() { Answer::Failure } else { Answer::Part };
        assert_eq!(read, expected, "{cut} bytes cut off");
    }
    let nothing = answer(&bytes, OK | 0x200, 0, &[]);
    assert_eq!(read_answer(&nothing, &question, &mut Addresses::new()), Answer::Failure);
}

#[test]
fn more_addresses_than_there_is_room_for_are_left_out() {
    let (question, bytes) = query("seed.example", A);
    let body: Vec<u8> = (0..130).flat_map(|host| record(&QUESTION, 1, &[10, 0, 0, host])).collect();
    let found = read(&answer(&bytes, OK, 130, &body), &question).unwrap();
    assert!(found.into_iter().eq(0..128));
}

#[test]
fn an_address_that_is_there_twice_takes_one_place() {
    let (question, bytes) = query("seed.example", A);
    let body: Vec<u8> =
        (0..140).flat_map(|at| record(&QUESTION, 1, &[10, 0, 0, at / 70])).collect();
    assert_eq!(read(&answer(&bytes, OK, 140, &body), &question), Some(vec![0, 1]));
}

/// What the file of hosts says is whole, whatever became of the name before.
#[test]
fn each_name_has_an_outcome_of_its_own() {
    let mut world = World::new("");
    world.start("seed.example");
    world.run_ms(10_000);
    assert_eq!(world.done(), Some((Outcome::Silence, vec![])));
    world.resolver.clear();
    hosts::find(b"10.0.0.9 seed", "seed", &mut world.resolver.found);
    world.resolver.end(false);
    assert_eq!(world.done(), Some((Outcome::Whole, vec![9])));
    // Without room for all of them, there may be more.
    let text: String = (0..130).map(|host| format!("10.0.0.{host} seed\n")).collect();
    hosts::find(text.as_bytes(), "seed", &mut world.resolver.found);
    world.resolver.end(false);
    assert_eq!(world.resolver.outcome(), Some(Outcome::Failure));
}

#[test]
fn error_codes() {
    let (question, bytes) = query("seed.example", A);
    for code in 1..16 {
        let message = answer(&bytes, OK | code, 0, &[]);
        let expected = match code {
            3 => Answer::Known,
            1 | 4 => Answer::NotRead,
            _ => Answer::Failure,
        };
        let mut found = Addresses::new();
        assert_eq!(read_answer(&message, &question, &mut found), expected, "{code}");
        assert!(found.is_empty());
    }
}

#[test]
fn hosts_are_found_by_any_of_their_names() {
    let text = b"# hosts\n127.0.0.1\tlocalhost\n::1 localhost ip6-localhost\n\
        10.0.0.1 seed.example  seed # not other\n\xff\xfe seed\nnonsense seed\nfe80::1%lo seed\n\
        10.0.0.2\r\n   10.0.0.3 SEED\r\n10.0.0.4";
    let find = |host: &str| {
        let mut found = Addresses::new();
        hosts::find(text, host, &mut found);
        found.iter().map(|address| address.with_port(7).to_string()).collect::<Vec<_>>()
    };
    assert_eq!(find("localhost"), ["127.0.0.1:7", "[::1]:7"]);
    assert_eq!(find("seed"), ["10.0.0.1:7", "10.0.0.3:7"]);
    assert_eq!(find("Seed.Example"), ["10.0.0.1:7"]);
    assert_eq!(find("seed."), ["10.0.0.1:7", "10.0.0.3:7"]);
    for nobody in ["other", "not", "see", "10.0.0.1", ""] {
        assert!(find(nobody).is_empty(), "{nobody}");
    }
}

#[test]
fn the_configuration_is_read_as_far_as_it_makes_sense() {
    let mut config = Config::NONE;
    config.read(b"", &[]);
    assert_eq!(config.servers[..], [Address::v4([127, 0, 0, 1], 53)]);
    assert_eq!((config.ndots, config.attempts), (1, 2));
    assert_eq!(config.timeout, Duration::from_secs(5));
    assert_eq!(config.search, "");

    let text = b"; comment\n#nameserver 10.0.0.9\nnameserver 10.0.0.1\nnameserver fd00::1\n\
        nameserver fe80::1%eth0\nnameserver x\nnameserver\nnameserver 10.0.0.3\n\
        nameserver 10.0.0.4\ndomain gone.example\nsearch a.example. b.example\n\
        options ndots:7 timeout:0 attempts:x rotate attempts:9\n\xff\xff\n";
    config.read(text, &[]);
    let servers: Vec<_> = config.servers.iter().map(Address::to_string).collect();
    assert_eq!(servers, ["10.0.0.1:53", "[fd00::1]:53", "10.0.0.3:53"]);
    assert_eq!(config.search.trim(), "a.example. b.example");
    assert_eq!((config.ndots, config.attempts), (7, 5));
    assert_eq!(config.timeout, Duration::from_secs(1));

    config.read(text, &[SERVER]);
    assert_eq!(config.servers[..], [SERVER]);
    assert_eq!(config.search.trim(), "a.example. b.example");
    config.read(format!("search {}\n", "a.example ".repeat(30)).as_bytes(), &[]);
    assert_eq!(config.search, "", "too long");
}

/// A resolver and the time.
struct World {
    resolver: Box<Resolver>,
    now: Instant,
}

/// What a query asks: its id, name, type and whether it has an EDNS record.
type Asked = (u16, String, u16, bool);

impl World {
    fn new(config: &str) -> Self {
        let config = format!("nameserver 10.0.0.53\n{config}\n");
        let mut resolver = Box::new(Resolver::IDLE);
        resolver.config.read(config.as_bytes(), &[]);
        assert!(resolver.poll_transmit().is_none() && resolver.poll_timeout().is_none());
        Self { resolver, now: Instant::ZERO }
    }

    fn start(&mut self, host: &str) {
        self.resolver.start(self.now, host, [[0x20, 0x21], [0x22, 0x23]]);
    }

    /// All queries that are to be sent, with the bytes of each.
    fn queries(&mut self) -> Vec<(Address, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Some((to, bytes)) = self.resolver.poll_transmit() {
            sent.push((to, bytes.to_vec()));
            assert!(sent.len() < 100, "without end");
        }
        sent
    }

    fn asked(&mut self) -> Vec<Asked> {
        self.queries().iter().map(|(_, bytes)| parse(bytes)).collect()
    }

    /// The server answers a query with a code and addresses of that type.
    fn answer(&mut self, query: &[u8], code: u16, addresses: &[u8]) {
        let (_, _, kind, edns) = parse(query);
        let question = &query[..query.len() - if edns { 11 } else { 0 }];
        let body: Vec<u8> = addresses
            .iter()
            .flat_map(|host| match kind {
                1 => record(&QUESTION, 1, &[10, 0, 0, *host]),
                _ => {
                    record(&QUESTION, 28, &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, *host])
                }
            })
            .collect();
        let mut message = answer(question, OK | code, addresses.len() as u16, &body);
        message[11] = 0;
        self.resolver.handle_datagram(self.now, SERVER, &message);
    }

    fn done(&self) -> Option<(Outcome, Vec<u8>)> {
        let found = self.resolver.found.iter().map(|address| address.octets()[15]);
        Some((self.resolver.outcome()?, found.collect()))
    }

    fn run_ms(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(due) = self.resolver.poll_timeout().filter(|due| *due <= end) {
            self.now = due;
            self.resolver.handle_timeout(due);
        }
        self.now = end;
    }
}

fn parse(query: &[u8]) -> Asked {
    let id = u16::from_be_bytes([query[0], query[1]]);
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8(query[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    (id, labels.join("."), u16::from(query[at + 2]), query[11] == 1)
}

#[test]
fn both_kinds_are_asked_for_at_every_server_with_ids_of_their_own() {
    let mut world = World::new("nameserver 10.0.0.54");
    world.start("seed.example");
    let sent = world.queries();
    let to: Vec<_> = sent.iter().map(|(to, _)| to.to_string()).collect();
    assert_eq!(to, ["10.0.0.53:53", "10.0.0.54:53", "10.0.0.53:53", "10.0.0.54:53"]);
    let asked: Vec<_> = sent.iter().map(|(_, bytes)| parse(bytes)).collect();
    assert_eq!(asked[0], (0x2021, "seed.example".into(), 1, true));
    assert_eq!(asked[2], (0x2223, "seed.example".into(), 28, true));
    assert!(world.queries().is_empty());
    world.answer(&sent[0].1, 0, &[1, 2]);
    assert_eq!(world.done(), None);
    world.answer(&sent[2].1, 0, &[3]);
    assert_eq!(world.done(), Some((Outcome::Whole, vec![1, 2, 3])));
    assert!(world.resolver.poll_timeout().is_none());
    // The other server is late.
    world.answer(&sent[1].1, 0, &[9]);
    assert_eq!(world.done(), Some((Outcome::Whole, vec![1, 2, 3])));
    // And later still, after the next name has been asked for.
    world.start("other.example");
    world.answer(&sent[1].1, 0, &[9]);
    assert_eq!(world.done(), None);
    assert!(world.resolver.found.is_empty());
}

#[test]
fn answers_of_others_and_to_others_change_nothing() {
    let mut world = World::new("");
    world.start("seed.example");
    let sent = world.queries();
    let question = sent[0].1[..sent[0].1.len() - 11].to_vec();
    let good = answer(&question, OK, 1, &record(&QUESTION, 1, &[10, 0, 0, 66]));
    let mut good = good;
    good[11] = 0;
    for from in ["10.0.0.54:53", "10.0.0.53:54"] {
        let from = from.parse::<std::net::SocketAddr>().unwrap().into();
        world.resolver.handle_datagram(world.now, from, &good);
    }
    for at in 0..2 {
        let mut other = good.clone();
        other[at] ^= 1;
        world.resolver.handle_datagram(world.now, SERVER, &other);
    }
    world.resolver.handle_datagram(world.now, SERVER, &[]);
    world.answer(&sent[0].1, 0, &[1]);
    // Said twice.
    world.answer(&sent[0].1, 0, &[2]);
    world.answer(&sent[1].1, 0, &[]);
    assert_eq!(world.done(), Some((Outcome::Whole, vec![1])));
}

#[test]
fn domains_are_tried_in_order() {
    let search = "search a.example b.example";
    for (host, ndots, names) in [
        ("seed", 1, &["seed.a.example", "seed.b.example", "seed"][..]),
        ("seed.x", 1, &["seed.x", "seed.x.a.example", "seed.x.b.example"]),
        ("seed.x", 5, &["seed.x.a.example", "seed.x.b.example", "seed.x"]),
        ("seed.x.", 5, &["seed.x"]),
        ("seed", 0, &["seed", "seed.a.example", "seed.b.example"]),
    ] {
        let mut world = World::new(&format!("{search}\noptions ndots:{ndots}"));
        world.start(host);
        for name in names {
            let sent = world.queries();
            assert_eq!(sent.len(), 2, "{host}");
            for (_, query) in &sent {
                let (id, asked, ..) = parse(query);
                assert_eq!(asked, **name, "{host}");
                world.answer(query, if id == 0x2021 { 3 } else { 0 }, &[]);
            }
        }
        assert_eq!(world.done(), Some((Outcome::Whole, vec![])), "{host}");
    }
    // The first with an address ends it.
    let mut world = World::new(search);
    world.start("seed");
    for (_, query) in world.queries() {
        world.answer(&query, 3, &[]);
    }
    for (_, query) in world.queries() {
        world.answer(&query, 0, &[7]);
    }
    assert_eq!(world.done(), Some((Outcome::Whole, vec![7, 7])));
}

#[test]
fn a_name_that_is_too_long_for_a_domain_is_tried_without() {
    let mut world = World::new("search a.example\noptions ndots:9");
    let longest =
        [&"a".repeat(63)[..], &"b".repeat(63), &"c".repeat(63), &"d".repeat(61)].join(".");
    world.start(&longest);
    assert_eq!(world.asked()[0].1, longest);
}

#[test]
fn silence_is_asked_again_without_edns_and_ends() {
    let mut world = World::new("options timeout:2 attempts:3");
    world.start("seed.example");
    assert!(world.asked().iter().all(|asked| asked.3));
    world.run_ms(1_999);
    assert!(world.queries().is_empty());
    world.run_ms(1);
    assert!(world.asked().iter().all(|asked| !asked.3));
    world.run_ms(2_000);
    assert_eq!(world.asked().len(), 2);
    world.run_ms(1_999);
    assert_eq!(world.done(), None);
    world.run_ms(1);
    assert_eq!(world.done(), Some((Outcome::Silence, vec![])));
    assert!(world.queries().is_empty() && world.resolver.poll_timeout().is_none());
}

#[test]
fn half_an_answer_is_taken_when_the_other_half_does_not_come() {
    for at in 0..2 {
        let mut world = World::new("");
        world.start("seed.example");
        let sent = world.queries();
        world.answer(&sent[at].1, 0, &[1]);
        world.run_ms(4_999);
        assert_eq!(world.done(), None);
        world.run_ms(1);
        assert_eq!(world.done(), Some((Outcome::Silence, vec![1])));
    }
    // Nor when the server cannot tell it.
    let mut world = World::new("");
    world.start("seed.example");
    let sent = world.queries();
    world.answer(&sent[0].1, 0, &[1]);
    world.answer(&sent[1].1, 2, &[]);
    assert_eq!(world.done(), Some((Outcome::Failure, vec![1])));
}

#[test]
fn a_server_that_cannot_tell_leaves_it_to_the_others() {
    let mut world = World::new("nameserver 10.0.0.54");
    world.start("seed.example");
    let sent = world.queries();
    for _ in 0..2 {
        world.answer(&sent[0].1, 2, &[]);
        world.answer(&sent[2].1, 5, &[]);
    }
    assert_eq!(world.done(), None);
    world.answer(&sent[0].1, 0, &[1]);
    world.answer(&sent[2].1, 0, &[]);
    assert_eq!(world.done(), Some((Outcome::Whole, vec![1])));

    let mut world = World::new("");
    world.start("seed.example");
    for (_, query) in world.queries() {
        world.answer(&query, 2, &[]);
    }
    assert_eq!(world.done(), Some((Outcome::Failure, vec![])));
}

/// With FORMERR or NOTIMP (RFC 6891 section 7); then there is nothing to wait for.
#[test]
fn a_server_that_does_not_know_edns_is_asked_without_at_once() {
    for code in [1, 4] {
        let mut world = World::new("nameserver 10.0.0.54");
        world.start("seed.example");
        let sent = world.queries();
        // It says so twice, for each type; the other server is asked no more than before.
        world.answer(&sent[0].1, code, &[]);
        world.answer(&sent[2].1, code, &[]);
        assert_eq!(world.done(), None);
        let again = world.queries();
        let asked: Vec<_> = again.iter().map(|(to, bytes)| (*to, parse(bytes))).collect();
        assert_eq!(asked.len(), 2, "{asked:?}");
        assert!(asked.iter().all(|(to, asked)| *to == SERVER && !asked.3), "{asked:?}");
        world.answer(&again[0].1, 0, &[1]);
        world.answer(&again[1].1, 0, &[2]);
        assert_eq!(world.done(), Some((Outcome::Whole, vec![1, 2])));
    }
    // One that cannot read that either cannot tell.
    let mut world = World::new("");
    world.start("seed.example");
    for asked_before in [0, 2] {
        for (_, query) in world.queries() {
            assert_eq!(world.done(), None, "{asked_before}");
            world.answer(&query, 1, &[]);
        }
    }
    assert_eq!(world.done(), Some((Outcome::Failure, vec![])));
}

/// It has others, too: none is given up for want of being in it.
#[test]
fn a_truncated_answer_is_not_whole() {
    let mut world = World::new("");
    world.start("seed.example");
    let sent = world.queries();
    let question = &sent[0].1[..sent[0].1.len() - 11];
    let mut cut = answer(question, OK | 0x200, 2, &record(&QUESTION, 1, &[10, 0, 0, 1]));
    cut[11] = 0;
    world.resolver.handle_datagram(world.now, SERVER, &cut);
    world.answer(&sent[1].1, 0, &[]);
    assert_eq!(world.done(), Some((Outcome::Failure, vec![1])));
}
