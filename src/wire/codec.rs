//! Strict postcard: what decodes is the one encoding that we would have produced.
//!
//! The bytes are those of postcard, whose derived code would cost 4 kB more and would have to
//! encode everything again to find out whether the encoding was the shortest.

use crate::address::Address;
use crate::limits::{EPOCH_END, MTU_BYTES, REFUTATION_END};
use crate::member::Incarnation;

/// Bytes that are not the encoding of what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Four bytes that a peer cannot guess and has to give back: a probe's number, or the token of an
/// introduction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token(pub [u8; 4]);

/// Takes bytes of a fixed number: they have one encoding, themselves.
pub(super) fn take_array<const K: usize>(bytes: &[u8]) -> Result<([u8; K], &[u8]), Malformed> {
    let (array, rest) = bytes.split_first_chunk::<K>().ok_or(Malformed)?;
    Ok((*array, rest))
}

/// Bytes of a fixed number and nothing behind them.
pub(super) fn whole_array<const K: usize>(bytes: &[u8]) -> Result<[u8; K], Malformed> {
    <[u8; K]>::try_from(bytes).map_err(|_| Malformed)
}

/// Takes a number in its shortest varint: postcard also accepts one whose last byte says nothing.
pub(super) fn take_varint(bytes: &[u8]) -> Result<(u32, &[u8]), Malformed> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|_| Malformed)?;
    let used = bytes.len() - rest.len();
    match bytes.get(..used) {
        Some([_, .., 0]) => Err(Malformed),
        _ => Ok((value, rest)),
    }
}

/// Takes so many bytes as a varint says that stands before them.
pub(super) fn take_counted(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (length, rest) = take_varint(bytes)?;
    let length = usize::try_from(length).map_err(|_| Malformed)?;
    rest.split_at_checked(length).ok_or(Malformed)
}

/// Takes a string in UTF-8, its length before it.
pub(super) fn take_text(bytes: &[u8]) -> Result<(&str, &[u8]), Malformed> {
    let (text, rest) = take_counted(bytes)?;
    Ok((core::str::from_utf8(text).map_err(|_| Malformed)?, rest))
}

/// Takes an incarnation: the epoch in 6 bytes little endian, the refutation as a varint. An epoch
/// of 2^42 or more, or a refutation of 2^31 or more, is malformed.
pub(super) fn take_incarnation(bytes: &[u8]) -> Result<(Incarnation, &[u8]), Malformed> {
    let ([a, b, c, d, e, f], rest) = take_array::<6>(bytes)?;
    let epoch = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    if epoch >= EPOCH_END {
        return Err(Malformed);
    }
    let (refutation, rest) = take_varint(rest)?;
    if refutation >= REFUTATION_END {
        return Err(Malformed);
    }
    Ok((Incarnation { epoch, refutation }, rest))
}

/// Takes an address, of 6 or 18 bytes; one that is not usable is malformed, and so is IPv4 in the
/// form of IPv6.
pub(super) fn take_address(v6: bool, bytes: &[u8]) -> Result<(Address, &[u8]), Malformed> {
    let (address, rest) = if v6 {
        let (octets, rest) = take_array::<16>(bytes)?;
        let (port, rest) = take_array(rest)?;
        (Address::v6(octets, u16::from_le_bytes(port)), rest)
    } else {
        let (octets, rest) = take_array::<4>(bytes)?;
        let (port, rest) = take_array(rest)?;
        (Address::v4(octets, u16::from_le_bytes(port)), rest)
    };
    if address.is_usable() && is_v6(address) == v6 { Ok((address, rest)) } else { Err(Malformed) }
}

/// Whether an address travels in 18 bytes, not in 6.
pub(super) fn is_v6(address: Address) -> bool {
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
}

impl<'a> Builder<'a> {
    /// A builder that starts at the front of the buffer and uses at most [`MTU_BYTES`] of it.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        let end = buffer.len().min(MTU_BYTES);
        Self { buffer: buffer.get_mut(..end).unwrap_or_default(), used: 0, reserved: 0 }
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
    pub(super) fn patch<const K: usize>(&mut self, at: usize, bytes: [u8; K]) {
        let written = self.buffer.get_mut(..self.used).unwrap_or_default();
        if let Some(place) = written.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *place = bytes;
        }
    }

    /// Appends a number as a varint; `false`, and nothing appended, if there is no room.
    pub(super) fn put_varint(&mut self, value: u32) -> bool {
        postcard::to_slice(&value, &mut [0; 5]).is_ok_and(|varint| self.put_bytes(varint))
    }

    /// Appends a string in UTF-8, its length before it.
    pub(super) fn put_text(&mut self, text: &str) -> bool {
        self.all(|b| b.put_varint(text.len() as u32) && b.put_bytes(text.as_bytes()))
    }

    /// Appends bytes as they are; `false`, and nothing appended, if there is no room.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.room() {
            return false;
        }
        let free = self.buffer.get_mut(self.used..).unwrap_or_default();
        let Some(place) = free.get_mut(..bytes.len()) else { return false };
        place.copy_from_slice(bytes);
        self.used += bytes.len();
        true
    }

    /// Appends all that `parts` writes, or nothing if it says `false`.
    pub(super) fn all(&mut self, parts: impl FnOnce(&mut Self) -> bool) -> bool {
        let before = self.used;
        let done = parts(self);
        if !done {
            self.used = before;
        }
        done
    }

    /// Appends an incarnation, whose epoch is below 2^42.
    pub(super) fn put_incarnation(&mut self, incarnation: Incarnation) -> bool {
        debug_assert!(incarnation.epoch < EPOCH_END, "nobody would accept this epoch");
        debug_assert!(incarnation.refutation < REFUTATION_END, "nor this refutation");
        let [epoch @ .., _, _] = incarnation.epoch.to_le_bytes();
        self.all(|b| b.put_bytes(&epoch) && b.put_varint(incarnation.refutation))
    }

    /// Appends a usable address, of 6 or 18 bytes.
    pub(super) fn put_address(&mut self, address: Address) -> bool {
        debug_assert!(address.is_usable(), "nobody would accept this address");
        let port = address.port().to_le_bytes();
        match address.octets_v4() {
            Some(octets) => self.all(|b| b.put_bytes(&octets) && b.put_bytes(&port)),
            None => self.all(|b| b.put_bytes(address.octets()) && b.put_bytes(&port)),
        }
    }

    /// Appends a section: what `body` writes, with type and length before it. `false`, and nothing
    /// appended, if `body` says so or there is no room. Whatever room `body` finds it can fill:
    /// the section does not fail after it.
    pub fn section(&mut self, kind: u8, body: impl FnOnce(&mut Self) -> bool) -> bool {
        let start = self.used;
        // A length of 128 and more takes a second byte, which is kept free until it is known.
        let second = usize::from(self.room() > SHORT_SECTION_BYTES);
        self.reserved += second;
        let done = self.all(|b| b.put_bytes(&[kind, 0]) && body(b));
        self.reserved -= second;
        if done {
            self.close_section(start + 2);
        }
        done
    }

    /// Writes the length of the section whose body starts here and ends the datagram so far. A
    /// length of 128 and more moves the body by a byte, for which there is room.
    fn close_section(&mut self, body: usize) {
        let length = self.used - body;
        let low = (length & 0x7f) as u8;
        if length < 128 {
            self.patch(body - 1, [low]);
        } else {
            debug_assert!(self.room() > 0, "the second byte was reserved");
            self.buffer.copy_within(body..self.used, body + 1);
            self.used += 1;
            self.patch(body - 1, [low | 0x80, (length >> 7) as u8]);
        }
    }
}

/// The longest section whose length takes one byte.
const SHORT_SECTION_BYTES: usize = 2 + 127;

const _: () = assert!(MTU_BYTES < 1 << 14, "a section's length takes at most two bytes");
