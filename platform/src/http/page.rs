//! Writing text into a fixed page.

use core::fmt;

/// A page that is being filled. What does not fit is not written, and the page then counts as
/// overfull until it is cut back to a [`Mark`].
#[derive(Debug)]
pub struct Page<'a> {
    bytes: &'a mut [u8],
    len: usize,
    overfull: bool,
}

/// A length to go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl<'a> Page<'a> {
    /// An empty page over these bytes.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, len: 0, overfull: false }
    }

    /// Starts over.
    pub fn clear(&mut self) {
        self.len = 0;
        self.overfull = false;
    }

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether something did not fit.
    pub fn is_overfull(&self) -> bool {
        self.overfull
    }

    /// What has been written.
    pub fn written(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Appends all of `bytes`, or nothing.
    #[inline(never)]
    pub fn push(&mut self, bytes: &[u8]) {
        match self.bytes.get_mut(self.len..self.len + bytes.len()) {
            Some(space) if !self.overfull => {
                space.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            _ => self.overfull = true,
        }
    }

    /// Appends a number in decimal.
    #[inline(never)]
    pub fn number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }

    /// Appends a number as so many hexadecimal digits, in lower case.
    #[inline(never)]
    pub fn hex(&mut self, number: u64, digits: u32) {
        for digit in (0..digits).rev() {
            let nibble = (number >> (4 * digit)) & 15;
            self.push(&[b"0123456789abcdef"[nibble as usize]]);
        }
    }

    /// Appends spaces.
    pub fn spaces(&mut self, count: usize) {
        for _ in 0..count {
            self.push(b" ");
        }
    }

    /// The present length.
    pub fn mark(&self) -> Mark {
        Mark(self.len)
    }

    /// Keeps what has been written since `mark` if all of it fitted; otherwise takes it back and
    /// returns `false`. So a row is written whole or not at all.
    pub fn keep(&mut self, mark: Mark) -> bool {
        if self.overfull {
            self.len = mark.0;
            self.overfull = false;
            return false;
        }
        true
    }
}

impl fmt::Write for Page<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}
