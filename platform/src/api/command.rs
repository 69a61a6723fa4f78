//! `POST /v1/join` and `POST /v1/leave`.

use core::fmt;

use midge::JoinError;

use super::address::{DEFAULT_PORT, parse_address};
use super::{Api, put, shown};
use crate::http::json::Object;
use crate::http::{ContentType, Reply, Request, StatusCode};

/// The longest address: IPv6 with an embedded IPv4 address, brackets and a port.
const ADDRESS_BYTES: usize = 64;

impl<const N: usize> Api<'_, N> {
    /// Adds a seed. The node asks it soon; that it answers is seen in the members.
    pub(super) fn join(
        &mut self,
        request: &Request<'_>,
        content: ContentType,
        reply: &mut Reply<'_>,
    ) {
        let mut refuse = |status, what: &dyn fmt::Display| reply.error(status, content, what);
        let mut space = [0; ADDRESS_BYTES];
        let text = match request.argument("addr", &mut space) {
            Ok(Some(text)) => text,
            Ok(None) => {
                let what = "addr is missing: POST /v1/join?addr=IP[:PORT]";
                return refuse(StatusCode::BadRequest, &what);
            }
            Err(error) => {
                let what = format_args!("addr: {error}: POST /v1/join?addr=IP[:PORT]");
                return refuse(StatusCode::BadRequest, &what);
            }
        };
        let seed = match parse_address(text, DEFAULT_PORT) {
            Ok(seed) => seed,
            Err(error) => {
                let what = format_args!("addr '{}': {error}", shown(text));
                return refuse(StatusCode::BadRequest, &what);
            }
        };
        if let Err(error) = self.node.join(self.now, seed) {
            let status = match error {
                JoinError::Unusable => StatusCode::BadRequest,
                JoinError::Full | JoinError::Leaving => StatusCode::Conflict,
            };
            return refuse(status, &format_args!("addr '{}': {error}", shown(text)));
        }
        let joined = self.node.status().joined;
        let page = reply.begin(StatusCode::Ok, content);
        match content {
            ContentType::Json => {
                let mut object = Object::open(page);
                object.display("seed", &seed);
                object.flag("joined", joined);
                object.close();
                page.push(b"\n");
            }
            ContentType::Text => put(page, &format_args!("asking {seed}\n")),
        }
    }

    /// Begins to leave. A second time it changes nothing and says the same.
    pub(super) fn leave(&mut self, content: ContentType, reply: &mut Reply<'_>) {
        self.node.leave(self.now);
        let page = reply.begin(StatusCode::Accepted, content);
        match content {
            ContentType::Json => page.push(b"{\"leaving\":true}\n"),
            ContentType::Text => page.push(b"leaving\n"),
        }
    }
}
