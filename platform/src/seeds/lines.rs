//! A list of addresses and names as people write it: one a line.

use core::fmt::Display;

use log::Level;
use midge::JoinError;

use super::Source;
use crate::api::{DEFAULT_PORT, Target, parse_target};
use crate::files::each_line;
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
    each_line(text, &mut |number, line| {
        let line = line.trim_ascii();
        let error: &dyn Display = match parse_target(line, DEFAULT_PORT) {
            Err(error) => &{ error },
            Ok(target) => match take(target) {
                Ok(()) => return,
                Err(error) => &{ error },
            },
        };
        wrong += 1;
        if wrong <= SHOWN {
            let shown = Quoted(line);
            say(
                Level::Warn,
                format_args!("seeds={source} line={number} text={shown} note=\"ignored: {error}\""),
            );
        }
    });
    if wrong > SHOWN {
        let more = wrong - SHOWN;
        say(Level::Warn, format_args!("seeds={source} more_lines_ignored={more}"));
    }
}
