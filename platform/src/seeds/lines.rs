//! A list of addresses and names as people write it: one a line.

use log::Level;
use midge::JoinError;

use super::Source;
use crate::api::{DEFAULT_PORT, Target, parse_target};
use crate::logger::say;
use crate::text::Quoted;

/// Lines with mistakes that the log shows; of the others it tells how many there are.
const SHOWN: u32 = 8;

/// Hands over what each line names. What is wrong with the others is said in the log.
pub(super) fn read(
    text: &[u8],
    source: Source,
    take: &mut dyn FnMut(Target<'_>) -> Result<(), JoinError>,
) {
    let mut wrong = 0;
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
        if line.is_empty() {
            continue;
        }
        // What is not UTF-8 is no address.
        let line_text = core::str::from_utf8(line).unwrap_or("?");
        let error: &dyn core::fmt::Display = match parse_target(line_text, DEFAULT_PORT) {
            Err(error) => &{ error },
            Ok(target) => match take(target) {
                Ok(()) => continue,
                Err(error) => &{ error },
            },
        };
        wrong += 1;
        if wrong <= SHOWN {
            let (number, shown) = (at + 1, Quoted(line_text));
            say(
                Level::Warn,
                format_args!("seeds={source} line={number} text={shown} note=\"ignored: {error}\""),
            );
        }
    }
    if wrong > SHOWN {
        let more = wrong - SHOWN;
        say(Level::Warn, format_args!("seeds={source} more_lines_ignored={more}"));
    }
}
