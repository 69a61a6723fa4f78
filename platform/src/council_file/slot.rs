//! What a slot of the file says: bytes in, bytes out, and nothing of disks.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `midgevot` |
//! | 8 | 2 | format: 1. All formats begin with these two |
//! | 10 | 2 | length of the record |
//! | 12 | 4 | checksum of the machine's id; 0 = it has none |
//! | 16 | 18 | the advertised address, IPv4 as mapped IPv6, and its port |
//! | 34 | 32 | the cluster's name, filled up with zeroes |
//! | 66 | 8 | sequence number: the valid slot with the greater one counts |
//! | 74 | | the record |
//! | | | zeroes |
//! | 1,020 | 4 | CRC-32C of all before |
//!
//! Numbers are little endian.

use core::fmt;

use midge::Address;
use midge::council::Record;
use midge::limits::CLUSTER_NAME_BYTES;
use midge::wire::council::{decode_record, encode_record};
use midge::wire::crc_32c;
use nix::errno::Errno;

use crate::os::Reason;

/// Bytes of a slot: more than the longest record needs, and whole sectors.
pub(super) const SLOT_BYTES: usize = 1_024;

pub(super) type Slot = [u8; SLOT_BYTES];

const MAGIC: &[u8; FORMAT_AT] = b"midgevot";
const FORMAT: u16 = 1;

const FORMAT_AT: usize = 8;
const LENGTH_AT: usize = 10;
const MACHINE_AT: usize = 12;
const ADDRESS_AT: usize = 16;
const PORT_AT: usize = ADDRESS_AT + 16;
const CLUSTER_AT: usize = PORT_AT + 2;
const SEQUENCE_AT: usize = CLUSTER_AT + CLUSTER_NAME_BYTES;
const RECORD_AT: usize = SEQUENCE_AT + 8;
const SUM_AT: usize = SLOT_BYTES - 4;

/// Cluster, machine, address: from where to where.
const OWNER_FIELDS: [(usize, usize); 3] =
    [(CLUSTER_AT, SEQUENCE_AT), (MACHINE_AT, ADDRESS_AT), (ADDRESS_AT, CLUSTER_AT)];

/// Whose file it is.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The name of the cluster.
    pub cluster: &'static str,
    /// The address that the node tells the others.
    pub address: Address,
    /// A checksum of the machine's id; 0 if it has none.
    pub machine: u32,
}

/// Why there is no record that this node may go on with: it needs a node id that nobody ever had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewId {
    /// There is no file.
    NoFile,
    /// The file was written on another machine.
    OtherMachine,
    /// The file was written at another address.
    OtherAddress,
}

impl fmt::Display for NewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoFile => "there is no file `council`",
            Self::OtherMachine => "the file `council` is of another machine",
            Self::OtherAddress => "the file `council` is of another address",
        })
    }
}

/// Why an agent must not start with this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Neither slot is valid.
    Damaged,
    /// It is of a format that this version does not know.
    OtherFormat,
    /// It is of another cluster.
    OtherCluster,
    /// It cannot be read.
    Unreadable(Errno),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Unreadable(error) = self {
            let reason = Reason(*error);
            return write!(f, "cannot read the file `council` in it: {reason}; mend that");
        }
        f.write_str("the file `council` in it is ")?;
        f.write_str(match self {
            Self::OtherCluster => "of another cluster; give each cluster a directory of its own",
            Self::OtherFormat => "of a later version; run that one, or remove the file",
            _ => "damaged, or not of midge; remove it",
        })
    }
}

/// Fills a slot; `false` if there is no room for the record, which there is for every one.
pub(super) fn encode(slot: &mut Slot, owner: &Owner, sequence: u64, record: &Record) -> bool {
    *slot = [0; SLOT_BYTES];
    let Some(len) = encode_record(record, &mut slot[RECORD_AT..SUM_AT]) else { return false };
    slot[..FORMAT_AT].copy_from_slice(MAGIC);
    slot[FORMAT_AT..LENGTH_AT].copy_from_slice(&FORMAT.to_le_bytes());
    slot[LENGTH_AT..MACHINE_AT].copy_from_slice(&(len as u16).to_le_bytes());
    put_owner(slot, owner);
    slot[SEQUENCE_AT..RECORD_AT].copy_from_slice(&sequence.to_le_bytes());
    let sum = crc_32c(&slot[..SUM_AT]);
    slot[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
    true
}

fn put_owner(slot: &mut Slot, owner: &Owner) {
    slot[MACHINE_AT..ADDRESS_AT].copy_from_slice(&owner.machine.to_le_bytes());
    slot[ADDRESS_AT..PORT_AT].copy_from_slice(owner.address.octets());
    slot[PORT_AT..CLUSTER_AT].copy_from_slice(&owner.address.port().to_le_bytes());
    // A name has at most as many bytes as there are, and none of them is 0.
    for (place, byte) in slot[CLUSTER_AT..SEQUENCE_AT].iter_mut().zip(owner.cluster.bytes()) {
        *place = byte;
    }
}

/// The valid slot that was written last, and its sequence number.
pub(super) fn newest(slots: [&Slot; 2]) -> Result<(&Slot, u64), Refusal> {
    let [first, second] = slots;
    if is_of_other_format(first) || is_of_other_format(second) {
        // Whatever the other slot holds may be older than what cannot be read here.
        return Err(Refusal::OtherFormat);
    }
    let newest = [first, second].map(|slot| (slot, sequence(slot)));
    let [first, second] = newest;
    match if second.1 > first.1 { second } else { first } {
        (_, 0) => Err(Refusal::Damaged),
        newest => Ok(newest),
    }
}

/// Whether a valid slot is this owner's; or why its record is not for this node.
pub(super) fn check_owner(slot: &Slot, owner: &Owner) -> Result<Option<NewId>, Refusal> {
    let mut own = [0; SLOT_BYTES];
    put_owner(&mut own, owner);
    let differs = |(from, to): &(usize, usize)| slot[*from..*to] != own[*from..*to];
    match OWNER_FIELDS.iter().position(differs) {
        None => Ok(None),
        Some(0) => Err(Refusal::OtherCluster),
        Some(1) => Ok(Some(NewId::OtherMachine)),
        Some(_) => Ok(Some(NewId::OtherAddress)),
    }
}

/// The record in a valid slot; `None` if there is none, which no version wrote.
pub(super) fn record(slot: &Slot) -> Option<Record> {
    let len = number(&slot[LENGTH_AT..MACHINE_AT]) as usize;
    decode_record(slot[RECORD_AT..SUM_AT].get(..len)?)
}

fn is_of_other_format(slot: &Slot) -> bool {
    slot.starts_with(MAGIC) && number(&slot[FORMAT_AT..LENGTH_AT]) != u64::from(FORMAT)
}

/// The sequence number of a slot that is valid; 0 if it is not: the first one is 1.
pub(super) fn sequence(slot: &Slot) -> u64 {
    let valid =
        slot.starts_with(MAGIC) && number(&slot[SUM_AT..]) == u64::from(crc_32c(&slot[..SUM_AT]));
    if valid { number(&slot[SEQUENCE_AT..RECORD_AT]) } else { 0 }
}

/// A number of up to eight bytes.
#[inline(never)]
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
