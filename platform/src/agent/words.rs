//! What the agent says in the log: its first words, one line an event, and its state on request.

use core::fmt;

use log::Level;
use midge::{Address, Member, Node, Reject, Status};

use super::advertise::Choice;
use super::api_socket::Door;
use crate::api::events::Record;
use crate::api::{Api, Figure};
use crate::http::Stats;
use crate::logger::{always, say};
use crate::seeds::Seeds;
use crate::socket::SocketPath;
use crate::text::Quoted;

/// Members that a state dump lists; `midge members` has them all.
const DUMPED_MEMBERS: usize = 256;

/// Figures in a line of a state dump.
const FIGURES_A_LINE: usize = 8;

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

/// Says where the API listens beside its Unix socket.
pub(super) fn tell_doors(doors: &[Option<Door>]) {
    for door in doors.iter().flatten() {
        if let Door::Tcp { option, bound, .. } = door {
            info(format_args!("{option}={bound} note=\"for reading, over TCP\""));
        }
    }
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

/// Writes the state to the log, at every level: the node, all figures, its members.
pub(super) fn dump<const N: usize>(api: &Api<'_, N>) {
    let status = api.node.status();
    let (own, digest, leaving) = (&status.own, status.digest, status.leaving);
    let Status { alive, suspect, failed, left, .. } = status;
    dump_line(format_args!(
        "addr={} incarnation={} alive={alive} suspect={suspect} failed={failed} left={left} \
         digest={digest:08x} leaving={leaving}",
        own.address, own.incarnation,
    ));
    for figures in api.figures().chunks(FIGURES_A_LINE) {
        dump_line(format_args!("{}", Pairs(figures)));
    }
    let rejects = api.node.stats().rejects;
    for reason in Reject::ALL {
        let count = rejects[reason.index()];
        if count > 0 {
            dump_line(format_args!("reject={reason} count={count}"));
        }
    }
    let mut left_out = 0;
    for (listed, (_, member)) in api.node.members(0).enumerate() {
        if listed >= DUMPED_MEMBERS {
            left_out += 1;
            continue;
        }
        let Member { address, state, incarnation, rtt_us, .. } = member;
        let name = Quoted(member.name);
        dump_line(format_args!(
            "member={address} state={state} incarnation={incarnation} rtt_us={rtt_us} name={name}"
        ));
    }
    if left_out > 0 {
        dump_line(format_args!("members_left_out={left_out}"));
    }
    dump_line(format_args!("end"));
}

fn dump_line(text: fmt::Arguments<'_>) {
    always(Level::Info, format_args!("dump {text}"));
}

/// Names with their values: `a=1 b=2`.
struct Pairs<'a>(&'a [Figure]);

impl fmt::Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Figure { name, value, .. }) in self.0.iter().enumerate() {
            f.write_str(if at > 0 { " " } else { "" })?;
            f.write_str(name)?;
            write!(f, "={value}")?;
        }
        Ok(())
    }
}
