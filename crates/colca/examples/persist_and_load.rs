//! Builds an index, or loads it if that was done before, and asks it a question.
//!
//! `cargo run --release --example persist_and_load`, twice: the first run makes `./storage`, the second finds it there.
//! Both give the same answer, and the second embeds nothing but the question. Delete `./storage` to begin anew.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Result;
use colca::prelude::*;
use colca::schema::RelatedNodes;

const PLACE: &str = "./storage";
const QUESTION: &str = "What was done if the knots of the two keepers did not agree?";

#[tokio::main]
async fn main() -> Result<()> {
    let embedder = Counting::default();
    let start = Instant::now();
    let index: Index = if Path::new(PLACE).exists() {
        println!("Loading the index from {PLACE} ...");
        let ctx = StorageContext::open(PLACE).await?;
        load_index_from_storage(&ctx, Some("texts")).await?
    } else {
        println!("Creating the index ...");
        let ctx = StorageContext::in_memory();
        let index = VectorStoreIndex::builder(&ctx)
            .id("texts")
            .summary("How the Inca stored, counted and carried")
            .embedder(embedder.clone())
            .transformations(vec![Arc::new(Paragraphs)])
            .from_documents(documents())
            .await?;
        println!("{}", ctx.persist(PLACE).await?);
        println!("{} passages, and a sentence to know the model by, were embedded.", embedder.texts() - 1);
        index.into()
    };
    println!("Ready after {:.1} ms.", millis(start));

    let before = embedder.texts();
    let start = Instant::now();
    let retriever = index.retriever(embedder.clone()).top_k(3);
    let answer = index.as_query_engine().retriever(retriever).query(QUESTION).await?;
    let took = millis(start);
    println!("\n{QUESTION}\n");
    for sentence in answer.response.lines() {
        println!("  {sentence}");
    }
    println!("\nThat was quoted from these passages:\n");
    for NodeWithScore { node, score } in &answer.source_nodes {
        println!("  {:.4}  {:<13}  {}", score.unwrap_or_default(), node.id.to_string(), begin(&node.text_content()));
    }
    println!("\nAnswered in {took:.2} ms; {} text, the question, was embedded.", embedder.texts() - before);
    Ok(())
}

/// The texts of this example.
fn documents() -> Vec<Node> {
    let texts = [
        ("storehouses", include_str!("data/texts/storehouses.txt")),
        ("cords", include_str!("data/texts/cords.txt")),
        ("caravans", include_str!("data/texts/caravans.txt")),
    ];
    texts.map(|(title, text)| Node::document(text).with_id(title).with_metadata("title", title)).into()
}

/// Makes one node of each paragraph.
#[derive(Debug)]
struct Paragraphs;

#[async_trait::async_trait]
impl Transformation for Paragraphs {
    async fn transform(&self, documents: Vec<Node>) -> Result<Vec<Node>, ModelError> {
        let mut nodes = Vec::new();
        for document in documents {
            let source = document.as_related_node_info()?;
            let text = document.text_content().to_string();
            for (i, paragraph) in text.split("\n\n").map(str::trim).filter(|text| !text.is_empty()).enumerate() {
                let mut node = Node::text(paragraph).with_id(format!("{}-{i}", document.id));
                node.metadata = document.metadata.clone();
                node.relationships.insert(NodeRelationship::Source, RelatedNodes::One(source.clone()));
                nodes.push(node);
            }
        }
        Ok(nodes)
    }
}

/// Counts the texts that are embedded.
#[derive(Debug, Clone, Default)]
struct Counting {
    inner: HashEmbedder,
    texts: Arc<AtomicUsize>,
}

impl Counting {
    fn texts(&self) -> usize {
        self.texts.load(Ordering::Relaxed)
    }
}

#[async_trait::async_trait]
impl Embedder for Counting {
    fn model_name(&self) -> &str {
        self.inner.model_name()
    }

    fn dimensions(&self) -> Option<usize> {
        self.inner.dimensions()
    }

    async fn embed_texts(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, ModelError> {
        self.texts.fetch_add(texts.len(), Ordering::Relaxed);
        self.inner.embed_texts(texts).await
    }
}

/// As much of a passage as fits a line.
fn begin(text: &PyString) -> String {
    let text = text.to_string();
    text.chars().take(80).chain("...".chars()).collect()
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
