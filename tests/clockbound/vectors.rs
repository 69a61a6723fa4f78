//! Reads the vector files.

use std::collections::HashMap;
use std::path::PathBuf;

use midge::TimeWindow;
use midge::clockbound::{Bounded, ClockStatus};

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/clockbound/vectors", name].iter().collect()
}

/// A file of `tests/clockbound/vectors`.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of all files in a folder there that end so.
pub(crate) fn names(folder: &str, end: &str) -> Vec<String> {
    let entries = std::fs::read_dir(path(folder)).expect("the folder is there");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("an entry").file_name().into_string().expect("names are plain")
    };
    let mut names: Vec<_> = entries.map(name).filter(|name| name.ends_with(end)).collect();
    names.sort();
    names
}

/// The names of all real segments.
pub(crate) fn segments() -> Vec<String> {
    let names = names("", ".bin");
    names.into_iter().filter(|name| !name.ends_with(".vmclock.bin")).collect()
}

/// A line of a table.
pub(crate) struct Row(HashMap<String, String>);

impl Row {
    pub(crate) fn text(&self, column: &str) -> &str {
        &self.0[column]
    }

    /// A number, decimal or hexadecimal.
    pub(crate) fn number<T: TryFrom<i128>>(&self, column: &str) -> T {
        let text = self.text(column);
        let number = match text.strip_prefix("0x") {
            Some(digits) => i128::from_str_radix(digits, 16),
            None => text.parse(),
        };
        let number = number.unwrap_or_else(|_| panic!("{column}: {text}"));
        number.try_into().unwrap_or_else(|_| panic!("{column}: {text} is too great"))
    }
}

/// A table with a line of column names.
pub(crate) fn table(name: &str) -> Vec<Row> {
    let text = String::from_utf8(bytes(name)).expect("it is text");
    let mut lines = text.lines();
    let columns: Vec<_> = lines.next().expect("column names").split('\t').collect();
    let row = |line: &str| {
        let values = line.split('\t').chain(std::iter::repeat(""));
        Row(columns.iter().zip(values).map(|(c, v)| (c.to_string(), v.to_string())).collect())
    };
    lines.map(row).collect()
}

/// The status with an official client's name.
pub(crate) fn status(name: &str) -> ClockStatus {
    match name {
        "Unknown" => ClockStatus::Unknown,
        "Synchronized" => ClockStatus::Synchronized,
        "FreeRunning" => ClockStatus::FreeRunning,
        "Disrupted" => ClockStatus::Disrupted,
        _ => panic!("{name} is no status"),
    }
}

/// How much wider than the official window ours may be on each side: their results are rounded
/// towards zero.
const SLACK_NS: i64 = 2;

/// Checks that a window contains the official one that was made somewhere between two readings,
/// and is hardly wider.
#[track_caller]
pub(crate) fn assert_covers(before: &Bounded, after: &Bounded, official: TimeWindow, what: &str) {
    let (before, after) = (before.window, after.window);
    let what = || format!("{what}: {before:?} to {after:?}, official {official:?}");
    assert!(before.earliest_ns() <= official.earliest_ns(), "{}", what());
    assert!(after.latest_ns() >= official.latest_ns(), "{}", what());
    assert!(after.earliest_ns() >= official.earliest_ns() - SLACK_NS, "{}", what());
    assert!(before.latest_ns() <= official.latest_ns() + SLACK_NS, "{}", what());
}
