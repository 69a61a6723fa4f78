//! Log lines on stderr that never block.
//!
//! stderr is often a pipe that other processes write to as well. `O_NONBLOCK` belongs to the open
//! file description, so setting it would change it for all of them and make *their* writes fail.
//! So each line is one write of less than `PIPE_BUF` bytes (4,096), made only if `poll(2)` says
//! that there is room: a pipe that is writable takes that much at once (pipe(7)), a Unix socket
//! (journald) then has most of its buffer free, a stopped terminal is not writable. Otherwise the
//! line is dropped and counted, and the next line that gets through is preceded by the count.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::os;
use crate::text::printable;

/// The longest line, bytes, its end included; longer ones are cut.
const LINE_BYTES: usize = 1024;

/// Lines dropped since the last one that got through.
static DROPPED: AtomicU32 = AtomicU32::new(0);

/// Whether lines carry the time.
static TIMESTAMPS: AtomicBool = AtomicBool::new(false);

/// What others log through the macros of `log`.
struct Stderr;

/// Installs the logger. Lines carry the time, unless the journal has it.
pub(crate) fn init(level: LevelFilter, under_systemd: bool) {
    TIMESTAMPS.store(!under_systemd, Ordering::Relaxed);
    // It fails only if there is a logger already; that one then stays.
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level);
    }
}

/// Writes a line if its level is on. The macros of `log` would put the check and a whole record,
/// with a module and a line that nobody sees, wherever a line is written.
pub(crate) fn say(level: Level, text: fmt::Arguments<'_>) {
    if level <= log::max_level() {
        always(level, text);
    }
}

/// Writes a line whatever the level is: for what somebody asked to see.
pub(crate) fn always(level: Level, text: fmt::Arguments<'_>) {
    let time = TIMESTAMPS.load(Ordering::Relaxed).then(os::unix_ms);
    if !has_room() {
        DROPPED.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let dropped = DROPPED.swap(0, Ordering::Relaxed);
    if dropped > 0 {
        // Both together stay below PIPE_BUF, so the room found above is enough for both.
        write(time, Level::Warn, format_args!("log_lines_dropped={dropped}"));
    }
    write(time, level, text);
}

/// The levels by name.
pub(crate) const LEVELS: [(&str, LevelFilter); 5] = [
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    /// The macros have checked the level by now.
    fn log(&self, record: &Record<'_>) {
        always(record.level(), *record.args());
    }

    fn flush(&self) {}
}

fn has_room() -> bool {
    let mut fds = [PollFd::new(os::stderr(), PollFlags::POLLOUT)];
    // Errors and hang-ups count as room: the write then fails at once.
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(n) if n > 0)
}

fn write(time: Option<u64>, level: Level, text: fmt::Arguments<'_>) {
    let mut line = Line::new();
    if let Some(ms) = time {
        line.time(ms / 1_000);
    }
    let (name, _) = LEVELS[level as usize - Level::Error as usize];
    // Nothing here can fail: a line takes what fits and ignores the rest.
    let _ = line.write_fmt(format_args!("{name} {text}"));
    line.print();
}

/// Writes `midge: WHAT` to stderr, for somebody who waits for it.
pub(crate) fn complain(what: fmt::Arguments<'_>) {
    print(format_args!("midge: {what}"));
}

/// Writes a line to stderr.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let mut line = Line::new();
    let _ = line.write_fmt(text);
    line.print();
}

/// One line being put together: control characters become `?`, so that a line stays one line.
struct Line {
    bytes: [u8; LINE_BYTES],
    len: usize,
    /// Something did not fit.
    full: bool,
}

impl Line {
    const fn new() -> Self {
        Self { bytes: [0; LINE_BYTES], len: 0, full: false }
    }

    /// `2026-01-31T12:00:00Z `, from Unix seconds.
    fn time(&mut self, secs: u64) {
        let (year, month, day) = civil_from_days(secs / 86_400);
        let (hour, minute, second) = (secs / 3_600 % 24, secs / 60 % 60, secs % 60);
        let _ = write!(self, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z ");
    }

    /// In one piece, so that it does not mix with lines of other processes.
    fn print(mut self) {
        // Nobody is left to be told if this fails.
        let _ = os::write_all(os::stderr(), self.end());
    }

    fn end(&mut self) -> &[u8] {
        self.bytes[self.len] = b'\n';
        &self.bytes[..=self.len]
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        printable(text, &mut |character| {
            let end = self.len + character.len();
            // One byte is kept for the end of the line. What is cut is all the rest, so that no
            // shorter character gets in later.
            if end < LINE_BYTES && !self.full {
                self.bytes[self.len..end].copy_from_slice(character.as_bytes());
                self.len = end;
            } else {
                self.full = true;
            }
        });
        Ok(())
    }
}

/// The date of a day since 1970-01-01 in the Gregorian calendar, after Howard Hinnant's
/// `civil_from_days`: years begin in March, so that the leap day is the last of one.
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
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

    use super::{LINE_BYTES, Line, civil_from_days};

    #[test]
    fn dates_match_known_days() {
        for (days, date) in [
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
        let mut line = Line::new();
        line.time(951_868_799);
        line.write_str("a\nb\u{7}ü").unwrap();
        assert_eq!(line.end(), "2000-02-29T23:59:59Z a?b?ü\n".as_bytes());
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        for offset in 0..4 {
            let mut line = Line::new();
            line.write_str(&"x".repeat(offset)).unwrap();
            line.write_str(&"ü".repeat(LINE_BYTES)).unwrap();
            line.write_str("ü").unwrap();
            let text = core::str::from_utf8(line.end()).expect("cut between characters");
            assert!(text.len() <= LINE_BYTES && text.len() >= LINE_BYTES - 2);
            assert!(text.ends_with("ü\n"));
        }
    }
}
