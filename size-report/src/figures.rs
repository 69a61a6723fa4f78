//! Measured values by name, and the files that such values stand in.

use std::collections::BTreeMap;

use crate::Result;

/// Names, and what was measured: bytes, or a count.
pub(crate) type Figures = BTreeMap<String, u64>;

pub(crate) fn read(path: &str) -> Result<Figures> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    parse(&text).map_err(|e| format!("{path}: {e}"))
}

/// Lines of `key = number`, where the number may have `_` between digits; `#` begins a comment.
pub(crate) fn parse(text: &str) -> Result<Figures> {
    let mut figures = Figures::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (key, value) =
            line.split_once('=').ok_or(format!("line {}: not `key = bytes`", at + 1))?;
        let (key, value) = (key.trim(), value.trim().replace('_', ""));
        let value = value.parse().map_err(|_| format!("line {}: not a number", at + 1))?;
        if figures.insert(key.to_string(), value).is_some() {
            return Err(format!("line {}: {key} is there twice", at + 1));
        }
    }
    Ok(figures)
}

/// A part of a key, of the name of a section or a crate: `.data.rel.ro` is `data-rel-ro`.
pub(crate) fn key(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    name.trim_matches(['.', '(', ')']).chars().map(plain).collect()
}

/// Digits in groups of three: 98,304.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_figure_is_an_error_that_names_the_line() {
        assert_eq!(parse("a = 1\nb"), Err("line 2: not `key = bytes`".into()));
        assert_eq!(parse("a = many"), Err("line 1: not a number".into()));
        assert_eq!(parse("a = 1\na = 2"), Err("line 2: a is there twice".into()));
    }

    #[test]
    fn names_become_parts_of_keys() {
        assert_eq!(key(".data.rel.ro"), "data-rel-ro");
        assert_eq!(key("(start files)"), "start-files");
        assert_eq!(key("midge_agent"), "midge_agent");
    }

    #[test]
    fn digits_are_grouped() {
        let texts = [0, 999, 1_000, 98_304, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "98,304", "1,234,567"]);
    }
}
