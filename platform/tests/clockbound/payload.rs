//! Segments all of whose fields follow from one of them, so that a mixture of two shows.

use midge::clockbound::{Layout, Segment};
use midge::rng::{Rng, mix};

use super::writer::{Now, fresh};

const HOUR_NS: i64 = 3_600_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// Numbers that are different in each run: nothing depends on which they are.
#[derive(Debug)]
pub(crate) struct Random(Rng);

impl Random {
    pub(crate) fn new() -> Self {
        Self(Rng::new(Now::read().realtime_ns as u64))
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.next() % end
    }
}

/// A new segment, as of now.
pub(crate) fn new(layout: Layout, random: &mut Random) -> Segment {
    let mut segment = fresh(layout, Now::read(), HOUR_NS);
    if layout != Layout::V3 {
        segment.as_of_counter = 0;
    }
    // Not just now, so that the next one differs even if the clock has not gone on.
    segment.as_of_ns -= random.below(SECOND_NS) as i64;
    with_the_rest(segment)
}

/// The segment with the fields that follow from when it was made.
fn with_the_rest(segment: Segment) -> Segment {
    let mut rest = Rng::new(mix(segment.as_of_ns as u64) ^ segment.as_of_counter);
    let marks = segment.layout != Layout::V1;
    Segment {
        void_after_ns: segment.as_of_ns + HOUR_NS + rest.below(1_000_000) as i64,
        // Windows of any two of them overlap.
        bound_ns: (10 * SECOND_NS + u64::from(rest.below(1_000_000_000))) as i64,
        max_drift_ppb: rest.below(1_000_000),
        disruption_marker: if marks { rest.next() } else { 0 },
        ..segment
    }
}

/// Whether it is one that was written, and not two halves.
pub(crate) fn is_whole(segment: &Segment) -> bool {
    *segment == with_the_rest(*segment)
}
