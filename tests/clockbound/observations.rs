//! What the official clients said of real segments, between two readings of the clocks.

use midge::TimeWindow;
use midge::clockbound::{Bounded, Layout, Reading, Segment, VmClock};

use super::vectors::{Row, assert_covers, bytes, status, table};

/// The clocks when the client was asked (`before`) or had answered (`after`).
fn reading(row: &Row, layout: Layout, when: &str) -> Reading {
    match layout {
        Layout::V3 => Reading::Counter(row.number(&format!("tsc_{when}"))),
        Layout::V1 | Layout::V2 => Reading::Clocks {
            realtime_ns: row.number(&format!("realtime_{when}")),
            monotonic_coarse_ns: row.number(&format!("mono_coarse_{when}")),
        },
    }
}

#[test]
fn windows_and_statuses_are_those_of_the_official_clients() {
    let mut compared = 0;
    for row in table("observations.tsv") {
        let said = row.text("status_or_error");
        if said.starts_with("OPEN_ERR") {
            assert!(said.contains("VersionNotSupported"), "the only complaint: {said}");
            continue;
        }
        let name = row.text("file");
        let segment = Segment::decode(&bytes(name)).expect(name);
        let marker = match row.text("vmclock_file") {
            "-" => None,
            file => Some(VmClock::decode(&bytes(file)).expect(file).disruption_marker),
        };
        let client = row.text("client");
        let is_exact = client.starts_with("v3_now_with_counter");
        let marker = if is_exact { Some(segment.disruption_marker) } else { marker };
        let at =
            |when| segment.at(reading(&row, segment.layout, when), marker).expect("it is in order");
        let (before, after): (Bounded, Bounded) = (at("before"), at("after"));
        let official = TimeWindow::new(row.number("earliest_ns"), row.number("latest_ns"));
        assert_covers(&before, &after, official.expect("a window"), name);
        if client == "clock-bound-client-2.0.3" {
            // It has another grace, and calls what was disrupted unknown.
            let usable = status(said).is_usable_for_leases();
            assert_eq!(after.status.is_usable_for_leases(), usable, "{name}: {after:?}");
        } else {
            assert_eq!(after.status, status(said), "{name}");
        }
        compared += 1;
    }
    assert_eq!(compared, 116);
}
