//! A datagram comes in.

use super::incarnation::State;
use super::introduce::Reply;
use super::introduce::Sender;
use super::row::{Flags, Slot};
use super::swim::Swim;
use crate::address::Address;
use crate::event::Event;
use crate::reject::Reject;
use crate::time::Instant;
use crate::wire::{self, Datagram, Header, Hello, Rumour, Section};

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
        if !self.is_running() {
            return Ok(());
        }
        let accepted = self.receive(now, &from, bytes);
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
                    self.notices.noise(now, &from);
                }
            }
        }
        accepted
    }

    fn receive(&mut self, now: Instant, from: &Address, bytes: &[u8]) -> Result<(), Reject> {
        if !from.is_usable() {
            return Err(Reject::Source);
        }
        if *from == self.own().address {
            return Err(Reject::Own);
        }
        let datagram = wire::open(&self.cluster, bytes)?;
        let address = datagram.header.advertised.as_ref().unwrap_or(from);
        let (mut ping, mut hello) = (None, None);
        for section in datagram.sections() {
            match section {
                Section::Ping(number) => ping = Some(number),
                Section::Hello(introduction) => hello = Some(introduction),
                _ => {}
            }
        }
        // `open` has checked the length: it fits.
        let bytes = bytes.len() as u16;
        let token = hello.map(|hello| hello.token);
        let sender = Sender { address, source: from, bytes, ping, hello: token };
        if *address == self.own().address {
            return self.hear_double(now, hello.as_ref());
        }
        let held = self.table.find(address);
        let member = match &hello {
            // An introduction comes first: it may be refused, and then nothing else counts.
            Some(hello) => self.hear_hello(now, &sender, &datagram.header, hello)?,
            None => held.filter(|slot| self.is_proven(*slot, &sender)),
        };
        match member {
            Some(slot) => self.receive_from_member(now, slot, &sender, &datagram),
            None if hello.is_none() => {
                return self.receive_from_stranger(now, held, &sender, &datagram);
            }
            // Its hello is challenged.
            None => {}
        }
        Ok(())
    }

    /// A datagram of another node that advertises our address. Only its hello says that it means
    /// it, and only another life is another node.
    fn hear_double(&mut self, now: Instant, hello: Option<&Hello<'_>>) -> Result<(), Reject> {
        if hello.is_some_and(|hello| hello.details.life != self.life) {
            let address = self.own().address;
            self.notices.tell_rarely(now, Event::AddressConflict { address });
        }
        Err(Reject::Own)
    }

    /// Whether the source may speak for this row.
    fn is_proven(&self, slot: Slot, sender: &Sender<'_>) -> bool {
        let row = self.table.row(slot);
        row.is_live() && (sender.source == sender.address || row.alias == self.alias_of(sender))
    }

    /// Of a stranger that says no hello, only what gives back a number or token of ours is read.
    fn receive_from_stranger(
        &mut self,
        now: Instant,
        held: Option<Slot>,
        sender: &Sender<'_>,
        datagram: &Datagram<'_>,
    ) -> Result<(), Reject> {
        let mut proven = false;
        let mut answers = false;
        for section in datagram.sections() {
            match section {
                Section::Challenge(challenge) => {
                    answers = true;
                    let itself = self.is_token_of(challenge.echo, sender.address, now);
                    proven = itself || self.seed_of_token(challenge.echo, now).is_some();
                    // A row only for whom this node knew: a seed may refuse the hello.
                    if itself && held.is_some() {
                        self.meet(now, sender, &datagram.header);
                    }
                    if proven {
                        self.hear_challenge(now, sender.address, &challenge);
                        self.hasten_join(now);
                    }
                }
                Section::Ack(number) => {
                    answers = true;
                    self.hear_relayed_ack(sender.address, number);
                }
                Section::Refused(refused) => {
                    answers = true;
                    self.hear_refusal(now, sender.address, &refused);
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
            let lives = held.is_some_and(|slot| self.table.row(slot).is_live());
            let to = if lives { sender.address } else { sender.source };
            self.answer(to, sender.bytes, Reply::Challenge { echo: None, observed: None });
        }
        Err(Reject::Unproven)
    }

    fn receive_from_member(
        &mut self,
        now: Instant,
        slot: Slot,
        sender: &Sender<'_>,
        datagram: &Datagram<'_>,
    ) {
        let header = &datagram.header;
        // What it says may need room: its own row stays until all has been heard.
        self.table.pin(Some(slot));
        self.hear_sender(now, slot, header);
        for section in datagram.sections() {
            self.hear_section(now, slot, sender.address, header, section);
        }
        // With a hello this asks for a hello in turn, which has been seen to.
        let asks = header.wants_details && sender.hello.is_none();
        if asks && self.may_ask(slot, now, COST_OF_PING) {
            self.table.owe(slot, Flags::DETAILS_OWED);
        }
        self.compare_digest(now, slot, header.digest, header.partial);
    }

    fn hear_section(
        &mut self,
        now: Instant,
        slot: Slot,
        from: &Address,
        header: &Header,
        section: Section<'_>,
    ) {
        match section {
            Section::Ping(number) => {
                self.table.row_mut(slot).ack = number;
                self.table.owe(slot, Flags::ACK);
            }
            Section::Ack(number) => {
                self.hear_ack(now, from, number);
                self.hear_relayed_ack(from, number);
            }
            Section::PingReq(request) => {
                if self.may_ask(slot, now, COST_OF_PING) {
                    self.hear_ping_req(now, from, &request);
                }
            }
            Section::Nack(number) => self.hear_nack(now, from, number),
            Section::Rumours(rumours) => {
                for rumour in rumours {
                    self.hear(now, slot, &rumour, false);
                }
            }
            Section::Details(details) => self.store_details(now, slot, header, &details),
            // Has been heard before all else.
            Section::Hello(_) => {}
            Section::Challenge(challenge) => self.hear_challenge(now, from, &challenge),
            Section::PageRequest(request) => {
                if self.may_ask(slot, now, COST_OF_PAGE) {
                    self.hear_page_request(from, request);
                }
            }
            Section::Page(page) => self.hear_page(now, slot, page),
            Section::Buckets(buckets) => {
                if self.may_ask(slot, now, COST_OF_PING) {
                    self.hear_buckets(now, from, buckets);
                }
            }
            Section::Refused(refused) => self.hear_refusal(now, from, &refused),
            Section::Unknown(_) => {
                self.stats.unknown_sections = self.stats.unknown_sections.wrapping_add(1);
            }
        }
    }

    /// Every datagram of a member is a statement about itself, and a proof of life.
    pub(super) fn hear_sender(&mut self, now: Instant, slot: Slot, header: &Header) {
        self.heard = Some(now);
        self.isolated = false;
        self.table.row_mut(slot).heard = Some(now);
        let address = self.table.row(slot).address;
        let state = if header.leaving { State::Left } else { State::Alive };
        let incarnation = header.incarnation;
        self.hear(now, slot, &Rumour { address, incarnation, state, accuser: None }, false);
        let row = self.table.row(slot);
        let is_news_to_it = incarnation < row.incarnation
            || (incarnation == row.incarnation && row.state != state && !header.leaving);
        if is_news_to_it && now >= row.tell_after {
            self.table.owe(slot, Flags::TELL);
        }
    }
}
