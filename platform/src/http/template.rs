//! Texts with places for values: one renderer for what is said as JSON and as text for people.

use core::fmt::{self, Write as _};

use super::json;
use super::page::Page;
use crate::text::{cut, printable};

/// What a template is filled with. A place is two bytes: the kind, and which one of it from `a` on.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// `#a`: a number; `~a`: the same, 0 being none (`null`, `-`); `?a`: 1 for `true`, 0 for
    /// `false`. For JSON, the caller keeps them below 2^53.
    pub numbers: &'a [u64],
    /// `$a`: a text, perhaps of others' choice: a string in JSON, printable in text.
    pub texts: &'a [&'a str],
    /// `!a`: what the caller writes: to this page, which one, as JSON or as text.
    pub write: &'a dyn Fn(&mut Page<'_>, u8, bool),
}

impl Values<'_> {
    /// None.
    pub const NONE: Self = Self { numbers: &[], texts: &[], write: &|_, _, _| {} };
}

/// Appends a template with its values in their places. It stands in the source, where the bytes
/// that begin a place begin nothing else.
#[inline(never)]
pub fn fill(page: &mut Page<'_>, in_json: bool, template: &str, values: &Values<'_>) {
    let mut rest = template.as_bytes();
    while let Some(at) = rest.iter().position(|byte| b"#~?$!".contains(byte)) {
        page.push(&rest[..at]);
        let (kind, place) = (rest[at], rest[at + 1]);
        let index = usize::from(place - b'a');
        match kind {
            b'!' => (values.write)(page, place, in_json),
            b'$' => show(page, in_json, &values.texts[index]),
            _ => match (kind, values.numbers[index]) {
                (b'?', flag) => page.push(if flag != 0 { b"true" } else { b"false" }),
                (b'~', 0) => none(page, in_json),
                (_, number) => page.number(number),
            },
        }
        rest = &rest[at + 2..];
    }
    page.push(rest);
}

/// Appends one of two templates, for text and, after a `|`, for JSON.
#[inline(never)]
pub fn fill_form(page: &mut Page<'_>, in_json: bool, templates: &str, values: &Values<'_>) {
    let (text, json) = cut(templates, b'|').unwrap_or_default();
    fill(page, in_json, if in_json { json } else { text }, values);
}

/// Appends that there is none.
pub fn none(page: &mut Page<'_>, in_json: bool) {
    page.push(if in_json { b"null" } else { b"-" });
}

/// Appends what is formatted: as a string of JSON, or so that it drives no terminal.
#[inline(never)]
pub fn show(page: &mut Page<'_>, in_json: bool, value: &dyn fmt::Display) {
    if in_json {
        return json::display(page, value);
    }
    // The page cannot fail, nor do the values of midge.
    let _ = write!(Printable(page), "{value}");
}

/// A page for people: what would drive a terminal becomes `?`.
struct Printable<'p, 'a>(&'p mut Page<'a>);

impl fmt::Write for Printable<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        printable(text, &mut |piece| self.0.push(piece.as_bytes()));
        Ok(())
    }
}
