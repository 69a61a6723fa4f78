//! Reads fields out of a copy of shared memory, as bytes: whether they mean anything is the
//! caller's to say.

/// The bytes from `at` on; zeros if the copy ends before.
pub(super) fn field<const N: usize>(copy: &[u8], at: usize) -> [u8; N] {
    copy.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}
