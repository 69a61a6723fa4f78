//! What clients over TCP may not do: change anything, or be made to ask by a page of the web.

use super::{HTTP, METRICS};
use crate::http::{Method, Request};
use crate::text::{cut, same_word};

use super::address::is_literal;

/// Why a request that came over TCP is not answered.
///
/// A page of the web can make a browser inside the network ask the agent. It may not read the
/// answer unless its own name has been pointed at the agent's address (DNS rebinding), and then
/// the request carries that name. So only names are answered to that no page can have.
pub(super) fn refusal(request: &Request<'_>, own_name: &str) -> Option<&'static str> {
    if request.listener != HTTP && request.listener != METRICS {
        return None;
    }
    if request.method == Method::Post {
        return Some("TCP is for reading; changes go through the Unix socket");
    }
    if request.listener == METRICS {
        return None;
    }
    let host = request.header("host").next().unwrap_or_default();
    if !is_known(host, own_name) {
        return Some("ask by IP address, as localhost or by the name of the node: see Host");
    }
    let foreign = |origin: &[u8]| {
        origin.strip_prefix(b"http://").is_none_or(|origin| !same_word(origin, host))
    };
    if request.header("origin").any(foreign) {
        return Some("pages of other hosts are not served: see Origin");
    }
    None
}

/// Whether a page cannot have been loaded from this host: an address, this machine, or the node.
/// HTTP/1.0 may leave it out, which no browser does.
fn is_known(host: &[u8], own_name: &str) -> bool {
    let Ok(text) = core::str::from_utf8(host) else { return false };
    let name = cut(text, b':').map_or(text, |(name, _)| name);
    let is = |known: &str| same_word(name.as_bytes(), known.as_bytes());
    text.is_empty() || is("localhost") || is(own_name) || is_literal(text)
}
