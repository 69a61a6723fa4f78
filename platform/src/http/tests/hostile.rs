//! Malformed, oversize and ambiguous requests: each gets its clear error, and the connection ends.

use super::*;

/// Sends a request that is wrong, with another one behind it that must not be answered: what
/// follows a wrong request cannot be told from it.
#[track_caller]
fn refused(request: &[u8], status: u16, error: &str) {
    let mut world = World::new();
    let mut client = world.connect();
    client.send(request);
    client.send(&get("/smuggled"));
    world.exchange(&mut client);
    let answer = client.only();
    let shown = String::from_utf8_lossy(&request[..request.len().min(100)]).into_owned();
    assert_eq!(answer.status, status, "{shown:?}: {}", answer.text());
    assert!(answer.text().contains(error), "{shown:?}: {}", answer.text());
    assert_eq!(answer.header("Connection"), Some("close"));
    assert!(client.ended, "{shown:?}");
    assert!(!world.app.seen.iter().any(|path| path == "/smuggled"), "{shown:?}");
    assert_eq!(world.server.stats().refused, 1, "{shown:?}");
    // It goes, and leaves nothing behind.
    drop(client);
    world.settle();
    assert_eq!(world.server.poll_timeout(), None, "{shown:?}");
}

#[test]
fn malformed_request_lines() {
    for line in [
        "GET",
        "GET /hello",
        "GET  /hello HTTP/1.1",
        " GET /hello HTTP/1.1",
        "GET /hello HTTP/1.1 ",
        "G\u{1}T /hello HTTP/1.1",
        "GET /he\u{1}llo HTTP/1.1",
        "GET /hello HTTP/1.1\r",
        "\u{16}\u{3}\u{1}",
        "{}",
        "GET\t/hello HTTP/1.1",
        "G(T /hello HTTP/1.1",
    ] {
        refused(format!("{line}\r\nHost: x\r\n\r\n").as_bytes(), 400, "\"code\":\"bad_request\"");
    }
    refused(b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400, "the request line is malformed");
}

#[test]
fn targets_that_are_no_path() {
    for target in ["hello", "host:80", "ftp://x/hello", "?x"] {
        let line = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        refused(line.as_bytes(), 400, "the request target must begin with a slash");
    }
}

#[test]
fn versions_that_are_not_spoken() {
    for version in
        ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "http/1.1", "HTTP/11", "", " HTTP/1.1", "HTTP/1.1.1"]
    {
        let request = format!("GET /hello {version}\r\nHost: x\r\n\r\n");
        // What is longer is no version at all.
        let status = if version.len() > 8 { 400 } else { 505 };
        refused(request.as_bytes(), status, "\"code\":\"bad_request\"");
    }
    refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "the version must be HTTP/1.1 or HTTP/1.0");
}

#[test]
fn line_feeds_that_end_no_line() {
    for request in [
        "GET /hello HTTP/1.1\nHost: x\n\n",
        "GET /hello HTTP/1.1\r\nHost: x\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: x\r\n\n",
        "\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
        "\r\n\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: x\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        refused(request.as_bytes(), 400, "a line must end with CR LF");
    }
}

#[test]
fn malformed_headers() {
    for header in [
        "no colon",
        "Space : x",
        ": x",
        "Na\u{0}me: x",
        "Name: \u{0}",
        "Name: a\rb: c",
        " Folded: x",
        "N\u{e4}me: x",
        "Name\u{7f}: x",
        "Name: \u{7f}",
        "\tTab: x",
    ] {
        let request = format!("GET /hello HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n");
        refused(request.as_bytes(), 400, "\"code\":\"bad_request\"");
    }
    let folded = b"GET /hello HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n";
    refused(folded, 400, "a header name has an invalid character, or no colon follows it");
}

#[test]
fn hosts() {
    refused(b"GET /hello HTTP/1.1\r\n\r\n", 400, "a request needs one Host header");
    refused(b"GET /hello HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n", 400, "one Host header");
    refused(b"GET /hello HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400, "one Host header");
}

#[test]
fn lengths_that_two_parsers_could_read_differently() {
    for (lengths, error) in [
        ("Content-Length: 5\r\nContent-Length: 5", "Content-Length is given more than once"),
        ("Content-Length: 5\r\ncontent-length: 0", "Content-Length is given more than once"),
        ("Content-Length: 5, 5", "Content-Length is not a number"),
        ("Content-Length: +5", "Content-Length is not a number"),
        ("Content-Length: -1", "Content-Length is not a number"),
        ("Content-Length: 0x5", "Content-Length is not a number"),
        ("Content-Length: 5 5", "Content-Length is not a number"),
        ("Content-Length:", "Content-Length is not a number"),
        ("Content-Length: five", "Content-Length is not a number"),
    ] {
        let request = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\nabcde");
        refused(request.as_bytes(), 400, error);
    }
}

#[test]
fn transfer_encodings() {
    for coding in ["chunked", "identity", "gzip, chunked", "xchunked", ""] {
        for length in ["", "Content-Length: 5\r\n"] {
            let request = format!(
                "POST /echo HTTP/1.1\r\nHost: x\r\n{length}Transfer-Encoding: {coding}\r\n\r\n\
                 5\r\nabcde\r\n0\r\n\r\n"
            );
            refused(request.as_bytes(), 501, "send the body with Content-Length, not chunked");
        }
    }
}

#[test]
fn expectations() {
    let request = b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: 1\r\n\r\na";
    refused(request, 417, "only Expect: 100-continue is understood");
}

#[test]
fn bodies_that_are_too_large() {
    let request = |path: &str, length: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\nabcde")
    };
    for (path, length, error) in [
        ("/hello", "5", "no body here: arguments go in the query"),
        ("/small", "11", "the body exceeds 10 bytes"),
        ("/echo", "4097", "the body exceeds 4096 bytes"),
        ("/echo", "18446744073709551615", "the body exceeds 4096 bytes"),
        ("/echo", "99999999999999999999999999999", "the body exceeds 4096 bytes"),
    ] {
        refused(request(path, length).as_bytes(), 413, error);
        let expecting =
            request(path, length).replace("Content-L", "Expect: 100-continue\r\nContent-L");
        refused(expecting.as_bytes(), 413, error);
    }
}

#[test]
fn a_large_body_that_is_still_being_sent_does_not_destroy_the_error() {
    let mut world = World::new();
    let mut client =
        world.ask(b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    for _ in 0..100 {
        client.send(&[b'x'; 10_000]);
        world.settle();
    }
    client.read(usize::MAX);
    assert_eq!(client.only().status, 413);
}

#[test]
fn an_error_is_answered_without_its_body() {
    let mut world = World::new();
    let mut client = world
        .ask(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\nGET /smuggled");
    let answer = client.only();
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("Connection"), Some("close"));
    assert!(client.ended);
    assert_eq!(world.app.seen, ["/nowhere"]);
}

#[test]
fn heads_that_are_too_large() {
    let long = "x".repeat(HEAD_BYTES);
    refused(format!("GET /{long} HTTP/1.1\r\n").as_bytes(), 431, "the request head exceeds 4096");
    refused(format!("GET / HTTP/1.1\r\nHost: {long}").as_bytes(), 431, "exceeds 4096 bytes");
    refused("\r\n".repeat(HEAD_BYTES / 2).as_bytes(), 431, "exceeds 4096 bytes");
    let many = "A: b\r\n".repeat(HEADERS);
    refused(
        format!("GET /hello HTTP/1.1\r\nHost: x\r\n{many}\r\n").as_bytes(),
        431,
        "more than 24 headers",
    );
}

#[test]
fn the_largest_head_is_accepted() {
    for excess in [0, 1] {
        let frame = "GET /hello HTTP/1.1\r\nHost: x\r\nPadding: \r\n\r\n".len();
        let padding = "p".repeat(HEAD_BYTES - frame + excess);
        let mut world = World::new();
        let mut client = world.connect();
        let request = format!("GET /hello HTTP/1.1\r\nHost: x\r\nPadding: {padding}\r\n\r\n");
        client.send(request.as_bytes());
        world.exchange(&mut client);
        assert_eq!(client.only().status, if excess == 0 { 200 } else { 431 });
    }
    let many = "A: b\r\n".repeat(HEADERS - 1);
    let request = format!("GET /hello HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    assert_eq!(World::new().ask(request.as_bytes()).only().status, 200);
}

#[test]
fn a_wrong_method_is_told_which_are_right() {
    let mut world = World::new();
    let mut client = world.ask(b"DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = client.only();
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("Allow"), Some("GET, HEAD"));
    assert_eq!(answer.text(), "{\"error\":\"use GET, HEAD here\",\"code\":\"method\"}\n");
    assert!(!client.ended, "this one the server understood");
}

#[test]
fn requests_that_end_in_the_middle() {
    let whole = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    for cut in 1..whole.len() {
        let mut world = World::new();
        let mut client = world.connect();
        client.send(&whole[..cut]);
        client.half_close();
        world.exchange(&mut client);
        assert_eq!(client.only().status, 400, "cut at {cut}");
        assert!(client.ended);
        assert!(world.app.seen.is_empty());
        assert_eq!(world.server.poll_timeout(), None, "cut at {cut}");
    }
}

#[test]
fn garbage_that_never_ends_a_line() {
    let mut world = World::new();
    let mut client = world.connect();
    for at in 0..HEAD_BYTES {
        client.send(&[(at % 251) as u8 | 0x80]);
        world.settle();
    }
    world.exchange(&mut client);
    assert_eq!(client.only().status, 431);
}
