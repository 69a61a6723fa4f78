//! A fleet is upgraded node by node to a build that speaks a later protocol, and back.

use midge::limits::MTU_BYTES;
use midge::wire::{Builder, Details, Header, Token, header, kind, probe};

use super::{fleet_size, formed, ms, on};
use crate::harness::dialect::{Heard, LATER, dress, undress};
use crate::harness::later::needs_later;
use crate::harness::{Build, HostId, MS, Rules, SECOND, Scope, Start, Violation, World};
use crate::runner::{Outcome, Params, Report, Scenario};

/// Every node is replaced by one of a later build, and then by one of this build again, some by
/// leaving and some by a crash. All the while there is one view, and nobody is taken for dead.
pub(crate) const NODE_BY_NODE: Scenario =
    Scenario { name: "upgrade", seeds: 8, nodes: 20, run: node_by_node };

/// How long all may take to see one node replaced, and the protocol in use with it.
const REPLACED_WITHIN: u64 = 5 * SECOND;

fn node_by_node(params: Params) -> Outcome {
    let mut world = formed(params, Rules::default())?;
    let mut report = Report::default();
    let count = fleet_size(params);
    let mut slowest = 0;
    for build in [Build::Later, Build::This] {
        for host in shuffled(&mut world, count) {
            let replaced = replace(&mut world, host, build)?;
            slowest = replaced.max(slowest);
        }
        world.stay("all are replaced", Scope::Cluster, 20 * SECOND)?;
    }
    report.figure("replaced_ms_slowest", ms(slowest));
    let heard = world.heard_later.get();
    report.figure("later_pings", heard.pings);
    if [heard.extras, heard.fields, heard.pings, heard.acks].contains(&0) {
        return Err(Violation(format!("void: of the later protocol was heard only {heard:?}")));
    }
    if world.events.contains_key("member_failed") {
        return Err(Violation("a member was taken for dead".into()));
    }
    if skipped(&world) == 0 {
        return Err(Violation("void: no unknown section was ever skipped".into()));
    }
    report.close(world)
}

/// All hosts in a random order, the seed as well.
fn shuffled(world: &mut World, count: usize) -> Vec<HostId> {
    let mut hosts: Vec<HostId> = (0..count).collect();
    for k in 0..count {
        let other = world.between(k as u64, count as u64 - 1) as usize;
        hosts.swap(k, other);
    }
    hosts
}

/// Replaces the node of a host, and waits until all agree and use the protocol that all understand.
fn replace(world: &mut World, host: HostId, build: Build) -> Result<u64, Violation> {
    let process = on(world, host);
    if world.rng.below(2) == 0 {
        world.leave(process);
        let gone = |world: &mut World| world.hosts[host].running.is_empty();
        if !world.run_until(world.now + 4 * SECOND, gone)? {
            return Err(Violation(format!("n{host} does not end after it has left")));
        }
    } else {
        world.stop(process);
    }
    let away = world.between(10 * MS, SECOND);
    world.run_for(away)?;
    let from = world.now;
    let other = usize::from(host == 0);
    world.start(host, &Start { build, ..Start::with_seeds(&[other]) });
    world.settle_quiet("replaced", Scope::Cluster, REPLACED_WITHIN)?;
    let later = world.well().all(|p| world.processes[p].build == Build::Later);
    let right = if later { LATER } else { 1 };
    if !world.run_until(from + REPLACED_WITHIN, |world| all_use(world, right))? {
        return Err(Violation(format!("not all have come to use protocol {right}")));
    }
    Ok(world.now - from)
}

fn all_use(world: &World, protocol: u8) -> bool {
    let nodes = world.processes.iter().filter_map(|process| process.node.as_ref());
    nodes.into_iter().all(|node| node.status().protocol == protocol)
}

/// Sections that the nodes which run now have skipped.
fn skipped(world: &World) -> u64 {
    let nodes = world.processes.iter().filter_map(|process| process.node.as_ref());
    nodes.map(|node| u64::from(node.stats().unknown_sections)).sum()
}

/// One node that speaks the later protocol before all do is found at once.
pub(crate) fn impatience_is_found() {
    let mut world = World::new(1, Rules::default());
    world.add_hosts(4);
    for host in 0..4 {
        let build = if host == 2 { Build::Impatient } else { Build::This };
        world.start(host, &Start { build, ..Start::with_seeds(&[0]) });
    }
    let violation = world.run_for(10 * SECOND).expect_err("it was not found");
    assert!(violation.0.contains("what that cannot understand"), "it was taken for: {violation}");
}

/// What is put on is taken off again; a field behind the details stays: this build has to skip it.
pub(crate) fn the_later_protocol_is_undone() {
    let details = Details {
        life: [1; 4],
        id: 2,
        protocol_low: 1,
        protocol_high: LATER,
        period_ms: 1_000,
        name: "n",
        tags: "k=v",
        later: &[],
    };
    let mut buffer = [0; MTU_BYTES];
    let mut builder = Builder::new(&mut buffer);
    Header::default().encode(&mut builder);
    for kind in [kind::PING, kind::ACK, kind::NACK] {
        probe::encode_number(&mut builder, kind, Token([kind; 4]));
    }
    details.encode(&mut builder);
    header::seal("c", &mut builder);
    let plain = builder.bytes().to_vec();
    for (in_use, translated) in [(1, 0), (2, 1)] {
        let dressed = dress("c", &plain, in_use);
        assert_eq!(needs_later("c", &dressed), translated > 0);
        let mut heard = Heard::default();
        let undressed = undress("c", &dressed, &mut heard);
        let expected = Heard { extras: 1, fields: 1, pings: translated, acks: translated };
        assert_eq!(heard, expected);
        assert_eq!(undressed.len(), plain.len() + 2);
    }
}
