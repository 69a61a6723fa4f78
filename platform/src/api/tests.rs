//! The endpoints over real nodes, through the engine and real sockets.

use midge::config::Config;
use midge::limits::MTU_BYTES;
use midge::{Address, Duration, Incarnation, Member, State, Status};
use serde_json::Value;

use super::members::{json_row, table_row};
use super::status;
use super::*;
use crate::http::tests::harness::{Answer, Timed, World, get};
use crate::seeds::Source;

mod changes;
mod clock;
mod events;
mod figures;
mod guests;
mod pages;

const ABOUT: About = About { version: "1.2.3", started: Instant::ZERO };

/// A node behind the API, and the nodes around it.
struct Fleet {
    nodes: Vec<Box<Node<64>>>,
    seeds: Box<Seeds>,
    events: Box<Events>,
    time: TrueTime<'static>,
    counters: Counters,
    ready: bool,
    now: Instant,
}

impl App for Fleet {
    fn body_limit(&self, request: &Request<'_>) -> Option<usize> {
        // A limit is asked for without changing anything; any node answers the same.
        Self::of(vec![Box::new(Node::EMPTY)]).api().body_limit(request)
    }

    fn respond(&mut self, request: &Request<'_>, reply: &mut Reply<'_>) -> Next {
        self.api().respond(request, reply)
    }

    fn resume(&mut self, request: &Request<'_>, cursor: Cursor, reply: &mut Reply<'_>) -> Next {
        self.api().resume(request, cursor, reply)
    }
}

impl Timed for Fleet {
    fn set_now(&mut self, now: Instant) {
        self.now = now;
    }
}

fn address(at: usize) -> Address {
    Address::v4([10, 0, 0, at as u8 + 1], 6434)
}

impl Fleet {
    fn api(&mut self) -> Api<'_, 64> {
        let Self { nodes, seeds, events, time, counters, ready, now } = self;
        let (node, about) = (&mut *nodes[0], &ABOUT);
        Api { node, seeds, about, events, true_time: time, counters, ready: *ready, now: *now }
    }

    fn new(count: usize) -> Self {
        let now = Instant::ZERO;
        let nodes = (0..count)
            .map(|at| {
                let mut node = Box::new(Node::EMPTY);
                let name = format!("node-{at}");
                let config = Config {
                    tags: "zone=a,note=\"quoted\\\" value",
                    id: at as u64 * 0x0123_4567_89ab,
                    epoch: 1_700_000_000_000,
                    ..Config::new(&name, address(at))
                };
                node.init(&config, [at as u8; 32], at as u64, now).unwrap();
                if at > 0 {
                    node.join(now, address(0)).unwrap();
                }
                node
            })
            .collect();
        Self { now, ..Self::of(nodes) }
    }

    fn of(nodes: Vec<Box<Node<64>>>) -> Self {
        let (mut events, counters) = (Box::new(Events::EMPTY), Counters::default());
        events.begin(0x1234_abcd);
        let (seeds, now) = (Box::new(Seeds::EMPTY), Instant::ZERO);
        let time = TrueTime::new(&[], "", 500);
        Self { nodes, seeds, events, time, counters, ready: false, now }
    }

    /// Takes note of the events of the node behind the API.
    fn tell(&mut self) {
        while let Some(event) = self.nodes[0].poll_event() {
            let time_ms = 1_800_000_000_000 + self.now.as_micros() / 1_000;
            self.events.add(&*self.nodes[0], &event, time_ms);
        }
    }

    /// Lets the nodes talk for so long, over a network that loses nothing.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(20);
            for at in 0..self.nodes.len() {
                self.nodes[at].handle_timeout(self.now);
                let mut buffer = [0; MTU_BYTES];
                while let Some(sent) = self.nodes[at].poll_transmit(self.now, &mut buffer) {
                    let to = (0..self.nodes.len()).find(|&to| address(to) == sent.to);
                    if let Some(to) = to {
                        let bytes = &buffer[..sent.len];
                        let _ = self.nodes[to].handle_datagram(self.now, address(at), bytes);
                    }
                }
            }
        }
    }

    /// A fleet that has formed, behind a server.
    fn world(count: usize) -> World<Self> {
        let mut fleet = Self::new(count);
        fleet.run(Duration::from_secs(5));
        let now = fleet.now;
        let mut world = World::with(fleet);
        world.now = now;
        world
    }
}

impl World<Fleet> {
    fn text(&mut self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: Text/Plain\r\n\r\n");
        let answer = self.ask(request.as_bytes()).only();
        assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
        answer.text().into()
    }

    /// The text of an answer with this status.
    fn text_of(&mut self, path: &str, status: u16) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\n\r\n");
        let answer = self.ask(request.as_bytes()).only();
        assert_eq!(answer.status, status);
        answer.text().into()
    }

    fn post(&mut self, path: &str) -> Answer {
        self.ask(format!("POST {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).only()
    }
}

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    assert!(answer.text().ends_with('\n'));
    serde_json::from_str(answer.text()).unwrap()
}

#[test]
fn members_of_a_lone_node() {
    let mut world = Fleet::world(1);
    let answer = world.ask(&get("/v1/members")).only();
    assert_eq!(
        answer.text(),
        "{\"members\":[\n{\"name\":\"node-0\",\"addr\":\"10.0.0.1:6434\",\"id\":null,\
         \"state\":\"alive\",\"epoch\":1700000000000,\"refutation\":0,\
         \"tags\":{\"zone\":\"a\",\"note\":\"\\\"quoted\\\\\\\" value\"},\
         \"rtt_us\":null,\"self\":true}]}\n"
    );
    json(&answer);
}

#[test]
fn members_of_a_fleet_in_pages() {
    let mut world = Fleet::world(40);
    let answer = world.ask(&get("/v1/members")).only();
    assert!(answer.chunks > 1, "more than a page");
    let listing = json(&answer);
    let rows = listing["members"].as_array().unwrap();
    let mut addresses: Vec<&str> = rows.iter().map(|row| row["addr"].as_str().unwrap()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!((rows.len(), addresses.len()), (40, 40));
    for row in rows {
        let name = row["name"].as_str().unwrap();
        let at: usize = name.strip_prefix("node-").unwrap().parse().unwrap();
        assert_eq!(row["addr"], address(at).to_string());
        assert_eq!(row["self"], at == 0);
        match at {
            0 => assert_eq!(row["id"], Value::Null),
            _ => assert_eq!(row["id"], format!("{:016x}", at * 0x0123_4567_89ab)),
        }
        assert_eq!(row["tags"]["note"], "\"quoted\\\" value");
    }
}

#[test]
fn members_as_text() {
    let mut world = Fleet::world(40);
    let table = world.text("/v1/members");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 41);
    assert_eq!(
        lines[0],
        "NAME                ADDRESS               STATE   INCARNATION      RTT      TAGS"
    );
    assert_eq!(
        lines[1],
        "node-0              10.0.0.1:6434         alive   1700000000000.0  self     \
         zone=a,note=\"quoted\\\" value"
    );
    for line in &lines[1..] {
        assert_eq!(&line[42..50], "alive   ", "columns are aligned");
    }
}

#[test]
fn quiet_members_are_live_addresses() {
    let mut world = Fleet::world(3);
    assert_eq!(world.text("/v1/members?quiet=1").lines().count(), 3);
    world.app.nodes[2].leave(world.now);
    world.app.run(Duration::from_secs(10));
    world.now = world.app.now;
    for path in ["/v1/members?quiet=1", "/v1/members?quiet", "/v1/members?state=alive&quiet=1"] {
        let mut addresses: Vec<String> = world.text(path).lines().map(String::from).collect();
        addresses.sort();
        assert_eq!(addresses, ["10.0.0.1:6434", "10.0.0.2:6434"]);
    }
    assert_eq!(world.text("/v1/members?quiet=1&state=left"), "10.0.0.3:6434\n");
    assert_eq!(world.text("/v1/members?quiet=1&state=failed"), "");
    let left = json(&world.ask(&get("/v1/members?state=failed,left")).only());
    assert_eq!(left["members"].as_array().unwrap().len(), 1);
    assert_eq!(left["members"][0]["state"], "left");
    let none = json(&world.ask(&get("/v1/members?state=failed")).only());
    assert_eq!(none["members"], Value::Array(Vec::new()));
}

#[test]
fn arguments_that_are_wrong() {
    let mut world = Fleet::world(1);
    for query in ["quiet=2", "quiet=yes", "quiet=1&quiet=1"] {
        let answer = world.ask(&get(&format!("/v1/members?{query}"))).only();
        assert_eq!(answer.status, 400);
        assert_eq!(json(&answer)["error"], "quiet is 0 or 1");
    }
    for query in ["state=dead", "state=", "state=alive,", "state=Alive", "state=%zz"] {
        let answer = world.ask(&get(&format!("/v1/members?{query}"))).only();
        assert_eq!((answer.status, &json(&answer)["code"]), (400, &"bad_request".into()));
    }
}

#[test]
fn status_of_a_node() {
    let mut world = Fleet::world(3);
    let answer = json(&world.ask(&get("/v1/status")).only());
    assert_eq!(answer["cluster"], "default");
    assert_eq!(answer["name"], "node-0");
    assert_eq!(answer["addr"], "10.0.0.1:6434");
    assert_eq!(answer["version"], "1.2.3");
    assert_eq!(answer["protocol"], 1);
    assert_eq!(answer["epoch"], 1_700_000_000_000_u64);
    assert_eq!(answer["state"], "alive");
    assert_eq!(answer["joined"], true);
    assert_eq!(answer["isolated"], false);
    assert_eq!(answer["leaving"], false);
    let members = serde_json::json!({"alive": 3, "suspect": 0, "failed": 0, "left": 0});
    assert_eq!(answer["members"], members);
    assert_eq!(answer["capacity"], 64);
    assert_eq!(answer["partial"], false);
    assert_eq!(answer["health"], 0);
    let digest = format!("{:08x}", world.app.nodes[1].status().digest);
    assert_eq!(answer["digest"], digest, "the nodes agree");
    assert_eq!(answer["period_ms"], 1_000);
    let clock = serde_json::json!({"status": "off", "source": null, "bound_ns": null, "trouble": null,
        "leases": "monotonic", "max_drift_ppm": 500});
    assert_eq!(answer["clock"], clock);
    assert_eq!(answer["seeds"], Value::Array(Vec::new()));
    assert_eq!(answer["uptime_ms"], 5_000);
}

#[test]
fn status_as_text() {
    let mut world = Fleet::world(3);
    world.app.nodes[0].join(world.now, address(8)).unwrap();
    let text = world.text("/v1/status");
    for line in [
        "cluster      default",
        "name         node-0",
        "address      10.0.0.1:6434",
        "id           -",
        "version      1.2.3 (protocol 1)",
        "incarnation  1700000000000.0",
        "state        alive, joined",
        "members      3 alive, 0 suspect, 0 failed, 0 left",
        "capacity     64",
        "health       0",
        "period       1000 ms",
        "clock        off, time is unbounded",
        "leases       rest on a drift of 500 ppm at most",
        "seeds        10.0.0.9:6434",
        "uptime       5 s",
    ] {
        assert!(text.lines().any(|given| given == line), "{line:?} in\n{text}");
    }
}

#[test]
fn joining() {
    let mut world = Fleet::world(1);
    for (given, taken) in [
        ("10.0.0.7", "10.0.0.7:6434"),
        ("10.0.0.7", "10.0.0.7:6434"),
        ("10.0.0.7:7000", "10.0.0.7:7000"),
        ("2001:db8::7", "[2001:db8::7]:6434"),
        ("[2001:db8::7]", "[2001:db8::7]:6434"),
        ("[2001:db8::7]:7000", "[2001:db8::7]:7000"),
        ("%5B2001%3adb8%3A%3A8%5D%3A7000", "[2001:db8::8]:7000"),
        ("::ffff:10.0.0.9", "10.0.0.9:6434"),
    ] {
        let answer = world.post(&format!("/v1/join?addr={given}"));
        assert_eq!(answer.status, 200, "{given}");
        assert_eq!(json(&answer)["seed"], taken);
    }
    let status = json(&world.ask(&get("/v1/status")).only());
    assert_eq!(status["seeds"].as_array().unwrap().len(), 6, "each once");
}

#[test]
fn joining_what_is_no_address() {
    let mut world = Fleet::world(1);
    for (query, part) in [
        ("", "addr is missing"),
        ("?address=10.0.0.1", "addr is missing"),
        ("?addr=", "addr ''"),
        ("?addr=ho..st", "addr 'ho..st'"),
        ("?addr=host:0", "not the address and port of one host"),
        ("?addr=b%C3%BCcher", "xn--"),
        ("?addr=10.0.0", "addr '10.0.0'"),
        ("?addr=10.0.0.7:99999", "addr '10.0.0.7:99999'"),
        ("?addr=10.0.0.7:", "addr '10.0.0.7:'"),
        ("?addr=%22%0a", "addr '\"\n'"),
        ("?addr=%zz", "addr: not percent-encoded UTF-8"),
        ("?addr=%f", "addr: not percent-encoded UTF-8"),
        ("?addr=%ff", "addr: not percent-encoded UTF-8"),
        ("?addr=10.0.0.1&addr=10.0.0.2", "addr: given more than once"),
        ("?addr=0.0.0.0", "addr '0.0.0.0': not the address and port of one host"),
        ("?addr=10.0.0.7:0", "not the address and port of one host"),
        ("?addr=224.0.0.1", "not the address and port of one host"),
        ("?addr=fe80::1%25eth0", "addr 'fe80::1%eth0'"),
    ] {
        let answer = world.post(&format!("/v1/join{query}"));
        assert_eq!(answer.status, 400, "{query}");
        let answer = json(&answer);
        assert_eq!(answer["code"], "bad_request");
        assert!(answer["error"].as_str().unwrap().contains(part), "{query}: {answer}");
    }
    let long = world.post(&format!("/v1/join?addr={}", "1".repeat(261)));
    assert!(long.text().contains("addr: too long"));
    assert!(world.app.nodes[0].status().seeds.is_empty(), "nothing has changed");
}

#[test]
fn joining_a_name() {
    let mut world = Fleet::world(1);
    let longest =
        [&"a".repeat(63)[..], &"b".repeat(63), &"c".repeat(63), &"d".repeat(61)].join(".");
    for (name, shown) in [
        ("seed.example.com".into(), "seed.example.com:6434".into()),
        ("seed.:7000".into(), "seed.:7000".into()),
        (format!("{longest}.:65535"), format!("{longest}.:65535")),
    ] {
        for _ in 0..2 {
            let answer = world.post(&format!("/v1/join?addr={name}"));
            assert_eq!(answer.status, 200, "{}", answer.text());
            let answer: Value = json(&answer);
            let shown: &String = &shown;
            assert_eq!((&answer["seed"], &answer["joined"]), (&(**shown).into(), &false.into()));
        }
    }
    assert_eq!(world.app.seeds.targets().count(), 3, "each once");
    assert!(world.app.nodes[0].status().seeds.is_empty(), "it has to resolve first");
    let status = json(&world.ask(&get("/v1/status")).only());
    assert_eq!(status["joined"], false, "there is somebody to join");
    assert_eq!(status["seeds"][0], "seed.example.com:6434");
    let text = world.text("/v1/status");
    assert!(text.contains("\nseeds        seed.example.com:6434, seed.:7000, aaaa"), "{text}");
    let ready = world.ask(&get("/readyz")).only();
    assert_eq!((ready.status, &json(&ready)["code"]), (503, &"not_ready".into()));
    assert!(ready.text().contains("names do not resolve"), "{}", ready.text());
    world.post("/v1/leave");
    assert_eq!(world.post("/v1/join?addr=seed.example.com").status, 409);
}

#[test]
fn a_full_list_of_seeds_and_a_leaving_node_are_conflicts() {
    let mut world = Fleet::world(1);
    for at in 1..=midge::limits::SEEDS {
        assert_eq!(world.post(&format!("/v1/join?addr=10.1.0.{at}")).status, 200);
    }
    let answer = world.post("/v1/join?addr=10.2.0.1");
    assert_eq!(answer.status, 409);
    let error = json(&answer);
    assert_eq!(error["code"], "conflict");
    assert_eq!(error["error"], "addr '10.2.0.1': the list of seeds is full (32)");

    for _ in 0..2 {
        let answer = world.post("/v1/leave");
        assert_eq!((answer.status, answer.text()), (202, "{\"leaving\":true}\n"));
    }
    let answer = world.post("/v1/join?addr=10.1.0.1");
    assert_eq!(answer.status, 409);
    assert_eq!(json(&answer)["error"], "addr '10.1.0.1': the node is leaving");
    assert_eq!(json(&world.ask(&get("/v1/status")).only())["leaving"], true);
}

#[test]
fn health_paths_and_methods() {
    let mut world = Fleet::world(1);
    assert_eq!(world.ask(&get("/healthz")).only().text(), "ok\n");
    for path in ["/", "/v1", "/v1/members/", "/V1/members", "/v1/member", "*"] {
        let answer = world.ask(&get(path)).only();
        assert_eq!((answer.status, &json(&answer)["code"]), (404, &"not_found".into()), "{path}");
    }
    for (method, path, allow) in [
        ("POST", "/v1/members", "GET, HEAD"),
        ("DELETE", "/v1/status", "GET, HEAD"),
        ("GET", "/v1/join?addr=10.0.0.7", "POST"),
        ("HEAD", "/v1/leave", "POST"),
        ("OPTIONS", "/healthz", "GET, HEAD"),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let client = world.ask(request.as_bytes());
        assert!(client.text().starts_with("HTTP/1.1 405 "), "{method} {path}");
        assert!(client.text().contains(&format!("\r\nAllow: {allow}\r\n")), "{method} {path}");
    }
    assert!(world.app.nodes[0].status().seeds.is_empty(), "a GET changes nothing");
    assert!(!world.app.nodes[0].status().leaving);
}

#[test]
fn errors_are_text_for_those_who_accept_text() {
    let mut world = Fleet::world(1);
    let request = b"POST /v1/join?addr=ho..st HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\n\r\n";
    let answer = world.ask(request).only();
    assert_eq!(answer.status, 400);
    assert!(answer.text().starts_with("addr 'ho..st'"), "{}", answer.text());
    assert!(answer.text().ends_with('\n') && !answer.text().contains('{'));
    let both = b"GET /healthy HTTP/1.1\r\nHost: x\r\nAccept: text/plain, application/json\r\n\r\n";
    json(&world.ask(both).only());
}

#[test]
fn arguments_in_a_body_are_pointed_out() {
    let mut world = Fleet::world(1);
    let request = b"POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\naddr=10.0.0.7";
    let answer = world.ask(request).only();
    assert_eq!(answer.status, 413);
    assert_eq!(json(&answer)["error"], "no body here: arguments go in the query");
}

/// Whatever a member calls itself, its row is valid JSON, fits a page, and drives no terminal.
#[test]
fn any_name_is_escaped_and_fits() {
    let awkward = ["\"\\/", "\u{0}\u{1f}\u{7f}\n\r\t", "\u{1b}[2J", "zürich-\u{1f40d}\u{2028}", ""];
    let longest = "\u{1}".repeat(midge::limits::NAME_BYTES);
    for name in awkward.into_iter().chain([longest.as_str()]) {
        let tags = format!("k={}", &"\u{1}".repeat(midge::limits::TAGS_BYTES - 2));
        let member = Member { name, tags: &tags, ..largest() };
        let mut space = [0; crate::http::reply::BODY_ROOM];
        let mut page = Page::new(&mut space);
        json_row(&mut page, &member, false);
        assert!(!page.is_overfull());
        let row: Value = serde_json::from_slice(page.written()).unwrap();
        assert_eq!(row["name"], name);
        assert_eq!(row["tags"]["k"], tags[2..]);

        let mut page = Page::new(&mut space);
        table_row(&mut page, &member);
        assert!(!page.is_overfull());
        let row = core::str::from_utf8(page.written()).unwrap();
        assert!(!row.trim_end_matches('\n').contains(char::is_control), "{row:?}");
    }
}

#[test]
fn the_longest_status_fits() {
    let cluster = "c".repeat(midge::limits::CLUSTER_NAME_BYTES);
    let name = "\u{1}".repeat(midge::limits::NAME_BYTES);
    let seeds = [largest().address; midge::limits::SEEDS];
    let status = Status {
        cluster: &cluster,
        own: Member { name: &name, ..largest() },
        alive: u32::MAX,
        suspect: u32::MAX,
        failed: u32::MAX,
        left: u32::MAX,
        capacity: u32::MAX,
        partial: true,
        health: 7,
        digest: u32::MAX,
        joined: false,
        isolated: true,
        leaving: true,
        protocol: 255,
        period_ms: u32::MAX,
        seeds: &seeds,
    };
    let mut names = Box::new(Seeds::EMPTY);
    for at in 0..midge::limits::SEEDS {
        let host = format!("{at:02}{}", "h".repeat(251));
        names.add(Source::Options, Target::Name(&host, u16::MAX)).unwrap();
    }
    let mut space = [0; crate::http::reply::BODY_ROOM];
    let mut page = Page::new(&mut space);
    let time = clock::longest();
    status::write(&mut page, true, &status, &names, &time, &ABOUT, u64::MAX);
    assert!(!page.is_overfull(), "{} bytes", page.len());
    let value: Value = serde_json::from_slice(page.written()).unwrap();
    let listed = value["seeds"].as_array().unwrap().len();
    assert!(listed > 32, "some names, too");
    let mut page = Page::new(&mut space);
    status::write(&mut page, false, &status, &names, &time, &ABOUT, u64::MAX);
    assert!(!page.is_overfull(), "{} bytes", page.len());
}

fn largest() -> Member<'static> {
    Member {
        address: Address::v6([0xfd; 16], u16::MAX),
        state: State::Suspect,
        incarnation: Incarnation { epoch: (1 << 42) - 1, refutation: u32::MAX },
        id: u64::MAX,
        name: "",
        tags: "",
        rtt_us: u32::MAX,
        own: false,
    }
}
