//! A datagram goes out: what is owed is built when the socket asks for it.

use super::incarnation::State;
use super::introduce::{Answer, Reply};
use super::probe::Stage;
use super::reconcile::{Pull, PullStage};
use super::relay::{Relay, RelayStage};
use super::row::{Flags, Row, Slot};
use super::swim::Swim;
use crate::address::Address;
use crate::limits::{GOSSIP_TICKS_PER_PERIOD, MTU_BYTES};
use crate::node::Transmit;
use crate::time::Instant;
use crate::wire::{
    Buckets, Builder, Challenge, Header, Hello, Page, PageRequest, PingReq, Rumour, header, kind,
    probe,
};

/// The largest rumour (all IPv6), and the second length byte that its section may need.
const RUMOUR_ROOM: usize = 1 + 18 + 11 + 18 + 1;

/// A datagram that is being built.
struct Outgoing<'a> {
    to: Address,
    builder: Builder<'a>,
}

/// What is held about a row, as a rumour. Its accusers take turns in being named.
fn rumour_of(rows: &[Row], slot: Slot) -> Rumour {
    let row = &rows[slot.index()];
    let accused = matches!(row.state, State::Suspect | State::Failed);
    let turn = usize::from(row.sent).checked_rem(row.accuser_count()).filter(|_| accused);
    let accuser = turn.and_then(|turn| row.accusers[turn]).map(|slot| &rows[slot.index()]);
    // A row that came to be after the suspicion has the place of an accuser that is gone.
    let accuser = accuser.filter(|accuser| accuser.is_used() && accuser.since <= row.since);
    Rumour {
        address: row.address,
        incarnation: row.incarnation,
        state: row.state,
        accuser: accuser.map(|row| row.address),
    }
}

impl<const N: usize> Swim<N> {
    /// See [`Node::poll_transmit`](crate::Node::poll_transmit).
    ///
    /// In this order: the ping, acks and what else single members are owed, relayed pings,
    /// requests to helpers, answers, reconciliation, gossip.
    #[must_use]
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        buffer: &mut [u8; MTU_BYTES],
    ) -> Option<Transmit> {
        self.now = now;
        if !self.is_running() {
            return None;
        }
        let mut out = Outgoing { to: Address::NONE, builder: Builder::new(buffer) };
        let owed = self.build_ping(&mut out)
            || self.build_owed(&mut out)
            || self.build_relay(&mut out)
            || self.build_ping_req(&mut out)
            || self.build_answer(&mut out)
            || self.build_pull(&mut out)
            || self.build_gossip(&mut out);
        if !owed {
            return None;
        }
        let Outgoing { to, mut builder } = out;
        header::seal_in(self.tagged, &mut builder);
        let len = builder.len();
        self.stats.datagrams_out = self.stats.datagrams_out.wrapping_add(1);
        self.stats.bytes_out = self.stats.bytes_out.wrapping_add(len as u64);
        Some(Transmit { to, len })
    }

    /// Starts a datagram; `announce` says that the advertised address is to stand in it.
    fn begin(&self, out: &mut Outgoing<'_>, to: &Address, announce: bool, wants_details: bool) {
        let own = self.own();
        let header = Header {
            advertised: (announce || self.announce).then_some(own.address),
            partial: self.is_partial(),
            wants_details,
            leaving: self.is_leaving(),
            incarnation: own.incarnation,
            digest: self.table.digest(),
        };
        out.to = *to;
        out.builder.clear();
        header.encode(&mut out.builder);
    }

    /// Whether the member should be asked for its details by a datagram that goes to it anyway.
    /// Only what a timer sends asks: an answer that asks for an answer would find no end.
    fn lacks_details(&self, slot: Slot) -> bool {
        !self.is_leaving() && !self.row(slot).flags.has(Flags::DETAILS_KNOWN)
    }

    /// Appends what the receiver should hear about itself, and as much news as there is room for.
    /// `false` if there was none.
    fn put_rumours(&mut self, out: &mut Outgoing<'_>, to: Slot) -> bool {
        self.put_rumours_up_to(self.transmit_limit(), out, to)
    }

    /// The same, with news that is sent up to `limit` times: with none, if that is 0.
    fn put_rumours_up_to(&mut self, limit: u8, out: &mut Outgoing<'_>, to: Slot) -> bool {
        let row = self.row(to);
        let tell = row.flags.has(Flags::TELL) || row.state == State::Suspect;
        let news = limit > 0 && !self.table.news.is_empty();
        if !tell && !news {
            return false;
        }
        let told = tell.then(|| self.table.rumour(to, rumour_of));
        if tell {
            let again = self.now + self.period.scale(1, GOSSIP_TICKS_PER_PERIOD);
            let row = self.row_mut(to);
            row.flags.clear(Flags::TELL);
            row.tell_after = again;
        }
        let table = &mut self.table;
        out.builder.section(kind::RUMOURS, |b| {
            let start = b.len();
            if let Some(rumour) = told {
                rumour.encode(b);
            }
            if news {
                table.spread(limit, |rows, slot| {
                    if slot == to {
                        return Some(false);
                    }
                    let fits = b.room() >= RUMOUR_ROOM && rumour_of(rows, slot).encode(b);
                    fits.then_some(true)
                });
            }
            b.len() > start
        })
    }

    fn build_ping(&mut self, out: &mut Outgoing<'_>) -> bool {
        if !core::mem::take(&mut self.probe.ping_owed) {
            return false;
        }
        let Some(slot) = self.find(&self.probe.target) else { return false };
        if self.probe.stage == Stage::Direct {
            self.probe.sent = Some(self.now);
        }
        self.begin(out, &self.probe.target, false, self.lacks_details(slot));
        probe::encode_number(&mut out.builder, kind::PING, self.probe.number);
        self.put_rumours(out, slot);
        true
    }

    /// Acks, details, questions, and what a member should hear about itself.
    fn build_owed(&mut self, out: &mut Outgoing<'_>) -> bool {
        let Some(slot) = self.table.next_owed() else { return false };
        let row = self.row_mut(slot);
        let flags = row.flags;
        row.flags.clear(Flags::ACK);
        row.flags.clear(Flags::DETAILS_OWED);
        row.flags.clear(Flags::ASK);
        row.flags.clear(Flags::NEWS);
        let row = self.row(slot);
        self.begin(out, &row.address, false, flags.has(Flags::ASK));
        if flags.has(Flags::ACK) {
            probe::encode_number(&mut out.builder, kind::ACK, row.ack);
        }
        if flags.has(Flags::DETAILS_OWED) {
            self.own_details().encode(&mut out.builder);
        }
        // Who only has to hear what is held about it is no audience for news: it may well be gone.
        let limit = if flags.is_only(Flags::TELL) { 0 } else { self.transmit_limit() };
        self.put_rumours_up_to(limit, out, slot);
        true
    }

    fn build_relay(&mut self, out: &mut Outgoing<'_>) -> bool {
        let owed = |relay: &Relay| {
            matches!(relay.stage, RelayStage::PingOwed | RelayStage::AckOwed | RelayStage::NackOwed)
        };
        if !self.relays_owed {
            return false;
        }
        let Some(at) = self.relays.iter().position(owed) else {
            self.relays_owed = false;
            return false;
        };
        let relay = &self.relays[at];
        let (to, kind, number, next) = match relay.stage {
            RelayStage::PingOwed => (&relay.target, kind::PING, relay.number, RelayStage::Waiting),
            RelayStage::AckOwed => (&relay.requester, kind::ACK, relay.requested, RelayStage::Free),
            RelayStage::NackOwed => {
                (&relay.requester, kind::NACK, relay.requested, RelayStage::Missed)
            }
            RelayStage::Free | RelayStage::Waiting | RelayStage::Missed => return false,
        };
        self.begin(out, to, false, false);
        probe::encode_number(&mut out.builder, kind, number);
        self.relays[at].stage = next;
        if let Some(slot) = self.find(&out.to) {
            self.put_rumours(out, slot);
        }
        true
    }

    fn build_ping_req(&mut self, out: &mut Outgoing<'_>) -> bool {
        while self.probe.owed != 0 {
            let at = self.probe.owed.trailing_zeros() as usize;
            self.probe.owed &= self.probe.owed - 1;
            let Some(to) = self.probe.helpers.get(at) else { continue };
            let Some(slot) = self.find(to) else { continue };
            self.begin(out, to, false, false);
            let request = PingReq { number: self.probe.number, target: self.probe.target };
            request.encode(&mut out.builder);
            self.put_rumours(out, slot);
            return true;
        }
        false
    }

    fn build_answer(&mut self, out: &mut Outgoing<'_>) -> bool {
        while let Some(Answer { to, fits, what }) = self.answers.pop_front() {
            match what {
                Reply::Hello { echo } => self.build_hello(out, &to, echo),
                Reply::Challenge { echo, mut observed } => {
                    let token = self.token_for(&to);
                    loop {
                        self.begin(out, &to, echo.is_some(), false);
                        Challenge { token, echo, observed }.encode(&mut out.builder);
                        // Rather without the address that was seen than not at all.
                        let fits = out.builder.len() <= usize::from(fits);
                        if fits || observed.take().is_none() {
                            break;
                        }
                    }
                }
                Reply::Refused { refused, ack } => {
                    self.begin(out, &to, false, false);
                    if let Some(number) = ack {
                        probe::encode_number(&mut out.builder, kind::ACK, number);
                    }
                    refused.encode(&mut out.builder);
                }
                Reply::Page { buckets, first } => {
                    self.begin(out, &to, false, false);
                    let rows = |b: &mut Builder<'_>| self.put_rows(b, buckets, first);
                    Page::encode(&mut out.builder, buckets, first, rows);
                }
            }
            if out.builder.len() <= usize::from(fits) {
                return true;
            }
        }
        false
    }

    /// The hello, and the ping that may be waiting behind it: who is asked to introduce itself
    /// has not been answered.
    fn build_hello(
        &mut self,
        out: &mut Outgoing<'_>,
        to: &Address,
        echo: Option<crate::wire::Token>,
    ) {
        // Whom it has no row for it asks to introduce itself in turn.
        self.begin(out, to, true, echo.is_some() && self.find(to).is_none());
        let uptime_s = self.uptime().as_millis() / 1_000;
        let hello = Hello {
            token: self.token_for(to),
            echo,
            uptime_s: uptime_s.min(u64::from(u32::MAX)) as u32,
            details: self.own_details(),
        };
        hello.encode(&mut out.builder);
        if let Some(number) = self.pending_ping(to).or_else(|| self.pending_relay(to)) {
            probe::encode_number(&mut out.builder, kind::PING, number);
        }
        // To whom this is proof enough it may tell the news as well; of what it was told before,
        // nothing was heard.
        if let Some(slot) = self.find(to).filter(|_| echo.is_some()) {
            self.put_rumours(out, slot);
        }
    }

    /// Appends rows of these buckets, and says where the next page begins.
    fn put_rows(&self, builder: &mut Builder<'_>, buckets: u64, first: u16) -> u16 {
        for (slot, row) in self.table.rows_from(usize::from(first)) {
            if buckets >> row.bucket & 1 == 0 {
                continue;
            }
            if builder.room() < RUMOUR_ROOM {
                return slot.index() as u16;
            }
            let Row { address, incarnation, state, .. } = *row;
            Rumour { address, incarnation, state, accuser: None }.encode(builder);
        }
        0
    }

    fn build_pull(&mut self, out: &mut Outgoing<'_>) -> bool {
        let owed = |pull: &Pull| pull.stage != PullStage::Free && pull.owed;
        let Some(at) = self.pulls.iter().position(owed) else { return false };
        self.pulls[at].owed = false;
        let pull = &self.pulls[at];
        self.begin(out, &pull.peer, false, false);
        if pull.stage == PullStage::Offer {
            Buckets::encode(&mut out.builder, self.table.digests());
        } else {
            let request = PageRequest { buckets: pull.buckets, first: pull.first };
            request.encode(&mut out.builder);
        }
        true
    }

    fn build_gossip(&mut self, out: &mut Outgoing<'_>) -> bool {
        while self.gossip_owed > 0 {
            self.gossip_owed -= 1;
            let len = self.table.order.len();
            if len == 0 || self.table.news.is_empty() {
                self.gossip_owed = 0;
                return false;
            }
            let at = (self.gossip_from as usize + usize::from(self.gossip_owed)) % len;
            let Some(slot) = self.table.order.at(at) else { continue };
            self.begin(out, &self.row(slot).address, false, self.lacks_details(slot));
            if self.put_rumours(out, slot) {
                return true;
            }
        }
        false
    }
}
