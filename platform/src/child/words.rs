//! From a command line to words, without a shell.
//!
//! Words are separated by spaces. What is between two quotes, `'...'` or `"..."`, is taken as it
//! is and may have spaces; nothing else means anything: no `$`, `\`, `|`, `*` or `~`.

use core::fmt;
use std::ffi::{CStr, c_char};

/// The longest command line with a null byte, bytes.
pub(crate) const COMMAND_BYTES: usize = 1_024;

/// The most words.
pub(super) const WORDS: usize = 32;

/// A command line that has words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandLine(&'static str);

/// Why a text is no command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandError {
    Empty,
    Quote,
    Long,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is no program; give its path or name, then its arguments",
            Self::Quote => "has a quote without its end",
            Self::Long => "is longer than 1023 bytes or 32 words; put it into a script",
        })
    }
}

impl CommandLine {
    /// # Errors
    /// A [`CommandError`].
    pub(crate) fn parse(text: &'static str) -> Result<Self, CommandError> {
        match split(text, &mut [0; COMMAND_BYTES], &mut [0; WORDS])? {
            0 => Err(CommandError::Empty),
            _ => Ok(Self(text)),
        }
    }

    /// The first word, which is the program.
    pub(crate) fn program(self, space: &mut [u8; COMMAND_BYTES]) -> &CStr {
        // `parse` has seen to it that there is room.
        let _ = split(self.0, space, &mut [0; WORDS]);
        CStr::from_bytes_until_nul(space).unwrap_or_default()
    }

    /// Puts the words into `space`, each with a null byte, and points to them.
    pub(super) fn split(self, space: &mut [u8; COMMAND_BYTES], words: &mut [*const c_char]) {
        let mut starts = [0; WORDS];
        // `parse` has seen to it that there is room.
        let count = split(self.0, space, &mut starts).unwrap_or(0);
        for (word, start) in words.iter_mut().zip(&starts[..count]) {
            *word = space[*start..].as_ptr().cast();
        }
    }
}

/// Says where each word begins, and how many there are.
#[inline(never)]
fn split(
    text: &str,
    space: &mut [u8; COMMAND_BYTES],
    starts: &mut [usize; WORDS],
) -> Result<usize, CommandError> {
    let text = text.as_bytes();
    let (mut len, mut count, mut quote, mut inside) = (0, 0, 0, false);
    if text.len() >= COMMAND_BYTES {
        return Err(CommandError::Long);
    }
    for at in 0..=text.len() {
        let byte = *text.get(at).unwrap_or(&b' ');
        if quote == 0 && byte == b' ' && !inside {
            continue;
        }
        if !inside {
            *starts.get_mut(count).ok_or(CommandError::Long)? = len;
            count += 1;
            inside = true;
        }
        if byte == quote {
            quote = 0;
        } else if quote == 0 && (byte == b'"' || byte == b'\'') {
            quote = byte;
        } else {
            inside = quote != 0 || byte != b' ';
            // A word needs no more room than its text and what separates it from the next.
            space[len] = if inside { byte } else { 0 };
            len += 1;
        }
    }
    if quote == 0 { Ok(count) } else { Err(CommandError::Quote) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<String>, CommandError> {
        let (mut space, mut starts) = ([b'x'; COMMAND_BYTES], [0; WORDS]);
        let count = split(text, &mut space, &mut starts)?;
        let word = |start: &usize| {
            let bytes = space[*start..].split(|byte| *byte == 0).next().unwrap();
            String::from_utf8(bytes.into()).unwrap()
        };
        Ok(starts[..count].iter().map(word).collect())
    }

    #[test]
    fn words_are_separated_by_spaces() {
        assert_eq!(words("a").unwrap(), ["a"]);
        assert_eq!(words("  /bin/a  -b   c ").unwrap(), ["/bin/a", "-b", "c"]);
        assert_eq!(
            words("a $b \\ c|d * ~ é\tf").unwrap(),
            ["a", "$b", "\\", "c|d", "*", "~", "é\tf"]
        );
        assert_eq!(words("").unwrap(), [""; 0]);
        assert_eq!(words("   ").unwrap(), [""; 0]);
    }

    #[test]
    fn quotes_keep_what_is_between_them() {
        assert_eq!(words("a 'b c' \"d 'e'\"").unwrap(), ["a", "b c", "d 'e'"]);
        assert_eq!(words("a'b c'd\"\" e").unwrap(), ["ab cd", "e"]);
        assert_eq!(words("a '' b").unwrap(), ["a", "", "b"]);
        for open in ["'", "a 'b", "a \"b'", "a 'b' '"] {
            assert_eq!(words(open), Err(CommandError::Quote), "{open}");
        }
    }

    #[test]
    fn what_is_too_long_or_nothing_is_refused() {
        let parse = |text: String| CommandLine::parse(text.leak()).err();
        assert_eq!(parse("x".repeat(COMMAND_BYTES - 1)), None);
        assert_eq!(parse("x".repeat(COMMAND_BYTES)), Some(CommandError::Long));
        assert_eq!(parse("x ".repeat(WORDS)), None);
        assert_eq!(parse("x ".repeat(WORDS + 1)), Some(CommandError::Long));
        assert_eq!(parse("  ".into()), Some(CommandError::Empty));
        assert_eq!(parse("'".into()), Some(CommandError::Quote));
    }
}
