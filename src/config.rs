//! What a node is told when it starts.

use core::fmt;

use crate::address::Address;
use crate::limits::{
    CLUSTER_NAME_BYTES, EPOCH_END, MEMBERS_MAX, NAME_BYTES, PROTOCOLS, TAGS_BYTES,
};
use crate::wire::PROTOCOL;

/// The settings of a node. All of it is copied by `init`.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> {
    /// The cluster's name: `[A-Za-z0-9._-]`, 1 to 32 bytes. Nodes of other clusters are ignored.
    pub cluster: &'a str,
    /// The node's name: 1 to 32 bytes of UTF-8 without control characters.
    pub name: &'a str,
    /// Tags, `key=value` separated by commas, at most 128 bytes; may be empty.
    pub tags: &'a str,
    /// The node's id; 0 = none.
    pub id: u64,
    /// The address that the other members reach this node at.
    pub advertise: Address,
    /// The start of this agent in Unix milliseconds, or a boot counter where there is no clock, or
    /// 0: then the fleet repairs it, should it hold an earlier life of this address. Below 2^42.
    pub epoch: u64,
    /// The protocol period in milliseconds, 50 to 60,000; the same on every node (default 1,000).
    pub period_ms: u32,
    /// How long a leaver goes on answering, in milliseconds, 0 to 60,000 (default 3,000).
    pub linger_ms: u32,
    /// The lowest and the highest protocol that the node speaks, 1 to 4 (default: what this code
    /// speaks). Only who adds sections of a later protocol to what the node sends says more.
    pub protocol_low: u8,
    /// See `protocol_low`.
    pub protocol_high: u8,
    /// Lifeguard's extensions (default on). Off is for comparison only: plain SWIM then suspects
    /// healthy members whenever this node is slow.
    pub lifeguard: bool,
}

impl<'a> Config<'a> {
    /// The defaults for a node of this name at this address, in the cluster `default`.
    pub const fn new(name: &'a str, advertise: Address) -> Self {
        Self {
            cluster: "default",
            name,
            tags: "",
            id: 0,
            advertise,
            epoch: 0,
            period_ms: 1_000,
            linger_ms: 3_000,
            protocol_low: PROTOCOL,
            protocol_high: PROTOCOL,
            lifeguard: true,
        }
    }

    /// Checks every field against its range. `capacity` is the size of the member table.
    pub fn validate(&self, capacity: usize) -> Result<(), ConfigError> {
        if !(1..=MEMBERS_MAX).contains(&capacity) {
            return Err(ConfigError::Capacity);
        }
        validate_cluster(self.cluster)?;
        validate_name(self.name)?;
        validate_tags(self.tags)?;
        if !self.advertise.is_usable() {
            return Err(ConfigError::Advertise);
        }
        if self.epoch >= EPOCH_END {
            return Err(ConfigError::Epoch);
        }
        if !(50..=60_000).contains(&self.period_ms) {
            return Err(ConfigError::Period);
        }
        if self.linger_ms > 60_000 {
            return Err(ConfigError::Linger);
        }
        let (low, high) = (usize::from(self.protocol_low), usize::from(self.protocol_high));
        if !(1..=high).contains(&low) || high > PROTOCOLS {
            return Err(ConfigError::Protocol);
        }
        Ok(())
    }
}

/// What is wrong with a [`Config`] or a request to change it. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The member table has no room for the node itself, or more rows than can be numbered.
    Capacity,
    /// The cluster name is empty, longer than 32 bytes, or has other characters than
    /// `[A-Za-z0-9._-]`.
    Cluster,
    /// The name is empty, longer than 32 bytes, or has control characters.
    Name,
    /// The tags are longer than 128 bytes in all, or one is not `key=value`, or a key repeats.
    Tags,
    /// The advertised address is not one host's address and port.
    Advertise,
    /// The epoch is 2^42 or more.
    Epoch,
    /// The period is not within 50 ms to 60,000 ms.
    Period,
    /// The linger time is more than 60,000 ms.
    Linger,
    /// The protocols are not a range within 1 to 4.
    Protocol,
    /// The node is leaving and takes no changes.
    Leaving,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Capacity => "the member table must have 1 to 65,534 rows",
            Self::Cluster => "a cluster name has 1 to 32 characters of A-Z a-z 0-9 . _ -",
            Self::Name => "a name has 1 to 32 bytes and no control characters",
            Self::Tags => {
                "tags are key=value, each key once, of A-Z a-z 0-9 . _ -, at most 128 bytes in all"
            }
            Self::Advertise => "the advertised address must be one host's address with a port",
            Self::Epoch => "the epoch must be below 2^42",
            Self::Period => "the period must be 50 to 60000 ms",
            Self::Linger => "the linger time must be at most 60000 ms",
            Self::Protocol => "the protocols must be a range within 1 to 4",
            Self::Leaving => "the node is leaving",
        })
    }
}

impl core::error::Error for ConfigError {}

fn is_word(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
}

/// Whether a text has characters that control a terminal: U+0000 to U+001F, U+007F to U+009F. In
/// UTF-8 those from U+0080 on are 0xC2 and the character itself.
fn has_control(text: &str) -> bool {
    let text = text.as_bytes();
    let one_byte = text.iter().any(u8::is_ascii_control);
    one_byte || text.windows(2).any(|pair| pair[0] == 0xC2 && pair[1] < 0xA0)
}

/// Checks a cluster name.
pub fn validate_cluster(cluster: &str) -> Result<(), ConfigError> {
    if cluster.len() <= CLUSTER_NAME_BYTES && is_word(cluster.as_bytes()) {
        Ok(())
    } else {
        Err(ConfigError::Cluster)
    }
}

/// Checks a node's name.
pub fn validate_name(name: &str) -> Result<(), ConfigError> {
    if name.is_empty() || name.len() > NAME_BYTES || has_control(name) {
        return Err(ConfigError::Name);
    }
    Ok(())
}

fn key_of(tag: &[u8]) -> Option<&[u8]> {
    tag.get(..tag.iter().position(|b| *b == b'=')?)
}

/// Checks tags: `key=value` separated by commas, keys of `[A-Za-z0-9._-]` and each once, values
/// without control characters.
pub fn validate_tags(tags: &str) -> Result<(), ConfigError> {
    if tags.is_empty() {
        return Ok(());
    }
    if tags.len() > TAGS_BYTES || has_control(tags) {
        return Err(ConfigError::Tags);
    }
    let parts = || tags.as_bytes().split(|b| *b == b',');
    for (at, tag) in parts().enumerate() {
        let key = key_of(tag);
        let repeated = parts().take(at).any(|other| key_of(other) == key);
        if repeated || !key.is_some_and(is_word) {
            return Err(ConfigError::Tags);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn control_characters_are_those_of_the_library() {
        for c in ('\0'..='\u{2FF}').chain(['\u{2028}', '\u{FFFD}', '\u{1F980}']) {
            let text: String = ['a', c, 'b'].iter().collect();
            assert_eq!(has_control(&text), c.is_control(), "{:?}", c);
        }
    }

    #[test]
    fn tags_are_keys_with_values() {
        for good in ["", "a=", "zone=a", "zone=a,role=b", "a.b_c-1=x=y z", "k=\u{fc}"] {
            assert_eq!(validate_tags(good), Ok(()), "{good}");
        }
        for bad in ["a", "=a", ",", "a=1,", ",a=1", "a=1,a=2", "a b=1", "a=1,b", "a=\n", "\u{fc}=1"]
        {
            assert_eq!(validate_tags(bad), Err(ConfigError::Tags), "{bad}");
        }
        let longest: String = std::iter::once("k=").chain(std::iter::repeat_n("v", 126)).collect();
        assert_eq!(validate_tags(&longest), Ok(()));
        assert_eq!(validate_tags(&(longest + "v")), Err(ConfigError::Tags));
    }
}
