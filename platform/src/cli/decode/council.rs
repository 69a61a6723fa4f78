//! What a message of the council says. The fields are those of `docs/wire.md`.

use midge::Address;
use midge::council::{Append, Body, Report, State, Voters};
use midge::wire::CouncilSection;

use super::output::Output;
use crate::text::parts;

/// A message; who sent it from where is not looked at.
#[inline(never)]
pub(super) fn message(output: &mut Output<'_>, section: &CouncilSection<'_>) {
    let Some(message) = section.decode(Address::NONE, Address::NONE) else {
        return output.flag("malformed", true);
    };
    output.hex("cluster", message.cluster, 16);
    output.hex("from", message.from.id, 16);
    output.hex("to", message.to.id, 16);
    output.number("term", message.term.token());
    match &message.body {
        Body::PreVote { id } => numbers(output, "id_term id_seq", &[id.term.token(), id.seq]),
        Body::PreVoted { granted } => output.flag("granted", *granted),
        Body::Vote { id, transfer } => {
            output.flag("transfer", *transfer);
            numbers(output, "id_term id_seq", &[id.term.token(), id.seq]);
        }
        Body::Voted { report } => {
            output.flag("granted", report.is_some());
            if let Some(report) = report {
                promised(output, report);
            }
        }
        Body::Append(it) => append(output, it),
        Body::Ack(ack) => {
            output.flag("bounded", ack.bounded);
            let values = [ack.number, ack.id.term.token(), ack.id.seq];
            numbers(output, "number id_term id_seq", &values);
        }
    }
}

fn promised(output: &mut Output<'_>, report: &Report) {
    output.hex("holder", report.holder, 16);
    let values = [
        report.term.token(),
        report.value.hold.as_micros(),
        report.value.true_ns as u64,
        report.floor.hold.as_micros(),
        report.floor.true_ns as u64,
    ];
    let keys = "holder_term value_hold_us value_true_ns floor_hold_us floor_true_ns";
    numbers(output, keys, &values);
}

fn append(output: &mut Output<'_>, append: &Append) {
    output.flag("stand", append.stand);
    let values = [
        append.number,
        append.id.term.token(),
        append.id.seq,
        append.committed.term.token(),
        append.committed.seq,
        append.promise.hold.as_micros(),
        append.promise.true_ns as u64,
        append.floor.hold.as_micros(),
        append.floor.true_ns as u64,
    ];
    let keys = "number id_term id_seq committed_term committed_seq promise_hold_us \
                promise_true_ns floor_hold_us floor_true_ns";
    numbers(output, keys, &values);
    if let Some(state) = &append.state {
        register(output, state);
    }
}

fn register(output: &mut Output<'_>, state: &State) {
    let constants = &state.constants;
    let values = [
        constants.lease_ms,
        constants.promise_ms,
        constants.drift_ppm,
        constants.heartbeat_ms,
        u32::from(constants.voters),
    ];
    let keys = "lease_ms longest_promise_ms drift_ppm heartbeat_ms voters";
    numbers(output, keys, &values.map(u64::from));
    if let Some(release) = &state.release {
        output.hex("release_holder", release.holder, 16);
        let told = release.told;
        let values = [release.term.token(), told.hold.as_micros(), told.true_ns as u64];
        numbers(output, "release_term release_hold_us release_true_ns", &values);
    }
    voters(output, "old", state.configuration.old_set());
    voters(output, "new", state.configuration.new_set());
}

#[inline(never)]
fn voters(output: &mut Output<'_>, set: &str, voters: &Voters) {
    for voter in voters {
        output.begin(2);
        output.text("set", set);
        output.hex("id", voter.id, 16);
        output.display("addr", &voter.address);
    }
}

/// Fields whose names stand in one text, with a space between.
#[inline(never)]
fn numbers(output: &mut Output<'_>, keys: &str, values: &[u64]) {
    for (key, value) in parts(keys, b' ').zip(values) {
        output.number(key, *value);
    }
}
