//! What the agent says in the log: its first words, one line an event, and its state on request.

use std::net::SocketAddr;

use midge::event::{Change, Event};
use midge::wire::Refusal;
use midge::{Node, Reject};

use crate::logger;

/// Members that a state dump lists; `midge members` has them all.
const DUMPED_MEMBERS: usize = 256;

/// The line that says who this is, and the one that says what it will do.
pub(super) fn greet<const N: usize>(
    node: &Node<N>,
    bound: SocketAddr,
    api: &str,
    seeds: &[SocketAddr],
) {
    let status = node.status();
    log::info!(
        "midge={} addr={} bind={bound} cluster={} api={} name={}",
        env!("CARGO_PKG_VERSION"),
        status.own.address,
        status.cluster,
        api,
        status.own.name,
    );
    match seeds {
        [] => log::info!(
            "alone: no --join. This is the first node of a cluster. Join another one: midge agent \
             --join ADDR, or now: midge join ADDR"
        ),
        [seed] => log::info!("joining 1 seed: {seed}"),
        [first, ..] => log::info!("joining {} seeds: {first}, ...", seeds.len()),
    }
}

/// Logs an event. Routine is `info`, what an operator may have to act on is `warn`.
pub(super) fn event<const N: usize>(node: &Node<N>, event: &Event) {
    match *event {
        Event::Joined => joined(node),
        Event::NoAnswer => log::warn!(
            "event=no_answer seeds={}: nobody has answered for 10 s: not running, filtered, \
             another cluster name than {}, or {} is not where they reach this node",
            node.status().seeds.len(),
            node.status().cluster,
            node.status().own.address,
        ),
        Event::Isolated => log::warn!("event=isolated: nothing heard for 10 periods"),
        Event::Left => log::info!("event=left"),
        Event::Member { change, address, incarnation, .. } => {
            let name = node.member(address).map_or("", |member| member.name);
            let level = match change {
                Change::Failed => log::Level::Warn,
                _ => log::Level::Info,
            };
            let change = change_name(change);
            // A name is known when its member has told it, which may be later. It comes last,
            // because it may have spaces.
            let key = if name.is_empty() { "" } else { " name=" };
            log::log!(level, "event={change} addr={address} incarnation={incarnation}{key}{name}");
        }
        Event::AddressConflict { address } if address == node.status().own.address => log::warn!(
            "event=address_conflict addr={address}: another live node uses the address of this \
             one; give one of them another --advertise or --bind"
        ),
        Event::AddressConflict { address } => log::warn!(
            "event=address_conflict addr={address}: two live nodes use it; the older one stays"
        ),
        Event::NameConflict { first, second } => {
            let name = node.member(first).map_or("", |member| member.name);
            log::warn!("event=name_conflict addr={first} other={second} name={name}");
        }
        Event::ForeignCluster { from } => log::warn!(
            "event=foreign_cluster from={from}: packets of another cluster, or damaged ones"
        ),
        Event::ParameterMismatch { address, period_ms } => log::warn!(
            "event=parameter_mismatch addr={address} period_ms={period_ms} own_period_ms={}",
            node.status().period_ms,
        ),
        Event::TableFull { address } => log::warn!(
            "event=table_full addr={address} capacity={}: refused, no row is free",
            node.status().capacity,
        ),
        Event::Partial(partial) => log::warn!("event=partial partial={partial}"),
        Event::Refused { by, reason } => {
            log::warn!("event=refused by={by} reason={}", refusal_name(reason));
        }
        // The core may learn to tell more than this version of the agent knows.
        _ => log::info!("event=other"),
    }
}

fn joined<const N: usize>(node: &Node<N>) {
    let status = node.status();
    match status.alive + status.suspect {
        0 | 1 => log::info!("event=joined: the first node, ready"),
        members => log::info!("event=joined: {members} members"),
    }
}

/// The name of a change in the log.
fn change_name(change: Change) -> &'static str {
    match change {
        Change::Joined => "member_joined",
        Change::Suspected => "member_suspected",
        Change::Recovered => "member_recovered",
        Change::Failed => "member_failed",
        Change::Left => "member_left",
        Change::Updated => "member_updated",
        Change::Forgotten => "member_forgotten",
    }
}

fn refusal_name(reason: Refusal) -> &'static str {
    match reason {
        Refusal::Full => "full: the table of that member has no free row",
        Refusal::Protocol => "protocol: no protocol version in common, upgrade the older one",
        Refusal::Conflict => "conflict: another live node uses this address",
    }
}

/// Writes the state to the log, at every level: the node, its counters, its members.
pub(super) fn dump<const N: usize>(node: &Node<N>, send_dropped: u64) {
    let status = node.status();
    logger::always(format_args!(
        "dump addr={} incarnation={} alive={} suspect={} failed={} left={} capacity={} \
         health={} digest={:08x} joined={} isolated={} leaving={} partial={} seeds={}",
        status.own.address,
        status.own.incarnation,
        status.alive,
        status.suspect,
        status.failed,
        status.left,
        status.capacity,
        status.health,
        status.digest,
        status.joined,
        status.isolated,
        status.leaving,
        status.partial,
        status.seeds.len(),
    ));
    let stats = node.stats();
    logger::always(format_args!(
        "dump datagrams_in={} datagrams_out={} bytes_in={} bytes_out={} send_dropped={send_dropped} \
         probes={} probes_failed={} refutations={} reconciliations={} rtt_us={}",
        stats.datagrams_in,
        stats.datagrams_out,
        stats.bytes_in,
        stats.bytes_out,
        stats.probes,
        stats.probes_failed,
        stats.refutations,
        stats.reconciliations,
        stats.rtt_us,
    ));
    for reason in Reject::ALL {
        let count = stats.rejects[reason.index()];
        if count > 0 {
            logger::always(format_args!("dump reject={reason} count={count}"));
        }
    }
    let mut left_out = 0;
    for (listed, (_, member)) in node.members(0).enumerate() {
        if listed >= DUMPED_MEMBERS {
            left_out += 1;
            continue;
        }
        logger::always(format_args!(
            "dump member={} state={} incarnation={} rtt_us={} name={}",
            member.address, member.state, member.incarnation, member.rtt_us, member.name,
        ));
    }
    if left_out > 0 {
        logger::always(format_args!("dump members_left_out={left_out}"));
    }
    logger::always(format_args!("dump end"));
}
