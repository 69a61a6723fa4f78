//! Slots, deadlines, and clients that cost more than they should.

use super::*;

/// Connections that were idle after a request, so that they can be evicted.
fn idle(world: &mut World, count: usize) -> Vec<Client> {
    (0..count)
        .map(|_| {
            let mut client = world.ask(&get("/hello"));
            client.only();
            client
        })
        .collect()
}

/// Connections with half a request.
fn busy(world: &mut World, count: usize) -> Vec<Client> {
    (0..count).map(|_| world.ask(b"GET /hel")).collect()
}

#[test]
fn the_seventeenth_connection_is_told_busy() {
    let mut world = World::new();
    let mut served = busy(&mut world, SERVED);
    let mut client = world.connect();
    world.exchange(&mut client);
    let answer = client.only();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("Connection"), Some("close"));
    assert_eq!(answer.header("Retry-After"), Some("1"));
    assert_eq!(
        answer.text(),
        "{\"error\":\"all connections are in use; try again\",\"code\":\"busy\"}\n"
    );
    assert!(client.ended);
    assert_eq!(world.server.stats().busy, 1);
    client.send(&get("/hello"));
    world.exchange(&mut client);
    assert_eq!(client.text(), "", "its request goes nowhere, and does not hurt");

    for client in &mut served {
        client.send(b"lo HTTP/1.1\r\nHost: x\r\n\r\n");
        world.exchange(client);
        assert_eq!(client.only().text(), "hello\n");
    }
}

#[test]
fn a_crowd_of_refused_connections_is_told_and_forgotten() {
    let mut world = World::new();
    let mut served = busy(&mut world, SERVED);
    let mut crowd: Vec<Client> = (0..50).map(|_| world.connect()).collect();
    world.settle();
    for client in &mut crowd {
        client.read(usize::MAX);
        assert_eq!(client.only().status, 503);
        assert!(client.ended);
    }
    assert_eq!(world.server.stats().busy, 50);
    served[7].send(b"lo HTTP/1.1\r\nHost: x\r\n\r\n");
    world.exchange(&mut served[7]);
    assert_eq!(served[7].only().text(), "hello\n");
}

#[test]
fn the_longest_idle_connection_makes_room() {
    let mut world = World::new();
    let mut old = Vec::new();
    for _ in 0..SERVED {
        old.append(&mut idle(&mut world, 1));
        world.pass(Duration::from_secs(1));
    }
    // The oldest has just asked something, although the server has not read it yet.
    old[0].send(&get("/hello"));
    let mut client = world.ask(&get("/hello"));
    assert_eq!(client.only().text(), "hello\n");
    world.exchange(&mut old[0]);
    assert_eq!(old[0].only().text(), "hello\n");
    assert_eq!(world.server.stats().evicted, 1);
    for (at, client) in old.iter_mut().enumerate() {
        client.read(1);
        assert_eq!(client.ended, at == 1, "connection {at}");
    }
}

/// Each request is whole within its ten seconds, but none of these connections is ever idle.
#[test]
fn slow_connections_do_not_hold_every_slot_for_ever() {
    let mut world = World::new();
    let mut slow = busy(&mut world, SERVED);
    for _ in 0..3 {
        for client in &mut slow {
            client.send(b"lo HTTP/1.1\r\nHost: x\r\n\r\nGET /hel");
            world.exchange(client);
            assert_eq!(client.only().text(), "hello\n");
            world.pass(Duration::from_millis(500));
        }
    }
    // Two of them have whole requests, which are answered before anybody else is let in.
    for client in &mut slow[..2] {
        client.send(b"lo HTTP/1.1\r\nHost: x\r\n\r\n");
        world.exchange(client);
        assert_eq!(client.only().text(), "hello\n");
    }
    assert_eq!(world.server.stats().timeouts, 0);
    // The two that are idle now make room first, then the one that is sending for longest.
    let mut late = Vec::new();
    for (gone, client) in slow[..3].iter_mut().enumerate() {
        late.append(&mut busy(&mut world, 1));
        assert_eq!(late[gone].text(), "", "it is served");
        assert_eq!(world.server.stats().evicted, gone as u64 + 1);
        client.read(1);
        assert!(client.ended);
    }
    assert_eq!(world.server.stats().busy, 0);
    for client in &mut slow[3..] {
        client.read(1);
        assert!(!client.ended);
    }
}

#[test]
fn a_request_that_waits_for_its_turn_is_not_closed_for_another() {
    let mut world = World::new();
    let mut crowd = idle(&mut world, SERVED);
    for client in &mut crowd {
        client.send(&get("/hello").repeat(50));
    }
    // One round reads them all and answers only the first few of each.
    world.round();
    let mut late = world.connect();
    world.exchange(&mut late);
    assert_eq!(late.only().status, 503);
    assert_eq!(world.server.stats().evicted, 0);
    for client in &mut crowd {
        world.exchange(client);
        assert_eq!(core::iter::from_fn(|| client.take()).count(), 50);
    }
}

#[test]
fn an_idle_connection_may_stay_for_ever() {
    let mut world = World::new();
    let mut client = idle(&mut world, 1).remove(0);
    assert_eq!(world.server.poll_timeout(), None);
    world.pass(Duration::from_secs(1_000_000));
    client.send(&get("/hello"));
    world.exchange(&mut client);
    assert_eq!(client.only().text(), "hello\n");
}

#[test]
fn silence_costs_a_slot_for_ten_seconds() {
    let mut world = World::new();
    let mut client = world.connect();
    world.settle();
    assert_eq!(world.server.poll_timeout(), Some(Instant::ZERO + REQUEST_TIME));
    world.pass(Duration::from_millis(9_999));
    client.read(1);
    assert!(!client.ended);
    world.pass(Duration::from_millis(1));
    client.read(1);
    assert!(client.ended);
    assert_eq!(world.server.stats().timeouts, 1);
    assert_eq!(world.server.poll_timeout(), None);
}

#[test]
fn a_slow_request_is_told_so_after_ten_seconds() {
    for first_served in [false, true] {
        let mut world = World::new();
        let mut client = world.connect();
        if first_served {
            client.send(&get("/hello"));
            world.exchange(&mut client);
            client.only();
            world.pass(Duration::from_secs(100));
        }
        let start = world.now;
        while world.now.since(start) < REQUEST_TIME {
            client.send(b"G");
            world.exchange(&mut client);
            assert_eq!(client.text(), "");
            world.pass(Duration::from_millis(500));
        }
        world.exchange(&mut client);
        let answer = client.only();
        assert_eq!(answer.status, 408);
        assert_eq!(
            answer.text(),
            "{\"error\":\"the request took longer than 10 s\",\"code\":\"bad_request\"}\n"
        );
        assert!(client.ended);
        assert_eq!(world.server.stats().timeouts, 1);
    }
}

#[test]
fn a_body_that_does_not_come_is_a_slow_request() {
    let mut world = World::new();
    let mut client = world.ask(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabc");
    world.pass(REQUEST_TIME);
    world.exchange(&mut client);
    assert_eq!(client.only().status, 408);
    assert!(world.app.seen.is_empty());
}

#[test]
fn an_answer_that_is_not_read_costs_a_slot_for_ten_seconds() {
    let mut world = World::new();
    let mut client = world.connect();
    client.send(&get("/list"));
    world.settle();
    let mut reader = world.ask(&get("/hello"));
    assert_eq!(reader.only().text(), "hello\n", "nobody else is held up");
    world.pass(REQUEST_TIME);
    assert_eq!(world.server.stats().timeouts, 1);
    world.exchange(&mut client);
    assert!(client.ended);
    assert!(client.take().is_none(), "a listing that was cut cannot be taken for a whole one");
}

#[test]
fn a_refused_client_that_does_not_go_is_dropped_after_two_seconds() {
    let mut world = World::new();
    let mut client = world.ask(b"nonsense\r\n\r\n");
    assert_eq!(client.only().status, 400);
    assert!(client.try_send(b"more").is_ok(), "read, and thrown away");
    world.pass(CLOSING_TIME);
    assert!(client.try_send(b"more").is_err());
    assert_eq!(world.server.poll_timeout(), None);
}

#[test]
fn eight_answers_may_wait_and_the_ninth_is_told_busy() {
    let mut world = World::new();
    let mut waiting: Vec<Client> = (0..WAITING).map(|_| world.ask(&get("/wait"))).collect();
    let mut ninth = world.ask(&get("/wait"));
    let answer = ninth.only();
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("\"code\":\"busy\""));
    assert_eq!(world.ask(&get("/hello")).only().text(), "hello\n", "others are served");
    assert_eq!(world.server.stats().busy, 1);

    drop(waiting.pop());
    world.settle();
    let tenth = world.ask(&get("/wait"));
    assert_eq!(tenth.text(), "", "a client that went away waits no more");
    world.app.open = true;
    world.server.wake();
    for client in &mut waiting {
        world.exchange(client);
        assert_eq!(client.only().text(), "opened\n");
    }
}

#[test]
fn a_flood_on_one_connection_does_not_hold_up_another() {
    let mut world = World::new();
    let mut flood = world.connect();
    let mut polite = world.connect();
    world.settle();
    flood.send(&get("/hello").repeat(1_000));
    polite.send(&get("/hello"));
    world.round();
    world.round();
    polite.read(usize::MAX);
    assert_eq!(polite.only().text(), "hello\n");
    assert!(world.server.stats().requests < 20, "a round is short");
}

#[test]
fn a_failure_to_accept_is_counted_and_tried_again() {
    let mut world = World::new();
    world.offer(Err(Errno::EMFILE));
    let mut client = world.connect();
    client.send(&get("/hello"));
    // The event of the connection comes with that of the failure, so nothing more will come.
    world.settle();
    assert_eq!(world.server.stats().accept_errors, 1);
    let retry = world.server.poll_timeout().expect("a time to try again");
    world.now = retry;
    world.exchange(&mut client);
    assert_eq!(client.only().text(), "hello\n");
}

#[test]
fn interrupted_and_aborted_accepts_are_passed_over() {
    let mut world = World::new();
    world.offer(Err(Errno::EINTR));
    world.offer(Err(Errno::ECONNABORTED));
    assert_eq!(world.ask(&get("/hello")).only().text(), "hello\n");
    assert_eq!(world.server.stats().accept_errors, 0);
}

#[test]
fn a_connection_that_goes_away_frees_its_slot() {
    let mut world = World::new();
    for request in [&get("/list")[..], b"GET /hel", b"", &get("/wait"), &get("/feed")] {
        for _ in 0..3 * SERVED {
            let mut client = world.connect();
            client.send(request);
            world.settle();
            drop(client);
            world.settle();
        }
    }
    assert_eq!(world.server.poll_timeout(), None);
    assert_eq!(world.server.stats().busy, 0);
}

#[test]
fn a_client_that_has_ended_its_side_and_been_answered_holds_no_slot() {
    let mut world = World::new();
    let mut clients: Vec<Client> = (0..SERVED).map(|_| world.connect()).collect();
    world.settle();
    for client in &mut clients {
        client.send(&get("/hello"));
        client.half_close();
    }
    world.settle();
    assert_eq!(world.server.poll_timeout(), None);
    assert_eq!(world.ask(&get("/hello")).only().text(), "hello\n");
    assert_eq!(world.server.stats().evicted, 0, "there was a free slot");
    for client in &mut clients {
        client.read(usize::MAX);
        assert_eq!(client.only().text(), "hello\n", "although it had not been read yet");
    }
}
