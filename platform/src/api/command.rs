//! `POST /v1/join` and `POST /v1/leave`.

use midge::JoinError;

use super::address::{DEFAULT_PORT, HOST_BYTES, Target, parse_target};
use super::{Api, refuse, required};
use crate::http::{ContentType, Reply, Request, StatusCode, Values, show};
use crate::seeds::Source;

/// The longest name with a dot at its end and a port.
const TARGET_BYTES: usize = HOST_BYTES + ".:65535".len();

impl<const N: usize> Api<'_, N> {
    /// Adds a seed. The node asks it soon; that it answers is seen in the members.
    pub(super) fn join(
        &mut self,
        request: &Request<'_>,
        content: ContentType,
        reply: &mut Reply<'_>,
    ) {
        const WHAT: &str = "addr is missing: POST /v1/join?addr=HOST[:PORT]";
        let mut space = [0; TARGET_BYTES];
        let Some(text) = required(request, "addr", &mut space, content, reply, WHAT) else {
            return;
        };
        let given = ("addr", text);
        let target = match parse_target(text, DEFAULT_PORT) {
            Ok(target) => target,
            Err(error) => return refuse(reply, content, StatusCode::BadRequest, given, &error),
        };
        if let Err(error) = self.ask(target) {
            let status = match error {
                JoinError::Unusable => StatusCode::BadRequest,
                JoinError::Full | JoinError::Leaving => StatusCode::Conflict,
            };
            return refuse(reply, content, status, given, &error);
        }
        let values = Values {
            numbers: &[self.node.status().joined.into()],
            write: &|page, _, in_json| show(page, in_json, &target),
            ..Values::NONE
        };
        let templates = "asking !a\n|{\"seed\":!a,\"joined\":?a}\n";
        reply.answer(StatusCode::Ok, content, templates, &values);
    }

    fn ask(&mut self, target: Target<'_>) -> Result<(), JoinError> {
        if self.node.status().leaving {
            return Err(JoinError::Leaving);
        }
        self.seeds.add(Source::Request, target)?;
        match target {
            // Asked again although it is known, as somebody seems to wait for it.
            Target::Address(seed) => self.node.join(self.now, seed),
            Target::Name(..) => {
                if self.seeds.has_unresolved() {
                    self.node.set_seeking(self.now, true);
                }
                Ok(())
            }
        }
    }

    /// Begins to leave. A second time it changes nothing and says the same.
    pub(super) fn leave(&mut self, content: ContentType, reply: &mut Reply<'_>) {
        self.node.leave(self.now);
        let templates = "leaving\n|{\"leaving\":true}\n";
        reply.answer(StatusCode::Accepted, content, templates, &Values::NONE);
    }
}
