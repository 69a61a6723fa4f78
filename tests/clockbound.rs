//! Real segments, and what the official clients made of them: `tests/clockbound/vectors`. The bytes
//! are those of machines in little endian.
#![cfg(target_endian = "little")]

#[path = "clockbound/edge.rs"]
mod edge;
#[path = "clockbound/hostile.rs"]
mod hostile;
#[path = "clockbound/observations.rs"]
mod observations;
#[path = "clockbound/official_arithmetic.rs"]
mod official_arithmetic;
#[path = "clockbound/segments.rs"]
mod segments;
#[path = "clockbound/vectors.rs"]
mod vectors;
