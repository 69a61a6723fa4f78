//! Datagrams that no member sent, and clients that hold up the API.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;

use midge::limits::MTU_BYTES;
use midge::rng::Rng;
use midge::{Address, Config, Instant, Node};

use crate::harness::{Agent, Options, cluster, cluster_with, eventually, introduced, one_view};

/// A well-formed datagram of the test cluster: what a newcomer sends first.
fn hello(from: Address, to: Address) -> Vec<u8> {
    let mut node = Box::new(Node::<8>::EMPTY);
    let mut config = Config::new("stranger", from);
    config.cluster = "test";
    config.epoch = 1_700_000_000_000;
    let mut now = Instant::from_micros(1);
    node.init(&config, [7; 32], 7, now).expect("a valid configuration");
    node.join(now, to).expect("a usable address");
    let mut buffer = [0; MTU_BYTES];
    loop {
        if let Some(transmit) = node.poll_transmit(now, &mut buffer) {
            assert_eq!(transmit.to, to);
            return buffer[..transmit.len].to_vec();
        }
        now = node.poll_timeout().expect("a joiner has something to do");
        node.handle_timeout(now);
    }
}

/// Sends everything; between batches it waits until the agent answers its API, so that the
/// datagrams are read and do not only fill the socket's buffer.
fn blast(socket: &UdpSocket, agent: &Agent, datagrams: impl Iterator<Item = Vec<u8>>) {
    for (i, datagram) in datagrams.enumerate() {
        // A full buffer is a loss like any other.
        let _ = socket.send_to(&datagram, agent.addr());
        if i % 50 == 0 {
            agent.get("/v1/status").expect("an answer");
        }
    }
}

#[test]
fn noise_changes_nothing_and_is_counted() {
    let agents = cluster_with(3, |_| Options { period_ms: 1_000, ..Options::default() });
    introduced(&agents);
    // States and refutations are not the attacker's alone: a busy machine makes suspicions.
    let lives = |agent: &Agent| -> Vec<_> {
        let rows = agent.members().unwrap();
        rows.into_iter().map(|row| (row.addr, row.name, row.epoch)).collect()
    };
    let before: Vec<_> = agents.iter().map(lives).collect();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let own = Address::from(socket.local_addr().unwrap());
    let target = &agents[0];
    let valid = hello(own, Address::from(target.addr().parse::<std::net::SocketAddr>().unwrap()));

    let mut rng = Rng::new(6434);
    let noise = (0..5_000).map(|_| {
        let len = rng.below(MTU_BYTES as u32 + 400) as usize;
        (0..len).map(|_| rng.next() as u8).collect()
    });
    blast(&socket, target, noise);
    // Its tag covers all of it, so no part of it and no damage to it may pass.
    blast(&socket, target, (0..valid.len()).map(|len| valid[..len].to_vec()));
    let flipped = (0..valid.len() * 8).map(|bit| {
        let mut bytes = valid.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    blast(&socket, target, flipped);
    let oversize = [MTU_BYTES + 1, 1_472, 9_000, 60_000].map(|len| {
        let mut bytes = valid.clone();
        bytes.resize(len, 0);
        bytes
    });
    blast(&socket, target, oversize.into_iter());

    for reason in ["short", "long", "bad_version", "bad_tag"] {
        assert!(target.rejected(reason) > 0, "{reason} was not counted");
    }
    target.logged(&["event=foreign_cluster", &own.to_string()]);
    for (agent, before) in agents.iter().zip(before) {
        assert_eq!(lives(agent), before, "{}", agent.log());
        assert!(!agent.log().contains("event=member_failed"), "{}", agent.log());
    }
    one_view(&agents.iter().collect::<Vec<_>>());
}

/// Somebody introduces itself with the very address of the node it speaks to.
#[test]
fn a_claim_to_the_own_address_is_reported() {
    let agents = cluster(2);
    let target = &agents[0];
    let own = Address::from(target.addr().parse::<std::net::SocketAddr>().unwrap());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let claim = hello(own, Address::v4([127, 0, 0, 1], 9));
    eventually("the conflict is reported", || {
        socket.send_to(&claim, target.addr()).map_err(|error| error.to_string())?;
        target.get("/v1/status")?;
        let log = target.log();
        let event = format!("warn event=address_conflict addr={}", target.addr());
        if log.contains(&event) { Ok(()) } else { Err(log) }
    });
    assert!(target.rejected("own_address") > 0);
    one_view(&agents.iter().collect::<Vec<_>>());
}

/// A stranger who asks again and again gets no more than it sends, and no row.
#[test]
fn a_stranger_who_never_proves_its_address_gets_no_row() {
    let agents = cluster(2);
    let target = &agents[0];
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let own = Address::from(socket.local_addr().unwrap());
    let valid = hello(own, Address::from(target.addr().parse::<std::net::SocketAddr>().unwrap()));
    let mut sent = 0;
    let mut received = 0;
    let mut buffer = [0; 2_000];
    eventually("the agent answers", || {
        for _ in 0..50 {
            sent += socket.send_to(&valid, target.addr()).map_err(|e| e.to_string())?;
        }
        target.get("/v1/status")?;
        while let Ok((len, _)) = socket.recv_from(&mut buffer) {
            received += len;
        }
        if received > 0 { Ok(()) } else { Err("no answer".into()) }
    });
    assert!(received <= sent, "{received} bytes for {sent}");
    assert_eq!(target.members().unwrap().len(), 2);
    one_view(&agents.iter().collect::<Vec<_>>());
}

#[test]
fn refused_clients_are_counted_and_told_once_a_minute() {
    let agent = Agent::start(&Options::default());
    let connect = || UnixStream::connect(agent.api()).expect("it listens");
    let mut slow: Vec<_> = (0..16).map(|_| connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /hel").unwrap();
    }
    for _ in 0..5 {
        let mut answer = String::new();
        connect().read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }
    let dump = agent.dump();
    assert!(dump.contains(" api_busy=5 api_evicted=0 api_accept_errors=0\n"), "{dump}");
    let log = agent.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("event=api_refused")).collect();
    assert!(
        matches!(told[..], [line] if line.contains("warn ") && line.contains(" busy=1 ")),
        "{log}"
    );
}
