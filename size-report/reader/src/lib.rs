//! What both programs have of what the agent has anyway.

use core::fmt::{self, Write as _};
use core::hint::black_box;
use std::os::fd::BorrowedFd;

use midge_agent::http::{Access, bind_unix};
use nix::unistd::write;

/// Standard output.
struct Output;

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: nothing closes it.
        let stdout = unsafe { BorrowedFd::borrow_raw(1) };
        write(stdout, text.as_bytes()).map(drop).map_err(|_| fmt::Error)
    }
}

/// Says it.
#[inline(never)]
pub fn say(text: fmt::Arguments<'_>) {
    let _ = Output.write_fmt(text);
}

/// Listens at a path, or says why it does not: paths, files and errors in words.
pub fn listen() {
    let path = black_box("reader.sock");
    let access = Access { mode: 0o600, group: None };
    match bind_unix(black_box(c"reader.sock"), access) {
        Ok(_) => say(format_args!("{path}\n")),
        Err(error) => say(format_args!("{path}: {error}\n")),
    }
}
