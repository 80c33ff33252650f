//! The models that both sides work with, the same as in `driver.py`. Their answers follow from the texts alone.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use async_trait::async_trait;
use colca::graphstore::Triplet;
use colca::indices::{KeywordExtractor, ModelError};
use colca::prelude::*;
use colca::schema::{RelatedNodes, TextContent};
use corpus::DetEmbedding;

/// How many numbers the embedding of a text has, and that of an image.
pub(super) const DIMENSIONS: usize = 8;
pub(super) const DIMENSIONS_OF_IMAGES: usize = 4;

/// Embeds texts.
pub(super) fn embedder() -> DetEmbedding {
    DetEmbedding::new(DIMENSIONS, "text")
}

/// Embeds questions for images.
pub(super) fn image_embedder() -> DetEmbedding {
    DetEmbedding::new(DIMENSIONS_OF_IMAGES, "image")
}

/// What an index store remembers of the model for texts.
pub(super) fn remembered() -> Value {
    static REMEMBERED: LazyLock<Value> = LazyLock::new(|| {
        let stored = async {
            let ctx = StorageContext::in_memory();
            let builder = VectorStoreIndex::builder(&ctx).id("index").embedder(embedder());
            builder.from_nodes(vec![Node::text("text")]).await.ok()?;
            let store = ctx.index_store();
            store.kv().get(&store.embedding_collection(), "index").await.ok()?
        };
        pollster::block_on(stored).map_or(Value::Null, |raw| raw.value())
    });
    REMEMBERED.clone()
}

/// Tells which marks are in the prompt: words that end in a digit. So the prompt's own words do not matter. Asked for
/// the number of a choice, it tells one that is none.
#[derive(Debug)]
pub(super) struct MarksLlm;

#[async_trait]
impl Llm for MarksLlm {
    fn model_name(&self) -> &str {
        "marks"
    }

    fn context_window(&self) -> usize {
        1_000_000
    }

    async fn complete(&self, prompt: &str) -> Result<String, ModelError> {
        let marks: BTreeSet<&str> = marks(prompt).collect();
        Ok(std::iter::once("99").chain(marks).collect::<Vec<_>>().join(" "))
    }
}

fn marks(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    words.filter(|word| {
        word.starts_with(|c: char| c.is_ascii_lowercase()) && word.ends_with(|c: char| c.is_ascii_digit())
    })
}

/// That each mark stands before the next one, of the first marks.
pub(super) fn triplets(text: &str) -> Vec<Triplet> {
    let first: Vec<&str> = marks(text).take(4).collect();
    let triplet =
        |pair: &[&str]| Triplet { subject: pair[0].into(), relation: "stands before".into(), object: pair[1].into() };
    first.windows(2).map(triplet).collect()
}

/// The keywords that LlamaIndex takes from the language model's answer.
#[derive(Debug)]
pub(super) struct MarkKeywords;

#[async_trait]
impl KeywordExtractor for MarkKeywords {
    async fn extract(&self, text: &str, _max: usize) -> Result<Vec<String>, ModelError> {
        Ok(marks(text).map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect())
    }
}

/// Makes a node of each part of a document, with an id that tells the document, its version and the place.
#[derive(Debug)]
pub(super) struct Chunks;

#[async_trait]
impl Transformation for Chunks {
    async fn transform(&self, documents: Vec<Node>) -> Result<Vec<Node>, ModelError> {
        let mut nodes = Vec::new();
        for document in &documents {
            nodes.extend(chunks(document)?);
        }
        Ok(nodes)
    }
}

/// The nodes of a document.
pub(super) fn chunks(document: &Node) -> colca::schema::Result<Vec<Node>> {
    let hash = document.hash()?;
    let source = document.as_related_node_info()?;
    let text = document.text_content().to_string();
    let parts = text.split("\n\n").enumerate();
    let node = |(at, part): (usize, &str)| Node {
        metadata: document.metadata.clone(),
        excluded_embed_metadata_keys: document.excluded_embed_metadata_keys.clone(),
        excluded_llm_metadata_keys: document.excluded_llm_metadata_keys.clone(),
        relationships: [(NodeRelationship::Source, RelatedNodes::One(source.clone()))].into(),
        ..Node::new(NodeContent::Text(TextContent::new(part)))
            .with_id(PyString::concat([&document.id, &format!(":{}:{at}", &hash[..8]).into()]))
    };
    Ok(parts.map(node).collect())
}
