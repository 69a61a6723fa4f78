//! Strict postcard: what decodes is the one encoding that we would have produced.
//!
//! The bytes are those of postcard, whose derived code would cost 4 kB more and would have to
//! encode everything again to find out whether the encoding was the shortest. So only its varints
//! are its own.

use serde::{Deserialize, Serialize};

use crate::address::{Address, is_host_v4};
use crate::limits::{EPOCH_END, MTU_BYTES, REFUTATION_END};
use crate::member::Incarnation;

/// Four bytes that a peer cannot guess and has to give back: a probe's number, or the token of an
/// introduction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token(pub [u8; 4]);

/// Reads from the front of some bytes. What is not there, or not as it should be, makes the reader
/// fail for good: from then on it is at its end, and whatever it yields means nothing. So a
/// structure is read field by field, and whether it was one is asked once, at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// 0, or where and why it failed: how many bytes were left, times [`FLAWS`], and the flaw.
    failed: u32,
}

/// Why bytes do not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Flaw {
    /// They end too early.
    Cut = 1,
    /// A value is not in its range, or not written in its only way.
    Value = 2,
    /// There are bytes behind the last field.
    Behind = 3,
    /// A second section of its type.
    Twice = 4,
}

const FLAWS: u32 = 8;

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, failed: 0 }
    }

    /// Whether nothing is left to be read, or nothing can be.
    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte, which is not taken.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// How many bytes are left to be read.
    pub(super) const fn len(&self) -> usize {
        self.rest.len()
    }

    /// Fails unless this is so.
    pub(super) fn check(&mut self, holds: bool) {
        if !holds {
            self.fail(Flaw::Value);
        }
    }

    /// Fails, for this reason.
    #[cold]
    #[inline(never)]
    pub(super) fn fail(&mut self, flaw: Flaw) {
        // Only the first one counts.
        if self.failed == 0 {
            self.failed = self.rest.len() as u32 * FLAWS + flaw as u32;
            self.rest = &[];
        }
    }

    /// Fails where the reader of a part of it has failed, whose end is where this one is.
    pub(super) fn expect_whole(&mut self, mut part: Self) {
        if !part.is_empty() {
            part.fail(Flaw::Behind);
        }
        if part.failed != 0 && self.failed == 0 {
            self.failed = self.rest.len() as u32 * FLAWS + part.failed;
            self.rest = &[];
        }
    }

    /// Where and why it has failed: how many bytes were left, and the flaw.
    pub(super) const fn failure(&self) -> Option<(usize, Flaw)> {
        let flaw = match self.failed % FLAWS {
            0 => return None,
            1 => Flaw::Cut,
            2 => Flaw::Value,
            3 => Flaw::Behind,
            _ => Flaw::Twice,
        };
        Some(((self.failed / FLAWS) as usize, flaw))
    }

    /// Takes as many bytes as the array has; zeroes if there are fewer.
    fn array<const BYTES: usize>(&mut self) -> [u8; BYTES] {
        match self.rest.split_first_chunk() {
            Some((taken, rest)) => {
                self.rest = rest;
                *taken
            }
            None => {
                self.fail(Flaw::Cut);
                [0; BYTES]
            }
        }
    }

    /// Takes so many bytes; none if there are fewer.
    pub(super) fn take(&mut self, count: usize) -> &'a [u8] {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                taken
            }
            None => {
                self.fail(Flaw::Cut);
                &[]
            }
        }
    }

    /// Takes all that is left.
    pub(super) fn take_all(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    pub(super) fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }

    pub(super) fn token(&mut self) -> Token {
        Token(self.u32().to_le_bytes())
    }

    /// Takes a number as a varint.
    pub(super) fn varint(&mut self) -> u32 {
        match *self.rest {
            // Nearly all of them.
            [byte @ 0..0x80, ref rest @ ..] => {
                self.rest = rest;
                u32::from(byte)
            }
            _ => self.long_varint(),
        }
    }

    /// Takes a number of 64 bits as a varint.
    pub(super) fn varint_u64(&mut self) -> u64 {
        self.long_varint()
    }

    /// One that could be shorter is malformed, although postcard takes it. Those of 64 bits are the
    /// council's, and only who has one pays for them.
    #[cold]
    #[inline(never)]
    fn long_varint<T: Deserialize<'a> + Default>(&mut self) -> T {
        let (value, rest) = match postcard::take_from_bytes::<T>(self.rest) {
            Ok(taken) => taken,
            Err(error) => {
                let cut = error == postcard::Error::DeserializeUnexpectedEnd;
                self.fail(if cut { Flaw::Cut } else { Flaw::Value });
                return T::default();
            }
        };
        let length = self.rest.len() - rest.len();
        let varint = self.take(length);
        self.check(length == 1 || !varint.ends_with(&[0]));
        value
    }

    /// Takes so many bytes as a varint says that stands before them.
    pub(super) fn counted(&mut self) -> &'a [u8] {
        let count = self.varint();
        self.take(count as usize)
    }

    /// Takes a string in UTF-8, its length before it.
    pub(super) fn text(&mut self) -> &'a str {
        let text = core::str::from_utf8(self.counted());
        self.check(text.is_ok());
        text.unwrap_or_default()
    }

    /// Takes an incarnation: the epoch in 6 bytes little endian, the refutation as a varint. An
    /// epoch of 2^42 or more, or a refutation of 2^31 or more, is malformed.
    #[inline]
    pub(super) fn incarnation(&mut self) -> Incarnation {
        let epoch = u64::from(self.u32()) | u64::from(self.u16()) << 32;
        let refutation = self.varint();
        self.check(epoch < EPOCH_END && refutation < REFUTATION_END);
        Incarnation { epoch, refutation }
    }

    /// Takes an address, of 6 or 18 bytes; one that is not usable is malformed, and so is IPv4 in
    /// the form of IPv6.
    #[inline]
    pub(super) fn address(&mut self, v6: bool) -> Address {
        if v6 {
            let address = Address::v6(self.array(), self.u16());
            self.check(address.is_usable() && is_v6(&address));
            address
        } else {
            let (octets, port) = (self.array(), self.u16());
            self.check(is_host_v4(octets) && port != 0);
            Address::v4(octets, port)
        }
    }

    /// Takes an address behind the byte that says of which family it is.
    pub(super) fn address_of_family(&mut self) -> Address {
        let family = self.byte();
        self.check(family == FAMILY_V4 || family == FAMILY_V6);
        self.address(family == FAMILY_V6)
    }
}

const FAMILY_V4: u8 = 4;
const FAMILY_V6: u8 = 6;

const EPOCH_BYTES: usize = 6;

/// Whether an address travels in 18 bytes, not in 6.
pub(super) fn is_v6(address: &Address) -> bool {
    address.octets_v4().is_none()
}

/// Writes a datagram into a buffer that may turn out too small: then nothing of the value is
/// written.
#[derive(Debug)]
pub struct Builder<'a> {
    /// At most [`MTU_BYTES`].
    buffer: &'a mut [u8],
    used: usize,
    /// Bytes at the end of the buffer that are not to be used yet.
    reserved: usize,
    /// Something had no room; what comes after it is not written either.
    overflows: bool,
}

impl<'a> Builder<'a> {
    /// A builder that starts at the front of the buffer and uses at most [`MTU_BYTES`] of it.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        let end = buffer.len().min(MTU_BYTES);
        Self {
            buffer: buffer.get_mut(..end).unwrap_or_default(),
            used: 0,
            reserved: 0,
            overflows: false,
        }
    }

    /// Starts over.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// How many bytes more can be written; inside a section, as its body.
    pub fn room(&self) -> usize {
        self.buffer.len() - self.reserved - self.used
    }

    /// What has been written.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.used).unwrap_or_default()
    }

    /// Replaces bytes that have been written; nothing if they have not.
    pub(super) fn patch(&mut self, at: usize, bytes: &[u8]) {
        let written = self.buffer.get_mut(..self.used).unwrap_or_default();
        if let Some(place) = written.get_mut(at..).and_then(|from| from.get_mut(..bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }

    /// Appends bytes as they are; `false`, and nothing appended, if there is no room.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> bool {
        self.all(|b| b.put(bytes))
    }

    /// Appends bytes, if nothing was too long before them.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let room = if self.overflows { 0 } else { self.room() };
        match self.buffer.get_mut(self.used..).and_then(|free| free.get_mut(..bytes.len())) {
            Some(place) if bytes.len() <= room => {
                place.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            _ => self.overflows = true,
        }
    }

    /// Appends the lowest `bytes` bytes of a number, little endian.
    pub(super) fn put_number(&mut self, number: u64, bytes: usize) {
        self.put(number.to_le_bytes().get(..bytes).unwrap_or_default());
    }

    /// Appends a number as a varint.
    pub(super) fn put_varint(&mut self, value: impl Serialize) {
        match postcard::to_slice(&value, &mut [0; 10]) {
            Ok(varint) => self.put(varint),
            Err(_) => self.overflows = true,
        }
    }

    /// Appends a string in UTF-8, its length before it.
    pub(super) fn put_text(&mut self, text: &str) {
        self.put_varint(text.len() as u32);
        self.put(text.as_bytes());
    }

    /// Appends an incarnation, whose epoch is below 2^42.
    #[inline]
    pub(super) fn put_incarnation(&mut self, incarnation: Incarnation) {
        debug_assert!(incarnation.epoch < EPOCH_END, "nobody would accept this epoch");
        debug_assert!(incarnation.refutation < REFUTATION_END, "nor this refutation");
        self.put_number(incarnation.epoch, EPOCH_BYTES);
        self.put_varint(incarnation.refutation);
    }

    /// Appends a usable address, of 6 or 18 bytes.
    pub(super) fn put_address(&mut self, address: &Address) {
        debug_assert!(address.is_usable(), "nobody would accept this address");
        match address.octets_v4() {
            Some(octets) => self.put(&octets),
            None => self.put(address.octets()),
        }
        self.put_number(u64::from(address.port()), 2);
    }

    /// Appends a usable address behind the byte of its family.
    pub(super) fn put_address_of_family(&mut self, address: &Address) {
        self.put(&[if is_v6(address) { FAMILY_V6 } else { FAMILY_V4 }]);
        self.put_address(address);
    }

    /// Appends all that `parts` writes, or nothing if it does not fit; whether it did.
    pub(super) fn all(&mut self, parts: impl FnOnce(&mut Self)) -> bool {
        let before = self.used;
        let overflowed = core::mem::take(&mut self.overflows);
        parts(self);
        let fits = !core::mem::replace(&mut self.overflows, overflowed);
        if !fits {
            self.used = before;
        }
        fits
    }

    /// Appends a section: what `body` writes, with type and length before it. `false`, and nothing
    /// appended, if `body` says so or there is no room. Whatever room `body` finds it can fill:
    /// the section does not fail after it.
    pub fn section(&mut self, kind: u8, body: impl FnOnce(&mut Self) -> bool) -> bool {
        let open = self.open_section(kind);
        let wanted = !self.overflows && body(self);
        self.close_section(open, wanted)
    }

    fn open_section(&mut self, kind: u8) -> OpenSection {
        // A length of 128 and more takes a second byte, which is kept free until it is known.
        let second = usize::from(self.room() > SHORT_SECTION_BYTES);
        let open = OpenSection { start: self.used, second };
        self.reserved += second;
        debug_assert!(!self.overflows, "sections are not parts of anything");
        self.put(&[kind, 0]);
        open
    }

    /// Writes the length of a section, or takes it back. A length of 128 and more moves the body by
    /// a byte, for which there is room.
    fn close_section(&mut self, open: OpenSection, wanted: bool) -> bool {
        self.reserved -= open.second;
        if core::mem::take(&mut self.overflows) || !wanted {
            self.used = open.start;
            return false;
        }
        let body = open.start + 2;
        let length = self.used - body;
        let low = (length & 0x7f) as u8;
        if length < 128 {
            self.patch(body - 1, &[low]);
        } else {
            debug_assert!(self.room() > 0, "the second byte was reserved");
            self.used += 1;
            let mut carried = 0;
            for byte in self.buffer.get_mut(body..self.used).unwrap_or_default() {
                carried = core::mem::replace(byte, carried);
            }
            self.patch(body - 1, &[low | 0x80, (length >> 7) as u8]);
        }
        true
    }
}

/// A section that is being written.
struct OpenSection {
    start: usize,
    /// Bytes that are reserved for its length.
    second: usize,
}

/// The longest section whose length takes one byte.
const SHORT_SECTION_BYTES: usize = 2 + 127;

const _: () = assert!(MTU_BYTES < 1 << 14, "a section's length takes at most two bytes");
