//! Segments that are damaged in one place each, and what is said of them.

use midge::clockbound::{Header, Segment, SegmentError};

use super::vectors::{bytes, names, table};

/// As the agent opens a file that nobody writes: first all that the layout has, then whether the
/// file is as long as it says.
fn opened(file: &[u8]) -> Result<Segment, SegmentError> {
    let segment = Segment::decode(file)?;
    let header = Header::decode(file.first_chunk().expect("it is whole"))?;
    header.check_file(file.len() as u64)?;
    Ok(segment)
}

/// Everything but what is whole. The official clients take some of these: a size beyond the file's
/// end, an odd generation (zeros as a success), a file of a header alone.
const VERDICTS: &[(&str, SegmentError)] = &[
    ("live_gen_0", SegmentError::NeverWritten),
    ("live_gen_odd", SegmentError::Busy),
    ("live_ver_0", SegmentError::NeverWritten),
    // In the middle of a segment of the third layout, the second finds a time that is none.
    ("live_ver_0002", SegmentError::AsOf),
    ("live_ver_0304", SegmentError::Version),
    ("live_ver_0404", SegmentError::Version),
    ("v2_doc_magic_bytes", SegmentError::Magic),
    ("v2_gen_0", SegmentError::NeverWritten),
    ("v2_gen_1", SegmentError::Busy),
    ("v2_gen_3", SegmentError::Busy),
    ("v2_gen_65535", SegmentError::Busy),
    ("v2_segsize_16", SegmentError::Size),
    ("v2_segsize_4", SegmentError::Size),
    ("v2_segsize_4096", SegmentError::Size),
    ("v2_segsize_79", SegmentError::Size),
    ("v2_ver_0000", SegmentError::NeverWritten),
    // The first layout has its status where the second has the drift.
    ("v2_ver_0001", SegmentError::Status),
    ("v2_ver_0003", SegmentError::Version),
    ("v2_ver_0102", SegmentError::Version),
    ("v2_ver_0202", SegmentError::Version),
    ("v2_ver_0203", SegmentError::Version),
    ("v3_doc_magic_bytes", SegmentError::Magic),
    ("v3_gen_0", SegmentError::NeverWritten),
    ("v3_gen_1", SegmentError::Busy),
    ("v3_gen_3", SegmentError::Busy),
    ("v3_gen_65535", SegmentError::Busy),
    ("v3_segsize_0", SegmentError::Size),
    ("v3_segsize_103", SegmentError::Size),
    ("v3_segsize_1048576", SegmentError::Size),
    ("v3_segsize_15", SegmentError::Size),
    ("v3_segsize_16", SegmentError::Size),
    ("v3_segsize_4", SegmentError::Size),
    ("v3_segsize_4096", SegmentError::Size),
    ("v3_segsize_80", SegmentError::Size),
    ("v3_segsize_8192", SegmentError::Size),
    ("v3_segsize_96", SegmentError::Size),
    ("v3_trunc_0", SegmentError::Short),
    ("v3_trunc_15", SegmentError::Short),
    ("v3_trunc_16", SegmentError::Short),
    ("v3_trunc_8", SegmentError::Short),
    ("v3_ver_0000", SegmentError::NeverWritten),
    ("v3_ver_0001", SegmentError::AsOf),
    ("v3_ver_0002", SegmentError::AsOf),
    ("v3_ver_0003", SegmentError::Version),
    ("v3_ver_0103", SegmentError::Version),
    ("v3_ver_0202", SegmentError::Version),
    ("v3_ver_0203", SegmentError::Version),
    ("v3_ver_0302", SegmentError::Version),
    ("v3_ver_0304", SegmentError::Version),
    ("v3_ver_0404", SegmentError::Version),
];

const WHOLE: &[&str] = &[
    "v2_asis",
    "v2_gen_2",
    "v2_gen_65534",
    "v2_segsize_80",
    "v2_ver_0002",
    "v3_asis",
    "v3_gen_2",
    "v3_gen_65534",
    "v3_segsize_104",
    "v3_ver_0303",
];

#[test]
fn damaged_segments_are_told_apart() {
    let names = names("edge", ".bin");
    assert_eq!(names.len(), VERDICTS.len() + WHOLE.len());
    for name in names {
        let name = name.trim_end_matches(".bin");
        let segment = opened(&bytes(&format!("edge/{name}.bin")));
        match VERDICTS.iter().find(|verdict| verdict.0 == name) {
            Some((_, error)) => assert_eq!(segment, Err(*error), "{name}"),
            None => assert!(WHOLE.contains(&name) && segment.is_ok(), "{name}: {segment:?}"),
        }
    }
}

/// What the official clients call it; `None` for fields, which they do not judge.
fn official_name(error: SegmentError) -> Option<&'static str> {
    match error {
        SegmentError::Short | SegmentError::NeverWritten => Some("SegmentNotInitialized"),
        SegmentError::Magic | SegmentError::Size => Some("SegmentMalformed"),
        SegmentError::Version => Some("SegmentVersionNotSupported"),
        _ => None,
    }
}

/// Each official client knows one layout; the one that knows more of a file is what counts. What
/// both refuse is refused here, for the same reason if they have one; what one of them takes is
/// taken, but for odd generations and files that are shorter than they say.
#[test]
fn verdicts_are_those_of_the_official_clients_or_stricter() {
    let (mut taken, mut stricter) = (0, Vec::new());
    for row in table("edge/edge.tsv") {
        let name = row.text("case");
        // There the client had the segment already, and went on with its copy.
        if name.starts_with("live_") {
            continue;
        }
        let said = ["client_3.0.0-rc.0", "client_2.0.3"].map(|client| row.text(client));
        let is_taken = said.iter().any(|said| said.starts_with("OK "));
        match opened(&bytes(&format!("edge/{}", row.text("file")))) {
            Ok(_) => {
                assert!(said.iter().any(|said| said.starts_with("OK FreeRunning ")), "{name}");
                taken += 1;
            }
            Err(_) if is_taken => stricter.push(name.to_string()),
            Err(error) => {
                let is_same = |name: &str| said.iter().any(|said| said.ends_with(name));
                assert!(official_name(error).is_none_or(is_same), "{name}: {error}, {said:?}");
            }
        }
    }
    assert_eq!(taken, WHOLE.len());
    stricter.sort();
    let expected = [
        "v2_gen_1",
        "v2_gen_3",
        "v2_gen_65535",
        "v2_segsize_4096",
        "v3_gen_1",
        "v3_gen_3",
        "v3_gen_65535",
        "v3_segsize_1048576",
        "v3_segsize_4096",
        "v3_segsize_8192",
        "v3_trunc_16",
    ];
    assert_eq!(stricter, expected);
}

#[test]
fn a_file_may_be_longer_than_its_layout() {
    let mut file = bytes("edge/v3_segsize_4096.bin");
    file.resize(4096, 0xa5);
    assert_eq!(opened(&file), opened(&bytes("edge/v3_segsize_104.bin")));
}
