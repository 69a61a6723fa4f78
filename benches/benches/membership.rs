//! What a datagram costs: criterion's time, midge beside foca.
//!
//!     make bench

use std::cell::RefCell;
use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use midge_benches::with_foca::WithFoca;
use midge_benches::with_midge::Midge;
use midge_benches::{Make, ROUNDS, Work};

fn one(criterion: &mut Criterion, work: Work, name: &str, members: usize, make: Make) {
    let peer = RefCell::new(make(members));
    assert_eq!(peer.borrow().alive(), members, "all of them are known");
    let mut group = criterion.benchmark_group(work.name());
    let mut round = 0;
    group.bench_function(BenchmarkId::new(name, members), |bencher| {
        bencher.iter_batched(
            || {
                if round == ROUNDS {
                    (round, *peer.borrow_mut()) = (0, make(members));
                }
                let datagram = peer.borrow_mut().datagram(work, round).expect("it does this work");
                round += 1;
                datagram
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
            one(criterion, work, "midge", members, |members| Box::new(Midge::new(members)));
            if !matches!(work, Work::Transmit | Work::Digests) {
                one(criterion, work, "foca", members, |members| Box::new(WithFoca::new(members)));
            }
        }
    }
}

criterion_group!(benches, datagrams);
criterion_main!(benches);
