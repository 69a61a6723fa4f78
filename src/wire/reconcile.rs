//! Reconciliation: bucket digests, and pages of rows.

use super::codec::{Builder, Reader};
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
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self { buckets: reader.u64(), first: reader.u16() }
    }

    /// Appends the section.
    pub fn encode(&self, builder: &mut Builder<'_>) -> bool {
        builder.section(kind::PAGE_REQUEST, |b| {
            b.put_number(self.buckets, 8);
            b.put_number(u64::from(self.first), 2);
            true
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
    pub(super) fn read(reader: &mut Reader<'a>, checked: bool) -> Self {
        let buckets = reader.u64();
        let first = reader.u16();
        let next = reader.u16();
        reader.check(next == 0 || next > first);
        Self { buckets, first, next, rows: Rumours::read(reader, true, checked) }
    }

    /// Appends the section. `rows` appends the rows and says where the next page begins.
    pub fn encode(
        builder: &mut Builder<'_>,
        buckets: u64,
        first: u16,
        rows: impl FnOnce(&mut Builder<'_>) -> u16,
    ) -> bool {
        builder.section(kind::PAGE, |b| {
            b.put_number(buckets, 8);
            b.put_number(u64::from(first), 2);
            let at = b.len();
            b.put_number(0, 2);
            let next = rows(b);
            debug_assert!(next == 0 || next > first, "pages go forward");
            b.patch(at, &next.to_le_bytes());
            true
        })
    }
}

/// The digests of all buckets: 256 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets<'a>(&'a [u8]);

impl<'a> Buckets<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Self {
        Self(reader.take(BUCKETS * 4))
    }

    /// The digests, in order.
    pub fn digests(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.0.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// Appends the section.
    pub fn encode(builder: &mut Builder<'_>, digests: &[u32; BUCKETS]) -> bool {
        builder.section(kind::BUCKETS, |b| {
            for digest in digests {
                b.put_number(u64::from(*digest), 4);
            }
            true
        })
    }
}
