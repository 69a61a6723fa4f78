//! CRC-32C (RFC 3720 appendix B.4): a Hamming distance of 6 up to 655 bytes, and of 4 beyond.

/// The polynomial 0x1EDC6F41, reflected.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// What four bits do to the remainder as the low and as the high half of a byte: 128 bytes instead
/// of the 1,024 that one look-up a byte needs.
const LOW: [u32; 16] = table(8);
const HIGH: [u32; 16] = table(4);

/// The remainders of all groups of four bits, so many steps on.
const fn table(steps: u32) -> [u32; 16] {
    let mut table = [0; 16];
    let mut bits = 0;
    while bits < 16 {
        let mut crc = bits as u32;
        let mut step = 0;
        while step < steps {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            step += 1;
        }
        table[bits] = crc;
        bits += 1;
    }
    table
}

/// The CRC-32C of some bytes.
#[must_use]
pub fn crc_32c(bytes: &[u8]) -> u32 {
    let mut crc = Crc32c::NEW;
    crc.update(bytes);
    crc.value()
}

/// The checksum of bytes that come piece by piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crc32c(u32);

impl Crc32c {
    /// All bytes zero; of nothing that is checked.
    pub(super) const ZERO: Self = Self(0);
    pub(super) const NEW: Self = Self(u32::MAX);

    #[inline(never)]
    pub(super) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let index = self.0 as usize ^ usize::from(*byte);
            self.0 = (self.0 >> 8) ^ LOW[index & 15] ^ HIGH[index >> 4 & 15];
        }
    }

    pub(super) const fn value(&self) -> u32 {
        !self.0
    }
}
