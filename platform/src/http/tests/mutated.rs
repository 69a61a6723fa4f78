//! Valid requests, damaged at random: nothing may panic, no slot may be lost, and a server that
//! has seen all of it must still answer.

use super::*;
use crate::http::request::{Found, Scan, parse};

const SEEDS: [&[u8]; 6] = [
    b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde",
    b"HEAD /list HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET /list HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"POST /small?a=%41&b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nabcd",
    b"\r\nGET http://x/hello?y=1 HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\nTransfer-Encoding: a\r\n\r\n",
];

const PIECES: [&[u8]; 12] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b":",
    b"\0",
    b"\xff",
    b"HTTP/1.1",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
];

/// Xorshift64 (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.below(3) {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => drop(bytes.splice(at..at, PIECES[self.below(PIECES.len())].iter().copied())),
                3 => bytes.truncate(at),
                _ => drop(bytes.splice(at..at, SEEDS[self.below(SEEDS.len())].iter().copied())),
            }
        }
    }
}

#[test]
fn a_hundred_thousand_damaged_requests() {
    let mut world = World::new();
    let mut random = Random(0x6d69_6467_6521);
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..100_000 {
        let mut bytes = SEEDS[random.below(SEEDS.len())].to_vec();
        random.mutate(&mut bytes);
        if clients.is_empty() || random.below(3) == 0 {
            clients.push(world.connect());
        }
        let at = random.below(clients.len());
        let split = random.below(bytes.len() + 1);
        // The server may have closed it already; then there is nothing to send to.
        let client = &mut clients[at];
        let _ = client.try_send(&bytes[..split]);
        world.round();
        let _ = client.try_send(&bytes[split..]);
        world.round();
        client.read(random.below(20_000));
        if clients.len() > 24 || random.below(16) == 0 {
            let gone = random.below(clients.len());
            clients.swap_remove(gone);
        }
        if random.below(8) == 0 {
            world.now += Duration::from_millis(random.below(3_000) as u64);
        }
    }
    let stats = world.server.stats();
    assert!(
        stats.requests > 10_000 && stats.refused > 10_000,
        "both sides were reached: {stats:?}"
    );
    assert!(stats.timeouts > 0 && stats.evicted > 0, "and the limits: {stats:?}");

    drop(clients);
    world.settle();
    assert_eq!(world.server.poll_timeout(), None, "no slot is held");
    assert_eq!(world.ask(&get("/hello")).only().text(), "hello\n");
}

/// What our parser takes for a request, the one of the registry takes for the same one.
#[test]
fn no_head_is_read_otherwise_than_httparse_reads_it() {
    let mut random = Random(0x6865_6164_7321);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..200_000 {
        let mut bytes = SEEDS[random.below(SEEDS.len())].to_vec();
        random.mutate(&mut bytes);
        let mut scan = Scan::START;
        let Found::End(end) = scan.go_on(&bytes) else { continue };
        let Ok(ours) = parse(&bytes[..end]) else {
            refused += 1;
            continue;
        };
        accepted += 1;
        let shown = String::from_utf8_lossy(&bytes);
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut theirs = httparse::Request::new(&mut headers);
        assert_eq!(theirs.parse(&bytes), Ok(httparse::Status::Complete(end)), "{shown:?}");
        assert_eq!(theirs.version, Some(u8::from(!ours.old)), "{shown:?}");
        assert_eq!(theirs.method == Some("HEAD"), ours.head_only, "{shown:?}");
        let target = theirs.path.unwrap();
        assert!(target.contains(ours.request.path) || ours.request.path == "/", "{shown:?}");
        assert!(target.ends_with(ours.request.query), "{shown:?}");
        for header in theirs.headers.iter() {
            let all = theirs.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(header.name));
            let values: Vec<&[u8]> = all.map(|h| h.value).collect();
            let mine: Vec<&[u8]> = ours.request.header(header.name).collect();
            assert_eq!(mine, values, "{}: {shown:?}", header.name);
        }
    }
    assert!(accepted > 10_000 && refused > 10_000, "{accepted} accepted, {refused} refused");
}
