//! What is answered over TCP.

use super::*;

impl World<Fleet> {
    fn guest(&mut self, listener: usize, request: &str) -> Answer {
        let mut client = self.connect_to(listener);
        client.send(format!("{request}\r\n\r\n").as_bytes());
        self.exchange(&mut client);
        client.take().expect("an answer")
    }
}

#[test]
fn tcp_is_for_reading() {
    let mut world = Fleet::world(1);
    for path in ["members", "status", "stats"] {
        let request = format!("GET /v1/{path} HTTP/1.1\r\nHost: 127.0.0.1:6435");
        assert_eq!(world.guest(HTTP, &request).status, 200, "{path}");
    }
    for path in ["/metrics", "/healthz"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:6435");
        assert_eq!(world.guest(HTTP, &request).status, 200, "{path}");
    }
    for path in ["leave", "join?addr=10.0.0.9", "forget?node=x", "tags?set=a=b", "log?level=warn"] {
        let request = format!("POST /v1/{path} HTTP/1.1\r\nHost: 127.0.0.1:6435");
        let answer = world.guest(HTTP, &request);
        assert_eq!((answer.status, &json(&answer)["code"]), (403, &"forbidden".into()), "{path}");
        let request = format!("GET /v1/{path} HTTP/1.1\r\nHost: 127.0.0.1:6435");
        assert_eq!(world.guest(HTTP, &request).status, 403, "{path}: changes are not for guests");
        let request = format!(
            "POST /v1/{path} HTTP/1.1\r\nHost: 127.0.0.1:6435\r\nContent-Length: 1\r\n\r\nx"
        );
        assert_eq!(world.guest(HTTP, &request).status, 403, "{path}: with a body, too");
    }
    assert_eq!(world.guest(HTTP, "DELETE /v1/status HTTP/1.1\r\nHost: localhost").status, 405);
    let status = world.app.nodes[0].status();
    assert!(!status.leaving && status.seeds.is_empty());
}

#[test]
fn only_hosts_that_no_page_can_have_are_known() {
    let mut world = Fleet::world(1);
    for host in [
        "127.0.0.1",
        "127.0.0.1:6435",
        "10.0.0.1:80",
        "[::1]:6435",
        "[2001:db8::1]",
        "localhost",
        "LocalHost:6435",
        "node-0",
        "Node-0:6435",
    ] {
        let answer = world.guest(HTTP, &format!("GET /v1/status HTTP/1.1\r\nHost: {host}"));
        assert_eq!(answer.status, 200, "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:6435",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "node-0.evil.example",
        "10.0.0",
        "user@127.0.0.1",
        "localhost:@evil.com",
        "localhost:80x",
        "node-0:99999",
        "",
        "127.0.0.1:99999",
        "\u{fc}",
    ] {
        let answer = world.guest(HTTP, &format!("GET /v1/status HTTP/1.1\r\nHost: {host}"));
        assert_eq!((answer.status, &json(&answer)["code"]), (403, &"forbidden".into()), "{host}");
    }
    assert_eq!(world.guest(HTTP, "GET /v1/status HTTP/1.0").status, 200, "no browser");
    assert_eq!(world.ask(b"GET /v1/status HTTP/1.1\r\nHost: any.name\r\n\r\n").only().status, 200);
}

#[test]
fn pages_of_other_hosts_are_refused() {
    let mut world = Fleet::world(1);
    for (origin, status) in [
        ("http://127.0.0.1:6435", 200),
        ("http://127.0.0.1", 403),
        ("https://127.0.0.1:6435", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("", 403),
    ] {
        let request =
            format!("GET /v1/members HTTP/1.1\r\nHost: 127.0.0.1:6435\r\nOrigin: {origin}");
        assert_eq!(world.guest(HTTP, &request).status, status, "{origin}");
    }
}

/// What a browser says of a picture or a script, which has no origin.
#[test]
fn pages_of_other_sites_are_refused() {
    let mut world = Fleet::world(1);
    for (site, status) in [("same-origin", 200), ("none", 200), ("Cross-Site", 403)] {
        for listener in [HTTP, METRICS] {
            let request =
                format!("GET /metrics HTTP/1.1\r\nHost: 10.0.0.1\r\nSec-Fetch-Site: {site}");
            assert_eq!(world.guest(listener, &request).status, status, "{site}");
        }
    }
    let request = "GET /metrics HTTP/1.1\r\nHost: any.name\r\nOrigin: http://other.name";
    assert_eq!(world.guest(METRICS, request).status, 403);
    let request = "GET /metrics HTTP/1.1\r\nHost: any.name\r\nOrigin: http://any.name";
    assert_eq!(world.guest(METRICS, request).status, 200);
}

/// Prometheus and load balancers come by any name.
#[test]
fn metrics_and_health_alone() {
    let mut world = Fleet::world(1);
    for (path, status) in [
        ("/metrics", 200),
        ("/healthz", 200),
        ("/readyz", 503),
        ("/v1/members", 404),
        ("/v1/status", 404),
        ("/v1/events", 404),
        ("/", 404),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: node-0.example.com:6435");
        assert_eq!(world.guest(METRICS, &request).status, status, "{path}");
    }
    assert_eq!(world.guest(METRICS, "POST /v1/leave HTTP/1.1\r\nHost: x").status, 403);
    assert_eq!(world.guest(METRICS, "POST /metrics HTTP/1.1\r\nHost: x").status, 403);
    assert!(!world.app.nodes[0].status().leaving);
}
