//! One event: what happened, to whom, and what was true then.

use core::fmt;

use heapless::String;
use log::Level;
use midge::event::{Change, Event};
use midge::limits::{NAME_BYTES, TAGS_BYTES};
use midge::wire::Refusal;
use midge::{Address, Incarnation, Member, Node, State};

use crate::api::members;
use crate::http::json::Object;
use crate::text::Quoted;

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
    /// Of no meaning to this version.
    Other,
    /// Events that are no longer kept.
    Lost,
}

/// Name, level, and what an operator should know or do. Routine is `info`; what one may have to act
/// on is `warn`.
const KINDS: [(&str, Level, &str); 24] = [
    ("joined", Level::Info, ""),
    ("joined", Level::Info, "the first node, ready"),
    ("isolated", Level::Warn, "nothing heard for 10 periods"),
    (
        "no_answer",
        Level::Warn,
        "nobody has answered for 10 s: not running, filtered, another cluster name, or this \
         node's address is not where they reach it",
    ),
    ("left", Level::Info, ""),
    ("member_joined", Level::Info, ""),
    ("member_suspected", Level::Info, ""),
    ("member_recovered", Level::Info, ""),
    ("member_failed", Level::Warn, ""),
    ("member_left", Level::Info, ""),
    ("member_updated", Level::Info, ""),
    ("member_forgotten", Level::Info, ""),
    (
        "address_conflict",
        Level::Warn,
        "another live node uses the address of this one; give one of them another --advertise or \
         --bind",
    ),
    ("address_conflict", Level::Warn, "two live nodes use it; the older one stays"),
    ("name_conflict", Level::Warn, ""),
    ("foreign_cluster", Level::Warn, "packets of another cluster, or damaged ones"),
    ("parameter_mismatch", Level::Warn, ""),
    ("table_full", Level::Warn, "refused, no row is free"),
    ("partial", Level::Warn, ""),
    ("refused", Level::Warn, "the table of that member has no free row"),
    ("refused", Level::Warn, "no protocol version in common, upgrade the older one"),
    ("refused", Level::Warn, "another live node uses this address"),
    ("other", Level::Info, ""),
    ("lost", Level::Warn, ""),
];

impl Kind {
    /// The name, as in `docs/api.md`.
    pub fn name(self) -> &'static str {
        KINDS[self as usize].0
    }

    pub(crate) fn level(self) -> Level {
        KINDS[self as usize].1
    }
}

/// A detail of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Word(word) => f.write_str(word),
            Self::Address(address) => write!(f, "{address}"),
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

    /// Makes it say what the node has told, and what the node knows about it now.
    pub(super) fn set<const N: usize>(&mut self, node: &Node<N>, event: &Event) {
        self.details = [Detail::NONE; 2];
        self.member.address = Address::NONE;
        self.kind = match *event {
            Event::Joined => {
                let status = node.status();
                let members = status.alive + status.suspect;
                self.detail("members", Value::Number(u64::from(members)));
                if members > 1 { Kind::Joined } else { Kind::First }
            }
            Event::Isolated => Kind::Isolated,
            Event::NoAnswer => {
                self.detail("seeds", Value::Number(node.status().seeds.len() as u64));
                self.detail("own_addr", Value::Address(node.status().own.address));
                Kind::NoAnswer
            }
            Event::Left => Kind::Left,
            Event::Member { change, address, state, incarnation } => {
                // A row that is gone may have been followed by another life at the same address.
                let row = node.member(address).filter(|row| row.incarnation == incarnation);
                self.set_member(address, row.as_ref());
                self.member.state = state;
                self.member.incarnation = incarnation;
                kind_of(change)
            }
            Event::AddressConflict { address } => {
                self.detail("addr", Value::Address(address));
                let is_own = address == node.status().own.address;
                if is_own { Kind::OwnAddressConflict } else { Kind::AddressConflict }
            }
            Event::NameConflict { first, second } => {
                self.set_member(first, node.member(first).as_ref());
                self.detail("other", Value::Address(second));
                Kind::NameConflict
            }
            Event::ForeignCluster { from } => {
                self.detail("from", Value::Address(from));
                Kind::ForeignCluster
            }
            Event::ParameterMismatch { address, period_ms } => {
                self.set_member(address, node.member(address).as_ref());
                self.detail("period_ms", Value::Number(u64::from(period_ms)));
                let own_ms = u64::from(node.status().period_ms);
                self.detail("own_period_ms", Value::Number(own_ms));
                Kind::ParameterMismatch
            }
            Event::TableFull { address } => {
                self.detail("addr", Value::Address(address));
                self.detail("capacity", Value::Number(u64::from(node.status().capacity)));
                Kind::TableFull
            }
            Event::Partial(partial) => {
                self.detail("partial", Value::Flag(partial));
                Kind::Partial
            }
            Event::Refused { by, reason } => {
                let (kind, word) = refusal(reason);
                self.detail("by", Value::Address(by));
                self.detail("reason", Value::Word(word));
                kind
            }
            // The core may learn to tell more than this version of the agent knows.
            _ => Kind::Other,
        };
    }

    fn set_member(&mut self, address: Address, row: Option<&Member<'_>>) {
        let member = &mut self.member;
        member.address = address;
        member.name.clear();
        member.tags.clear();
        member.id = 0;
        if let Some(row) = row {
            member.state = row.state;
            member.incarnation = row.incarnation;
            member.id = row.id;
            // What the node holds is no longer than what it may hold.
            let _ = member.name.push_str(row.name);
            let _ = member.tags.push_str(row.tags);
        }
    }

    /// An event has two details at most.
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
    pub(super) fn json(&self, object: &mut Object<'_, '_>) {
        object.text("event", self.kind.name());
        match self.time_ms {
            0 => object.key("time_ms").push(b"null"),
            time_ms => object.number("time_ms", time_ms),
        }
        let page = object.key("member");
        if self.has_member() {
            let mut member = Object::open(page);
            self.member_fields(&mut member);
            member.close();
        } else {
            page.push(b"null");
        }
        let page = object.key("detail");
        if self.details[0].key.is_none() {
            return page.push(b"null");
        }
        let mut detail = Object::open(page);
        for Detail { key, value } in &self.details {
            let Some(key) = key else { break };
            match value {
                Value::Unknown => detail.key(key).push(b"null"),
                Value::Number(number) => detail.number(key, *number),
                Value::Flag(flag) => detail.flag(key, *flag),
                Value::Word(_) | Value::Address(_) => detail.display(key, value),
            }
        }
        detail.close();
    }

    fn member_fields(&self, object: &mut Object<'_, '_>) {
        let Snapshot { address, state, incarnation, id, name, tags } = &self.member;
        let (&address, &state, &incarnation, &id) = (address, state, incarnation, id);
        let (rtt_us, own) = (0, false);
        let member = Member { address, state, incarnation, id, name, tags, rtt_us, own };
        members::fields(object, &member);
    }
}

impl fmt::Display for Record {
    /// As the log has it: `event=NAME key=value ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (event, _, note) = KINDS[self.kind as usize];
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
