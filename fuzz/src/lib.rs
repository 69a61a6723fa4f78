//! What the targets share, and those whose inputs are replayed (`examples/replay.rs`).

pub mod datagram;
pub mod node;
pub mod tally;

use midge::wire::{Builder, header};

/// The cluster of every datagram here.
pub const CLUSTER: &str = "fuzz";

/// Bytes of a datagram before the tag's end: the version and the tag.
const TAGGED_FROM: usize = 5;

/// Gives a datagram the version and the tag that it needs for the parser behind them to be
/// reached; one that is shorter than they are, or longer than any, stays as it is.
pub fn mend(bytes: &mut [u8]) {
    if bytes.len() < TAGGED_FROM || bytes.len() > midge::limits::MTU_BYTES {
        return;
    }
    let mut space = [0; midge::limits::MTU_BYTES];
    let mut builder = Builder::new(&mut space);
    bytes[0] = midge::wire::VERSION;
    assert!(builder.put_bytes(bytes), "it is no longer than a datagram");
    header::seal(CLUSTER, &mut builder);
    bytes.copy_from_slice(builder.bytes());
}

/// Reads numbers from the input; zeroes when there is no more.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub fn number(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
