//! How long a context takes to open and to persist, per node. In memory, so that no disk is measured.

use benches::{context, embedded_nodes, persisted};
use colca::prelude::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pollster::block_on;

const NODES: usize = 2_000;
const DIMENSION: usize = 384;

fn persist_load(c: &mut Criterion) {
    let ctx = context(&embedded_nodes(NODES, DIMENSION));
    let place = persisted(&ctx);
    let mut group = c.benchmark_group("2,000 nodes of 384 dimensions");
    group.sample_size(10).throughput(Throughput::Elements(NODES as u64));
    group.bench_function("open", |b| b.iter(|| block_on(StorageContext::open(place.clone())).expect("it opens")));
    group.bench_function("persist", |b| b.iter(|| persisted(&ctx)));
    group.finish();
}

criterion_group!(benches, persist_load);
criterion_main!(benches);
