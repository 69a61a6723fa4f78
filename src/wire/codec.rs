//! Strict postcard: what decodes is the one encoding that we would have produced.

use core::ops::Range;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::limits::EPOCH_END;
use crate::member::Incarnation;

/// Bytes that are not the encoding of what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Four bytes that a peer cannot guess and has to give back: a probe's number, or the token of an
/// introduction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token(pub [u8; 4]);

/// The largest fixed part of a body, bytes: the hello's.
const FIXED_BYTES: usize = 256;

/// Takes one value off the front.
///
/// postcard accepts varints that are longer than they need be; so what was read is encoded again
/// and compared.
pub(super) fn take<'a, T>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), Malformed>
where
    T: Serialize + Deserialize<'a>,
{
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|_| Malformed)?;
    let used = bytes.len() - rest.len();
    let mut canonical = [0; FIXED_BYTES];
    let mut builder = Builder::new(&mut canonical);
    if !builder.put(&value) || bytes.get(..used) != Some(builder.bytes()) {
        return Err(Malformed);
    }
    Ok((value, rest))
}

/// One value and nothing behind it.
pub(super) fn whole<'a, T>(bytes: &'a [u8]) -> Result<T, Malformed>
where
    T: Serialize + Deserialize<'a>,
{
    match take(bytes)? {
        (value, []) => Ok(value),
        _ => Err(Malformed),
    }
}

/// An incarnation: the epoch in 6 bytes little endian, the refutation as a varint.
#[derive(Serialize, Deserialize)]
struct WireIncarnation {
    epoch: [u8; 6],
    refutation: u32,
}

/// Takes an incarnation; an epoch of 2^42 or more is malformed.
pub(super) fn take_incarnation(bytes: &[u8]) -> Result<(Incarnation, &[u8]), Malformed> {
    let (wire, rest) = take::<WireIncarnation>(bytes)?;
    let [a, b, c, d, e, f] = wire.epoch;
    let epoch = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    if epoch >= EPOCH_END {
        return Err(Malformed);
    }
    Ok((Incarnation { epoch, refutation: wire.refutation }, rest))
}

/// Takes an address, of 6 or 18 bytes; one that is not usable is malformed, and so is IPv4 in the
/// form of IPv6.
pub(super) fn take_address(v6: bool, bytes: &[u8]) -> Result<(Address, &[u8]), Malformed> {
    let (address, rest) = if v6 {
        let ((octets, port), rest) = take::<([u8; 16], [u8; 2])>(bytes)?;
        let address = Address::v6(octets, u16::from_le_bytes(port));
        if address.octets_v4().is_some() {
            return Err(Malformed);
        }
        (address, rest)
    } else {
        let ((octets, port), rest) = take::<([u8; 4], [u8; 2])>(bytes)?;
        (Address::v4(octets, u16::from_le_bytes(port)), rest)
    };
    if address.is_usable() { Ok((address, rest)) } else { Err(Malformed) }
}

/// Writes into a buffer that may turn out too small: then nothing of the value is written.
#[derive(Debug)]
pub struct Builder<'a> {
    buffer: &'a mut [u8],
    used: usize,
}

impl<'a> Builder<'a> {
    /// A builder that starts at the front of the buffer.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, used: 0 }
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// How many bytes more can be written.
    pub fn room(&self) -> usize {
        self.buffer.len() - self.used
    }

    /// What has been written.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.used).unwrap_or_default()
    }

    /// What has been written in this range, to change it.
    pub(super) fn patch(&mut self, range: Range<usize>) -> &mut [u8] {
        self.buffer.get_mut(range).unwrap_or_default()
    }

    /// Appends a value; `false`, and nothing appended, if there is no room.
    pub(super) fn put<T: Serialize>(&mut self, value: &T) -> bool {
        self.all(|b| postcard::serialize_with_flavor(value, Append(b)).is_ok())
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

    /// Appends an incarnation.
    pub(super) fn put_incarnation(&mut self, incarnation: Incarnation) -> bool {
        let [a, b, c, d, e, f, ..] = incarnation.epoch.to_le_bytes();
        self.put(&WireIncarnation { epoch: [a, b, c, d, e, f], refutation: incarnation.refutation })
    }

    /// Appends an address, of 6 or 18 bytes.
    pub(super) fn put_address(&mut self, address: Address) -> bool {
        let port = address.port().to_le_bytes();
        match address.octets_v4() {
            Some(octets) => self.put(&(octets, port)),
            None => self.put(&(*address.octets(), port)),
        }
    }

    /// Appends a section: what `body` writes, with type and length before it. `false`, and nothing
    /// appended, if `body` says so or there is no room.
    pub fn section(&mut self, kind: u8, body: impl FnOnce(&mut Self) -> bool) -> bool {
        let start = self.used;
        self.all(|b| b.put(&[kind, 0]) && body(b) && b.close_section(start + 2))
    }

    /// Writes the length of the section whose body starts here; a length of 128 and more needs a
    /// second byte, so the body moves.
    fn close_section(&mut self, body: usize) -> bool {
        let length = self.used - body;
        let Ok(length) = u16::try_from(length) else { return false };
        if length >= 128 {
            if self.room() == 0 {
                return false;
            }
            self.buffer.copy_within(body..self.used, body + 1);
            self.used += 1;
        }
        let mut varint = [0; 3];
        let Ok(varint) = postcard::to_slice(&length, &mut varint) else { return false };
        let at = body - 1;
        match self.buffer.get_mut(at..at + varint.len()) {
            Some(place) => {
                place.copy_from_slice(varint);
                true
            }
            None => false,
        }
    }
}

/// The builder as postcard's target.
struct Append<'b, 'a>(&'b mut Builder<'a>);

impl Flavor for Append<'_, '_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let builder = &mut *self.0;
        let end = builder.used + bytes.len();
        match builder.buffer.get_mut(builder.used..end) {
            Some(place) => {
                place.copy_from_slice(bytes);
                builder.used = end;
                Ok(())
            }
            None => Err(postcard::Error::SerializeBufferFull),
        }
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
