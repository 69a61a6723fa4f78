//! Forgetting members, changing tags and the log level.

use super::*;

/// A fleet of four: two that live, one that has failed, and one that has left.
fn with_failures() -> World<Fleet> {
    let mut world = Fleet::world(4);
    world.app.nodes[3].leave(world.now);
    world.app.run(Duration::from_secs(10));
    world.app.nodes.truncate(2);
    world.app.run(Duration::from_secs(120));
    world.now = world.app.now;
    let status = world.app.nodes[0].status();
    assert_eq!((status.alive, status.failed, status.left), (2, 1, 1));
    world
}

fn state(world: &World<Fleet>, at: usize) -> Option<State> {
    world.app.nodes[0].member(address(at)).map(|member| member.state)
}

#[test]
fn a_failed_member_is_forgotten_by_address_name_or_id() {
    let id = format!("{:016x}", 2 * 0x0123_4567_89ab_u64);
    for node in ["10.0.0.3:6434", "10.0.0.3", "node-2", &id] {
        let mut world = with_failures();
        assert_eq!(state(&world, 2), Some(State::Failed));
        for _ in 0..2 {
            let answer = world.post(&format!("/v1/forget?node={node}"));
            assert_eq!(answer.text(), "{\"forgotten\":\"10.0.0.3:6434\"}\n", "{node}");
        }
        assert_eq!(state(&world, 2), Some(State::Left), "{node}");
        world.app.run(Duration::from_secs(5));
        let told = world.app.nodes[1].member(address(2)).unwrap().state;
        assert_eq!(told, State::Left, "the others are told");
    }
}

#[test]
fn what_is_not_forgotten() {
    let mut world = with_failures();
    for (query, status, part) in [
        ("", 400, "say which member"),
        ("?node=a&node=b", 400, "node: given more than once"),
        (&format!("?node={}", "x".repeat(65)), 400, "node: too long"),
        ("?node=", 400, "say which member"),
        ("?node=node-9", 404, "no such member"),
        ("?node=10.9.9.9", 404, "no such member"),
        ("?node=0000000000000000", 404, "no such member"),
        ("?node=node-1", 409, "node 'node-1': it is alive"),
        ("?node=node-0", 409, "it is alive"),
    ] {
        let answer = world.post(&format!("/v1/forget{query}"));
        assert_eq!(answer.status, status, "{query}");
        let error = json(&answer);
        assert!(error["error"].as_str().unwrap().contains(part), "{query}: {error}");
    }
    assert_eq!(state(&world, 2), Some(State::Failed));
}

#[test]
fn a_name_that_several_have_is_not_enough() {
    let mut fleet = Fleet::new(3);
    for at in 1..3 {
        let config = Config { epoch: 1_700_000_000_000, ..Config::new("twin", address(at)) };
        fleet.nodes[at].init(&config, [at as u8; 32], at as u64, fleet.now).unwrap();
        fleet.nodes[at].join(fleet.now, address(0)).unwrap();
    }
    fleet.run(Duration::from_secs(5));
    let mut world = World::with(fleet);
    world.now = world.app.now;
    let answer = world.post("/v1/forget?node=twin");
    assert_eq!((answer.status, &json(&answer)["code"]), (409, &"conflict".into()));
    assert!(answer.text().contains("give an address"));
}

#[test]
fn tags_are_set_and_removed_one_by_one() {
    let mut world = Fleet::world(2);
    let own = |world: &World<Fleet>| world.app.nodes[0].status().own.tags.to_string();
    assert_eq!(own(&world), "zone=a,note=\"quoted\\\" value");
    for (query, tags) in [
        ("set=role=db", "zone=a,note=\"quoted\\\" value,role=db"),
        ("remove=note", "zone=a,role=db"),
        ("set=zone=b%26c%3Dd", "role=db,zone=b&c=d"),
        ("set=role=", "zone=b&c=d,role="),
        ("set=role=", "zone=b&c=d,role="),
        ("remove=zone", "role="),
        ("remove=role", ""),
        ("remove=role", ""),
        ("remove=", ""),
        ("set=a=%C3%BC", "a=\u{fc}"),
    ] {
        let answer = world.post(&format!("/v1/tags?{query}"));
        assert_eq!((answer.status, own(&world).as_str()), (200, tags), "{query}");
        let told = json(&answer)["tags"].as_object().unwrap().len();
        assert_eq!(told, tags.split(',').filter(|tag| !tag.is_empty()).count(), "{query}");
    }
    world.app.run(Duration::from_secs(3));
    assert_eq!(world.app.nodes[1].member(address(0)).unwrap().tags, "a=\u{fc}");
}

#[test]
fn tags_that_cannot_be() {
    let mut world = Fleet::world(1);
    let before = world.app.nodes[0].status().own.tags.to_string();
    let long = format!("set=long={}", "x".repeat(110));
    for (query, status, part) in [
        ("", 400, "one tag a time"),
        ("set=a=b&set=c=d", 400, "one tag a time"),
        ("set=a=b&remove=zone", 400, "one tag a time"),
        ("set=a=b,c=d", 400, "one tag a time"),
        ("set=a", 400, "tag 'a': "),
        ("set=", 400, "tag '': "),
        ("set==b", 400, "tag '=b': "),
        ("set=a=%0a", 400, "tag 'a="),
        ("set=a=%zz", 400, "one tag a time"),
        (&long, 400, "tag 'long="),
    ] {
        let answer = world.post(&format!("/v1/tags?{query}"));
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        let error = json(&answer);
        assert!(error["error"].as_str().unwrap().starts_with(part), "{query}: {error}");
    }
    assert_eq!(world.app.nodes[0].status().own.tags, before);
    world.app.nodes[0].leave(world.now);
    let answer = world.post("/v1/tags?set=a=b");
    assert_eq!((answer.status, &json(&answer)["code"]), (409, &"conflict".into()));
}

#[test]
fn log_levels_that_are_none() {
    let mut world = Fleet::world(1);
    for query in ["", "?level=", "?level=loud", "?level=INFO", "?level=info&level=warn"] {
        let answer = world.post(&format!("/v1/log{query}"));
        assert_eq!(
            (answer.status, &json(&answer)["code"]),
            (400, &"bad_request".into()),
            "{query}"
        );
        assert!(answer.text().contains("error, warn, info, debug, trace"));
    }
}
