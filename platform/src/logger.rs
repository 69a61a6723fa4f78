//! Log lines on stderr that never block.
//!
//! Each line is one write, and whatever does not fit right now is dropped and counted. The next
//! line that gets through is preceded by the count, in the same write.

mod stderr;

use std::fmt::{self, Write as _};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use log::{Level, LevelFilter};

use crate::files::{FileId, look_at};
use crate::os;
use crate::text::{cut, parse_number, printable};

/// The longest line, bytes, its end included; longer ones are cut.
const LINE_BYTES: usize = 1024;

/// The longest write, bytes: a line, and before it the count of those that were dropped. A pipe
/// takes up to 4,096 (`PIPE_BUF`) in one piece or not at all.
const WRITE_BYTES: usize = LINE_BYTES + 128;

/// Lines dropped, in whole or in part, since the last one that got through.
static DROPPED: AtomicU32 = AtomicU32::new(0);

/// Lines dropped, in whole or in part, since the start.
static DROPPED_EVER: AtomicU32 = AtomicU32::new(0);

/// Only the beginning of the last line got through.
static CUT: AtomicBool = AtomicBool::new(false);

/// Whether lines carry the time.
static TIMESTAMPS: AtomicBool = AtomicBool::new(false);

/// Prepares stderr; from now on, nothing written to stderr waits for its reader. Lines carry
/// the time, unless the journal has it: `journal` is what it says its stream is.
pub(crate) fn init(level: LevelFilter, journal: Option<&str>) {
    let seen = look_at(os::stderr().as_raw_fd(), c"");
    let is_journal = seen.is_ok_and(|(kind, file)| {
        stderr::never_wait(kind);
        journal.is_some_and(|journal| is_at(file, journal))
    });
    TIMESTAMPS.store(!is_journal, Ordering::Relaxed);
    log::set_max_level(level);
}

/// Whether a file is the one with this `DEVICE:INODE`, in decimal.
fn is_at(file: FileId, place: &str) -> bool {
    cut(place, b':').is_some_and(|(device, inode)| {
        parse_number(device.as_bytes()) == Some(file.device)
            && parse_number(inode.as_bytes()) == Some(file.inode)
    })
}

/// Writes a line if its level is on. The macros of `log` would put the check and a whole record,
/// with a module and a line that nobody sees, wherever a line is written; nobody uses them.
pub(crate) fn say(level: Level, text: fmt::Arguments<'_>) {
    if level <= log::max_level() {
        always(level, text);
    }
}

/// Writes a line whatever the level is: for what somebody asked to see.
pub(crate) fn always(level: Level, text: fmt::Arguments<'_>) {
    let time = TIMESTAMPS.load(Ordering::Relaxed).then(os::unix_ms);
    let mut line = Line::new(time);
    line.head(time, level);
    // Nothing here can fail: a line takes what fits and ignores the rest.
    let _ = line.write_fmt(text);
    line.print();
}

/// The levels by name.
pub(crate) const LEVELS: [(&str, LevelFilter); 5] = [
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];

/// The level of this name, and the name.
pub(crate) fn find_level(name: &str) -> Option<(&'static str, LevelFilter)> {
    LEVELS.iter().copied().find(|(of, _)| *of == name)
}

/// Lines that were dropped, in whole or in part, since the start.
pub(crate) fn dropped() -> u32 {
    DROPPED_EVER.load(Ordering::Relaxed)
}

/// Writes `midge: WHAT` to stderr, for somebody who waits for it.
pub(crate) fn complain(what: fmt::Arguments<'_>) {
    print(format_args!("midge: {what}"));
}

/// Writes a line to stderr.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let mut line = Line::new(None);
    let _ = line.write_fmt(text);
    line.print();
}

/// One write being put together: a line, and before it what is to be said about lines that were
/// dropped. Control characters become `?`, so that a line stays one line.
struct Line {
    bytes: [u8; WRITE_BYTES],
    /// Where the line begins.
    start: usize,
    len: usize,
    /// Something did not fit.
    full: bool,
}

impl Line {
    /// An empty line, and before it how many were dropped.
    fn new(time: Option<u64>) -> Self {
        let mut line = Self { bytes: [0; WRITE_BYTES], start: 0, len: 0, full: false };
        let dropped = DROPPED.load(Ordering::Relaxed);
        if dropped > 0 {
            if CUT.load(Ordering::Relaxed) {
                line.end();
            }
            line.head(time, Level::Warn);
            let _ = write!(line, "log_lines_dropped={dropped}");
            line.end();
            line.start = line.len;
        }
        line
    }

    /// `2026-01-31T12:00:00Z info `.
    fn head(&mut self, time: Option<u64>, level: Level) {
        if let Some(ms) = time {
            write_time(self, ms / 1_000);
        }
        let (name, _) = LEVELS[level as usize - Level::Error as usize];
        let _ = self.write_str(name);
        let _ = self.write_str(" ");
    }

    fn end(&mut self) {
        self.bytes[self.len] = b'\n';
        self.len += 1;
    }

    /// In one piece, so that it does not mix with lines of other processes.
    fn print(mut self) {
        self.end();
        let taken = stderr::write(&self.bytes[..self.len]);
        // If it reaches as far as the line, the count has got through.
        let before = if taken < self.start { DROPPED.load(Ordering::Relaxed) } else { 0 };
        let dropped = u32::from(taken < self.len);
        DROPPED.store(before + dropped, Ordering::Relaxed);
        DROPPED_EVER.fetch_add(dropped, Ordering::Relaxed);
        if let Some(last) = taken.checked_sub(1) {
            CUT.store(self.bytes[last] != b'\n', Ordering::Relaxed);
        }
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        printable(text, &mut |character| {
            let end = self.len + character.len();
            // One byte is kept for the end of the line. What is cut is all the rest, so that no
            // shorter character gets in later.
            if end < self.start + LINE_BYTES && !self.full {
                self.bytes[self.len..end].copy_from_slice(character.as_bytes());
                self.len = end;
            } else {
                self.full = true;
            }
        });
        Ok(())
    }
}

/// Writes `2026-01-31T12:00:00Z `, from Unix seconds.
pub(crate) fn write_time(out: &mut dyn fmt::Write, secs: u64) {
    write_date(out, secs as i64);
    // Lines and pages cannot fail.
    let _ = out.write_str("Z ");
}

/// Writes `2026-01-31T12:00:00`, from Unix seconds, which may be before 1970.
#[inline(never)]
pub(crate) fn write_date(out: &mut dyn fmt::Write, secs: i64) {
    let (year, month, day) = civil_from_days(secs.div_euclid(86_400));
    let secs = secs.rem_euclid(86_400);
    let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
}

/// The date of a day counted from 1970-01-01 in the Gregorian calendar, from the year 1 on, after
/// Howard Hinnant's `civil_from_days`: years begin in March, so that the leap day is the last of one.
const fn civil_from_days(days: i64) -> (u64, u64, u64) {
    let z = (days + 719_468) as u64;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + (month <= 2) as u64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::{LINE_BYTES, Line, civil_from_days, write_time};

    #[test]
    fn dates_match_known_days() {
        for (days, date) in [
            (-719_162, (1, 1, 1)),
            (-106_752, (1677, 9, 21)),
            (-1, (1969, 12, 31)),
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (10_957, (2000, 1, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_089, (2025, 1, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil_from_days(days), date, "day {days}");
        }
    }

    #[test]
    fn a_line_has_a_time_and_one_end() {
        let mut line = Line::new(None);
        write_time(&mut line, 951_868_799);
        line.write_str("a\nb\u{7}ü").unwrap();
        line.end();
        assert_eq!(&line.bytes[..line.len], "2000-02-29T23:59:59Z a?b?ü\n".as_bytes());
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        for offset in 0..4 {
            let mut line = Line::new(None);
            line.write_str(&"x".repeat(offset)).unwrap();
            line.write_str(&"ü".repeat(LINE_BYTES)).unwrap();
            line.write_str("ü").unwrap();
            line.end();
            let text =
                core::str::from_utf8(&line.bytes[..line.len]).expect("cut between characters");
            assert!(text.len() <= LINE_BYTES && text.len() >= LINE_BYTES - 2);
            assert!(text.ends_with("ü\n"));
        }
    }
}
