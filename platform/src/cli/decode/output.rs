//! The words of a datagram, as text or as JSON: one line a datagram, section or row, or one object
//! a datagram in one line.

use core::fmt::{Display, Write};

use midge::wire::Token;

use crate::cli::Failure;
use crate::http::{Page, json};
use crate::text::Quoted;

/// Twice what the longest line needs: all bucket digests, or a name and tags that are escaped.
pub(super) const BYTES: usize = 4096;

/// Where the output goes.
pub(super) type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), Failure> + 'a;

/// What is listed in a datagram, and in a section.
const LISTS: [&[u8]; 3] = [b"", b",\"sections\":[", b",\"rows\":["];

/// Levels are 0 a datagram, 1 a section, 2 a row.
pub(super) struct Output<'a> {
    page: Page<'a>,
    sink: &'a mut Sink<'a>,
    json: bool,
    /// How many levels are open.
    level: usize,
    /// Whether the list of this level has been begun, in JSON.
    listed: [bool; 3],
    /// Whether no field stands before.
    first: bool,
    outcome: Result<(), Failure>,
}

impl<'a> Output<'a> {
    pub(super) fn new(space: &'a mut [u8; BYTES], json: bool, sink: &'a mut Sink<'a>) -> Self {
        Self {
            page: Page::new(space),
            sink,
            json,
            level: 0,
            listed: [false; 3],
            first: true,
            outcome: Ok(()),
        }
    }

    /// Hands on what there is; an error that came before counts, too.
    #[inline(never)]
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        if self.outcome.is_ok() {
            self.outcome = (self.sink)(self.page.written());
        }
        self.page.clear();
        self.outcome
    }

    /// Begins a line, or an object.
    #[inline(never)]
    pub(super) fn begin(&mut self, level: usize) {
        self.end(level);
        if self.page.len() > BYTES / 2 {
            // Nobody writes on after a failure: the end of the datagram asks for it.
            let _ = self.flush();
        }
        if self.json {
            let again = core::mem::replace(&mut self.listed[level], level > 0);
            self.page.push(if again { b"," } else { LISTS[level] });
            self.page.push(b"{");
        } else {
            // Where a line is open, it ends.
            self.page.push(if self.level > 0 { b"\n" } else { b"" });
            self.page.spaces(2 * level);
        }
        self.level = level + 1;
        self.first = true;
    }

    /// Ends everything, and says whether it could be written as far as that was tried.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.end(0);
        self.outcome
    }

    /// Ends everything from a level on.
    #[inline(never)]
    fn end(&mut self, level: usize) {
        while self.level > level {
            self.level -= 1;
            if !self.json {
                // However many levels: it is one line.
                self.level = 0;
            } else {
                if self.listed.get_mut(self.level + 1).is_some_and(core::mem::take) {
                    self.page.push(b"]");
                }
                self.page.push(b"}");
            }
            if self.level == 0 {
                self.page.push(b"\n");
            }
        }
    }

    #[inline(never)]
    fn key(&mut self, key: &str) -> &mut Page<'a> {
        let before: &[u8] = match (self.first, self.json) {
            (true, _) => b"",
            (false, true) => b",",
            (false, false) => b", ",
        };
        self.first = false;
        self.page.push(before);
        if self.json {
            json::string(&mut self.page, key);
            self.page.push(b":");
        } else {
            self.page.push(key.as_bytes());
            self.page.push(b" ");
        }
        &mut self.page
    }

    pub(super) fn number(&mut self, key: &str, value: u64) {
        self.key(key).number(value);
    }

    /// Words of ours.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.display(key, &value);
    }

    /// What others chose: in text it cannot pass for more than one value.
    pub(super) fn quoted(&mut self, key: &str, value: &str) {
        if self.json {
            self.text(key, value);
        } else {
            self.display(key, &Quoted(value));
        }
    }

    /// A value in so many hexadecimal digits.
    pub(super) fn hex(&mut self, key: &str, value: u64, digits: u32) {
        let quote: &[u8] = if self.json { b"\"" } else { b"" };
        let page = self.key(key);
        page.push(quote);
        page.hex(value, digits);
        page.push(quote);
    }

    pub(super) fn token(&mut self, key: &str, Token(token): Token) {
        self.hex(key, u64::from(u32::from_be_bytes(token)), 8);
    }

    /// Something that is formatted.
    #[inline(never)]
    pub(super) fn display(&mut self, key: &str, value: &dyn Display) {
        let json = self.json;
        let page = self.key(key);
        if json {
            json::display(page, value);
        } else {
            // A page cannot fail, nor can the values of midge.
            let _ = write!(page, "{value}");
        }
    }

    /// Something that is so; what is not so is not said.
    pub(super) fn flag(&mut self, key: &str, holds: bool) {
        if holds {
            let yes: &[u8] = if self.json { b"true" } else { b"yes" };
            self.key(key).push(yes);
        }
    }
}
