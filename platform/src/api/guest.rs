//! What clients over TCP may not do: change anything, or be made to ask by a page of the web.

use super::address::{HTTP_PORT, Target, parse_target};
use super::{HTTP, METRICS};
use crate::http::{Method, Request};
use crate::text::same_word;

/// Why a request that came over TCP is not answered; `method` is that of its endpoint.
///
/// A page of the web can make a browser inside the network ask the agent. It may not read the
/// answer unless its own name has been pointed at the agent's address (DNS rebinding), and then
/// the request carries that name. So only names are answered to that no page can have; where only
/// metrics are served, for which scrapers come by any name, what a browser says of itself decides.
pub(super) fn refusal(
    request: &Request<'_>,
    method: Method,
    own_name: &str,
) -> Option<&'static str> {
    if request.listener != HTTP && request.listener != METRICS {
        return None;
    }
    if request.method == Method::Post || method == Method::Post {
        return Some("TCP is for reading; changes go through the Unix socket");
    }
    let host = request.header("host").next();
    if request.listener == HTTP && !host.is_none_or(|host| is_known(host, own_name)) {
        return Some("ask by IP address, as localhost or by the name of the node: see Host");
    }
    let foreign = |origin: &[u8]| {
        let of = origin.strip_prefix(b"http://");
        of.is_none_or(|of| host.is_none_or(|host| !same_word(of, host)))
    };
    let crosses = |site: &[u8]| same_word(site, b"cross-site");
    if request.header("origin").any(foreign) || request.header("sec-fetch-site").any(crosses) {
        return Some("pages of other hosts are not served: see Origin");
    }
    None
}

/// Whether a page cannot have been loaded from this host: an address, this machine, or the node.
fn is_known(host: &[u8], own_name: &str) -> bool {
    let Ok(text) = core::str::from_utf8(host) else { return false };
    match parse_target(text, HTTP_PORT) {
        Ok(Target::Address(_)) => true,
        Ok(Target::Name(name, _)) => {
            let is = |known: &str| same_word(name.as_bytes(), known.as_bytes());
            is("localhost") || is(own_name)
        }
        Err(_) => false,
    }
}
