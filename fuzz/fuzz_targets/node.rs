//! See [`midge_fuzz::node`].
#![no_main]

use libfuzzer_sys::fuzz_target;
use midge_fuzz::node::run;

fuzz_target!(|input: &[u8]| run(input, None));
