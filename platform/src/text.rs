//! Looking into text by bytes. The library's searches are for any pattern, and so many times as
//! large as these few lines.

use core::fmt::{self, Write as _};

/// What stands before and after the first `separator`, which is an ASCII character.
#[inline(never)]
pub(crate) fn cut(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == separator)?;
    Some((&text[..at], &text[at + 1..]))
}

/// The parts of a text between separators.
#[derive(Clone, Debug)]
pub(crate) struct Parts<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

/// The parts of `text` between separators, which are ASCII characters; one if there is none.
pub(crate) fn parts(text: &str, separator: u8) -> Parts<'_> {
    Parts { rest: Some(text), separator }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    #[inline(never)]
    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest?;
        let Some((part, rest)) = cut(text, self.separator) else { return self.rest.take() };
        self.rest = Some(rest);
        Some(part)
    }
}

/// Without the spaces and tabs around it.
#[inline(never)]
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Whether two words are the same but for the case of ASCII letters. The library's compares
/// sixteen bytes at a time, which is seven times the code.
#[inline(never)]
pub(crate) fn same_word(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// Reads a number of decimal digits and nothing else. One that is too large becomes the largest.
pub(crate) fn parse_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    })
}

/// Reads a number of up to eight hexadecimal digits and nothing else.
pub(crate) fn parse_hex(text: &str) -> Option<u64> {
    parse_digits(text, 16)
}

/// Reads a number of up to eight digits of this radix and nothing else.
pub(crate) fn parse_digits(text: &str, radix: u32) -> Option<u64> {
    if text.is_empty() || text.len() > 8 {
        return None;
    }
    text.bytes().try_fold(0, |sum, byte| {
        let digit = char::from(byte).to_digit(radix)?;
        Some(sum * u64::from(radix) + u64::from(digit))
    })
}

/// Reads an id: sixteen hexadecimal digits and nothing else.
pub(crate) fn parse_id(text: &str) -> Option<u64> {
    let (high, low) = text.split_at_checked(8)?;
    if low.len() != 8 {
        return None;
    }
    Some(parse_hex(high)? << 32 | parse_hex(low)?)
}

/// Hands over the text piece by piece; each character that could drive a terminal, end a line or
/// turn the direction of what follows, as a `?`.
pub(crate) fn printable(text: &str, take: &mut dyn FnMut(&str)) {
    for (at, c) in text.char_indices() {
        take(if is_printable(c) { &text[at..at + c.len_utf8()] } else { "?" });
    }
}

/// No control character, line or paragraph separator, or mark of direction (UAX 9 section 2).
fn is_printable(c: char) -> bool {
    let marks =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !marks && c != '\u{61c}' && !c.is_control()
}

/// A text that others choose, as one value: in quotes unless it is plain, so that it cannot pass
/// for other keys and values.
#[derive(Debug)]
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if self.0.bytes().all(is_plain) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(if is_printable(c) { c } else { '?' })?;
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::{Quoted, cut, parse_digits, parse_number, parts, printable};

    #[test]
    fn texts_are_cut_at_separators() {
        assert_eq!(cut("ä=b=c", b'='), Some(("ä", "b=c")));
        assert_eq!(cut("=", b'='), Some(("", "")));
        assert_eq!(cut("ä", b'='), None);
        assert!(parts("a,,ü,", b',').eq(["a", "", "ü", ""]));
        assert!(parts("", b',').eq([""]));
    }

    #[test]
    fn what_drives_or_turns_a_terminal_is_not_printed() {
        let turned = "a\u{1b}b\u{85}c\u{2028}d\u{202e}e\u{2066}f\u{200f}g\u{61c}\u{fc}\u{200d}";
        let mut printed = String::new();
        printable(turned, &mut |piece| printed.push_str(piece));
        assert_eq!(printed, "a?b?c?d?e?f?g?\u{fc}\u{200d}");
        assert_eq!(Quoted(turned).to_string(), format!("\"{printed}\""));
    }

    #[test]
    fn digits_are_those_of_the_radix() {
        for (text, radix, number) in [
            ("0", 8, Some(0)),
            ("0660", 8, Some(0o660)),
            ("668", 8, None),
            ("Ff", 16, Some(255)),
            ("ffffffff", 16, Some(0xFFFF_FFFF)),
            ("100000000", 16, None),
            ("", 8, None),
            ("+66", 8, None),
        ] {
            assert_eq!(parse_digits(text, radix), number, "{text}");
        }
    }

    #[test]
    fn numbers_are_digits() {
        let most = u64::MAX.to_string();
        for (text, number) in [
            ("0", Some(0)),
            ("007", Some(7)),
            (&most, Some(u64::MAX)),
            ("", None),
            ("+1", None),
            ("-1", None),
            (" 1", None),
            ("1x", None),
            ("18446744073709551616", Some(u64::MAX)),
        ] {
            assert_eq!(parse_number(text.as_bytes()), number, "{text}");
        }
    }
}
