//! Rows of exact arithmetic out of the official code: its results at given readings.

use std::io::Write;

use midge::TimeWindow;
use midge::clockbound::{ClockError, ClockStatus, Reading, Segment, SegmentError};

use super::vectors::{Row, assert_covers, status, table};

/// A header in front of a payload.
fn segment(version: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(0x414D_5A4E_u32.to_ne_bytes());
    bytes.extend(0x4342_0200_u32.to_ne_bytes());
    bytes.extend((16 + payload.len() as u32).to_ne_bytes());
    bytes.extend(version.to_ne_bytes());
    bytes.extend(2_u16.to_ne_bytes());
    bytes.extend(payload);
    bytes
}

fn v2(row: &Row) -> Segment {
    let mut payload = Vec::new();
    for time in ["as_of_ns", "void_after_ns"] {
        let time: i64 = row.number(time);
        payload.extend((time / 1_000_000_000).to_ne_bytes());
        payload.extend((time % 1_000_000_000).to_ne_bytes());
    }
    payload.extend(row.number::<i64>("bound_nsec").to_ne_bytes());
    payload.extend(0_u64.to_ne_bytes());
    payload.extend(row.number::<u32>("max_drift_ppb").to_ne_bytes());
    payload.extend(row.number::<u32>("status_in").to_ne_bytes());
    payload.extend([0; 8]);
    Segment::decode(&segment(2, &payload)).expect("a good segment")
}

/// What a row is of. The official code also makes time of a counter whose ticks take none, which does
/// not decode here: then there is the segment that it is without its status.
fn v3(row: &Row) -> Result<Segment, Segment> {
    let digits = row.text("payload_hex(88)");
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal");
    let payload: Vec<_> = (0..digits.len()).step_by(2).map(byte).collect();
    let mut bytes = segment(0x0303, &payload);
    Segment::decode(&bytes).map_err(|error| {
        assert_eq!(error, SegmentError::Period);
        bytes[92..96].fill(0);
        Segment::decode(&bytes).expect("a good segment")
    })
}

/// Says what docs/numbers.md has of a test, past the harness that keeps the output of a test that
/// passes.
fn say(test: &str, rows: usize) {
    let line = format!("numbers: {}::{test} {rows} rows\n", file!());
    std::io::stderr().write_all(line.as_bytes()).expect("stderr");
}

#[test]
fn second_layout_as_officially() {
    let rows = table("v2_math.tsv");
    for row in &rows {
        let name = row.text("name");
        let reading = Reading::Clocks {
            realtime_ns: row.number("real_ns"),
            monotonic_coarse_ns: row.number("mono_ns"),
        };
        let ours = v2(row).at(reading, None);
        let said = row.text("v300_status");
        if said.starts_with("ERR") {
            assert_eq!((ours, said), (Err(ClockError::Causality), "ERR CausalityBreach"), "{name}");
            continue;
        }
        let ours = ours.expect(name);
        let official = TimeWindow::new(row.number("v300_earliest"), row.number("v300_latest"));
        assert_covers(&ours, &ours, official.expect("a window"), name);
        assert_eq!(ours.status, status(said), "{name}");
    }
    assert_eq!(rows.len(), 217);
    say("second_layout_as_officially", rows.len());
}

#[test]
fn third_layout_as_officially_but_where_that_wraps() {
    let (mut wrapped, mut still) = (0, 0);
    let rows = table("v3_math.tsv");
    for row in &rows {
        let name = row.text("name");
        let segment = v3(row).unwrap_or_else(|segment| {
            still += 1;
            Segment { status: ClockStatus::Synchronized, ..segment }
        });
        let (earliest, latest) = (row.number("earliest"), row.number("latest"));
        let marker = Some(segment.disruption_marker);
        let ours = segment.at(Reading::Counter(row.number("counter")), marker);
        if earliest < 0 {
            // Time does not go back by centuries.
            assert_eq!(ours, Err(ClockError::Range), "{name}");
            wrapped += 1;
            continue;
        }
        let ours = ours.expect(name);
        let official = TimeWindow::new(earliest, latest).expect("a window");
        assert_covers(&ours, &ours, official, name);
        assert_eq!(ours.status, status(row.text("status")), "{name}");
    }
    assert_eq!((rows.len(), wrapped, still), (211, 27, 1));
    say("third_layout_as_officially_but_where_that_wraps", rows.len() - wrapped);
}
