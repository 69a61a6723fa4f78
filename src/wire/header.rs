//! The header: 17 bytes and up to 22 more.
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 1 | version: 1; bit 7 is set on sealed datagrams, whose key id follows |
//! | 1 | 4 | tag: CRC-32C over cluster name, a zero byte, the version byte, and all after the tag |
//! | 5 | 1 | flags |
//! | 6 | 0, 6 or 18 | the advertised address, if it is not the source address |
//! | | 6 | epoch |
//! | | 1 to 5 | refutation, varint |
//! | | 4 | digest |

use super::VERSION;
use super::codec::{Builder, Reader, is_v6};
use super::crc_32c::Crc32c;
use crate::address::Address;
use crate::member::Incarnation;
use crate::reject::Reject;

/// The smallest header, bytes.
pub const BYTES_MIN: usize = 17;

/// The largest header, bytes.
pub const BYTES_MAX: usize = BYTES_MIN + 18 + 4;

const VERSION_BYTES: usize = 1;
const TAG_BYTES: usize = 4;

/// Version and tag, bytes.
pub(super) const FRONT_BYTES: usize = VERSION_BYTES + TAG_BYTES;

/// Bits of the flags byte. Those not named here are sent as 0 and ignored.
mod flag {
    /// An IPv4 address follows: the sender is reached there, not at the source address.
    pub(super) const ADVERTISED_V4: u8 = 1;
    /// The same, IPv6.
    pub(super) const ADVERTISED_V6: u8 = 2;
    /// The sender's table is smaller than the fleet; its digest means nothing.
    pub(super) const PARTIAL: u8 = 4;
    /// The sender asks for the receiver's details.
    pub(super) const WANTS_DETAILS: u8 = 8;
    /// The sender has left: what it says about itself is `left`, not `alive`.
    pub(super) const LEAVING: u8 = 16;
}

/// What every datagram says about its sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Where the sender is reached, if that is not the source address.
    pub advertised: Option<Address>,
    /// The sender's table is smaller than the fleet.
    pub partial: bool,
    /// The sender asks for details.
    pub wants_details: bool,
    /// The sender is leaving.
    pub leaving: bool,
    /// The sender's incarnation.
    pub incarnation: Incarnation,
    /// The sum over the sender's live rows.
    pub digest: u32,
}

impl Header {
    /// The header from what follows the tag.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let flags = reader.byte();
        let has = |flag| flags & flag != 0;
        let v6 = has(flag::ADVERTISED_V6);
        reader.check(!v6 || !has(flag::ADVERTISED_V4));
        Self {
            advertised: (v6 || has(flag::ADVERTISED_V4)).then(|| reader.address(v6)),
            partial: has(flag::PARTIAL),
            wants_details: has(flag::WANTS_DETAILS),
            leaving: has(flag::LEAVING),
            incarnation: reader.incarnation(),
            digest: reader.u32(),
        }
    }

    /// Starts a datagram; `false`, and nothing written, if there is no room.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        let mut flags = match &self.advertised {
            None => 0,
            Some(address) if is_v6(address) => flag::ADVERTISED_V6,
            Some(_) => flag::ADVERTISED_V4,
        };
        flags |= if self.partial { flag::PARTIAL } else { 0 };
        flags |= if self.wants_details { flag::WANTS_DETAILS } else { 0 };
        flags |= if self.leaving { flag::LEAVING } else { 0 };
        builder.all(|b| {
            b.put(&[VERSION, 0, 0, 0, 0, flags]);
            if let Some(address) = &self.advertised {
                b.put_address(address);
            }
            b.put_incarnation(self.incarnation);
            b.put_number(u64::from(self.digest), 4);
        })
    }
}

/// What a cluster's name adds to the tags of its datagrams: with the zero byte and the version it
/// stands in front of them all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cluster(Crc32c);

impl Cluster {
    pub(crate) const NONE: Self = Self(Crc32c::ZERO);

    pub(crate) fn of(name: &str) -> Self {
        let mut crc = Crc32c::NEW;
        crc.update(name.as_bytes());
        crc.update(&[0, VERSION]);
        Self(crc)
    }
}

/// Checks version and tag.
pub(super) fn check(cluster: Cluster, bytes: &[u8]) -> Result<(), Reject> {
    let [version, t0, t1, t2, t3, rest @ ..] = bytes else { return Err(Reject::Short) };
    if *version != VERSION {
        return Err(Reject::Version);
    }
    if u32::from_le_bytes([*t0, *t1, *t2, *t3]) != tag(cluster, rest) {
        return Err(Reject::Tag);
    }
    Ok(())
}

/// Whether the tag is that of this cluster.
pub fn is_of(cluster: &str, bytes: &[u8]) -> bool {
    check(Cluster::of(cluster), bytes).is_ok()
}

/// Finishes a datagram: writes its tag.
pub fn seal(cluster: &str, builder: &mut Builder<'_>) {
    seal_in(Cluster::of(cluster), builder);
}

/// The same for a cluster whose name has been looked at.
pub(crate) fn seal_in(cluster: Cluster, builder: &mut Builder<'_>) {
    let tag = tag(cluster, builder.bytes().get(FRONT_BYTES..).unwrap_or_default());
    builder.patch(VERSION_BYTES, &tag.to_le_bytes());
}

fn tag(Cluster(mut crc): Cluster, rest: &[u8]) -> u32 {
    crc.update(rest);
    crc.value()
}
