use anyhow::{Context, Result};
use benches::Numbers;
use colca::prelude::*;
use pollster::block_on;
use serde_json::json;

use crate::Bench;
use crate::limits::read_matrix;
use crate::row::{Line, Row};
use crate::timing::{in_turn, timed};

pub(super) const ROW: Row =
    Row { name: "query", work: "Finds the 10 nearest of all vectors, exactly.", full_s: 3, quick_s: 1, measure };

fn measure(bench: &mut Bench) -> Result<Vec<Line>> {
    bench.llama_index.have_open(&bench.data.context)?;
    let size = bench.data.size;
    let ctx = block_on(StorageContext::open(bench.data.context.as_path()))?;
    let vectors = ctx.vector_store().context("the context has no vector store")?;
    let embedding: Vec<f64> = Numbers::new(9).take(size.dimensions).collect();
    let query = VectorStoreQuery::new(embedding.clone()).with_top_k(10);
    let request = json!({"do": "query", "embedding": embedding, "top_k": 10});
    let matrix = vec![1.0_f32; size.nodes * size.dimensions];
    let [ours, theirs, limit] = in_turn([
        Box::new(timed(|| Ok(block_on(vectors.query(&query))?))),
        Box::new(|| bench.llama_index.ask(request.clone())),
        Box::new(timed(|| {
            read_matrix(&matrix);
            Ok(())
        })),
    ])?;
    let limit = Some(("reading the matrix with one thread", limit));
    Ok(vec![Line { work: "exact query, k = 10".to_owned(), ours, theirs: Some(theirs), limit }])
}
