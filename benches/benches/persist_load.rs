//! How long a context takes to open and to persist, per node. In memory, so that no disk is measured.

use benches::{announce, context, embedded_nodes, measures, persisted};
use colca::prelude::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pollster::block_on;

const DIMENSIONS: usize = 384;

fn persist_load(c: &mut Criterion) {
    announce("How long a context takes to open from memory and to persist to it, per node", 20);
    let nodes = if measures() { 2_000 } else { 20 };
    let ctx = context(&embedded_nodes(nodes, DIMENSIONS));
    let location = persisted(&ctx);
    let mut group = c.benchmark_group(format!("{nodes} nodes of {DIMENSIONS} dimensions"));
    group.sample_size(10).throughput(Throughput::Elements(nodes as u64));
    group.bench_function("open", |b| b.iter(|| block_on(StorageContext::open(location.clone())).expect("it opens")));
    group.bench_function("persist", |b| b.iter(|| persisted(&ctx)));
    group.finish();
}

criterion_group!(benches, persist_load);
criterion_main!(benches);
