//! A datagram comes in.

use super::incarnation::State;
use super::introduce::Reply;
use super::introduce::Sender;
use super::row::{Flags, Slot};
use super::swim::Swim;
use crate::address::Address;
use crate::reject::Reject;
use crate::time::Instant;
use crate::wire::{self, Datagram, Header, Hello, Rumour, Section, kind};

/// What requests cost, in the units of [`REQUESTS_PER_PERIOD`](crate::limits::REQUESTS_PER_PERIOD).
const COST_OF_PAGE: u8 = 1;
const COST_OF_PING: u8 = 16;

impl<const N: usize> Swim<N> {
    /// See [`Node::handle_datagram`](crate::Node::handle_datagram).
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: Address,
        bytes: &[u8],
    ) -> Result<(), Reject> {
        self.now = now;
        if !self.is_running() {
            return Ok(());
        }
        let accepted = self.receive(&from, bytes);
        self.table.pin(None);
        match accepted {
            Ok(()) => {
                self.stats.datagrams_in = self.stats.datagrams_in.wrapping_add(1);
                self.stats.bytes_in = self.stats.bytes_in.wrapping_add(bytes.len() as u64);
            }
            Err(reject) => {
                let count = &mut self.stats.rejects[reject.index()];
                *count = count.wrapping_add(1);
                if reject == Reject::Tag {
                    self.notices.noise(self.now, &from);
                }
            }
        }
        accepted
    }

    fn receive(&mut self, from: &Address, bytes: &[u8]) -> Result<(), Reject> {
        if !from.is_usable() {
            return Err(Reject::Source);
        }
        if *from == self.own().address {
            return Err(Reject::Own);
        }
        let datagram = wire::open_in(self.tagged, bytes)?;
        let address = datagram.header.advertised.as_ref().unwrap_or(from);
        let (mut ping, mut hello) = (None, None);
        if datagram.has(kind::HELLO) {
            for section in datagram.sections() {
                match section {
                    Section::Ping(number) => ping = Some(number),
                    Section::Hello(introduction) => hello = Some(introduction),
                    _ => {}
                }
            }
        }
        // `open` has checked the length: it fits.
        let bytes = bytes.len() as u16;
        let token = hello.map(|hello| hello.token);
        let sender = Sender { address, source: from, bytes, ping, hello: token };
        if *address == self.own().address {
            return self.hear_double(hello.as_ref());
        }
        let held = self.find(address);
        let member = match &hello {
            // An introduction comes first: it may be refused, and then nothing else counts.
            Some(hello) => self.hear_hello(&sender, &datagram.header, hello)?,
            None => held.filter(|slot| self.is_proven(*slot, &sender)),
        };
        match member {
            Some(slot) => self.receive_from_member(slot, &sender, &datagram),
            None if hello.is_none() => {
                return self.receive_from_stranger(held, &sender, &datagram);
            }
            // Its hello is challenged.
            None => {}
        }
        Ok(())
    }

    /// A datagram of another node that advertises our address. Only its hello says that it means
    /// it, and only another life is another node.
    fn hear_double(&mut self, hello: Option<&Hello<'_>>) -> Result<(), Reject> {
        if hello.is_some_and(|hello| hello.details.life != self.life) {
            let address = self.own().address;
            self.note_conflict(&address);
        }
        Err(Reject::Own)
    }

    /// Whether the source may speak for this row.
    fn is_proven(&self, slot: Slot, sender: &Sender<'_>) -> bool {
        let row = self.row(slot);
        let alias = self.alias_of(sender);
        row.is_live() && (alias == 0 || row.alias == alias)
    }

    /// Of a stranger that says no hello, only what gives back a number or token of ours is read.
    fn receive_from_stranger(
        &mut self,
        held: Option<Slot>,
        sender: &Sender<'_>,
        datagram: &Datagram<'_>,
    ) -> Result<(), Reject> {
        let mut proven = false;
        let mut answers = false;
        for section in datagram.sections() {
            match &section {
                Section::Challenge(challenge) => {
                    answers = true;
                    let itself = self.is_token_of(challenge.echo, sender.address);
                    proven = itself || self.seed_of_token(challenge.echo).is_some();
                    // A row only for whom this node knew: a seed may refuse the hello.
                    if itself && held.is_some() {
                        self.meet(sender, &datagram.header);
                    }
                    if proven {
                        self.hear_challenge(sender.address, challenge);
                        self.hasten_join();
                    }
                }
                Section::Ack(number) => {
                    answers = true;
                    self.hear_relayed_ack(sender.address, *number);
                }
                Section::Refused(refused) => {
                    answers = true;
                    self.hear_refusal(sender.address, refused);
                }
                _ => {}
            }
        }
        if proven {
            return Ok(());
        }
        // An answer is never answered: two strangers would go on for ever. Who is leaving is not
        // asked in.
        if !answers && !datagram.header.leaving {
            // Where it claims to be is asked only if somebody lives there: who speaks for it may
            // have moved. Else it is an address that this node has no reason to send to.
            let lives = held.is_some_and(|slot| self.row(slot).is_live());
            let to = if lives { sender.address } else { sender.source };
            self.answer(to, sender.bytes, Reply::Challenge { echo: None, observed: None });
        }
        Err(Reject::Unproven)
    }

    fn receive_from_member(&mut self, slot: Slot, sender: &Sender<'_>, datagram: &Datagram<'_>) {
        let header = &datagram.header;
        // What it says may need room: its own row stays until all has been heard.
        self.table.pin(Some(slot));
        self.hear_sender(slot, header);
        for section in datagram.sections() {
            self.hear_section(slot, sender.address, header, &section);
        }
        // With a hello this asks for a hello in turn, which has been seen to.
        let asks = header.wants_details && sender.hello.is_none();
        if asks && self.may_ask(slot, COST_OF_PING) {
            self.owe(slot, Flags::DETAILS_OWED);
        }
        self.compare_digest(slot, header.digest, header.partial);
    }

    fn hear_section(&mut self, slot: Slot, from: &Address, header: &Header, section: &Section<'_>) {
        match section {
            Section::Ping(number) => {
                self.row_mut(slot).ack = *number;
                self.owe(slot, Flags::ACK);
            }
            Section::Ack(number) => {
                self.hear_ack(from, *number);
                self.hear_relayed_ack(from, *number);
            }
            Section::PingReq(request) => {
                if self.may_ask(slot, COST_OF_PING) {
                    self.hear_ping_req(from, request);
                }
            }
            Section::Nack(number) => self.hear_nack(from, *number),
            Section::Rumours(rumours) => {
                for rumour in *rumours {
                    self.hear(slot, &rumour, false);
                }
            }
            Section::Details(details) => self.store_details(slot, header, details),
            // The first has been heard before all else; the second is not about membership.
            Section::Hello(_) | Section::Council(_) => {}
            Section::Challenge(challenge) => self.hear_challenge(from, challenge),
            Section::PageRequest(request) => {
                if self.may_ask(slot, COST_OF_PAGE) {
                    self.hear_page_request(from, request);
                }
            }
            Section::Page(page) => self.hear_page(slot, page),
            Section::Buckets(buckets) => {
                if self.may_ask(slot, COST_OF_PING) {
                    self.hear_buckets(from, *buckets);
                }
            }
            Section::Refused(refused) => self.hear_refusal(from, refused),
            Section::Unknown(..) => {
                self.stats.unknown_sections = self.stats.unknown_sections.wrapping_add(1);
            }
        }
    }

    /// Every datagram of a member is a statement about itself, and a proof of life.
    pub(super) fn hear_sender(&mut self, slot: Slot, header: &Header) {
        self.heard = Some(self.now);
        self.heard_last = Some(slot);
        self.isolated = false;
        let now = self.now;
        let state = if header.leaving { State::Left } else { State::Alive };
        let incarnation = header.incarnation;
        self.note_epoch(incarnation.epoch);
        let row = self.row_mut(slot);
        row.heard = Some(now);
        if row.holds(incarnation, state) {
            // What is held already: nothing to be heard, and nothing that it should be told.
            return;
        }
        let address = row.address;
        self.hear(slot, &Rumour { address, incarnation, state, accuser: None }, false);
        let row = self.row(slot);
        let is_news_to_it = incarnation < row.incarnation
            || (incarnation == row.incarnation && row.state != state && !header.leaving);
        if is_news_to_it && self.now >= row.tell_after {
            self.owe(slot, Flags::TELL);
        }
    }
}
