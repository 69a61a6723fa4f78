//! Where there may be members to join through, from every source: options, requests, files, the
//! output of a command, peers of an earlier life. Names become addresses here; the node gets the
//! addresses of all, each once.
//!
//! Sources are kept apart, so that one of them can change or fail without touching the others.
//! When there are more addresses than the node has room for, those of the last sources give way.

mod lines;
#[cfg(test)]
mod tests;

use core::fmt;

use heapless::{String, Vec};
use log::Level;
use midge::limits::SEEDS;
use midge::{Address, Duration, Instant, JoinError, Node};

use crate::api::{HOST_BYTES, Target};
use crate::dns::resolver::Outcome;
use crate::logger::say;

/// Who named an address; the ones that count most come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// `--join`
    Options,
    /// `midge join`, and the request behind it.
    Request,
    /// `--join-file`
    File,
    /// `--join-cmd`
    Command,
    /// Peers of an earlier life, in `--state-dir`.
    Peers,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TEXTS: [&str; 5] = ["join", "request", "join-file", "join-cmd", "state-dir"];
        f.write_str(TEXTS[*self as usize])
    }
}

/// How often the log tells at most that a name does not resolve.
const TOLD_PAUSE: Duration = Duration::from_secs(60);

/// Where a name is to be looked up, in the order in which that is done: what takes no time comes
/// first, and last those that nobody had an answer about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wanted {
    FromFile,
    FromServers,
    FromSilentServers,
    No,
}

/// What has become of a name that was looked up, if that is worth telling.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News<'a> {
    Nothing,
    /// It has so many addresses, of which some are new or others gone.
    Resolved(&'a str, usize),
    /// It has none of a host.
    Unresolved(&'a str),
}

/// A name to be looked up. Its number is never given to another one.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) number: u32,
    pub(crate) host: String<{ HOST_BYTES + 1 }>,
    port: u16,
    /// It is to be looked up now.
    pub(crate) wanted: Wanted,
    /// It has been asked for; and nobody had an answer about it the last time.
    pub(crate) asked: bool,
    pub(crate) silent: bool,
    /// Until when it is not told again that it does not resolve.
    quiet_until: Instant,
    source: Source,
    /// It has resolved once.
    resolved: bool,
    seen: bool,
}

/// An address that somebody named, or that is one of a name's.
#[derive(Debug)]
struct Found {
    address: Address,
    source: Source,
    /// The number of the name; 0 for an address that was given as one.
    name: u32,
    seen: bool,
}

/// All sources together.
#[derive(Debug)]
pub struct Seeds {
    names: Vec<Name, SEEDS>,
    last_number: u32,
    found: Vec<Found, SEEDS>,
    /// Sources that have not said anything yet, as bits.
    awaited: u8,
    /// The node has not been told yet.
    changed: bool,
}

impl Seeds {
    /// Nobody to join: all bytes zero.
    pub const EMPTY: Self =
        Self { names: Vec::new(), last_number: 0, found: Vec::new(), awaited: 0, changed: false };

    /// Adds to what a source has named; what is there already stays as it is.
    ///
    /// # Errors
    /// It is not the address of one host, or there is no room; nothing has changed.
    pub fn add(&mut self, source: Source, target: Target<'_>) -> Result<(), JoinError> {
        match target {
            Target::Address(address) if !address.is_usable() => Err(JoinError::Unusable),
            Target::Address(address) => self.put(source, 0, address),
            Target::Name(_, 0) => Err(JoinError::Unusable),
            Target::Name(host, port) => self.put_name(source, host, port),
        }
    }

    /// Until this source has said something, the node is not the first one for want of seeds.
    pub fn wait_for(&mut self, source: Source) {
        self.awaited |= 1 << source as u8;
        self.changed = true;
    }

    /// Whether a source has not said anything yet.
    pub fn is_waiting(&self) -> bool {
        self.awaited != 0
    }

    /// Replaces what a source has named by these lines: an address or a name in each, with a port
    /// if it is not 6434. Empty lines and what follows a `#` are passed over; what is none of these
    /// is named in the log and passed over. A text with nothing else, such as that of an error,
    /// changes nothing.
    pub fn set_lines(&mut self, source: Source, text: &[u8]) {
        self.unsee(source, 0);
        self.names
            .iter_mut()
            .filter(|name| name.source == source)
            .for_each(|name| name.seen = false);
        if !lines::read(text, source, &mut |target| self.add(source, target)) {
            return;
        }
        self.settle(source, 0);
        let mut at = 0;
        while let Some(name) = self.names.get(at) {
            if name.seen || name.source != source {
                at += 1;
                continue;
            }
            let number = name.number;
            self.unsee(source, number);
            self.settle(source, number);
            self.names.swap_remove(at);
        }
        self.awaited &= !(1 << source as u8);
        self.changed = true;
    }

    /// Replaces the addresses that a source has named.
    pub(crate) fn set_addresses(&mut self, source: Source, addresses: &[Address]) {
        self.unsee(source, 0);
        for address in addresses {
            // Some are as good as all.
            let _ = self.put(source, 0, *address);
        }
        self.settle(source, 0);
    }

    /// Gives the node what has changed. It never gets an address of its own.
    pub(crate) fn sync<const N: usize>(
        &mut self,
        node: &mut Node<N>,
        now: Instant,
        is_own: &dyn Fn(Address) -> bool,
    ) {
        if !core::mem::take(&mut self.changed) {
            return;
        }
        node.set_seeking(now, self.awaited != 0 || self.has_unresolved());
        let is_found = |seed: &Address| self.found.iter().any(|found| found.address == *seed);
        while let Some(seed) = node.seeds().iter().find(|seed| !is_found(seed)).copied() {
            node.drop_seed(seed);
            say(Level::Info, format_args!("seed={seed} note=\"no longer named\""));
        }
        for found in &self.found {
            if !node.seeds().contains(&found.address) && !is_own(found.address) {
                // There is room for all. When the node is leaving, it seeks nobody.
                let _ = node.join(now, found.address);
            }
        }
    }

    /// The addresses that are known by now.
    pub(crate) fn addresses(&self) -> Vec<Address, SEEDS> {
        self.found.iter().map(|found| found.address).collect()
    }

    /// What has been named.
    pub fn targets(&self) -> impl Iterator<Item = Target<'_>> {
        let names = self.names.iter().map(|name| Target::Name(&name.host, name.port));
        let given = self.found.iter().filter(|found| found.name == 0);
        given.map(|found| Target::Address(found.address)).chain(names)
    }

    /// Whether there are names.
    pub(crate) fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// Whether there are names that have not resolved yet.
    pub(crate) fn has_unresolved(&self) -> bool {
        self.unresolved().next().is_some()
    }

    /// The names that have not resolved yet.
    pub(crate) fn unresolved(&self) -> impl Iterator<Item = Target<'_>> {
        let unresolved = self.names.iter().filter(|name| !name.resolved);
        unresolved.map(|name| Target::Name(&name.host, name.port))
    }

    /// All names are to be looked up.
    pub(crate) fn want_all(&mut self) {
        self.names.iter_mut().for_each(|name| name.wanted = Wanted::FromFile);
    }

    /// How many names are to be looked up.
    pub(crate) fn wanted(&self) -> usize {
        self.names.iter().filter(|name| name.wanted != Wanted::No).count()
    }

    /// The next name to be looked up.
    pub(crate) fn next_wanted(&mut self) -> Option<&mut Name> {
        let name = self.names.iter_mut().min_by_key(|name| name.wanted)?;
        (name.wanted != Wanted::No).then_some(name)
    }

    /// Takes the addresses of the name with this number, with any port. If they are the whole of
    /// them, those of before that are not among them are given up; not for the sake of a name
    /// without any. When there are more than there is room for, those of before stay.
    pub(crate) fn learn(
        &mut self,
        now: Instant,
        number: u32,
        addresses: &[Address],
        outcome: Outcome,
    ) -> News<'_> {
        // Nobody may want to know any more.
        let Some(at) = self.names.iter().position(|name| name.number == number) else {
            return News::Nothing;
        };
        let name = &mut self.names[at];
        let (source, port) = (name.source, name.port);
        // A link-local address would need to say on which link.
        let of_host = |at: &&Address| at.with_port(port).is_usable() && !is_link_local(**at);
        let count = addresses.iter().filter(of_host).count();
        name.silent = count == 0 && outcome == Outcome::Silence;
        if count == 0 {
            if now < name.quiet_until {
                return News::Nothing;
            }
            name.quiet_until = now + TOLD_PAUSE;
            return News::Unresolved(&self.names[at].host);
        }
        let is_new = !core::mem::replace(&mut name.resolved, true);
        let changed_before = core::mem::replace(&mut self.changed, is_new);
        for found in &mut self.found {
            if found.source == source && found.name == number {
                found.seen = addresses.iter().any(|at| at.with_port(port) == found.address);
            }
        }
        if outcome == Outcome::Whole {
            self.settle(source, number);
        }
        for address in addresses.iter().filter(of_host) {
            // Some of a host's addresses are as good as all.
            let _ = self.put(source, number, address.with_port(port));
        }
        let changed = self.changed;
        self.changed |= changed_before;
        if changed { News::Resolved(&self.names[at].host, count) } else { News::Nothing }
    }

    /// What is not put again until `settle` goes.
    fn unsee(&mut self, source: Source, name: u32) {
        for found in &mut self.found {
            found.seen &= found.source != source || found.name != name;
        }
    }

    fn settle(&mut self, source: Source, name: u32) {
        let mut at = 0;
        while let Some(found) = self.found.get(at) {
            if found.seen || found.source != source || found.name != name {
                at += 1;
            } else {
                self.found.swap_remove(at);
                self.changed = true;
            }
        }
    }

    fn put(&mut self, source: Source, name: u32, address: Address) -> Result<(), JoinError> {
        let known = |f: &&mut Found| f.address == address && f.source == source && f.name == name;
        if let Some(found) = self.found.iter_mut().find(known) {
            found.seen = true;
            return Ok(());
        }
        let found = Found { address, source, name, seen: true };
        if let Err(found) = self.found.push(found) {
            let last = self.found.iter_mut().max_by_key(|found| found.source);
            let place = last.filter(|last| last.source > source).ok_or(JoinError::Full)?;
            *place = found;
        }
        self.changed = true;
        Ok(())
    }

    fn put_name(&mut self, source: Source, host: &str, port: u16) -> Result<(), JoinError> {
        let known = |n: &&mut Name| n.source == source && n.port == port && n.host.as_str() == host;
        if let Some(name) = self.names.iter_mut().find(known) {
            name.seen = true;
            return Ok(());
        }
        let number = self.last_number.wrapping_add(1).max(1);
        self.last_number = number;
        let host = String::try_from(host).map_err(|_| JoinError::Unusable)?;
        let name = Name {
            number,
            host,
            port,
            wanted: Wanted::FromFile,
            asked: false,
            silent: false,
            quiet_until: Instant::ZERO,
            source,
            resolved: false,
            seen: true,
        };
        self.names.push(name).map_err(|_| JoinError::Full)?;
        self.changed = true;
        Ok(())
    }
}

/// fe80::/10
pub(crate) fn is_link_local(address: Address) -> bool {
    address.octets()[0] == 0xfe && address.octets()[1] & 0xc0 == 0x80
}
