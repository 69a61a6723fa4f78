//! The file of `--join-file`: read at the start, and again when its content has changed.

use log::Level;
use midge::{Duration, Instant};
use nix::errno::Errno;

use super::take;
use crate::files::{checksum, read_file};
use crate::helper::Helper;
use crate::logger::say;
use crate::os::{Reason, Slot};
use crate::poll::{Poll, Token};
use crate::seeds::{Seeds, Source};

/// What is read of the file; of one that is longer, the lines at its beginning count.
const TEXT_BYTES: usize = 16_384;

/// How often it is read again.
const PAUSE: Duration = Duration::from_secs(10);

/// What a helper tells of it: the number of an error, or 0 and the text; or `EFBIG` and the lines
/// that there is room for.
type Told = [u8; 1 + TEXT_BYTES];
static TOLD: Slot<Told> = Slot::new([0; 1 + TEXT_BYTES]);

pub(super) struct JoinFile {
    path: &'static str,
    helper: Option<Helper>,
    told: &'static mut Told,
    len: usize,
    /// Of what was read last: a checksum of the text, or a number of an error.
    last: u64,
    due: Instant,
}

impl JoinFile {
    /// Reads the file for the first time, while there is nobody yet who could wait for it.
    pub(super) fn new(path: &'static str, seeds: &mut Seeds) -> Self {
        seeds.wait_for(Source::File);
        let told = take(&TOLD);
        let due = Instant::ZERO;
        let mut file = Self { path, helper: None, told, len: 0, last: 0, due };
        file.len = read(path, file.told);
        file.take(seeds);
        file
    }

    /// When `run` has something to do beside what a helper tells.
    pub(super) fn poll_timeout(&self) -> Instant {
        if self.helper.is_some() { Instant::FAR_FUTURE } else { self.due }
    }

    /// Reads it again now, and takes it for changed.
    pub(super) fn hurry(&mut self) {
        (self.due, self.last) = (Instant::ZERO, 0);
    }

    /// Does what is due or has come.
    pub(super) fn run(&mut self, now: Instant, poll: &Poll, token: Token, seeds: &mut Seeds) {
        if let Some(helper) = &self.helper {
            match helper.read(&mut self.told[self.len..]) {
                Ok(0) => {}
                // The rest comes with another event, or is there by now.
                Ok(n) => {
                    self.len += n;
                    return self.run(now, poll, token, seeds);
                }
                Err(_) => return,
            }
            self.helper = None;
            self.take(seeds);
        }
        if self.due <= now {
            self.due = now + PAUSE;
            self.len = 0;
            let (path, told) = (self.path, &mut *self.told);
            let helper = Helper::start(poll, token, None, &mut |socket| {
                let len = read(path, told);
                let _ = socket.send(&told[..len]);
            });
            // Without a helper the next time is soon enough.
            self.helper = helper.ok();
        }
    }

    /// Takes what was read, if it is new. What cannot be read leaves everything as it is.
    fn take(&mut self, seeds: &mut Seeds) {
        let Some((error, text)) = self.told[..self.len].split_first() else { return };
        let is_new = core::mem::replace(&mut self.last, checksum(&self.told[..self.len]));
        if is_new == self.last {
            return;
        }
        let reason = Errno::from_raw((*error).into());
        let what = if reason == Errno::EFBIG {
            "longer than 16 KiB, only the beginning is read"
        } else {
            "cannot be read, is tried again"
        };
        if *error != 0 {
            let (path, reason) = (self.path, Reason(reason));
            say(Level::Warn, format_args!("join_file={path} note=\"{what}: {reason}\""));
        }
        if *error == 0 || reason == Errno::EFBIG {
            seeds.set_lines(Source::File, text);
        }
    }
}

fn read(path: &str, told: &mut Told) -> usize {
    let (error, text) = told.split_at_mut(1);
    text[TEXT_BYTES - 1] = 0;
    let read = read_file(path, text).map(<[u8]>::len);
    match read {
        Ok(len) => {
            // The last place is only used by what is too long.
            error[0] = if text[TEXT_BYTES - 1] == 0 { 0 } else { Errno::EFBIG as u8 };
            1 + len
        }
        // All numbers of errors are below 134.
        Err(reason) => {
            error[0] = reason as u8;
            1
        }
    }
}
