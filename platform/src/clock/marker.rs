//! The marker of the `VMClock`, which a segment may demand.

use super::Cause;
use super::page::{Kind, Page};

/// A reader of the marker, which opens the device when the marker is first asked for.
#[derive(Debug)]
pub(super) struct Marker<'p> {
    pub(super) path: &'p str,
    found: Option<Found>,
    /// See [`Page`]: the odd sequence that it was left with.
    stuck: u32,
}

/// The device's page, and the last copy of it.
#[derive(Debug)]
struct Found {
    page: Page,
    marks: [u32; 4],
    marker: u64,
}

impl<'p> Marker<'p> {
    pub(super) const fn new(path: &'p str) -> Self {
        Self { path, found: None, stuck: 0 }
    }

    /// The marker as it is now.
    #[inline]
    pub(super) fn read(&mut self) -> Result<u64, Cause> {
        match &self.found {
            Some(found) if found.page.marks() == found.marks => Ok(found.marker),
            _ => self.renew(),
        }
    }

    /// Opens the device anew for the next reading.
    pub(super) fn forget(&mut self) {
        self.found = None;
    }

    #[inline(never)]
    fn renew(&mut self) -> Result<u64, Cause> {
        self.found = None;
        let page = Page::open(self.path, Kind::VmClock)?;
        // Before the copy: if it is of a later state, the next reading makes another one.
        let marks = page.marks();
        let copy = page.vm_clock(&mut self.stuck)?;
        let found = Found { page, marks, marker: copy.disruption_marker };
        Ok(self.found.insert(found).marker)
    }
}
