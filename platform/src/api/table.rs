//! Text in columns, for people. The rows are streamed, so the columns have fixed places; a value
//! that is too long pushes the next ones to the right, in its row only.

use crate::http::Page;
use crate::text;

/// A row that is being written.
#[derive(Debug)]
pub(super) struct Row<'p, 'a> {
    page: &'p mut Page<'a>,
    start: usize,
}

impl<'p, 'a> Row<'p, 'a> {
    pub(super) fn begin(page: &'p mut Page<'a>) -> Self {
        let start = page.len();
        Self { page, start }
    }

    /// Goes to a column, leaving at least one space.
    pub(super) fn at(&mut self, column: usize) -> &mut Page<'a> {
        // Characters, not bytes: those that do not continue a UTF-8 sequence.
        let so_far = &self.page.written()[self.start..];
        let width = so_far.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
        let least = usize::from(width > 0);
        self.page.spaces(column.saturating_sub(width).max(least));
        self.page
    }

    pub(super) fn end(self) {
        self.page.push(b"\n");
    }
}

/// Writes text that came from elsewhere: control characters, which could drive a terminal, become
/// `?`.
pub(super) fn printable(page: &mut Page<'_>, text: &str) {
    text::printable(text, &mut |piece| page.push(piece.as_bytes()));
}
