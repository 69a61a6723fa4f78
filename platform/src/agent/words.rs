//! What the agent says in the log: its first words, one line an event, and its state on request.

use core::fmt;

use log::Level;
use midge::{Address, Node, Reject};

use super::advertise::Choice;
use crate::api::events::Record;
use crate::http::Stats;
use crate::logger::{always, say};
use crate::seeds::Seeds;
use crate::socket::SocketPath;
use crate::text::Quoted;

/// Members that a state dump lists; `midge members` has them all.
const DUMPED_MEMBERS: usize = 256;

fn info(text: fmt::Arguments<'_>) {
    say(Level::Info, text);
}

fn warn(text: fmt::Arguments<'_>) {
    say(Level::Warn, text);
}

/// The line that says who this is, and the one that says what it will do.
pub(super) fn greet<const N: usize>(
    node: &Node<N>,
    bound: Address,
    api: SocketPath,
    seeds: &Seeds,
) {
    let status = node.status();
    info(format_args!(
        "midge={} addr={} bind={bound} cluster={} api={} name={}",
        env!("CARGO_PKG_VERSION"),
        status.own.address,
        status.cluster,
        api,
        Quoted(status.own.name),
    ));
    let mut targets = seeds.targets();
    match (targets.next(), targets.count()) {
        (None, _) if seeds.is_waiting() => {
            info(format_args!("joining, as soon as seeds are named"))
        }
        (None, _) => info(format_args!(
            "alone: no --join. This is the first node of a cluster. Join another one: midge agent \
             --join HOST, or now: midge join HOST"
        )),
        (Some(seed), 0) => info(format_args!("joining 1 seed: {seed}")),
        (Some(first), more) => info(format_args!("joining {} seeds: {first}, ...", more + 1)),
    }
}

/// Warns if the address may not be the one that others reach.
pub(super) fn warn_address(choice: &Choice) {
    let why = match choice {
        Choice { guessed: true, .. } => "no name has resolved yet, so this is a guess",
        Choice { loopback: true, .. } => "only this machine reaches this address",
        _ => return,
    };
    let address = choice.address;
    warn(format_args!(
        "addr={address} note=\"{why}; say which one others reach with --advertise ADDR\""
    ));
}

/// Logs an event.
pub(super) fn event(event: &Record) {
    say(event.kind.level(), format_args!("{event}"));
}

/// Says that clients of the API were refused. The counts are since the start.
pub(super) fn refusals(api: &Stats) {
    warn(format_args!(
        "event=api_refused busy={} accept_errors={} note=\"more clients than the API has room for\"",
        api.busy, api.accept_errors,
    ));
}

/// Writes the state to the log, at every level: the node, its counters and those of the API, its
/// members.
pub(super) fn dump<const N: usize>(node: &Node<N>, send_dropped: u64, api: &Stats) {
    let status = node.status();
    always(
        Level::Info,
        format_args!(
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
        ),
    );
    let stats = node.stats();
    always(
        Level::Info,
        format_args!(
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
        ),
    );
    always(
        Level::Info,
        format_args!(
            "dump api_connections={} api_requests={} api_refused={} api_timeouts={} api_busy={} \
         api_evicted={} api_accept_errors={}",
            api.connections,
            api.requests,
            api.refused,
            api.timeouts,
            api.busy,
            api.evicted,
            api.accept_errors,
        ),
    );
    for reason in Reject::ALL {
        let count = stats.rejects[reason.index()];
        if count > 0 {
            always(Level::Info, format_args!("dump reject={reason} count={count}"));
        }
    }
    let mut left_out = 0;
    for (listed, (_, member)) in node.members(0).enumerate() {
        if listed >= DUMPED_MEMBERS {
            left_out += 1;
            continue;
        }
        always(
            Level::Info,
            format_args!(
                "dump member={} state={} incarnation={} rtt_us={} name={}",
                member.address,
                member.state,
                member.incarnation,
                member.rtt_us,
                Quoted(member.name),
            ),
        );
    }
    if left_out > 0 {
        always(Level::Info, format_args!("dump members_left_out={left_out}"));
    }
    always(Level::Info, format_args!("dump end"));
}
