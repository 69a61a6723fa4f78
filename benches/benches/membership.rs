//! What a datagram costs: criterion's time, midge beside foca.
//!
//!     make bench

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use midge_benches::with_foca::WithFoca;
use midge_benches::with_midge::Midge;
use midge_benches::{Peer, Work};

fn one(criterion: &mut Criterion, work: Work, name: &str, members: usize, peer: &mut dyn Peer) {
    assert_eq!(peer.alive(), members, "all of them are known");
    let mut group = criterion.benchmark_group(work.name());
    let mut round = 0;
    group.bench_function(BenchmarkId::new(name, members), |bencher| {
        let peer = std::cell::RefCell::new(&mut *peer);
        bencher.iter_batched(
            || {
                round += 1;
                peer.borrow_mut().datagram(work, round).expect("it does this work")
            },
            |datagram| black_box(peer.borrow_mut().receive(&datagram)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn datagrams(criterion: &mut Criterion) {
    for work in Work::ALL {
        for members in [10, 100, 1000] {
            one(criterion, work, "midge", members, &mut Midge::new(members));
            if work != Work::Digests {
                one(criterion, work, "foca", members, &mut WithFoca::new(members));
            }
        }
    }
}

criterion_group!(benches, datagrams);
criterion_main!(benches);
