//! What travels.
use serde::{Deserialize, Serialize};
/// Why a seed refused an introduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// Every row is taken by a live member.
    Full,
    /// No protocol version in common.
    Protocol,
    /// Another live node uses the address.
    Conflict,
}
