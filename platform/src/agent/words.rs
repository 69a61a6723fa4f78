//! What the agent says in the log: its first words, one line an event, and its state on request.

use core::fmt::{self, Write as _};

use log::Level;
use midge::event::{Change, Event};
use midge::wire::Refusal;
use midge::{Address, Node, Reject};

use crate::http::Stats;
use crate::logger::{always, say};
use crate::socket::SocketPath;

/// Members that a state dump lists; `midge members` has them all.
const DUMPED_MEMBERS: usize = 256;

/// A text that others choose, as one value: in quotes unless it is plain, so that it cannot pass
/// for other keys and values.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if self.0.bytes().all(is_plain) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}

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
    seeds: &[Address],
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
    match seeds {
        [] => info(format_args!(
            "alone: no --join. This is the first node of a cluster. Join another one: midge agent \
             --join ADDR, or now: midge join ADDR"
        )),
        [seed] => info(format_args!("joining 1 seed: {seed}")),
        [first, ..] => info(format_args!("joining {} seeds: {first}, ...", seeds.len())),
    }
}

/// Logs an event. Routine is `info`, what an operator may have to act on is `warn`.
pub(super) fn event<const N: usize>(node: &Node<N>, event: &Event) {
    match *event {
        Event::Joined => joined(node),
        Event::NoAnswer => warn(format_args!(
            "event=no_answer seeds={} note=\"nobody has answered for 10 s: not running, filtered, \
             another cluster name than {}, or {} is not where they reach this node\"",
            node.status().seeds.len(),
            node.status().cluster,
            node.status().own.address,
        )),
        Event::Isolated => {
            warn(format_args!("event=isolated note=\"nothing heard for 10 periods\""))
        }
        Event::Left => info(format_args!("event=left")),
        Event::Member { change, address, incarnation, .. } => {
            let name = node.member(address).map_or("", |member| member.name);
            let level = match change {
                Change::Failed => Level::Warn,
                _ => Level::Info,
            };
            let change = change_name(change);
            // It is empty until the member has told it, which may be later.
            let name = Quoted(name);
            say(
                level,
                format_args!("event={change} addr={address} incarnation={incarnation} name={name}"),
            );
        }
        Event::AddressConflict { address } if address == node.status().own.address => {
            warn(format_args!(
                "event=address_conflict addr={address} note=\"another live node uses the address of \
                 this one; give one of them another --advertise or --bind\""
            ))
        }
        Event::AddressConflict { address } => warn(format_args!(
            "event=address_conflict addr={address} note=\"two live nodes use it; the older one stays\""
        )),
        Event::NameConflict { first, second } => {
            let name = Quoted(node.member(first).map_or("", |member| member.name));
            warn(format_args!("event=name_conflict addr={first} other={second} name={name}"));
        }
        Event::ForeignCluster { from } => warn(format_args!(
            "event=foreign_cluster from={from} note=\"packets of another cluster, or damaged ones\""
        )),
        Event::ParameterMismatch { address, period_ms } => warn(format_args!(
            "event=parameter_mismatch addr={address} period_ms={period_ms} own_period_ms={}",
            node.status().period_ms,
        )),
        Event::TableFull { address } => warn(format_args!(
            "event=table_full addr={address} capacity={} note=\"refused, no row is free\"",
            node.status().capacity,
        )),
        Event::Partial(partial) => warn(format_args!("event=partial partial={partial}")),
        Event::Refused { by, reason } => {
            warn(format_args!("event=refused by={by} reason={}", refusal_name(reason)));
        }
        // The core may learn to tell more than this version of the agent knows.
        _ => info(format_args!("event=other")),
    }
}

fn joined<const N: usize>(node: &Node<N>) {
    let status = node.status();
    match status.alive + status.suspect {
        0 | 1 => info(format_args!("event=joined members=1 note=\"the first node, ready\"")),
        members => info(format_args!("event=joined members={members}")),
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

/// The name of a reason, and what it means.
fn refusal_name(reason: Refusal) -> &'static str {
    match reason {
        Refusal::Full => "full note=\"the table of that member has no free row\"",
        Refusal::Protocol => {
            "protocol note=\"no protocol version in common, upgrade the older one\""
        }
        Refusal::Conflict => "conflict note=\"another live node uses this address\"",
    }
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
