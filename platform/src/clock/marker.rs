//! The marker of the `VMClock`, which a segment may demand.

use super::page::{Kind, Page};
use super::{Cause, Trouble};

/// A reader of the marker, which opens the device when the marker is first asked for.
#[derive(Debug)]
pub(super) struct Marker<'p> {
    path: &'p str,
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
    pub(super) fn read(&mut self) -> Result<u64, Trouble<'p>> {
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
    fn renew(&mut self) -> Result<u64, Trouble<'p>> {
        self.found = None;
        match self.open() {
            Ok(found) => Ok(self.found.insert(found).marker),
            Err(cause) => Err(Trouble { path: self.path, is_vm_clock: true, cause }),
        }
    }

    fn open(&mut self) -> Result<Found, Cause> {
        let page = Page::open(self.path, Kind::VmClock)?;
        // Before the copy: if it is of a later state, the next reading makes another one.
        let marks = page.marks();
        let copy = page.vm_clock(&mut self.stuck)?;
        Ok(Found { page, marks, marker: copy.disruption_marker })
    }
}
