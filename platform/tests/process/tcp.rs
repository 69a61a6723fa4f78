//! The API over TCP.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect as connect_to, setsockopt, socket,
    sockopt,
};

use crate::harness::{Agent, DEADLINE, Options, cluster_with, command, eventually, midge, stderr};

/// Where the agent listens, as its log has it.
fn listens(agent: &Agent, option: &str) -> String {
    let line = agent.logged(&[&format!(" {option}=127.0.0.1:")]);
    let start = line.find(&format!(" {option}=")).expect("it is there") + option.len() + 2;
    line[start..].split(' ').next().expect("an address").into()
}

fn connect(addr: &str) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    stream
}

/// The whole answer to one request.
fn ask(addr: &str, request: &str) -> String {
    let mut stream = connect(addr);
    write!(stream, "{request}\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn with_tcp() -> Agent {
    let more = ["--http=127.0.0.1:0", "--metrics=127.0.0.1:0"].map(String::from).to_vec();
    Agent::start(&Options { more, ..Options::default() })
}

#[test]
fn reading_over_tcp_and_nothing_else() {
    let agent = with_tcp();
    let (http, metrics) = (listens(&agent, "http"), listens(&agent, "metrics"));
    let get = |addr: &str, path: &str, host: &str| {
        ask(addr, &format!("GET {path} HTTP/1.1\r\nHost: {host}"))
    };
    assert!(get(&http, "/v1/members", &http).contains(agent.addr()));
    assert!(get(&http, "/metrics", "localhost").contains("\nmidge_members{state=\"alive\"} 1\n"));
    assert!(get(&http, "/readyz", "localhost").starts_with("HTTP/1.1 200 "));
    assert!(get(&http, "/v1/status", "evil.example").starts_with("HTTP/1.1 403 "));
    assert!(get(&metrics, "/metrics", "any.name").contains("\nmidge_ready 1\n"));
    assert!(get(&metrics, "/healthz", "any.name").ends_with("\r\n\r\nok\n"));
    assert!(get(&metrics, "/v1/status", &metrics).starts_with("HTTP/1.1 404 "));
    for addr in [&http, &metrics] {
        let answer = ask(addr, &format!("POST /v1/leave HTTP/1.1\r\nHost: {addr}"));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains("\"code\":\"forbidden\""), "{answer}");
    }
    assert_eq!(agent.get("/v1/status").unwrap()["leaving"], false);
}

/// Silent clients over TCP take no place from the Unix socket.
#[test]
fn a_crowd_over_tcp_does_not_starve_the_unix_socket() {
    let agent = with_tcp();
    let http = listens(&agent, "http");
    let crowd: Vec<TcpStream> = (0..40).map(|_| connect(&http)).collect();
    eventually("the crowd is there", || {
        let stats = agent.get("/v1/stats")?;
        if stats["api_busy"].as_u64() >= Some(34) { Ok(()) } else { Err(stats.to_string()) }
    });
    for _ in 0..50 {
        agent.get("/v1/status").expect("an answer");
    }
    drop(crowd);
    eventually("there is a place again", || {
        let answer = ask(&http, "GET /healthz HTTP/1.1\r\nHost: localhost");
        if answer.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(answer) }
    });
}

/// A connection for which the system keeps little, so that who does not read is soon noticed.
fn connect_narrow(addr: &str) -> TcpStream {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
    let socket = socket.expect("a socket");
    setsockopt(&socket, sockopt::RcvBuf, &2_048).expect("it can be that small");
    setsockopt(&socket, sockopt::TcpMaxSeg, &536).expect("it can be that small");
    let address: SocketAddrV4 = addr.parse().expect("an address");
    connect_to(socket.as_raw_fd(), &SockaddrIn::from(address)).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    stream
}

/// Asks for the events after this one over TCP, and reads until there is this in the answer.
fn events_after(http: &str, id: &str, awaited: &str) -> String {
    let mut stream = connect(http);
    let head = format!("Host: {http}\r\nLast-Event-ID: {id}");
    write!(stream, "GET /v1/events HTTP/1.1\r\n{head}\r\n\r\n").expect("it reads");
    let (mut answer, mut space) = (String::new(), [0; 4_096]);
    while !answer.contains(awaited) {
        let bytes = stream.read(&mut space).expect("more of the answer");
        assert!(bytes > 0, "no {awaited} in {answer}");
        answer += core::str::from_utf8(&space[..bytes]).expect("all of it is ASCII");
    }
    answer
}

/// Event clients that do not read cost their places for ten seconds, and nobody else anything. Who
/// comes again is told how much has gone by.
#[test]
fn readers_that_stop_reading() {
    let agents = cluster_with(2, |at| {
        let mut more = vec!["--period=50".to_string()];
        more.push(if at == 0 { "--http=127.0.0.1:0".into() } else { long_tag() });
        Options { more, ..Options::default() }
    });
    let http = listens(&agents[0], "http");
    let turn = |at: u32| {
        let (status, _) = agents[1].post(&format!("/v1/tags?set=turn={at}")).expect("an answer");
        assert_eq!(status, 200);
        eventually("the change is known", || {
            let listing = agents[0].get(&format!("/v1/members?tag=turn={at}"))?;
            let found = listing["members"].as_array().is_some_and(|rows| rows.len() == 1);
            if found { Ok(()) } else { Err(listing.to_string()) }
        });
    };
    // More than the system keeps for four that do not read.
    (0..130).for_each(turn);
    let mut stuck: Vec<TcpStream> = (0..4).map(|_| connect_narrow(&http)).collect();
    for stream in &mut stuck {
        let request = format!("GET /v1/events?since=0 HTTP/1.1\r\nHost: {http}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        stream.read_exact(&mut [0; 1]).expect("an answer");
    }
    let refused = ask(&http, &format!("GET /v1/events HTTP/1.1\r\nHost: {http}"));
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    (130..280).for_each(turn);
    eventually("they are given up", || {
        let stats = agents[0].get("/v1/stats")?;
        if stats["api_timeouts"] == 4 { Ok(()) } else { Err(stats.to_string()) }
    });
    let mut had = String::new();
    stuck[0].read_to_string(&mut had).expect("what had been sent");
    assert!(!had.ends_with("\r\n0\r\n\r\n"), "it is cut short");
    let id = had.lines().find_map(|line| line.strip_prefix("id: ")).expect("the first event");
    let lost = events_after(&http, id, "\"event\":\"lost\"");
    let count = lost.split("\"count\":").nth(1).expect("how many");
    let count: u64 = count.split('}').next().and_then(|n| n.parse().ok()).expect("a number");
    assert!((20..100).contains(&count), "{lost}");
    assert!(!agents[0].log().contains("member_suspected"), "{}", agents[0].log());
}

/// It makes events long: every byte of it is escaped.
fn long_tag() -> String {
    format!("--tag=pad={}", "\"".repeat(100))
}

#[test]
fn addresses_that_cannot_be_listened_on() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("an address").to_string();
    let start = |option: &str| {
        let api = std::env::temp_dir().join(format!("midge-tcp-{}", std::process::id()));
        let api = format!("--api={}", api.display());
        midge(&["agent", "--bind=127.0.0.1:0", &api, option])
    };
    for option in ["http", "metrics"] {
        let output = start(&format!("--{option}={addr}"));
        assert_eq!(output.status.code(), Some(1));
        let words = stderr(&output);
        assert!(words.contains(&format!("cannot listen on {addr}: another program")), "{words}");
        assert!(words.contains(&format!("choose another with --{option} ADDR:PORT")), "{words}");
        let output = start(&format!("--{option}=localhost"));
        assert_eq!(output.status.code(), Some(2));
        let words = stderr(&output);
        assert!(words.contains(&format!("--{option}: `localhost`: ")), "{words}");
        let variable = format!("MIDGE_{}", option.to_uppercase());
        let output = command(&["agent"]).env(&variable, "10.0.0.1:x").output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
        let words = stderr(&output);
        assert!(words.contains(&format!("{variable}: `10.0.0.1:x`: ")), "{words}");
    }
}

/// An agent that is started again listens at once, although connections of the last one linger.
#[test]
fn the_same_port_again() {
    let first = with_tcp();
    let http = listens(&first, "http");
    let mut kept = connect(&http);
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    kept.read_exact(&mut [0; 9]).expect("an answer");
    drop(first);
    let again =
        Agent::start(&Options { more: vec![format!("--http={http}")], ..Options::default() });
    assert!(again.log().contains(&format!(" http={http} ")), "{}", again.log());
    let ended = kept.read_to_end(&mut Vec::new());
    let reset = |error: std::io::Error| error.kind() == ErrorKind::ConnectionReset;
    assert!(ended.is_ok() || ended.is_err_and(reset));
}
