//! `/etc/hosts`, as in hosts(5).

use super::Addresses;
use crate::api::parse_address;
use crate::files::{each_line, next_word};
use crate::text::same_word;

/// Adds the addresses of a host.
pub fn find(text: &[u8], host: &str, found: &mut Addresses) {
    let host = host.strip_suffix('.').unwrap_or(host);
    each_line(text, &mut |_, mut line| {
        let address = parse_address(next_word(&mut line), 0);
        loop {
            let name = next_word(&mut line);
            if name.is_empty() {
                return;
            }
            if same_word(name.as_bytes(), host.as_bytes()) {
                // More than there is room for are left out.
                let _ = address.map(|address| found.push(address));
                return;
            }
        }
    });
}
