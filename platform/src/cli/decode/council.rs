//! What a message of the council says. The fields are those of `docs/wire.md`.

use midge::Address;
use midge::council::promise::NEVER_NS;
use midge::council::{Append, Body, Id, State, Told, Voters};
use midge::wire::CouncilSection;

use super::output::Output;

/// A message; who sent it from where is not looked at.
#[inline(never)]
pub(super) fn message(output: &mut Output<'_>, section: &CouncilSection<'_>) {
    let message = section.decode(Address::NONE, Address::NONE);
    output.hex("cluster", message.cluster, 16);
    output.hex("from", message.from.id, 16);
    output.hex("to", message.to.id, 16);
    output.number("term", message.term.token());
    match &message.body {
        Body::PreVote { id: it } => id(output, ["id_term", "id_seq"], *it),
        Body::PreVoted { granted } => output.flag("granted", *granted),
        Body::Vote { id: it, transfer } => {
            output.flag("transfer", *transfer);
            id(output, ["id_term", "id_seq"], *it);
        }
        Body::Voted { report } => {
            output.flag("granted", report.is_some());
            if let Some(report) = report {
                output.hex("holder", report.holder, 16);
                output.number("holder_term", report.term.token());
                told(output, ["value_hold_us", "value_true_ns"], report.value);
                told(output, ["floor_hold_us", "floor_true_ns"], report.floor);
            }
        }
        Body::Append(it) => append(output, it),
        Body::Ack(ack) => {
            output.flag("bounded", ack.bounded);
            output.number("number", ack.number);
            id(output, ["id_term", "id_seq"], ack.id);
        }
    }
}

fn append(output: &mut Output<'_>, append: &Append) {
    output.flag("stand", append.stand);
    output.number("number", append.number);
    id(output, ["id_term", "id_seq"], append.id);
    id(output, ["committed_term", "committed_seq"], append.committed);
    told(output, ["promise_hold_us", "promise_true_ns"], append.promise);
    told(output, ["floor_hold_us", "floor_true_ns"], append.floor);
    if let Some(state) = &append.state {
        register(output, state);
    }
}

fn register(output: &mut Output<'_>, state: &State) {
    let constants = &state.constants;
    for (key, value) in [
        ("lease_ms", constants.lease_ms),
        ("promise_ms", constants.promise_ms),
        ("drift_ppm", constants.drift_ppm),
        ("heartbeat_ms", constants.heartbeat_ms),
        ("voters", u32::from(constants.voters)),
    ] {
        output.number(key, u64::from(value));
    }
    if let Some(release) = &state.release {
        output.number("release_term", release.term.token());
        output.hex("release_holder", release.holder, 16);
        told(output, ["release_hold_us", "release_true_ns"], release.told);
    }
    voters(output, "old", state.configuration.old_set());
    voters(output, "new", state.configuration.new_set());
}

fn voters(output: &mut Output<'_>, set: &str, voters: &Voters) {
    for voter in voters {
        output.begin(2);
        output.text("set", set);
        output.hex("id", voter.id, 16);
        output.display("addr", &voter.address);
    }
}

fn id(output: &mut Output<'_>, [term, seq]: [&str; 2], id: Id) {
    output.number(term, id.term.token());
    output.number(seq, id.seq);
}

/// A promise, with its instant if it has one.
fn told(output: &mut Output<'_>, [hold_us, true_ns]: [&str; 2], told: Told) {
    output.number(hold_us, told.hold.as_micros());
    if told.true_ns != NEVER_NS {
        output.number(true_ns, told.true_ns as u64);
    }
}
