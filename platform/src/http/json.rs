//! JSON (RFC 8259) into a page. Why not a serialiser: `docs/decisions/json.md`.

use core::fmt::{self, Write};

use super::page::Page;

/// An object that is being written. Every method appends one member; the keys are ours and need
/// no escaping.
#[derive(Debug)]
pub struct Object<'p, 'a> {
    page: &'p mut Page<'a>,
    first: bool,
}

impl<'p, 'a> Object<'p, 'a> {
    /// Opens an object.
    pub fn open(page: &'p mut Page<'a>) -> Self {
        page.push(b"{");
        Self { page, first: true }
    }

    /// A key; the caller writes its value to the page that is returned.
    #[inline(never)]
    pub fn key(&mut self, key: &str) -> &mut Page<'a> {
        if !self.first {
            self.page.push(b",");
        }
        self.first = false;
        string(self.page, key);
        self.page.push(b":");
        self.page
    }

    /// A string.
    pub fn text(&mut self, key: &str, value: &str) {
        string(self.key(key), value);
    }

    /// A string that is formatted.
    pub fn display(&mut self, key: &str, value: &dyn fmt::Display) {
        display(self.key(key), value);
    }

    /// A number. The caller keeps it below 2^53.
    pub fn number(&mut self, key: &str, value: u64) {
        self.key(key).number(value);
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &str, value: bool) {
        self.key(key).push(if value { b"true" } else { b"false" });
    }

    /// A string of so many hexadecimal digits.
    pub fn hex(&mut self, key: &str, value: u64, digits: u32) {
        let page = self.key(key);
        page.push(b"\"");
        page.hex(value, digits);
        page.push(b"\"");
    }

    /// Closes the object.
    pub fn close(self) {
        self.page.push(b"}");
    }
}

/// Appends a string with its quotes.
pub fn string(page: &mut Page<'_>, text: &str) {
    page.push(b"\"");
    escaped(page, text);
    page.push(b"\"");
}

/// Appends a formatted value as a string with its quotes.
pub fn display(page: &mut Page<'_>, value: &dyn fmt::Display) {
    struct Escape<'p, 'a>(&'p mut Page<'a>);
    impl Write for Escape<'_, '_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            escaped(self.0, text);
            Ok(())
        }
    }
    page.push(b"\"");
    // The page cannot fail; a `Display` of ours does not either.
    let _ = write!(Escape(page), "{value}");
    page.push(b"\"");
}

/// Escapes what RFC 8259 section 7 requires, and nothing else: quotes, backslashes and control
/// characters. All of these are single bytes, so UTF-8 stays whole.
fn escaped(page: &mut Page<'_>, text: &str) {
    let bytes = text.as_bytes();
    let mut clean = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        page.push(&bytes[clean..at]);
        clean = at + 1;
        match byte {
            b'"' | b'\\' => page.push(&[b'\\', byte]),
            b'\n' => page.push(b"\\n"),
            b'\r' => page.push(b"\\r"),
            b'\t' => page.push(b"\\t"),
            _ => {
                page.push(b"\\u00");
                page.hex(u64::from(byte), 2);
            }
        }
    }
    page.push(&bytes[clean..]);
}
