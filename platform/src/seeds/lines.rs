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

/// Hands over what each line names. What is wrong with the others is said in the log. Says whether
/// it is a list: one may be empty, but not have only lines that make no sense.
pub(super) fn read(
    text: &[u8],
    source: Source,
    take: &mut dyn FnMut(Target<'_>) -> Result<(), JoinError>,
) -> bool {
    let (mut taken, mut wrong) = (0, 0);
    each_line(text, &mut |number, line| {
        let line = line.trim_ascii();
        let error: &dyn Display = match parse_target(line, DEFAULT_PORT) {
            Err(error) => &{ error },
            Ok(target) => match take(target) {
                Ok(()) => {
                    taken += 1;
                    return;
                }
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
    let is_list = taken > 0 || wrong == 0;
    if !is_list {
        let what = "no line names a host; what was named before still counts";
        say(Level::Warn, format_args!("seeds={source} note=\"{what}\""));
    }
    is_list
}
