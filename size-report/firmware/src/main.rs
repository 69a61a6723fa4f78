//! Membership on a Cortex-M4, whole: every call of [`Swim`] that a driver makes, with a stand-in
//! for the radio and the clock that the optimiser cannot see through. It is built to be measured:
//! a real driver replaces [`Board`].
#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use midge::limits::MTU_BYTES;
use midge::{Address, Config, Instant, Swim};
use panic_halt as _;
use static_cell::ConstStaticCell;

static SWIM: ConstStaticCell<Swim<32>> = ConstStaticCell::new(Swim::EMPTY);
static DATAGRAM: ConstStaticCell<[u8; MTU_BYTES]> = ConstStaticCell::new([0; MTU_BYTES]);

/// The hardware, as far as membership needs it.
struct Board;

impl Board {
    fn now(&self) -> Instant {
        black_box(Instant::ZERO)
    }

    fn address(&self) -> Address {
        black_box(Address::v4([10, 0, 0, 1], 6434))
    }

    fn seed(&self) -> Address {
        black_box(Address::v4([10, 0, 0, 2], 6434))
    }

    fn entropy(&self) -> [u8; 32] {
        black_box([7; 32])
    }

    /// A datagram that came in: its length and where it came from.
    fn receive(&self, buffer: &mut [u8; MTU_BYTES]) -> Option<(usize, Address)> {
        black_box(buffer);
        black_box(Some((26, self.seed())))
    }

    fn send(&self, bytes: &[u8], to: Address) {
        black_box((bytes, to));
    }

    fn show(&self, live_members: usize) {
        black_box(live_members);
    }

    fn is_switched_off(&self) -> bool {
        black_box(false)
    }

    fn sleep_until(&self, deadline: Option<Instant>) {
        black_box(deadline);
    }
}

#[entry]
fn main() -> ! {
    let board = Board;
    let swim = SWIM.take();
    let buffer = DATAGRAM.take();
    let config = Config::new("sensor", board.address());
    let started = swim.init(&config, board.entropy(), 1, board.now());
    if started.is_err() || swim.join(board.now(), board.seed()).is_err() {
        panic!();
    }
    loop {
        step(swim, buffer, &board);
        board.sleep_until(swim.poll_timeout());
    }
}

/// Takes in what came, does what is due, sends what is owed, shows what changed.
fn step(swim: &mut Swim<32>, buffer: &mut [u8; MTU_BYTES], board: &Board) {
    if let Some((len, from)) = board.receive(buffer) {
        // A reject has been counted by the node.
        let _ = swim.handle_datagram(board.now(), from, &buffer[..len.min(MTU_BYTES)]);
    }
    swim.handle_timeout(board.now());
    while let Some(transmit) = swim.poll_transmit(board.now(), buffer) {
        board.send(&buffer[..transmit.len], transmit.to);
    }
    let mut changed = false;
    while swim.poll_event().is_some() {
        changed = true;
    }
    if changed {
        board.show(swim.members(0).filter(|(_, member)| member.state.is_live()).count());
    }
    if board.is_switched_off() {
        swim.leave(board.now());
    }
}
