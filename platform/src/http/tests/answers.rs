//! What well-behaved clients get.

use super::*;

#[test]
fn a_request_is_answered_and_the_connection_kept() {
    let mut world = World::new();
    let mut client = world.ask(&get("/hello"));
    let answer = client.only();
    assert_eq!(
        answer.headers,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n"
    );
    assert_eq!(answer.text(), "hello\n");
    assert!(!client.ended);
}

#[test]
fn a_thousand_requests_on_one_connection() {
    let mut world = World::new();
    let mut client = world.connect();
    for _ in 0..1000 {
        client.send(&get("/hello"));
        world.exchange(&mut client);
        assert_eq!(client.only().text(), "hello\n");
    }
    assert_eq!(world.server.stats().connections, 1);
    assert_eq!(world.server.stats().requests, 1000);
}

#[test]
fn pipelined_requests_are_answered_in_order_wherever_they_are_split() {
    let post = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde";
    let mut bytes = get("/hello");
    bytes.extend_from_slice(post);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&get("/nowhere"));
    bytes.extend_from_slice(&get("/list"));
    bytes.extend_from_slice(&get("/hello"));
    for split in 0..=bytes.len() {
        let mut world = World::new();
        let mut client = world.connect();
        client.send(&bytes[..split]);
        world.exchange(&mut client);
        client.send(&bytes[split..]);
        world.exchange(&mut client);
        assert_eq!(client.take().unwrap().text(), "hello\n", "split at {split}");
        assert_eq!(client.take().unwrap().text(), "5 abcde");
        assert_eq!(client.take().unwrap().status, 404);
        assert_eq!(client.take().unwrap().text().lines().count(), ROWS as usize);
        assert_eq!(client.only().text(), "hello\n");
    }
}

#[test]
fn more_pipelined_requests_than_any_buffer_holds() {
    let mut world = World::new();
    let mut client = world.connect();
    let one = get("/hello");
    let (mut sent, mut answered) = (0, 0);
    let requests = 5_000;
    let all = one.repeat(requests);
    while answered < requests {
        match client.try_send(&all[sent..]) {
            Ok(bytes) => sent += bytes,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        world.settle();
        client.read(usize::MAX);
        while let Some(answer) = client.take() {
            assert_eq!(answer.text(), "hello\n");
            answered += 1;
        }
    }
    assert_eq!(sent, all.len());
    assert_eq!(client.text(), "");
}

#[test]
fn byte_by_byte() {
    let mut world = World::new();
    let mut client = world.connect();
    for byte in get("/hello") {
        assert!(client.received.is_empty());
        client.send(&[byte]);
        world.exchange(&mut client);
    }
    assert_eq!(client.only().text(), "hello\n");
}

#[test]
fn head_gets_the_head_alone() {
    let mut world = World::new();
    let mut client = world.ask(b"HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(client.text().starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(client.text().contains("\r\nContent-Length: 6\r\n"));
    assert!(client.text().ends_with("\r\n\r\n"));

    client.received.clear();
    client.send(b"HEAD /list HTTP/1.1\r\nHost: x\r\n\r\n");
    world.exchange(&mut client);
    assert!(client.text().contains("\r\nTransfer-Encoding: chunked\r\n"));
    assert!(client.text().ends_with("\r\n\r\n"));

    client.received.clear();
    client.send(&get("/hello"));
    world.exchange(&mut client);
    assert_eq!(client.only().text(), "hello\n", "the connection is in step");
}

#[test]
fn http_1_0_has_no_chunks_and_ends() {
    let mut world = World::new();
    let mut client = world.ask(b"GET /hello HTTP/1.0\r\n\r\n");
    let answer = client.only();
    assert_eq!(answer.text(), "hello\n");
    assert_eq!(answer.header("Connection"), Some("close"));
    assert!(client.ended);

    let mut client = world.ask(b"GET /list HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(client.ended, "only the end tells where the listing ends");
    let answer = client.only();
    assert_eq!(answer.header("Transfer-Encoding"), None);
    assert_eq!(answer.header("Connection"), Some("close"));
    assert_eq!(answer.text().lines().count(), ROWS as usize);
}

#[test]
fn http_1_0_is_kept_when_it_asks() {
    let mut world = World::new();
    let request = b"GET /hello HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    let mut client = world.ask(request);
    assert_eq!(client.only().header("Connection"), Some("keep-alive"));
    client.send(request);
    world.exchange(&mut client);
    assert_eq!(client.only().text(), "hello\n");
    assert!(!client.ended);
}

#[test]
fn connection_close_is_obeyed() {
    let mut world = World::new();
    let mut client = world.ask(
        b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: foo, Close\r\n\r\nGET /hello HTTP/1.1",
    );
    assert_eq!(client.only().header("Connection"), Some("close"));
    assert!(client.ended);
}

#[test]
fn a_client_that_has_ended_its_side_is_still_answered() {
    // Its end comes with the connection, with the requests, or after them.
    for (accepted_before, read_before) in [(false, false), (true, false), (true, true)] {
        let mut world = World::new();
        let mut client = world.connect();
        if accepted_before {
            world.settle();
        }
        client.send(&get("/hello"));
        client.send(&get("/list"));
        if read_before {
            world.settle();
        }
        client.half_close();
        world.exchange(&mut client);
        assert_eq!(client.take().unwrap().text(), "hello\n");
        assert_eq!(client.only().text().lines().count(), ROWS as usize);
        assert!(client.ended, "{accepted_before} {read_before}");
    }
}

#[test]
fn a_client_that_waits_for_100_continue_is_told_once() {
    let mut world = World::new();
    let mut client = world.ask(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 4\r\n\r\n",
    );
    assert_eq!(client.only().status, 100);
    client.send(b"ab");
    world.exchange(&mut client);
    assert_eq!(client.text(), "");
    client.send(b"cd");
    world.exchange(&mut client);
    assert_eq!(client.only().text(), "4 abcd");
    assert_eq!(world.app.seen, ["/echo"]);
}

#[test]
fn no_100_continue_when_the_body_is_there_or_the_version_is_old() {
    let mut world = World::new();
    let mut client = world.ask(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    );
    assert_eq!(client.only().text(), "2 ab");
    let mut client =
        world.ask(b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(client.text(), "");
    client.send(b"ab");
    world.exchange(&mut client);
    assert_eq!(client.only().text(), "2 ab");
}

#[test]
fn the_largest_body_in_pieces() {
    let mut world = World::new();
    let mut client = world.connect();
    let padding = "p".repeat(3_900);
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: x\r\nPadding: {padding}\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
    );
    for round in 0..3 {
        // So much before it that it does not fit the buffer where it begins.
        client.send(&get("/hello").repeat(10));
        client.send(head.as_bytes());
        for piece in 0..BODY_BYTES / 512 {
            client.send(&[b'a' + piece as u8; 512]);
            world.exchange(&mut client);
        }
        for _ in 0..10 {
            assert_eq!(client.take().unwrap().text(), "hello\n");
        }
        let answer = client.only();
        assert!(answer.text().starts_with("4096 aaaa"), "round {round}: {}", answer.text());
    }
}

#[test]
fn a_whole_url_is_a_target_too() {
    let mut world = World::new();
    for target in ["http://midge/hello", "http://midge/hello?x=1", "/hello?a=/b"] {
        assert_eq!(world.ask(&get(target)).only().text(), "hello\n", "{target}");
    }
    assert_eq!(world.ask(&get("http://midge")).only().status, 404);
    assert_eq!(world.ask(&get("http://midge?/hello")).only().status, 400);
}

#[test]
fn a_body_that_fills_its_page_arrives_whole() {
    let mut world = World::new();
    let answer = world.ask(&get("/full")).only();
    assert_eq!(answer.body, [b'x'; BODY_ROOM]);
}

#[test]
fn a_long_listing_reaches_a_slow_reader_row_by_row_once() {
    for bite in [1_000, 4_096, 100_000] {
        let mut world = World::new();
        let mut client = world.connect();
        client.send(&get("/list"));
        let mut idle_rounds = 0;
        while idle_rounds < 2 {
            world.settle();
            idle_rounds = if client.read(bite) == 0 { idle_rounds + 1 } else { 0 };
        }
        let answer = client.only();
        assert!(answer.chunks > 100, "{} pages", answer.chunks);
        let rows =
            answer.text().lines().map(|row| row.split(' ').next().unwrap().parse::<u64>().unwrap());
        assert!(rows.eq(0..ROWS), "every row once, in order");
        assert!(!client.ended);
    }
}

#[test]
fn an_answer_may_wait_for_something() {
    let mut world = World::new();
    let mut client = world.ask(&get("/wait"));
    world.pass(Duration::from_secs(20));
    assert_eq!(client.text(), "", "waiting costs no deadline");
    world.server.wake();
    world.exchange(&mut client);
    assert_eq!(client.text(), "", "woken too early");
    world.app.open = true;
    world.server.wake();
    world.exchange(&mut client);
    assert_eq!(client.only().text(), "opened\n");
    client.send(&get("/hello"));
    world.exchange(&mut client);
    assert_eq!(client.only().text(), "hello\n", "the connection is kept");
}

#[test]
fn waiting_ends_at_its_deadline() {
    let mut world = World::new();
    let mut client = world.ask(&get("/wait"));
    assert_eq!(world.server.poll_timeout(), Some(Instant::ZERO + PATIENCE));
    world.pass(PATIENCE);
    world.exchange(&mut client);
    assert_eq!(client.only().text(), "still shut\n");
    assert_eq!(world.server.stats().timeouts, 0);
}

#[test]
fn an_answer_may_go_on_whenever_there_is_news() {
    let mut world = World::new();
    let mut client = world.ask(&get("/feed"));
    assert!(client.text().ends_with("\r\n\r\n006\r\nbegin\n\r\n"), "sent at once");
    world.server.wake();
    world.pass(Duration::from_secs(3600));
    world.app.open = true;
    world.server.wake();
    world.exchange(&mut client);
    assert_eq!(client.only().text(), "begin\nmore\nmore\n");
}

#[test]
fn an_error_in_text_drives_no_terminal() {
    let mut world = World::new();
    assert_eq!(world.ask(&get("/escape")).only().text(), "no `?[2J??ü?`\n");
}
