//! See [`midge_fuzz::datagram`].
#![no_main]

use libfuzzer_sys::fuzz_target;
use midge_fuzz::datagram::run;
use midge_fuzz::tally::Tally;

fuzz_target!(|input: &[u8]| run(input, &mut Tally::default()));
