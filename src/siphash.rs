//! SipHash-1-3 (Aumasson, Bernstein, INDOCRYPT 2012): a keyed hash that nobody without the key can
//! aim or guess.

/// The hash of a message under a key: of these words, little endian, and a last one that holds what
/// is left of it, less than 8 bytes, and its length in bytes on top.
pub(crate) fn siphash_1_3(key: (u64, u64), words: &[u64], last: u64) -> u64 {
    let mut v = [
        key.0 ^ 0x736f_6d65_7073_6575,
        key.1 ^ 0x646f_7261_6e64_6f6d,
        key.0 ^ 0x6c79_6765_6e65_7261,
        key.1 ^ 0x7465_6462_7974_6573,
    ];
    for word in words {
        absorb(&mut v, *word);
    }
    absorb(&mut v, last);
    v[2] ^= 0xff;
    for _ in 0..3 {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

/// The last word of a message of so many bytes, that ends with these.
pub(crate) const fn last_word(bytes: u64, end: u64) -> u64 {
    end | bytes << 56
}

const fn absorb(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    round(v);
    v[0] ^= word;
}

const fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;
    use std::vec::Vec;

    use super::{last_word, siphash_1_3};

    proptest! {
        #[test]
        fn hash_is_that_of_another_implementation(
            key in any::<(u64, u64)>(),
            message in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let theirs = SipHasher13::new_with_keys(key.0, key.1).hash(&message);
            let (words, tail) = message.as_chunks::<8>();
            let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            let mut end = [0; 8];
            end[..tail.len()].copy_from_slice(tail);
            let last = last_word(message.len() as u64, u64::from_le_bytes(end));
            prop_assert_eq!(siphash_1_3(key, &words, last), theirs);
        }
    }
}
