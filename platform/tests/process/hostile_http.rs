//! HTTP that is malformed, slow or pipelined, sent to a real agent.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use crate::harness::{Agent, DEADLINE, Options};

fn connect(agent: &Agent) -> UnixStream {
    let stream = UnixStream::connect(agent.api()).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    stream
}

/// Everything that it answers until it ends the connection.
fn rest(mut stream: UnixStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer, and its end");
    answer
}

#[test]
fn malformed_requests_get_their_error_and_change_nothing() {
    let agent = Agent::start(&Options::default());
    let before = agent.members().unwrap();
    for (request, status) in [
        ("nonsense\r\n\r\n", "400"),
        ("POST /v1/leave HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"),
        ("POST /v1/leave HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n", "413"),
    ] {
        let mut stream = connect(&agent);
        stream.write_all(request.as_bytes()).unwrap();
        let answer = rest(stream);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
        assert!(answer.contains("\"error\":"), "{answer}");
    }
    assert_eq!(agent.members().unwrap(), before);
    assert!(!agent.log().contains("leaving"), "{}", agent.log());
}

/// Half a request is told that it is too slow; meanwhile, others are served.
#[test]
fn a_slow_request_is_ended_and_holds_nobody_up() {
    let agent = Agent::start(&Options::default());
    let mut slow = connect(&agent);
    slow.write_all(b"GET /v1/status HTTP/1.1\r\nHo").unwrap();
    for _ in 0..20 {
        agent.get("/v1/status").expect("an answer");
    }
    let answer = rest(slow);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    agent.get("/v1/status").expect("an answer");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let agent = Agent::start(&Options::default());
    let mut stream = connect(&agent);
    let paths = ["/v1/status", "/v1/nonsense", "/v1/members", "/v1/nonsense", "/v1/status"];
    let request = |path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(paths.map(request).concat().as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let answer = rest(stream);
    let statuses: Vec<_> = answer.split("HTTP/1.1 ").skip(1).map(|one| &one[..3]).collect();
    assert_eq!(statuses, ["200", "404", "200", "404", "200"], "{answer}");
}
