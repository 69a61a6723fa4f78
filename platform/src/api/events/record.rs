//! One event: what happened, to whom, and what was true then.

use core::fmt;

use heapless::String;
use log::Level;
use midge::event::{Change, Event};
use midge::limits::{NAME_BYTES, TAGS_BYTES};
use midge::wire::Refusal;
use midge::{Address, Incarnation, Member, Node, State};

use crate::api::{TrueTime, members};
use crate::clock::Trouble;
use crate::http::json::Object;
use crate::http::{Page, Values, fill, none};
use crate::text::{Quoted, cut};

/// The longest event as JSON, bytes: every byte of a name and of tags escaped, and all the rest.
pub const JSON_BYTES: usize = 6 * (NAME_BYTES + TAGS_BYTES) + 512;

/// What happened. Several kinds share a name where only what is to be done about it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Another live member is known.
    Joined,
    /// There is nothing to join.
    First,
    /// Members are known, and nothing is heard of them.
    Isolated,
    /// No seed answers.
    NoAnswer,
    /// There is somebody to join, and no address of anybody.
    NoSeed,
    /// This node has left.
    Left,
    /// A member is alive that was not before.
    MemberJoined,
    /// A member did not answer.
    MemberSuspected,
    /// A member refuted that.
    MemberRecovered,
    /// A member is taken for dead.
    MemberFailed,
    /// A member said that it leaves, or was forgotten by an operator.
    MemberLeft,
    /// A member's name or tags changed, or its life.
    MemberUpdated,
    /// A member's row is gone.
    MemberForgotten,
    /// Another live node uses the address of this one.
    OwnAddressConflict,
    /// Two other live nodes use one address.
    AddressConflict,
    /// Two live members have one name.
    NameConflict,
    /// Packets of another cluster come.
    ForeignCluster,
    /// A member has another period.
    ParameterMismatch,
    /// A newcomer found no free row.
    TableFull,
    /// The fleet is larger than the table, or no longer.
    Partial,
    /// A seed refuses this node: it has no free row.
    RefusedFull,
    /// A seed refuses this node: no protocol in common.
    RefusedProtocol,
    /// A seed refuses this node: its address is another's.
    RefusedConflict,
    /// True time is known, and how well.
    Clock,
    /// True time is not known.
    NoClock,
    /// Of no meaning to this version.
    Other,
    /// Events that are no longer kept.
    Lost,
}

/// Name, and after a space what an operator should know or do. Routine is `info`; what begins with
/// an exclamation mark one may have to act on: it is `warn`.
const KINDS: [&str; 27] = [
    "joined",
    "joined the first node, ready",
    "!isolated nothing heard for 10 periods",
    "!no_answer nobody has answered for 10 s: not running, filtered, another cluster name, or this \
     node's address is not where they reach it",
    "!no_answer no address to ask for 10 s: names do not resolve",
    "left",
    "member_joined",
    "member_suspected",
    "member_recovered",
    "!member_failed",
    "member_left",
    "member_updated",
    "member_forgotten",
    "!address_conflict another live node uses the address of this one; give one of them another \
     --advertise or --bind",
    "!address_conflict two live nodes use it; the older one stays",
    "!name_conflict",
    "!foreign_cluster packets of another cluster, or damaged ones",
    "!parameter_mismatch",
    "!table_full refused, no row is free",
    "!partial",
    "!refused the table of that member has no free row",
    "!refused no protocol version in common, upgrade the older one",
    "!refused another live node uses this address",
    "clock",
    "!clock time is unbounded; midge clock says what to do",
    "other",
    "!lost",
];

impl Kind {
    fn words(self) -> (&'static str, &'static str) {
        let words = KINDS[self as usize];
        let words = words.strip_prefix('!').unwrap_or(words);
        cut(words, b' ').unwrap_or((words, ""))
    }

    /// The name, as in `docs/api.md`.
    pub fn name(self) -> &'static str {
        self.words().0
    }

    pub(crate) fn level(self) -> Level {
        if KINDS[self as usize].starts_with('!') { Level::Warn } else { Level::Info }
    }
}

/// A detail of an event. The first one is all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Value {
    /// Not known.
    Unknown,
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// One of a few words.
    Word(&'static str),
    /// An address.
    Address(Address),
    /// What is wrong with a file of the clock.
    Trouble(Trouble<'static>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Word(word) => f.write_str(word),
            Self::Address(address) => write!(f, "{address}"),
            Self::Trouble(trouble) => write!(f, "\"{trouble}\""),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Detail {
    /// `None` when there is no detail; an `Option` around it all would not be zero then.
    key: Option<&'static str>,
    value: Value,
}

impl Detail {
    const NONE: Self = Self { key: None, value: Value::Unknown };
}

/// A member as it was.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its address; [`Address::NONE`] when the event is about no member.
    pub address: Address,
    /// Its state.
    pub state: State,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its id; 0 = not known or none.
    pub id: u64,
    /// Its name; empty if not known.
    pub name: String<NAME_BYTES>,
    /// Its tags, `key=value` separated by commas; empty if not known.
    pub tags: String<TAGS_BYTES>,
}

/// An event and its time.
#[derive(Clone, Debug)]
pub struct Record {
    /// Which one of this life of the agent, counted from 1.
    pub seq: u64,
    /// When, Unix milliseconds.
    pub time_ms: u64,
    /// What happened.
    pub kind: Kind,
    /// To whom, if it is about a member.
    pub member: Snapshot,
    details: [Detail; 2],
}

impl Record {
    /// All bytes zero.
    pub(super) const EMPTY: Self = Self {
        seq: 0,
        time_ms: 0,
        kind: Kind::Joined,
        member: Snapshot {
            address: Address::NONE,
            state: State::Alive,
            incarnation: Incarnation::ZERO,
            id: 0,
            name: String::new(),
            tags: String::new(),
        },
        details: [Detail::NONE; 2],
    };

    /// Makes it say nothing.
    pub(super) fn clear(&mut self) {
        self.details = [Detail::NONE; 2];
        self.member.address = Address::NONE;
    }

    /// Makes it say what is known of the time.
    pub(super) fn set_clock(&mut self, time: &TrueTime<'static>) {
        self.kind = if time.window().is_some() { Kind::Clock } else { Kind::NoClock };
        self.detail("status", Value::Word(time.status()));
        match (time.trouble(), time.source()) {
            (None, Some(path)) => self.detail("source", Value::Word(path)),
            (Some(trouble), _) => self.detail("trouble", Value::Trouble(trouble)),
            (None, None) => {}
        }
    }

    /// Makes it say what the node has told, and what the node knows about it now.
    pub(super) fn set<const N: usize>(&mut self, node: &Node<N>, event: &Event) {
        let status = node.status();
        self.kind = match *event {
            Event::Joined => {
                let members = status.alive + status.suspect;
                self.number("members", members);
                if members > 1 { Kind::Joined } else { Kind::First }
            }
            Event::Isolated => Kind::Isolated,
            Event::NoAnswer => {
                self.number("seeds", status.seeds.len() as u32);
                self.address("own_addr", status.own.address);
                if status.seeds.is_empty() { Kind::NoSeed } else { Kind::NoAnswer }
            }
            Event::Left => Kind::Left,
            Event::Member { change, address, state, incarnation } => {
                // A row that is gone may have been followed by another life at the same address.
                self.set_member(node, address, Some(incarnation));
                self.member.state = state;
                self.member.incarnation = incarnation;
                kind_of(change)
            }
            Event::AddressConflict { address } => {
                self.address("addr", address);
                let is_own = address == status.own.address;
                if is_own { Kind::OwnAddressConflict } else { Kind::AddressConflict }
            }
            Event::NameConflict { first, second } => {
                self.set_member(node, first, None);
                self.address("other", second);
                Kind::NameConflict
            }
            Event::ForeignCluster { from } => {
                self.address("from", from);
                Kind::ForeignCluster
            }
            Event::ParameterMismatch { address, period_ms } => {
                self.set_member(node, address, None);
                self.number("period_ms", period_ms);
                self.number("own_period_ms", status.period_ms);
                Kind::ParameterMismatch
            }
            Event::TableFull { address } => {
                self.address("addr", address);
                self.number("capacity", status.capacity);
                Kind::TableFull
            }
            Event::Partial(partial) => {
                self.detail("partial", Value::Flag(partial));
                Kind::Partial
            }
            Event::Refused { by, reason } => {
                let (kind, word) = refusal(reason);
                self.address("by", by);
                self.detail("reason", Value::Word(word));
                kind
            }
            // The core may learn to tell more than this version of the agent knows.
            _ => Kind::Other,
        };
    }

    /// What the node holds of the member, in this incarnation if one is given.
    #[inline(never)]
    fn set_member<const N: usize>(
        &mut self,
        node: &Node<N>,
        address: Address,
        incarnation: Option<Incarnation>,
    ) {
        let member = &mut self.member;
        member.address = address;
        member.name.clear();
        member.tags.clear();
        member.id = 0;
        let Some(row) = node.member(address) else { return };
        if incarnation.is_none_or(|incarnation| incarnation == row.incarnation) {
            member.state = row.state;
            member.incarnation = row.incarnation;
            member.id = row.id;
            // What the node holds is no longer than what it may hold.
            let _ = member.name.push_str(row.name);
            let _ = member.tags.push_str(row.tags);
        }
    }

    #[inline(never)]
    fn number(&mut self, key: &'static str, number: u32) {
        self.detail(key, Value::Number(number.into()));
    }

    #[inline(never)]
    fn address(&mut self, key: &'static str, address: Address) {
        self.detail(key, Value::Address(address));
    }

    /// An event has two details at most.
    #[inline(never)]
    pub(super) fn detail(&mut self, key: &'static str, value: Value) {
        let [first, second] = &mut self.details;
        let free = if first.key.is_none() { first } else { second };
        *free = Detail { key: Some(key), value };
    }

    /// Whether it is about a member.
    pub fn has_member(&self) -> bool {
        self.member.address != Address::NONE
    }

    /// All of its JSON after the id.
    pub(super) fn json(&self, page: &mut Page<'_>) {
        let values = Values {
            numbers: &[self.time_ms],
            texts: &[self.kind.name()],
            write: &|page, what, in_json| match what {
                b'm' if self.has_member() => self.member_json(page),
                b'd' if self.details[0].key.is_some() => self.details_json(page),
                _ => none(page, in_json),
            },
        };
        let template = ",\"event\":$a,\"time_ms\":~a,\"member\":!m,\"detail\":!d}";
        fill(page, true, template, &values);
    }

    fn details_json(&self, page: &mut Page<'_>) {
        let mut object = Object::open(page);
        for Detail { key, value } in &self.details {
            let Some(key) = key else { break };
            match value {
                Value::Unknown => none(object.key(key), true),
                Value::Number(number) => object.number(key, *number),
                Value::Flag(flag) => object.flag(key, *flag),
                Value::Word(_) | Value::Address(_) => object.display(key, value),
                Value::Trouble(trouble) => object.display(key, trouble),
            }
        }
        object.close();
    }

    fn member_json(&self, page: &mut Page<'_>) {
        let Snapshot { address, state, incarnation, id, name, tags } = &self.member;
        let (&address, &state, &incarnation, &id) = (address, state, incarnation, id);
        let (rtt_us, own) = (0, false);
        let member = Member { address, state, incarnation, id, name, tags, rtt_us, own };
        members::json(page, &member, "}");
    }
}

impl fmt::Display for Record {
    /// As the log has it: `event=NAME key=value ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (event, note) = self.kind.words();
        write!(f, "event={event}")?;
        let Snapshot { address, incarnation, name, .. } = &self.member;
        if self.has_member() {
            // The name is empty until the member has told it, which may be later.
            let name = Quoted(name);
            write!(f, " addr={address} incarnation={incarnation} name={name}")?;
        }
        for Detail { key, value } in &self.details {
            let Some(key) = key else { break };
            write!(f, " {key}={value}")?;
        }
        if note.is_empty() { Ok(()) } else { write!(f, " note=\"{note}\"") }
    }
}

fn kind_of(change: Change) -> Kind {
    match change {
        Change::Joined => Kind::MemberJoined,
        Change::Suspected => Kind::MemberSuspected,
        Change::Recovered => Kind::MemberRecovered,
        Change::Failed => Kind::MemberFailed,
        Change::Left => Kind::MemberLeft,
        Change::Updated => Kind::MemberUpdated,
        Change::Forgotten => Kind::MemberForgotten,
    }
}

fn refusal(reason: Refusal) -> (Kind, &'static str) {
    match reason {
        Refusal::Full => (Kind::RefusedFull, "full"),
        Refusal::Protocol => (Kind::RefusedProtocol, "protocol"),
        Refusal::Conflict => (Kind::RefusedConflict, "conflict"),
    }
}
