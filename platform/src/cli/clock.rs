//! `midge clock`: what the agent says of the time, or what a segment does.

use super::options::{Flag, Options};
use super::{Failure, client};
use crate::api::TrueTime;
use crate::clock::VM_CLOCK_PATH;
use crate::http::{PAGE_BYTES, Page};

/// The longest path of a segment, bytes: so much is room for in an event and in a page.
const PATH_BYTES: usize = 255;

/// Whether it can be the path of a segment. A relative one would be a slip of the pen, such as `on`;
/// what strings must escape has no place in a label of a metric.
pub(super) fn is_path(text: &str) -> bool {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    text.starts_with('/') && text.len() <= PATH_BYTES && text.bytes().all(is_plain)
}

/// Prints what there is. If nothing of it is certain, that is a failure; with `--watch` it goes on,
/// since the next reading may be better.
pub(super) fn clock(options: &Options) -> Result<(), Failure> {
    let segment = options.last(Flag::Segment);
    if let Some(segment) = segment.filter(|segment| !is_path(segment.text)) {
        return Err(Failure::usage(format_args!("{segment} is no path from / on")));
    }
    let paths = [segment.map_or("", |segment| segment.text)];
    let mut time = TrueTime::new(&paths, VM_CLOCK_PATH, 0);
    let mut space = [0; client::REQUEST_BYTES];
    let request = client::begin(&mut space, "GET /v1/clock");
    let in_json = options.has(Flag::Json);
    // Neither can be within a path or a text.
    let unbounded: &[u8] = if in_json { b"\"earliest\":null" } else { b"\nearliest     -\n" };
    client::repeat(options, &mut |sink| {
        let mut space = [0; PAGE_BYTES];
        let mut page = Page::new(&mut space);
        let mut result = Ok(());
        if segment.is_none() {
            result = client::ask(options, &request, client::form(options), &mut |piece| {
                page.push(piece);
                Ok(())
            });
        } else if time.read() {
            time.write_all(&mut page, in_json);
        } else {
            result = Err(Failure::failed(format_args!("{time}")));
        }
        if result.is_ok() {
            sink(page.written())?;
            if client::contains(page.written(), unbounded) {
                result = Err(Failure::failed(format_args!(
                    "time is unbounded, see the status; the log of the ClockBound daemon says why"
                )));
            }
        }
        match result {
            Err(Failure::Failed) if options.has(Flag::Watch) => Ok(()),
            result => result,
        }
    })
}
