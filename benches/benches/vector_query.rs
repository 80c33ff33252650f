//! How long an exact query takes, per stored vector.

use benches::{Numbers, context, embedded_nodes};
use colca::prelude::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pollster::block_on;

const NODES: usize = 10_000;
const DIMENSION: usize = 384;

fn vector_query(c: &mut Criterion) {
    let vectors = context(&embedded_nodes(NODES, DIMENSION)).vector_store().expect("a new context has one");
    let query = VectorStoreQuery::new(Numbers::new(9).take(DIMENSION).collect::<Vec<_>>()).with_top_k(10);
    let mut group = c.benchmark_group("10,000 vectors of 384 dimensions");
    group.throughput(Throughput::Elements(NODES as u64));
    group.bench_function("top 10", |b| b.iter(|| block_on(vectors.query(&query)).expect("the query fits")));
    group.finish();
}

criterion_group!(benches, vector_query);
criterion_main!(benches);
