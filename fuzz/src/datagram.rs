//! The decoders of the wire: a datagram with the right version and tag is either malformed, or it
//! is what we would have sent ourselves, byte for byte, apart from bits that are to be ignored.

#[path = "../../tests/wire_golden/model.rs"]
#[allow(dead_code)]
mod model;

use midge::Reject;
use midge::wire::{open, read};

use crate::tally::Tally;
use crate::{CLUSTER, mend};

/// Where the header's flags are, and those that mean something.
const FLAGS_AT: usize = 5;
const MEANT_FLAGS: u8 = 0b1_1111;

/// Decodes the input as a datagram. What is accepted, and encodes to the same bytes again, is
/// counted.
pub fn run(input: &[u8], accepted: &mut Tally) {
    // As it is, it is almost always damaged.
    let _ = open(CLUSTER, input);
    let mut bytes = input.to_vec();
    mend(&mut bytes);
    match open(CLUSTER, &bytes) {
        // A message of the council is looked into by the council, and by tools.
        Ok(_) if read(&bytes).is_err() => {}
        Ok(datagram) => {
            accepted.add(&datagram);
            let packet = model::Packet::of(&datagram, &bytes);
            bytes[FLAGS_AT] &= MEANT_FLAGS;
            mend(&mut bytes);
            assert_eq!(packet.encode(CLUSTER), Some(bytes), "{packet:?}");
        }
        Err(Reject::Short | Reject::Long | Reject::Malformed) => {}
        Err(reject) => panic!("{reject} of {bytes:02x?}"),
    }
}
