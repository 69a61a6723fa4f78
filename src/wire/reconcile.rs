//! Reconciliation: bucket digests, and pages of rows.

use super::codec::{Builder, Malformed, take_array, whole_array};
use super::kind;
use super::rumour::Rumours;
use crate::limits::BUCKETS;

/// Asks for the rows of some buckets, a page at a time: 10 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Which buckets: bit b is bucket b.
    pub buckets: u64,
    /// Where to go on: 0, or the `next` of the page before.
    pub first: u16,
}

impl PageRequest {
    pub(super) fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (buckets, rest) = take_array(body)?;
        let first = whole_array(rest)?;
        Ok(Self { buckets: u64::from_le_bytes(buckets), first: u16::from_le_bytes(first) })
    }

    /// Appends the section.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        builder.section(kind::PAGE_REQUEST, |b| {
            b.put_bytes(&self.buckets.to_le_bytes()) && b.put_bytes(&self.first.to_le_bytes())
        })
    }
}

/// Rows of some buckets, live and dead: 12 bytes and the rows, as rumours without accusers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// Which buckets.
    pub buckets: u64,
    /// Where this page begins.
    pub first: u16,
    /// Where the next begins; 0 = this was the last.
    pub next: u16,
    /// The rows.
    pub rows: Rumours<'a>,
}

impl<'a> Page<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        let (buckets, rest) = take_array(body)?;
        let (first, rest) = take_array(rest)?;
        let (next, rest) = take_array(rest)?;
        let (first, next) = (u16::from_le_bytes(first), u16::from_le_bytes(next));
        if next != 0 && next <= first {
            return Err(Malformed);
        }
        Ok(Self {
            buckets: u64::from_le_bytes(buckets),
            first,
            next,
            rows: Rumours::new(rest, true)?,
        })
    }

    /// Appends the section. `rows` appends the rows and says where the next page begins.
    pub fn encode(
        builder: &mut Builder<'_>,
        buckets: u64,
        first: u16,
        rows: impl FnOnce(&mut Builder<'_>) -> u16,
    ) -> bool {
        builder.section(kind::PAGE, |b| {
            if !b.put_bytes(&buckets.to_le_bytes()) || !b.put_bytes(&first.to_le_bytes()) {
                return false;
            }
            let at = b.len();
            if !b.put_bytes(&[0; 2]) {
                return false;
            }
            let next = rows(b);
            debug_assert!(next == 0 || next > first, "pages go forward");
            b.patch(at, next.to_le_bytes());
            true
        })
    }
}

/// The digests of all buckets: 256 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets<'a>(&'a [u8]);

impl<'a> Buckets<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        if body.len() == BUCKETS * 4 { Ok(Self(body)) } else { Err(Malformed) }
    }

    /// The digests, in order.
    pub fn digests(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.0.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// Appends the section.
    pub fn encode(builder: &mut Builder<'_>, digests: &[u32; BUCKETS]) -> bool {
        builder.section(kind::BUCKETS, |b| {
            digests.iter().all(|digest| b.put_bytes(&digest.to_le_bytes()))
        })
    }
}
