//! `GET /v1/events` and `GET /readyz`.

use midge::Event;

use super::*;
use crate::api::events::KEPT;
use crate::http::tests::harness::Client;

impl World<Fleet> {
    /// Adds events of no interest.
    fn add(&mut self, count: u64) {
        for _ in 0..count {
            self.app.events.add(&*self.app.nodes[0], &Event::Isolated, 1_800_000_000_000);
        }
        self.server.wake();
    }

    fn follow(&mut self, path: &str, headers: &str) -> Client {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes())
    }
}

/// The body that has come so far, of an answer whose end has not.
fn so_far(client: &Client) -> String {
    let (head, mut rest) = client.text().split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
    let mut body = String::new();
    while let Some((digits, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(digits, 16).unwrap();
        body.push_str(&after[..length]);
        rest = &after[length + 2..];
    }
    body
}

/// The data of a stream of server-sent events, each with its id.
fn sent(client: &Client) -> Vec<(String, Value)> {
    let body = so_far(client);
    let blocks = body.split("\n\n").filter(|block| !block.is_empty() && *block != ":");
    let parse = |block: &str| {
        let (id, data) = block.split_once('\n').unwrap();
        let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        (id.strip_prefix("id: ").unwrap().to_string(), data)
    };
    let events: Vec<(String, Value)> = blocks.map(parse).collect();
    assert!(events.iter().all(|(id, data)| data["id"] == *id));
    events
}

#[test]
fn events_come_as_they_happen() {
    let mut world = Fleet::world(1);
    world.add(3);
    let mut client = world.follow("/v1/events", "Accept: text/event-stream\r\n");
    assert!(client.text().contains("\r\nContent-Type: text/event-stream\r\n"));
    assert_eq!(so_far(&client), "", "only what comes from now on");
    for count in 1..=3 {
        world.add(1);
        world.exchange(&mut client);
        let events = sent(&client);
        assert_eq!(events.len(), count);
        assert_eq!(events[count - 1].0, format!("1234abcd-{}", count + 3));
        assert_eq!(events[count - 1].1["event"], "isolated");
    }
}

#[test]
fn the_events_of_a_fleet_in_every_form() {
    let mut world = Fleet::world(2);
    world.app.tell();
    world.server.wake();
    let since = "/v1/events?since=0";
    let events = sent(&world.follow(since, ""));
    let names: Vec<&str> = events.iter().filter_map(|(_, data)| data["event"].as_str()).collect();
    assert_eq!(names, ["member_joined", "joined"]);
    assert_eq!(events[0].1["member"]["name"], "node-1");
    assert_eq!(events[0].1["member"]["tags"]["zone"], "a");
    let both = "Accept: text/event-stream, application/json;q=0.1\r\n";
    assert_eq!(sent(&world.follow(since, both)).len(), 2);
    let client = world.follow(since, "Accept: application/json\r\n");
    assert!(client.text().contains("\r\nContent-Type: application/x-ndjson\r\n"));
    let lines: Vec<Value> =
        so_far(&client).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().eq(events.iter().map(|(_, data)| data)));
    let client = world.follow(since, "Accept: text/plain\r\n");
    let text = so_far(&client);
    assert!(
        text.starts_with(
            "2027-01-15T08:00:05Z event=member_joined addr=10.0.0.2:6434 \
             incarnation=1700000000000.0 name=node-1 id=1234abcd-1\n"
        ),
        "{text}"
    );
}

#[test]
fn a_reader_goes_on_where_it_was() {
    let mut world = Fleet::world(1);
    world.add(5);
    let ids = |client: &Client| sent(client).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let rest = ["1234abcd-4", "1234abcd-5"];
    assert_eq!(ids(&world.follow("/v1/events?since=1234abcd-3", "")), rest);
    assert_eq!(ids(&world.follow("/v1/events", "last-event-id: 1234abcd-3\r\n")), rest);
    let both = world.follow("/v1/events?since=1234abcd-1", "Last-Event-ID: 1234abcd-3\r\n");
    assert_eq!(ids(&both), rest, "the header is newer than the path");
    assert!(ids(&world.follow("/v1/events?since=1234abcd-5", "")).is_empty());
    let mut late = world.follow("/v1/events?since=1234abcd-5", "");
    world.add(1);
    world.exchange(&mut late);
    assert_eq!(ids(&late), ["1234abcd-6"]);
}

#[test]
fn what_is_no_longer_kept_is_told() {
    let mut world = Fleet::world(1);
    let kept = KEPT as u64;
    world.add(kept + 10);
    for (since, count) in [
        ("1234abcd-3", Value::from(7)),
        ("1234abcd-0", Value::from(10)),
        ("99999999-3", Value::Null),
        ("1234abcd-99999", Value::Null),
    ] {
        let events = sent(&world.follow(&format!("/v1/events?since={since}"), ""));
        assert_eq!(events.len(), 1 + KEPT, "{since}");
        assert_eq!((events[0].0.as_str(), &events[0].1["event"]), ("1234abcd-10", &"lost".into()));
        assert_eq!(events[0].1["detail"]["count"], count, "{since}");
        assert_eq!(events[1].0, "1234abcd-11");
        assert_eq!(events[KEPT].0, format!("1234abcd-{}", kept + 10));
    }
    for since in ["1234abcd-10", "0"] {
        let events = sent(&world.follow(&format!("/v1/events?since={since}"), ""));
        assert_eq!(events.len(), KEPT);
    }
}

/// An agent that has started anew and has nothing to tell yet.
#[test]
fn another_life_without_events() {
    let mut world = Fleet::world(1);
    let mut client = world.follow("/v1/events?since=99999999-3", "");
    let lost = &sent(&client)[0];
    assert_eq!((lost.0.as_str(), &lost.1["time_ms"]), ("1234abcd-0", &Value::Null));
    world.add(1);
    world.exchange(&mut client);
    assert_eq!(sent(&client)[1].0, "1234abcd-1");
}

#[test]
fn since_what_is_no_id() {
    let mut world = Fleet::world(1);
    for since in ["", "5", "x-1", "1234abcd-", "1234abcd-1&since=0", "%zz", &"1".repeat(99)] {
        let answer = world.ask(&get(&format!("/v1/events?since={since}"))).only();
        assert_eq!(
            (answer.status, &json(&answer)["code"]),
            (400, &"bad_request".into()),
            "{since}"
        );
    }
    let mut refused = world.follow("/v1/events", "Last-Event-ID: nonsense\r\n");
    assert_eq!(refused.only().status, 400);
    let client = world.follow("/v1/events", "Last-Event-ID:\r\n");
    assert_eq!(so_far(&client), "", "as if there was none");
}

#[test]
fn a_stream_shows_that_it_is_alive() {
    let mut world = Fleet::world(1);
    for (accept, sign) in
        [("text/event-stream", ":\n\n"), ("application/json", "\n"), ("text/plain", "\n")]
    {
        let mut client = world.follow("/v1/events", &format!("Accept: {accept}\r\n"));
        for count in 0..5 {
            world.exchange(&mut client);
            assert_eq!(so_far(&client), sign.repeat(count), "{accept}");
            world.pass(Duration::from_secs(5));
        }
    }
    assert_eq!(world.server.stats().timeouts, 0);
}

/// A reader that is too slow gets what is kept, and is told of the rest; one that stops reading is
/// closed. Neither holds up anybody.
#[test]
fn slow_readers_lose_events_and_do_not_hold_up_others() {
    let mut world = Fleet::world(1);
    let mut slow = world.follow("/v1/events", "");
    let mut quick = world.follow("/v1/events", "");
    let mut total = 0;
    for _ in 0..200 {
        world.add(KEPT as u64);
        total += KEPT;
        world.exchange(&mut quick);
    }
    assert_eq!(sent(&quick).len(), total);
    world.exchange(&mut slow);
    let events = sent(&slow);
    assert!(events.len() < total, "no socket holds that much");
    let lost: u64 = events.iter().filter_map(|(_, data)| data["detail"]["count"].as_u64()).sum();
    let told = events.iter().filter(|(_, data)| data["event"] != "lost").count() as u64;
    assert_eq!(told + lost, total as u64, "each is told or counted");
    let last = format!("1234abcd-{total}");
    assert_eq!(events.last().unwrap().0, last);

    drop(slow);
    let mut stuck = world.follow("/v1/events", "");
    for _ in 0..200 {
        world.add(KEPT as u64);
        world.exchange(&mut quick);
    }
    world.pass(Duration::from_secs(11));
    assert_eq!(world.server.stats().timeouts, 1);
    stuck.read(usize::MAX);
    assert!(stuck.ended);
}

#[test]
fn eight_may_follow() {
    let mut world = Fleet::world(1);
    let mut followers: Vec<Client> = (0..8).map(|_| world.follow("/v1/events", "")).collect();
    for path in ["/v1/events", "/v1/events?since=0", "/v1/events?since=1-1"] {
        let answer = world.follow(path, "").only();
        assert_eq!((answer.status, &json(&answer)["code"]), (503, &"busy".into()));
    }
    assert_eq!(world.ask(&get("/healthz")).only().status, 200);
    // The place of one that is gone is free at once.
    drop(followers.pop());
    world.settle();
    world.add(2 * KEPT as u64);
    for client in &mut followers {
        world.exchange(client);
        assert_eq!(sent(client).len(), 1 + KEPT);
    }
    followers.push(world.follow("/v1/events?since=0", ""));
    assert_eq!(sent(&followers[7]).len(), KEPT);
}

#[test]
fn a_stream_ends_when_the_node_has_left() {
    let mut world = Fleet::world(1);
    let mut client = world.follow("/v1/events", "");
    world.app.nodes[0].leave(world.now);
    world.app.tell();
    world.server.wake();
    world.exchange(&mut client);
    let answer = client.only();
    assert!(answer.text().contains("\"event\":\"left\""), "{}", answer.text());
}

#[test]
fn only_the_head_of_a_stream() {
    let mut world = Fleet::world(1);
    let client = world.ask(b"HEAD /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(client.text().starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(client.text().ends_with("\r\n\r\n"));
}

#[test]
fn ready_once_joined_until_leaving() {
    let mut world = Fleet::world(1);
    let answer = world.ask(&get("/readyz")).only();
    assert_eq!((answer.status, &json(&answer)["code"]), (503, &"not_ready".into()));
    assert_eq!(world.text_of("/readyz", 503), "not joined yet: no seed has answered\n");
    world.app.ready = true;
    assert_eq!(world.text_of("/readyz", 200), "ok\n");
    world.app.nodes[0].leave(world.now);
    assert_eq!(world.text_of("/readyz", 503), "leaving\n");
    assert_eq!(world.text_of("/healthz", 200), "ok\n");
}
