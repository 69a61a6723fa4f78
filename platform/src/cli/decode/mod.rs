//! `midge decode`: what datagrams say, from hexadecimal text or from a capture. No agent is asked.
//!
//! - [`input`]: the file, a buffer at a time
//! - [`hex`]: datagrams as text
//! - [`capture`]: datagrams as tcpdump writes them
//! - [`explain`]: a datagram in words
//! - [`output`]: the words as text or as JSON
//!
//! What is read is never held whole, so a capture may have any size. A datagram that is not one is
//! said to be so, and the next one follows.

mod capture;
mod council;
mod explain;
mod hex;
mod input;
mod output;
#[cfg(test)]
mod tests;

use midge::Address;

use super::options::{Flag, Options};
use super::{Failure, client};
use input::Input;
use output::Output;

/// One more than a datagram may have, so that it shows which has too many.
const DATAGRAM_BYTES: usize = midge::limits::MTU_BYTES + 1;

pub(super) fn decode(options: &Options) -> Result<(), Failure> {
    // MIDGE_CLUSTER is for those who ask an agent: here it would call what is good bad.
    let cluster = match options.last(Flag::Cluster) {
        Some(given) if !given.from_environment => Some(client::cluster(options)?),
        _ => None,
    };
    let path = options.operands().next().unwrap_or("-");
    let mut sink = super::write;
    let mut buffer = [0; input::BUFFER_BYTES];
    let mut input = Input::open(path, &mut buffer)?;
    decode_all(&mut input, cluster, options.has(Flag::Json), &mut sink)
}

/// The same with everything given.
fn decode_all(
    input: &mut Input<'_>,
    cluster: Option<&str>,
    json: bool,
    sink: &mut output::Sink<'_>,
) -> Result<(), Failure> {
    let mut space = [0; output::BYTES];
    let output = Output::new(&mut space, json, sink);
    let mut decoder = Decoder { cluster, output, found: 0, bad: 0 };
    let outcome = match capture::Capture::of(input)? {
        Some(capture) => capture.read(input, &mut decoder),
        None => hex::read(input, &mut decoder),
    };
    decoder.output.flush()?;
    outcome.and(input.outcome())?;
    let Decoder { found, bad, .. } = decoder;
    if bad == 0 && found > 0 {
        return Ok(());
    }
    if found == 0 {
        return Err(Failure::failed(format_args!("there is no datagram")));
    }
    Err(Failure::failed(format_args!("{bad} of {found} datagrams are not well formed")))
}

struct Decoder<'a> {
    /// Whose tags are checked.
    cluster: Option<&'a str>,
    output: Output<'a>,
    found: u64,
    bad: u64,
}

impl Decoder<'_> {
    /// Takes a datagram out of a text.
    fn written(&mut self, bytes: &[u8], error: &'static str, line: u64) -> Result<(), Failure> {
        self.begin();
        self.finish(bytes, error, line)
    }

    /// Takes one out of a capture.
    fn captured(
        &mut self,
        time_ms: u64,
        [from, to]: &[Address; 2],
        bytes: &[u8],
        error: &'static str,
    ) -> Result<(), Failure> {
        self.begin();
        self.output.number("time_ms", time_ms);
        self.output.display("from", from);
        self.output.display("to", to);
        self.finish(bytes, error, 0)
    }

    fn begin(&mut self) {
        self.found += 1;
        self.output.begin(0);
        self.output.number("datagram", self.found);
    }

    /// An error, if it is no datagram at all, and the line that it is in, if there are any.
    fn finish(&mut self, bytes: &[u8], error: &'static str, line: u64) -> Result<(), Failure> {
        self.output.number("bytes", bytes.len() as u64);
        let error = explain::datagram(&mut self.output, self.cluster, bytes, error);
        if !error.is_empty() {
            self.bad += 1;
            if line > 0 {
                self.output.number("line", line);
            }
        }
        self.output.finish()
    }
}
