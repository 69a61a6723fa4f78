//! `POST /v1/forget`: a failed member becomes one that has left.

use midge::{Address, ForgetError};

use super::address::{DEFAULT_PORT, parse_address};
use super::{Api, refuse, required};
use crate::http::{ContentType, Page, Reply, Request, StatusCode, Values, show};
use crate::text::parse_id;

/// The longest address, name or id.
const NODE_BYTES: usize = 64;

type Wrong = (StatusCode, &'static str);

const UNKNOWN: Wrong = (StatusCode::NotFound, "there is no such member");

impl<const N: usize> Api<'_, N> {
    pub(super) fn forget(
        &mut self,
        request: &Request<'_>,
        content: ContentType,
        reply: &mut Reply<'_>,
    ) {
        let mut space = [0; NODE_BYTES];
        const WHAT: &str = "say which member: POST /v1/forget?node=ADDR, NAME or ID";
        let Some(node) = required(request, "node", &mut space, content, reply, WHAT) else {
            return;
        };
        if node.is_empty() {
            return reply.error(StatusCode::BadRequest, content, &WHAT);
        }
        match self.forget_member(node) {
            Ok(address) => {
                let templates = "forgotten: !a\n|{\"forgotten\":!a}\n";
                let write = |page: &mut Page<'_>, _, in_json| show(page, in_json, &address);
                let values = Values { write: &write, ..Values::NONE };
                reply.answer(StatusCode::Ok, content, templates, &values);
            }
            Err((status, why)) => refuse(reply, content, status, ("node", node), &why),
        }
    }

    fn forget_member(&mut self, node: &str) -> Result<Address, Wrong> {
        let address = self.find(node)?;
        match self.node.forget(self.now, address) {
            Ok(()) => Ok(address),
            Err(ForgetError::Unknown) => Err(UNKNOWN),
            Err(ForgetError::Live) => Err((
                StatusCode::Conflict,
                "it is alive or suspect; only a failed one is forgotten",
            )),
        }
    }

    /// The member with this address, else with this name or id if it is one alone.
    fn find(&self, node: &str) -> Result<Address, Wrong> {
        if let Ok(address) = parse_address(node, DEFAULT_PORT) {
            return Ok(address);
        }
        let id = parse_id(node).unwrap_or(0);
        let mut found = Address::NONE;
        for (_, member) in self.node.members(0) {
            let is_named = member.name == node && !node.is_empty();
            if is_named || member.id == id && id != 0 {
                if found != Address::NONE {
                    return Err((StatusCode::Conflict, "several have this name; give an address"));
                }
                found = member.address;
            }
        }
        if found == Address::NONE { Err(UNKNOWN) } else { Ok(found) }
    }
}
