//! CRC-32C (RFC 3720 appendix B.4): a Hamming distance of 6 up to 655 bytes, and of 4 beyond.

/// The polynomial 0x1EDC6F41, reflected.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// What four bits do to the remainder: 64 bytes instead of the 1,024 that one look-up a byte needs.
const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut bits = 0;
    while bits < 16 {
        let mut crc = bits as u32;
        let mut bit = 0;
        while bit < 4 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[bits] = crc;
        bits += 1;
    }
    table
};

/// The checksum of bytes that come piece by piece.
pub(super) struct Crc32c(u32);

impl Crc32c {
    pub(super) const NEW: Self = Self(u32::MAX);

    #[inline(never)]
    pub(super) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..2 {
                self.0 = (self.0 >> 4) ^ TABLE[self.0 as usize & 15];
            }
        }
    }

    pub(super) const fn value(&self) -> u32 {
        !self.0
    }
}
