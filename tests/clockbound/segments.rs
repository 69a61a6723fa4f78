//! Every field of every real segment.

use midge::clockbound::{ClockStatus, Fraction, Header, Layout, Segment, VmClock};

use super::vectors::{Row, bytes, names, segments, table};

fn nanoseconds(row: &Row, s: &str, ns: &str) -> i64 {
    row.number::<i64>(s) * 1_000_000_000 + row.number::<i64>(ns)
}

fn described(row: &Row) -> Segment {
    let support: u8 = row.number("disruption_support");
    Segment {
        layout: match row.text("layout") {
            "V2" => Layout::V2,
            "V3" => Layout::V3,
            other => panic!("{other}"),
        },
        generation: row.number("generation"),
        as_of_ns: nanoseconds(row, "as_of_s", "as_of_ns"),
        void_after_ns: nanoseconds(row, "void_after_s", "void_after_ns"),
        bound_ns: row.number("bound_nsec"),
        max_drift_ppb: row.number("max_drift_ppb"),
        status: match row.number("clock_status") {
            0 => ClockStatus::Unknown,
            1 => ClockStatus::Synchronized,
            2 => ClockStatus::FreeRunning,
            3 => ClockStatus::Disrupted,
            other => panic!("{other}"),
        },
        disruption_support: support == 1,
        disruption_marker: row.number("disruption_marker"),
        as_of_counter: row.number("as_of_tsc"),
        period: Fraction {
            numerator: row.number("period_frac"),
            shift: row.number("period_shift"),
        },
        period_error: Fraction {
            numerator: row.number("period_err_frac"),
            shift: row.number("period_err_shift"),
        },
    }
}

#[test]
fn real_segments_decode_to_their_fields() {
    let rows = table("vectors.tsv");
    for row in &rows {
        let (name, bytes) = (row.text("file"), bytes(row.text("file")));
        let header = Header::decode(bytes.first_chunk().expect(name)).expect(name);
        assert_eq!(header.segment_bytes, row.number::<u32>("segsize"), "{name}");
        assert_eq!(header.check_file(bytes.len() as u64), Ok(()), "{name}");
        assert_eq!(Segment::decode(&bytes), Ok(described(row)), "{name}");
    }
    // The one without a row is of the first layout.
    assert_eq!(rows.len() + 1, segments().len());
}

#[test]
fn the_first_layout_decodes_to_its_fields() {
    let bytes = bytes("v1_official_writer.bin");
    assert_ne!(bytes[68..72], [0; 4], "garbage in the padding, which does not matter");
    let segment = Segment {
        layout: Layout::V1,
        generation: 4,
        as_of_ns: 1_867_389_885_738,
        void_after_ns: 2_867_000_000_000,
        bound_ns: 6_242,
        max_drift_ppb: 50_000,
        status: ClockStatus::Synchronized,
        disruption_support: false,
        disruption_marker: 0,
        as_of_counter: 0,
        period: Fraction::default(),
        period_error: Fraction::default(),
    };
    assert_eq!(Segment::decode(&bytes), Ok(segment));
}

#[test]
fn real_vm_clocks_decode() {
    let names = names("", ".vmclock.bin");
    assert_eq!(names.len(), 11);
    for name in names {
        let vm_clock = VmClock::decode(&bytes(&name)).expect(&name);
        let segment = Segment::decode(&bytes(&name.replace(".vmclock", ""))).expect(&name);
        let differs = name.contains("mismatch");
        assert_eq!(vm_clock.disruption_marker != segment.disruption_marker, differs, "{name}");
    }
}
