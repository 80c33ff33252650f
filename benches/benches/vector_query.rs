//! How long an exact query takes, per stored vector.

use benches::{Numbers, announce, context, embedded_nodes, measures};
use colca::prelude::*;
use colca::raw_json::shortest_f32;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pollster::block_on;

const DIMENSIONS: usize = 384;

fn vector_query(c: &mut Criterion) {
    announce("How long an exact query takes, a filtered one and one by MMR, per stored vector", 75);
    let count = if measures() { 10_000 } else { 100 };
    let nodes = embedded_nodes(count, DIMENSIONS);
    let embedding = Numbers::new(9).take(DIMENSIONS).collect::<Vec<_>>();
    let query = VectorStoreQuery::new(embedding).with_top_k(10);
    let queries = [
        ("top 10", query.clone()),
        ("top 10 of a year", query.clone().with_filters(field("year").eq(1999))),
        ("10 by MMR", query.with_mode(VectorStoreQueryMode::Mmr)),
    ];
    for (kind, decimal) in [("singles", false), ("shortest decimals of singles", true)] {
        let spelled = |node: &Node| {
            let numbers = node.embedding.iter().flatten();
            node.clone()
                .with_embedding(numbers.map(|x| if decimal { shortest_f32(*x as f32) } else { *x }).collect::<Vec<_>>())
        };
        let vectors =
            context(&nodes.iter().map(spelled).collect::<Vec<_>>()).vector_store().expect("a new context has one");
        let mut group = c.benchmark_group(format!("{count} vectors of {DIMENSIONS} {kind}"));
        group.throughput(Throughput::Elements(count as u64));
        for (name, query) in &queries {
            group.bench_function(*name, |b| b.iter(|| block_on(vectors.query(query)).expect("the query fits")));
        }
        group.finish();
    }
}

criterion_group!(benches, vector_query);
criterion_main!(benches);
