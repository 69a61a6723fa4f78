//! Connections through other listeners than the first: they leave places at home.

use super::*;

fn guests(world: &mut World, count: usize, request: &[u8]) -> Vec<Client> {
    let one = |world: &mut World| {
        let mut client = world.connect_to(1);
        client.send(request);
        world.exchange(&mut client);
        client
    };
    (0..count).map(|_| one(world)).collect()
}

#[test]
fn guests_are_answered_like_others() {
    let mut world = World::new();
    for mut client in guests(&mut world, 3, &get("/list")) {
        assert_eq!(client.only().text().lines().count(), ROWS as usize);
    }
}

#[test]
fn a_crowd_of_guests_leaves_places() {
    let mut world = World::new();
    let held = guests(&mut world, GUESTS, b"GET /hel");
    let mut crowd = guests(&mut world, 20, &get("/hello"));
    for client in &mut crowd {
        assert_eq!(client.only().status, 503);
    }
    for _ in 0..3 {
        for _ in GUESTS..SERVED {
            assert_eq!(world.ask(&get("/hello")).only().text(), "hello\n");
        }
    }
    for mut client in held {
        client.send(b"lo HTTP/1.1\r\nHost: x\r\n\r\n");
        world.exchange(&mut client);
        assert_eq!(client.only().text(), "hello\n");
    }
}

/// As many as may wait do so at home, and silent guests have all the places they may have.
#[test]
fn streams_and_a_crowd_of_guests_leave_places_at_home() {
    let mut world = World::new();
    let _streams: Vec<Client> = (0..WAITING).map(|_| world.ask(&get("/wait"))).collect();
    let _crowd = guests(&mut world, SERVED, b"");
    for _ in 0..3 {
        assert_eq!(world.ask(&get("/hello")).only().text(), "hello\n");
    }
}

#[test]
fn guests_make_place_among_themselves() {
    let mut world = World::new();
    let mut home = world.ask(&get("/hello"));
    world.pass(Duration::from_secs(1));
    let mut idle = guests(&mut world, GUESTS, &get("/hello"));
    let mut late = guests(&mut world, 1, &get("/hello"));
    assert_eq!(late[0].only().text(), "hello\n");
    assert_eq!(world.server.stats().evicted, 1);
    home.read(usize::MAX);
    assert!(!home.ended, "it is idle for longest, and no guest");
    idle[0].read(usize::MAX);
    assert!(idle[0].ended);
}

#[test]
fn guests_that_wait_leave_half_of_the_places_to_wait() {
    let mut world = World::new();
    let held = guests(&mut world, GUESTS_WAITING, &get("/wait"));
    let mut refused = guests(&mut world, 1, &get("/wait"));
    assert_eq!(refused[0].only().status, 503);
    let mut all = held;
    all.extend((GUESTS_WAITING..WAITING).map(|_| world.ask(&get("/wait"))));
    assert_eq!(world.ask(&get("/wait")).only().status, 503);
    world.app.open = true;
    world.server.wake();
    for client in &mut all {
        world.exchange(client);
        assert_eq!(client.only().text(), "opened\n");
    }
}
