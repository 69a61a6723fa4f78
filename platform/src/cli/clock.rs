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

pub(super) fn clock(options: &Options) -> Result<(), Failure> {
    let Some(segment) = options.last(Flag::Segment) else {
        let mut space = [0; client::REQUEST_BYTES];
        return client::show(options, &client::begin(&mut space, "GET /v1/clock"));
    };
    if !is_path(segment.text) {
        return Err(Failure::usage(format_args!("{segment} is no path from / on")));
    }
    let paths = [segment.text];
    let mut time = TrueTime::new(&paths, VM_CLOCK_PATH, 0);
    client::repeat(options, &mut |sink| {
        if !time.read() {
            return Err(Failure::failed(format_args!("{time}")));
        }
        let mut space = [0; PAGE_BYTES];
        let mut page = Page::new(&mut space);
        time.write_all(&mut page, options.has(Flag::Json));
        sink(page.written())
    })
}
