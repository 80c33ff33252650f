//! Workloads for the benchmarks: the same for the same numbers, on every machine.

use colca::prelude::*;

/// Whether this is `cargo bench` and not a test, which runs each benchmark once.
pub fn measures() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// Says before a benchmark starts what it measures and about how long it takes.
pub fn announce(what: &str, seconds: u64) {
    if measures() {
        println!("\n{what}. This takes about {seconds} seconds.\n");
    }
}

/// A repeatable source of numbers between -1 and 1 (SplitMix64).
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Iterator for Numbers {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Some(((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0)
    }
}

/// `count` nodes of some 500 characters with metadata, of documents of ten nodes each.
pub fn nodes(count: usize) -> Vec<Node> {
    let text =
        "The colca is a storehouse of stone, built high on a slope where the wind keeps the grain dry. ".repeat(5);
    (0..count)
        .map(|i| {
            Node::text(format!("{i}: {text}"))
                .with_id(format!("node-{i}"))
                .with_source(format!("doc-{}", i / 10))
                .with_metadata("author", ["Ada", "Bo", "Cyd"][i % 3])
                .with_metadata("year", 1990 + (i % 30) as i64)
        })
        .collect()
}

/// The same nodes with embeddings that are singles, as most services' are.
pub fn embedded_nodes(count: usize, dimension: usize) -> Vec<Node> {
    let mut numbers = Numbers::new(7);
    let mut embedding = || numbers.by_ref().take(dimension).map(|x| f64::from(x as f32)).collect::<Vec<_>>();
    nodes(count).into_iter().map(|node| node.with_embedding(embedding())).collect()
}

/// A context with these nodes in its document store and, if they have embeddings, in its vector store.
pub fn context(nodes: &[Node]) -> StorageContext {
    let ctx = StorageContext::in_memory();
    pollster::block_on(async {
        // An index leaves the embeddings out of the document store.
        let texts: Vec<Node> = nodes.iter().cloned().map(|node| Node { embedding: None, ..node }).collect();
        ctx.docstore().add_documents(&texts).await.expect("the nodes are good");
        let vectors = ctx.vector_store().expect("a new context has one");
        let embedded: Vec<Node> = nodes.iter().filter(|node| node.embedding.is_some()).cloned().collect();
        vectors.add(&embedded).await.expect("the embeddings are good");
    });
    ctx
}

/// A place in memory with this context's files.
pub fn persisted(ctx: &StorageContext) -> MemoryFs {
    let place = MemoryFs::new();
    pollster::block_on(ctx.persist(place.clone())).expect("memory takes everything");
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_the_same_at_every_run() {
        assert_eq!(Numbers::new(1).take(3).collect::<Vec<_>>(), Numbers::new(1).take(3).collect::<Vec<_>>());
        assert!(Numbers::new(2).take(1000).all(|x| (-1.0..=1.0).contains(&x)));
        let place = persisted(&context(&embedded_nodes(30, 4)));
        let again = pollster::block_on(StorageContext::open(place)).unwrap();
        assert_eq!(pollster::block_on(again.docstore().node_ids()).unwrap().len(), 30);
    }
}
