//! Does one kind of work so many times, for a counter of instructions to watch [`take_in`]:
//!
//!     instructions midge|foca ping|news|known|spread|transmit|digests MEMBERS
//!
//! Its only line of output is how many times that was.

use midge_benches::with_foca::WithFoca;
use midge_benches::with_midge::Midge;
use midge_benches::{Peer, ROUNDS, Work};

/// What is counted: a datagram is taken in, and answered.
#[inline(never)]
fn take_in(peer: &mut dyn Peer, datagram: &[u8]) -> usize {
    peer.receive(datagram)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("midge|foca WORK MEMBERS");
    let (who, what) = (next(), next());
    let members: usize = next().parse().expect("a number of members");
    let mut peer: Box<dyn Peer> = match who.as_str() {
        "midge" => Box::new(Midge::new(members)),
        _ => Box::new(WithFoca::new(members)),
    };
    let work = Work::ALL.into_iter().find(|work| work.name() == what).expect("a kind of work");
    for round in 0..ROUNDS {
        let datagram = peer.datagram(work, round).expect("it does this work");
        take_in(&mut *peer, &datagram);
    }
    println!("{ROUNDS} rounds");
}
