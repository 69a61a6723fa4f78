//! Each fault of a node is found, and by the check that is meant to find it.

use crate::harness::faulty::Fault;
use crate::harness::{Rules, SECOND, Start, Violation, World};

fn found(fault: Fault) -> Result<(), Violation> {
    let mut world = World::new(1, Rules::default());
    world.add_hosts(4);
    world.start(0, &Start::with_seeds(&[]));
    for host in 1..4 {
        let fault = (host == 2).then_some(fault);
        world.start(host, &Start { fault, ..Start::with_seeds(&[0]) });
    }
    world.run_for(10 * SECOND)
}

/// Every fault, and words of the violation that it has to be.
pub(crate) fn all_are_found() {
    let faults = [
        (Fault::Busy, "deadline is not after"),
        (Fault::Itself, "sends to itself"),
        (Fault::Silent, "its events say"),
        (Fault::Inflating, "never had that incarnation"),
        (Fault::Rash, "it was not known"),
        (Fault::Blind, "digests for"),
        (Fault::Chatty, "sends without end"),
    ];
    for (fault, words) in faults {
        match found(fault) {
            Ok(()) => panic!("{fault:?} was not found"),
            Err(violation) => {
                assert!(violation.0.contains(words), "{fault:?} was taken for: {violation}");
            }
        }
    }
}
