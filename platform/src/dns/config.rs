//! `/etc/resolv.conf`, as in resolv.conf(5).

use heapless::{String, Vec};
use midge::{Address, Duration};

use crate::api::parse_address;
use crate::files::{each_line, next_word};
use crate::text::{cut, parse_number};

/// Nameservers that are asked.
pub const SERVERS: usize = 3;

/// The port of nameservers.
pub(crate) const DNS_PORT: u16 = 53;

/// The domains to search together, bytes.
const SEARCH_BYTES: usize = 256;

/// Whom to ask, and how.
#[derive(Debug)]
pub struct Config {
    /// The nameservers.
    pub servers: Vec<Address, SERVERS>,
    /// Domains that names are looked for in, as the file has them; none if they are too long.
    pub search: String<SEARCH_BYTES>,
    /// A name with so many dots is tried as it is before the domains are.
    pub ndots: u64,
    /// How long to wait before asking again.
    pub timeout: Duration,
    /// How often to ask.
    pub attempts: u64,
}

impl Config {
    /// Asks nobody; all bytes zero.
    pub const NONE: Self = Self {
        servers: Vec::new(),
        search: String::new(),
        ndots: 0,
        timeout: Duration::ZERO,
        attempts: 0,
    };

    /// Reads the file. Nameservers that are given come instead of its own. What it does not say is
    /// as on other systems: the nameserver is on this machine, and asked twice for 5 s.
    pub fn read(&mut self, text: &[u8], given: &[Address]) {
        self.servers.clear();
        self.search.clear();
        (self.ndots, self.timeout, self.attempts) = (1, Duration::from_secs(5), 2);
        // Of more than there is room for, the last are not asked.
        let _ = self.servers.extend_from_slice(given);
        each_line(text, &mut |_, mut line| match next_word(&mut line) {
            "nameserver" if given.is_empty() => {
                if let Ok(address) = parse_address(next_word(&mut line), DNS_PORT) {
                    let _ = self.servers.push(address);
                }
            }
            // The last one counts.
            "search" | "domain" => {
                self.search.clear();
                let _ = self.search.push_str(line);
            }
            "options" => self.set(line),
            _ => {}
        });
        if self.servers.is_empty() {
            let _ = self.servers.push(Address::v4([127, 0, 0, 1], DNS_PORT));
        }
    }

    fn set(&mut self, mut options: &str) {
        loop {
            let option = next_word(&mut options);
            if option.is_empty() {
                return;
            }
            let Some((name, value)) = cut(option, b':') else { continue };
            let Some(value) = parse_number(value.as_bytes()) else { continue };
            match name {
                "ndots" => self.ndots = value,
                "timeout" => self.timeout = Duration::from_secs(value.clamp(1, 30)),
                "attempts" => self.attempts = value.clamp(1, 5),
                _ => {}
            }
        }
    }
}
