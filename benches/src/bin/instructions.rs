//! Does one kind of work so many times, for a counter of instructions to watch:
//!
//!     instructions midge|foca ping|news|known MEMBERS ROUNDS
//!
//! Two runs that differ in ROUNDS alone tell what one datagram costs, and making it; ROUNDS of
//! `make-only` tell what making it costs.

use std::hint::black_box;

use midge_benches::with_foca::WithFoca;
use midge_benches::with_midge::Midge;
use midge_benches::{Peer, Work};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next =
        || arguments.next().expect("midge|foca ping|news|known MEMBERS ROUNDS [make-only]");
    let (who, what) = (next(), next());
    let members: usize = next().parse().expect("a number of members");
    let rounds: u32 = next().parse().expect("a number of rounds");
    let make_only = arguments.next().is_some();
    let mut peer: Box<dyn Peer> = match who.as_str() {
        "midge" => Box::new(Midge::new(members)),
        _ => Box::new(WithFoca::new(members)),
    };
    let work = Work::ALL.into_iter().find(|work| work.name() == what).expect("ping, news, known");
    for round in 0..rounds {
        let datagram = peer.datagram(work, round);
        if !make_only {
            black_box(peer.receive(&datagram));
        }
    }
}
