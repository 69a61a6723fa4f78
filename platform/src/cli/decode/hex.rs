//! Datagrams as hexadecimal text: two digits a byte, with spaces, commas, colons and `0x` between
//! them or not, over several lines; a `#` begins a comment. An empty line ends a datagram.

use super::input::Input;
use super::{DATAGRAM_BYTES, Decoder};
use crate::cli::Failure;

const ERROR: &str = "not hexadecimal, two digits a byte, as xxd -p writes it";

/// The datagram that is being read.
struct Text {
    bytes: [u8; DATAGRAM_BYTES],
    len: usize,
    /// The first digit of a byte.
    half: Option<u8>,
    /// Bytes since the last separator.
    together: usize,
    /// The line that is wrong; 0 if none is.
    error_line: u64,
    line: u64,
}

/// Reads all of it.
pub(super) fn read(input: &mut Input<'_>, decoder: &mut Decoder<'_>) -> Result<(), Failure> {
    let mut text = Text {
        bytes: [0; DATAGRAM_BYTES],
        len: 0,
        half: None,
        together: 0,
        error_line: 0,
        line: 1,
    };
    let (mut comment, mut empty) = (false, true);
    loop {
        let byte = input.byte();
        match byte {
            None | Some(b'\n') => {
                text.end_byte();
                if byte.is_none() || empty {
                    text.end(decoder)?;
                }
                if byte.is_none() {
                    return Ok(());
                }
                text.line += 1;
                (comment, empty) = (false, true);
            }
            Some(b'#') => (comment, empty) = (true, false),
            Some(_) if comment => {}
            // Behind several bytes it is the offset of a dump that ends.
            Some(b':') if text.together > 1 => text.fail(),
            Some(b' ' | b'\t' | b'\r' | b',' | b':') => text.end_byte(),
            Some(byte) => {
                empty = false;
                text.digit(byte);
            }
        }
    }
}

impl Text {
    fn digit(&mut self, byte: u8) {
        let digit = char::from(byte).to_digit(16);
        match (digit, self.half.take()) {
            (Some(digit), None) => self.half = Some(digit as u8),
            (Some(digit), Some(half)) => {
                // The buffer shows one that is too long; more of it changes nothing.
                if let Some(place) = self.bytes.get_mut(self.len) {
                    *place = half << 4 | digit as u8;
                    self.len += 1;
                }
                self.together += 1;
            }
            (None, Some(0)) if byte | 0x20 == b'x' => {}
            (None, _) => self.fail(),
        }
    }

    fn end_byte(&mut self) {
        self.together = 0;
        if self.half.take().is_some() {
            self.fail();
        }
    }

    fn fail(&mut self) {
        self.error_line = self.line;
    }

    fn end(&mut self, decoder: &mut Decoder<'_>) -> Result<(), Failure> {
        let error_line = core::mem::take(&mut self.error_line);
        let len = core::mem::take(&mut self.len);
        if len == 0 && error_line == 0 {
            return Ok(());
        }
        let error = if error_line > 0 { ERROR } else { "" };
        decoder.written(&self.bytes[..len], error, error_line)
    }
}
