//! Others on the same network: another cluster, a second node at an address, an attacker.

use midge::rng::Rng;
use midge::wire::{Builder, Challenge, Details, Header, Hello, Token, header};
use midge::{Address, Incarnation};

use super::{HEAL_WITHIN, JOIN_WITHIN, empty, fleet_size, formed, ms, on, pick, start_all};
use crate::harness::{HostId, MS, Rules, SECOND, Scope, Start, Violation};
use crate::runner::{Outcome, Params, Report, Scenario};

/// Two clusters, each with a seed of the other by mistake.
pub(crate) const FOREIGN: Scenario =
    Scenario { name: "foreign_cluster", seeds: 10, nodes: 50, run: foreign };

fn foreign(params: Params) -> Outcome {
    let mut world = empty(params, Rules::default());
    let mut report = Report::default();
    let count = fleet_size(params);
    for host in 0..count {
        let cluster = (host % 2) as u8;
        let own_seed = usize::from(cluster);
        let start = Start { cluster, ..Start::with_seeds(&[own_seed, 1 - own_seed]) };
        world.start(host, &start);
    }
    let both = world.settle("both clusters", Scope::Cluster, JOIN_WITHIN)?;
    report.figure("both_one_view_ms", ms(both));
    world.stay("apart", Scope::Cluster, 60 * SECOND)?;
    // A machine changes sides: its old cluster goes on knocking at its address.
    let host = pick(&mut world, count, 1)[0];
    let process = on(&world, host);
    world.stop(process);
    let cluster = 1 - (host % 2) as u8;
    world.start(host, &Start { cluster, ..Start::with_seeds(&[usize::from(cluster)]) });
    world.settle("it changed sides", Scope::Cluster, 20 * SECOND)?;
    if world.events.get("foreign_cluster").copied().unwrap_or(0) == 0 {
        return Err(Violation("no event told of the foreign cluster".into()));
    }
    world.stay("apart still", Scope::Cluster, 60 * SECOND)?;
    report.close(world)
}

/// A second node at an address in use: each gets half of the packets. Nobody else suffers, the
/// conflict is told, and the older one stays.
pub(crate) const TWO_AT_ONE: Scenario =
    Scenario { name: "two_at_one_address", seeds: 10, nodes: 50, run: two_at_one };

fn two_at_one(params: Params) -> Outcome {
    let mut world = formed(params, Rules::default())?;
    let mut report = Report::default();
    let count = fleet_size(params);
    let host = pick(&mut world, count, 1)[0];
    let older = on(&world, host);
    let newer = world.start(host, &Start::with_seeds(&[0]));
    world.processes[older].exempt = true;
    world.processes[newer].exempt = true;
    // It cannot get all it is sent, and so need not know all.
    world.processes[newer].partial = true;
    let before = world.processes[older].own.len();
    world.run_for(60 * SECOND)?;
    if world.events.get("address_conflict").copied().unwrap_or(0) == 0 {
        return Err(Violation("no event told of the conflict".into()));
    }
    let escalated = world.processes[older].own.len() - before;
    report.figure("older_refuted_times", escalated as u64);
    report.figure("it_was_failed_times", world.totals.failed_exempt);
    world.stop(newer);
    let healed = world.settle_quiet("one of the two is gone", Scope::Cluster, HEAL_WITHIN)?;
    report.figure("healed_one_view_ms", ms(healed));
    world.stay("after the conflict", Scope::Cluster, 20 * SECOND)?;
    report.close(world)
}

/// An attacker who has recorded everything and replays it in any order, from any address that is
/// no member's, and from members' own.
pub(crate) const REPLAY: Scenario =
    Scenario { name: "replay_attack", seeds: 10, nodes: 50, run: replay };

fn replay(params: Params) -> Outcome {
    let mut world = empty(params, Rules { hostile: true, ..Rules::default() });
    let mut report = Report::default();
    world.recording = Some(crate::harness::hostile::Recording::default());
    let count = fleet_size(params);
    let strangers = world.add_strangers(5);
    start_all(&mut world, 0..count, &[0], 50 * MS)?;
    world.settle("forming", Scope::Cluster, JOIN_WITHIN)?;
    let hosts = pick(&mut world, count, 3);
    // What the attacker has includes lives that are over.
    for &host in &hosts[1..] {
        let process = on(&world, host);
        world.stop(process);
        world.run_for(SECOND)?;
        world.start(host, &Start::with_seeds(&[0]));
    }
    world.run_for(5 * SECOND)?;
    let leaver = on(&world, hosts[0]);
    world.leave(leaver);
    world.run_for(10 * SECOND)?;
    for _ in 0..6_000 {
        world.run_for(10 * MS)?;
        let Some(packet) = world.any_recorded() else { continue };
        let to = world.between(0, count as u64 - 1) as usize;
        let stranger = strangers + world.between(0, 4) as usize;
        // From its true source to its true target, too: a network could do that by itself.
        let original = world.rng.below(4) == 0;
        let source =
            if original { world.host_of(packet.from).unwrap_or(stranger) } else { stranger };
        world.inject(source, if original { packet.to } else { to }, &packet.bytes);
    }
    world.recording = None;
    let quiet = world.settle_quiet("the attack is over", Scope::Cluster, HEAL_WITHIN)?;
    report.figure("then_quiet_ms", ms(quiet));
    report.close(world)
}

/// An attacker who knows the cluster's name and forges introductions from addresses that it cannot
/// receive at, guesses tokens, and names others' addresses as its own.
pub(crate) const FORGED: Scenario =
    Scenario { name: "forged_introductions", seeds: 10, nodes: 50, run: forged };

fn forged(params: Params) -> Outcome {
    let mut world = formed(params, Rules { hostile: true, ..Rules::default() })?;
    let mut report = Report::default();
    let count = fleet_size(params);
    let victims = world.add_strangers(20);
    for _ in 0..10_000 {
        world.run_for(5 * MS)?;
        let source = victims + world.between(0, 9) as usize;
        let other = victims + world.between(10, 19) as usize;
        let to = world.between(0, count as u64 - 1) as usize;
        let advertised = (world.rng.below(3) == 0).then(|| world.address(other));
        let bytes = forge(&mut world.rng, advertised);
        world.inject(source, to, &bytes);
    }
    let answered = |host: HostId| world.hosts[host].spoofed_bytes;
    let asked: u64 = (victims..victims + 20).map(|host| answered(host).0).sum();
    let got: u64 = (victims..victims + 20).map(|host| answered(host).1).sum();
    report.figure("answered_percent", got * 100 / asked.max(1));
    world.stay("under attack", Scope::Cluster, 10 * SECOND)?;
    report.close(world)
}

fn token(rng: &mut Rng) -> Token {
    let [a, b, c, d, ..] = rng.next().to_le_bytes();
    Token([a, b, c, d])
}

/// A datagram of a stranger: a hello, a challenge, an acknowledgement of a ping never sent.
fn forge(rng: &mut Rng, advertised: Option<Address>) -> Vec<u8> {
    let epoch = 1_750_000_000_000 + u64::from(rng.below(1 << 30));
    let header = Header {
        advertised,
        leaving: rng.below(8) == 0,
        incarnation: Incarnation { epoch, refutation: rng.below(3) },
        digest: rng.next() as u32,
        ..Header::default()
    };
    let mut buffer = [0; midge::limits::MTU_BYTES];
    let mut builder = Builder::new(&mut buffer);
    header.encode(&mut builder);
    let [life @ .., _, _, _, _] = rng.next().to_le_bytes();
    let details = Details {
        life,
        id: rng.next(),
        protocol_low: 1,
        protocol_high: 1,
        period_ms: 1_000,
        name: "stranger",
        tags: "",
        later: &[],
    };
    match rng.below(4) {
        0 => {
            let hello = Hello { token: token(rng), echo: None, uptime_s: rng.below(100), details };
            hello.encode(&mut builder);
        }
        1 => {
            let echo = Some(token(rng));
            let hello = Hello { token: token(rng), echo, uptime_s: rng.below(100), details };
            hello.encode(&mut builder);
        }
        2 => {
            let challenge = Challenge { token: token(rng), echo: Some(token(rng)), observed: None };
            challenge.encode(&mut builder);
        }
        _ => {
            details.encode(&mut builder);
        }
    }
    header::seal("fleet", &mut builder);
    builder.bytes().to_vec()
}
