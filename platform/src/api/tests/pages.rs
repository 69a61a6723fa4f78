//! Listing a full table while its rows change, in pages of 4 KiB.

use std::collections::BTreeMap;

use midge::wire::{Builder, Details, Header, Rumour, header, kind};

use super::*;
use crate::os::Slot;

const FULL: usize = 8_192;
const EPOCH: u64 = 1_700_000_000_000;

/// A node whose table is full of members that exist only as datagrams. Of each ten, one has a name
/// and tags, and of each hundred of these one is suspect.
struct Crowd {
    node: &'static mut Node<FULL>,
    seeds: Box<Seeds>,
    events: Box<Events>,
    time: TrueTime<'static>,
    counters: Counters,
    /// Pages so far: between two of them, some members change.
    pages: u32,
    now: Instant,
}

fn speakers() -> impl Iterator<Item = usize> {
    (3..FULL).step_by(10)
}

fn place(at: usize) -> Address {
    Address::v4([10, 1, (at >> 8) as u8, at as u8], 6434)
}

/// A datagram of the crowd.
fn craft(refutation: u32, body: impl FnOnce(&mut Builder<'_>) -> bool) -> Vec<u8> {
    let incarnation = Incarnation { epoch: EPOCH, refutation };
    let mut buffer = [0; MTU_BYTES];
    let mut builder = Builder::new(&mut buffer);
    assert!(Header { incarnation, ..Header::default() }.encode(&mut builder));
    assert!(body(&mut builder));
    header::seal("default", &mut builder);
    builder.bytes().to_vec()
}

impl Crowd {
    /// The table is too large for the stack of a test.
    fn new(node: &'static Slot<Node<FULL>>) -> Self {
        let node = node.take().expect("each test has its own");
        let now = Instant::ZERO;
        let config = |name, at| Config { epoch: EPOCH, ..Config::new(name, place(at)) };
        node.init(&config("m0", 0), [1; 32], 1, now).unwrap();
        let mut second: Box<Node<2>> = Box::new(Node::EMPTY);
        second.init(&config("m1", 1), [2; 32], 2, now).unwrap();
        second.join(now, place(0)).unwrap();
        let mut buffer = [0; MTU_BYTES];
        let mut soon = now;
        for _ in 0..50 {
            soon += Duration::from_millis(10);
            second.handle_timeout(soon);
            while let Some(sent) = second.poll_transmit(soon, &mut buffer) {
                let _ = node.handle_datagram(soon, place(1), &buffer[..sent.len]);
            }
            while let Some(sent) = node.poll_transmit(soon, &mut buffer) {
                let _ = second.handle_datagram(soon, place(0), &buffer[..sent.len]);
            }
        }
        let (seeds, mut events) = (Box::new(Seeds::EMPTY), Box::new(Events::EMPTY));
        events.begin(1);
        let (time, counters) = (TrueTime::new(&[], "", 500), Counters::default());
        let mut crowd = Self { node, seeds, events, time, counters, pages: 0, now: soon };
        crowd.fill();
        crowd
    }

    fn fill(&mut self) {
        let places: Vec<usize> = (2..FULL).collect();
        for some in places.chunks(80) {
            self.hear(1, 0, |b| {
                let rumour = |at: &usize| Rumour {
                    address: place(*at),
                    incarnation: Incarnation { epoch: EPOCH, refutation: 0 },
                    state: State::Alive,
                    accuser: None,
                };
                b.section(kind::RUMOURS, |b| some.iter().all(|at| rumour(at).encode(b)))
            });
        }
        for at in speakers() {
            self.speak(at, 0);
        }
        for at in (103..FULL).step_by(1_000) {
            // Another one each: who accuses too many is not believed.
            self.hear(at - 1, 0, |b| {
                let incarnation = Incarnation { epoch: EPOCH, refutation: 0 };
                let (address, state) = (place(at), State::Suspect);
                let rumour = Rumour { address, incarnation, state, accuser: Some(place(at - 1)) };
                b.section(kind::RUMOURS, |b| rumour.encode(b))
            });
        }
        let status = self.node.status();
        assert_eq!((status.alive, status.suspect), (FULL as u32 - 9, 9));
    }

    fn hear(&mut self, at: usize, refutation: u32, body: impl FnOnce(&mut Builder<'_>) -> bool) {
        let bytes = craft(refutation, body);
        self.node.handle_datagram(self.now, place(at), &bytes).unwrap();
    }

    /// A member says who it is.
    fn speak(&mut self, at: usize, refutation: u32) {
        let zone = at / 10 % 10;
        let (name, tags) = (format!("m{at}"), format!("zone=z{zone},turn={refutation}"));
        let details = Details {
            life: (at as u32).to_le_bytes(),
            id: at as u64,
            protocol_low: 1,
            protocol_high: 1,
            period_ms: 1_000,
            name: &name,
            tags: &tags,
            later: &[],
        };
        self.hear(at, refutation, |b| details.encode(b));
    }

    fn api(&mut self) -> Api<'_, FULL> {
        let Self { node, seeds, events, time, counters, now, .. } = self;
        let (about, true_time) = (&ABOUT, time);
        Api { node, seeds, about, events, true_time, counters, ready: true, now: *now }
    }
}

impl App for Crowd {
    fn body_limit(&self, _: &Request<'_>) -> Option<usize> {
        None
    }

    fn respond(&mut self, request: &Request<'_>, reply: &mut Reply<'_>) -> Next {
        self.api().respond(request, reply)
    }

    /// Before each page, a member somewhere in the table changes its tags.
    fn resume(&mut self, request: &Request<'_>, cursor: Cursor, reply: &mut Reply<'_>) -> Next {
        self.pages += 1;
        let at = speakers().nth(self.pages as usize * 37 % 819).unwrap_or(3);
        if at % 1_000 != 103 {
            self.speak(at, self.pages);
        }
        self.api().resume(request, cursor, reply)
    }
}

impl Timed for Crowd {
    fn set_now(&mut self, _: Instant) {}
}

/// How often each of these is there.
fn tally<'a>(items: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    items.fold(BTreeMap::new(), |mut tally, item| {
        *tally.entry(item).or_default() += 1;
        tally
    })
}

#[test]
fn a_full_table_is_listed_whole_in_every_form() {
    static NODE: Slot<Node<FULL>> = Slot::new(Node::EMPTY);
    let mut world = World::with(Crowd::new(&NODE));
    let answer = world.ask(&get("/v1/members")).only();
    assert!(answer.chunks > 100, "in pages");
    assert!(world.app.pages > 100, "and with changes in between");
    let listing = json(&answer);
    let rows = listing["members"].as_array().unwrap();
    let addresses = tally(rows.iter().map(|row| row["addr"].as_str().unwrap()));
    assert_eq!((rows.len(), addresses.len()), (FULL, FULL), "each once");
    let turns = tally(rows.iter().filter_map(|row| row["tags"]["turn"].as_str()));
    assert!(turns.len() > 10, "rows are as they were when their page was made");

    let text = b"GET /v1/members HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\n\r\n";
    let answer = world.ask(text).only();
    let second = |line| str::split_ascii_whitespace(line).nth(1).unwrap();
    assert_eq!(answer.text().lines().count(), FULL + 1);
    assert_eq!(tally(answer.text().lines().map(second)).len(), FULL + 1);

    let answer = world.ask(&get("/v1/members?quiet=1")).only();
    assert_eq!((answer.text().lines().count(), tally(answer.text().lines()).len()), (FULL, FULL));

    let mut old = world.ask(b"GET /v1/members HTTP/1.0\r\n\r\n");
    let listing: Value = serde_json::from_slice(&old.only().body).unwrap();
    assert_eq!(listing["members"].as_array().unwrap().len(), FULL);
}

#[test]
fn a_full_table_is_filtered() {
    static NODE: Slot<Node<FULL>> = Slot::new(Node::EMPTY);
    let mut world = World::with(Crowd::new(&NODE));
    for (query, count) in [
        ("state=suspect", 9),
        ("state=alive", FULL - 9),
        ("state=alive,suspect", FULL),
        ("state=failed", 0),
        ("tag=zone=z3", 82),
        ("tag=zone%3Dz9", 81),
        ("tag=zone=z0&state=suspect", 9),
        ("tag=zone=z0,turn=0&state=suspect", 9),
        ("tag=zone=z0,turn=1&state=suspect", 0),
        ("tag=zone=z33", 0),
        ("tag=zone=z", 0),
        ("tag=one=z3", 0),
        ("tag=", FULL),
    ] {
        let answer = world.ask(&get(&format!("/v1/members?{query}"))).only();
        let listing = json(&answer);
        let rows = listing["members"].as_array().unwrap();
        let addresses = tally(rows.iter().map(|row| row["addr"].as_str().unwrap()));
        assert_eq!((rows.len(), addresses.len()), (count, count), "{query}");
        let quiet = world.ask(&get(&format!("/v1/members?quiet=1&{query}"))).only();
        assert_eq!(quiet.text().lines().count(), count, "{query}");
    }
    for query in ["tag=zone", "tag==x", "tag=zone=a,", "tag=a=b&tag=c=d", "tag=zone=a,zone=b"] {
        let answer = world.ask(&get(&format!("/v1/members?{query}"))).only();
        assert_eq!(
            (answer.status, &json(&answer)["code"]),
            (400, &"bad_request".into()),
            "{query}"
        );
    }
}
