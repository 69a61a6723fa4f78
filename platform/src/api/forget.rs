//! `POST /v1/forget`: a failed member becomes one that has left.

use midge::{Address, ForgetError};

use super::address::{DEFAULT_PORT, parse_address};
use super::{Api, put, shown};
use crate::http::json::Object;
use crate::http::{ContentType, Reply, Request, StatusCode};
use crate::text::parse_id;

/// The longest address, name or id.
const NODE_BYTES: usize = 64;

impl<const N: usize> Api<'_, N> {
    pub(super) fn forget(
        &mut self,
        request: &Request<'_>,
        content: ContentType,
        reply: &mut Reply<'_>,
    ) {
        let mut space = [0; NODE_BYTES];
        let Ok(Some(node)) = request.argument("node", &mut space) else {
            let what = "say which member: POST /v1/forget?node=ADDR, NAME or ID";
            return reply.error(StatusCode::BadRequest, content, &what);
        };
        let found = self.find(node);
        let forgotten = found.and_then(|address| {
            self.node.forget(self.now, address).map(|()| address).map_err(|error| match error {
                ForgetError::Unknown => (StatusCode::NotFound, "there is no such member"),
                ForgetError::Live => {
                    (StatusCode::Conflict, "it is alive or suspect; only a failed one is forgotten")
                }
            })
        });
        match forgotten {
            Ok(address) => {
                let page = reply.begin(StatusCode::Ok, content);
                if content == ContentType::Text {
                    return put(page, &format_args!("forgotten: {address}\n"));
                }
                let mut object = Object::open(page);
                object.display("forgotten", &address);
                object.close();
                page.push(b"\n");
            }
            Err((status, why)) => {
                reply.error(status, content, &format_args!("node '{}': {why}", shown(node)));
            }
        }
    }

    /// The member with this address, else with this name or id if it is one alone.
    fn find(&self, node: &str) -> Result<Address, (StatusCode, &'static str)> {
        if let Ok(address) = parse_address(node, DEFAULT_PORT)
            && self.node.member(address).is_some()
        {
            return Ok(address);
        }
        let id = parse_id(node).filter(|id| *id != 0);
        let mut found = None;
        for (_, member) in self.node.members(0) {
            let is_it = !node.is_empty() && member.name == node || Some(member.id) == id;
            if is_it && found.replace(member.address).is_some() {
                return Err((StatusCode::Conflict, "several have this name; give an address"));
            }
        }
        found.ok_or((StatusCode::NotFound, "there is no such member"))
    }
}
