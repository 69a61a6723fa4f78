//! The council's messages and its durable record, as bytes. `docs/council.md` says what they mean.
//!
//! | size | what |
//! |---|---|
//! | 8 | cluster |
//! | 8 | the sender's node id |
//! | 8 | the receiver's node id |
//! | 1 to 8 | term, varint |
//! | | what is said |
//!
//! The addresses of sender and receiver are those of the datagram.

use super::codec::{Builder, Flaw, Reader};
use super::{header, kind};
use crate::address::Address;
use crate::council::promise::NEVER_NS;
use crate::council::{
    Ack, Append, Body, Configuration, Constants, Id, Message, Record, Release, Report, State, Term,
    Told, Voter, Voters,
};
use crate::limits::{MTU_BYTES, VOTERS};
use crate::time::Duration;

#[cfg(test)]
mod tests;

/// The longest hold that is well formed, microseconds: an hour, several times the longest promise
/// that constants allow.
pub const HOLD_US_MAX: u64 = 3_600_000_000;

/// The largest record, bytes.
pub const RECORD_BYTES_MAX: usize = 3 * 8 + TERM_BYTES + ID_BYTES + STATE_BYTES;

/// The largest section, bytes: an append with a register.
pub const SECTION_BYTES_MAX: usize =
    3 + 3 * 8 + TERM_BYTES + 1 + 10 + 2 * ID_BYTES + 2 * TOLD_BYTES + STATE_BYTES;

/// Below 2^53.
const TERM_BYTES: usize = 8;
const ID_BYTES: usize = TERM_BYTES + 10;
/// Below 2^33, and an instant.
const TOLD_BYTES: usize = 5 + 8;
const VOTERS_BYTES: usize = 1 + VOTERS * (8 + 1 + 18);
const CONSTANTS_BYTES: usize = 4 * 3 + 1;
/// A register without its id.
const STATE_BYTES: usize = 2 * VOTERS_BYTES + CONSTANTS_BYTES + 1 + TERM_BYTES + 8 + TOLD_BYTES;

const _: () = assert!(ID_BYTES + STATE_BYTES <= 600, "a register is small");
const _: () = assert!(header::BYTES_MAX + SECTION_BYTES_MAX <= MTU_BYTES);

/// Bits of an append's flags; the others are 0.
mod flag {
    /// The receiver is to stand now.
    pub(super) const STAND: u8 = 1;
    /// The id is committed, and stands once.
    pub(super) const COMMITTED: u8 = 2;
    /// The register follows.
    pub(super) const STATE: u8 = 4;
    pub(super) const ALL: u8 = 7;
}

/// A message that nobody has looked into yet: membership alone has no use for it, and no code to
/// read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CouncilSection<'a> {
    kind: u8,
    body: &'a [u8],
}

impl<'a> CouncilSection<'a> {
    /// Takes the body of a type of section.
    pub(super) fn read(kind: u8, reader: &mut Reader<'a>) -> Self {
        Self { kind, body: reader.take_all() }
    }

    /// Its type, one of [`kind`].
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.kind
    }

    /// The message that one address sent to another; `None` if it is not exactly one.
    #[must_use]
    pub fn decode(&self, from: Address, to: Address) -> Option<Message> {
        let mut reader = Reader::new(self.body);
        let mut message = read_message(self.kind, &mut reader);
        (message.from.address, message.to.address) = (from, to);
        (reader.is_empty() && reader.failure().is_none()).then_some(message)
    }

    /// Why it is not exactly one message, and how many bytes were left to be read then.
    pub(super) fn failure(&self) -> Option<(usize, Flaw)> {
        let mut reader = Reader::new(self.body);
        read_message(self.kind, &mut reader);
        let behind = (!reader.is_empty()).then_some((reader.len(), Flaw::Behind));
        reader.failure().or(behind)
    }
}

/// Appends a message as a section; `false`, and nothing appended, if there is no room.
pub fn encode(message: &Message, builder: &mut Builder<'_>) -> bool {
    let kind = match &message.body {
        Body::PreVote { .. } => kind::PRE_VOTE,
        Body::PreVoted { .. } => kind::PRE_VOTED,
        Body::Vote { .. } => kind::VOTE,
        Body::Voted { .. } => kind::VOTED,
        Body::Append(_) => kind::APPEND,
        Body::Ack(_) => kind::APPEND_ACK,
    };
    builder.section(kind, |b| {
        put_ids(b, [message.cluster, message.from.id, message.to.id]);
        put_term(b, message.term);
        put_body(b, &message.body);
        true
    })
}

/// A message between addresses that are not known.
#[inline(never)]
fn read_message(kind: u8, r: &mut Reader<'_>) -> Message {
    let cluster = r.u64();
    let [from, to] = [r.u64(), r.u64()].map(|id| Voter { id, address: Address::NONE });
    let body = Body::PreVoted { granted: false };
    let mut message = Message { cluster, from, to, term: read_term(r), body };
    read_body(kind, r, &mut message.body);
    message
}

/// In place, as all that is large here: moves would be much of the code.
#[inline(never)]
fn read_body(kind: u8, r: &mut Reader<'_>, body: &mut Body) {
    match kind {
        kind::PRE_VOTE => *body = Body::PreVote { id: read_id(r) },
        kind::PRE_VOTED => *body = Body::PreVoted { granted: read_bool(r) },
        kind::VOTE => *body = Body::Vote { transfer: read_bool(r), id: read_id(r) },
        kind::VOTED => *body = Body::Voted { report: read_bool(r).then(|| read_report(r)) },
        kind::APPEND => read_append(r, body),
        _ => {
            let (bounded, number) = (read_bool(r), r.varint_u64());
            *body = Body::Ack(Ack { number, id: read_id(r), bounded });
        }
    }
}

fn put_body(b: &mut Builder<'_>, body: &Body) {
    match body {
        Body::PreVote { id } => put_id(b, *id),
        Body::PreVoted { granted } => put_bool(b, *granted),
        Body::Vote { id, transfer } => {
            put_bool(b, *transfer);
            put_id(b, *id);
        }
        Body::Voted { report } => {
            put_bool(b, report.is_some());
            if let Some(report) = report {
                put_report(b, report);
            }
        }
        Body::Append(append) => put_append(b, append),
        Body::Ack(ack) => {
            put_bool(b, ack.bounded);
            b.put_varint(ack.number);
            put_id(b, ack.id);
        }
    }
}

#[inline(never)]
fn read_append(r: &mut Reader<'_>, body: &mut Body) {
    let flags = r.byte();
    r.check(flags <= flag::ALL);
    let number = r.varint_u64();
    let id = read_id(r);
    let is_committed = flags & flag::COMMITTED != 0;
    let committed = if is_committed { id } else { read_id(r) };
    r.check(is_committed == (committed == id));
    let (promise, floor) = (read_told(r), read_told(r));
    let stand = flags & flag::STAND != 0;
    let state = (flags & flag::STATE != 0).then(|| empty_state(id));
    *body = Body::Append(Append { number, id, committed, promise, floor, stand, state });
    if let Body::Append(Append { state: Some(state), .. }) = body {
        read_state(r, state);
    }
}

fn put_append(b: &mut Builder<'_>, append: &Append) {
    let is_committed = append.committed == append.id;
    let mut flags = if append.stand { flag::STAND } else { 0 };
    flags |= if is_committed { flag::COMMITTED } else { 0 };
    flags |= if append.state.is_some() { flag::STATE } else { 0 };
    b.put(&[flags]);
    b.put_varint(append.number);
    put_id(b, append.id);
    if !is_committed {
        put_id(b, append.committed);
    }
    put_told(b, append.promise);
    put_told(b, append.floor);
    if let Some(state) = &append.state {
        debug_assert!(state.id == append.id, "the register is that of the id");
        put_state(b, state);
    }
}

/// [`State::EMPTY`], but made by code, which is smaller than its image.
fn empty_state(id: Id) -> State {
    let (configuration, constants) = (Configuration::default(), Constants::NONE);
    State { id, configuration, constants, release: None }
}

/// Fills in a register, but for its id.
#[inline(never)]
fn read_state(r: &mut Reader<'_>, state: &mut State) {
    for set in state.configuration.sets_mut() {
        read_voters(r, set);
    }
    r.check(state.configuration.is_sound());
    state.constants = Constants {
        lease_ms: r.varint(),
        promise_ms: r.varint(),
        drift_ppm: r.varint(),
        heartbeat_ms: r.varint(),
        voters: r.byte(),
    };
    r.check(state.constants.are_valid());
    if read_bool(r) {
        let (term, holder) = (read_term(r), r.u64());
        state.release = Some(Release { term, holder, told: read_told(r) });
    }
}

fn put_state(b: &mut Builder<'_>, state: &State) {
    put_voters(b, state.configuration.old_set());
    put_voters(b, state.configuration.new_set());
    let constants = &state.constants;
    debug_assert!(constants.are_valid(), "nobody would accept these constants");
    for value in
        [constants.lease_ms, constants.promise_ms, constants.drift_ppm, constants.heartbeat_ms]
    {
        b.put_varint(value);
    }
    b.put(&[constants.voters]);
    put_bool(b, state.release.is_some());
    if let Some(release) = &state.release {
        put_term(b, release.term);
        put_ids(b, [release.holder]);
        put_told(b, release.told);
    }
}

/// How many, and of each its id and its address.
fn read_voters(r: &mut Reader<'_>, voters: &mut Voters) {
    let count = r.byte();
    r.check(usize::from(count) <= VOTERS);
    for _ in 0..count {
        let voter = Voter { id: r.u64(), address: r.address_of_family() };
        if voters.push(voter).is_err() {
            break;
        }
    }
}

fn put_voters(b: &mut Builder<'_>, voters: &Voters) {
    b.put(&[voters.len() as u8]);
    for voter in voters {
        put_ids(b, [voter.id]);
        b.put_address_of_family(&voter.address);
    }
}

fn read_report(r: &mut Reader<'_>) -> Report {
    Report { holder: r.u64(), term: read_term(r), value: read_told(r), floor: read_told(r) }
}

fn put_report(b: &mut Builder<'_>, report: &Report) {
    put_ids(b, [report.holder]);
    put_term(b, report.term);
    put_told(b, report.value);
    put_told(b, report.floor);
}

/// A promise: the hold in microseconds, times 2; plus 1 if an instant of true time follows.
fn read_told(r: &mut Reader<'_>) -> Told {
    let packed = r.varint_u64();
    let hold_us = packed >> 1;
    let bounded = packed & 1 != 0;
    let true_ns = if bounded { r.u64() as i64 } else { NEVER_NS };
    r.check(hold_us <= HOLD_US_MAX && bounded == (true_ns > NEVER_NS));
    Told { true_ns, hold: Duration::from_micros(hold_us) }
}

fn put_told(b: &mut Builder<'_>, told: Told) {
    let hold_us = told.hold.as_micros();
    let bounded = told.true_ns > NEVER_NS;
    debug_assert!(hold_us <= HOLD_US_MAX, "nobody would accept this hold");
    b.put_varint(hold_us << 1 | u64::from(bounded));
    if bounded {
        b.put_number(told.true_ns as u64, 8);
    }
}

fn read_id(r: &mut Reader<'_>) -> Id {
    Id { term: read_term(r), seq: r.varint_u64() }
}

fn put_id(b: &mut Builder<'_>, id: Id) {
    put_term(b, id.term);
    b.put_varint(id.seq);
}

fn read_term(r: &mut Reader<'_>) -> Term {
    let term = Term::from_token(r.varint_u64());
    r.check(term.is_some());
    term.unwrap_or_default()
}

fn put_term(b: &mut Builder<'_>, term: Term) {
    b.put_varint(term.token());
}

fn put_ids<const COUNT: usize>(b: &mut Builder<'_>, ids: [u64; COUNT]) {
    for id in ids {
        b.put_number(id, 8);
    }
}

fn read_bool(r: &mut Reader<'_>) -> bool {
    let byte = r.byte();
    r.check(byte <= 1);
    byte == 1
}

fn put_bool(b: &mut Builder<'_>, value: bool) {
    b.put(&[u8::from(value)]);
}

/// Writes a record as it lies on a disk, without a check of its bytes, and returns its length: at
/// most [`RECORD_BYTES_MAX`]. `None` if the buffer is too small.
pub fn encode_record(record: &Record, buffer: &mut [u8]) -> Option<usize> {
    let mut builder = Builder::new(buffer);
    let fits = builder.all(|b| {
        put_ids(b, [record.cluster, record.node, record.voted_for]);
        put_term(b, record.term);
        put_id(b, record.state.id);
        put_state(b, &record.state);
    });
    fits.then_some(builder.len())
}

/// The record of such bytes; `None` if they are not the one encoding of one.
pub fn decode_record(bytes: &[u8]) -> Option<Record> {
    let mut reader = Reader::new(bytes);
    let r = &mut reader;
    let mut record = Record {
        cluster: r.u64(),
        node: r.u64(),
        voted_for: r.u64(),
        term: read_term(r),
        state: empty_state(read_id(r)),
    };
    read_state(r, &mut record.state);
    let whole = reader.is_empty() && reader.failure().is_none();
    whole.then_some(record)
}
