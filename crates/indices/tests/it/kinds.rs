//! The kinds with keywords, summaries and images.

use std::sync::Arc;

use async_trait::async_trait;
use graphstore::{LabelledNode, Relation, SimplePropertyGraphStore};
use indexstore::{IndexStruct, IndexStructData};
use indices::{
    Deleted, DocumentSummaryIndex, Error, KeywordTableIndex, Llm, ModelError, MultiModalVectorStoreIndex,
    PropertyGraphIndex, QueryBundle, RetrieverExt, TreeIndex, load_index_from_storage,
};
use pollster::block_on;
use schema::{ImageContent, Node};
use storage_context::{IMAGE_NAMESPACE, StorageContext};

use crate::models::TestEmbedder;

/// Answers with the longest word of what it is told.
#[derive(Debug)]
struct LongestWord;

#[async_trait]
impl Llm for LongestWord {
    fn model_name(&self) -> &str {
        "longest word"
    }

    async fn complete(&self, prompt: &str) -> Result<String, ModelError> {
        let text = prompt.split("\n\n").nth(1).unwrap_or_default();
        Ok(text.split(' ').max_by_key(|word| word.len()).unwrap_or_default().to_owned())
    }
}

fn node(id: &str, text: &str, document: &str) -> Node {
    Node::text(text).with_id(id).with_source(document)
}

fn nodes() -> Vec<Node> {
    vec![
        node("a", "maize in storehouses", "stores"),
        node("b", "potatoes in storehouses", "stores"),
        node("c", "llamas carry maize", "caravans"),
    ]
}

fn ids(found: &[indices::NodeWithScore]) -> Vec<String> {
    found.iter().map(|found| found.node.id.to_string()).collect()
}

#[test]
fn keywords_find_nodes_and_go_with_them() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = KeywordTableIndex::builder(&ctx).id("k").from_nodes(nodes()).await.unwrap();
        let found = index.as_retriever().retrieve("Maize in which storehouses?").await.unwrap();
        assert_eq!(ids(&found), ["a", "c", "b"]);
        assert_eq!(ids(&index.as_retriever().top_k(1).retrieve("llamas").await.unwrap()), ["c"]);
        assert!(index.as_retriever().retrieve("the of").await.unwrap().is_empty());
        let deleted = index.delete_ref_doc("stores").await.unwrap();
        assert_eq!(deleted, Deleted { entries: 2, vectors: 0, nodes: 2, ref_docs: 1 });
        assert!(index.as_retriever().retrieve("storehouses").await.unwrap().is_empty());
        index.insert_nodes(vec![node("d", "new storehouses", "stores")]).await.unwrap();
        assert_eq!(ids(&index.as_retriever().retrieve("storehouses").await.unwrap()), ["d"]);
    });
}

#[test]
fn summaries_stand_for_documents() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let builder = DocumentSummaryIndex::builder(&ctx).id("s").llm(Arc::new(LongestWord));
        let index = builder.embedder(TestEmbedder::new("m", 64)).from_nodes(nodes()).await.unwrap();
        assert_eq!(index.document_summary("stores").await.unwrap(), Some("storehouses".into()));
        let found = index.as_retriever().retrieve("storehouses").await.unwrap();
        assert_eq!((ids(&found), found[0].score), (vec!["a".to_owned(), "b".to_owned()], None));

        index.delete_nodes(&["a".into()]).await.unwrap();
        assert_eq!(ids(&index.as_retriever().retrieve("storehouses").await.unwrap()), ["b"]);
        let deleted = index.delete_nodes(&["b".into()]).await.unwrap();
        assert_eq!(deleted, Deleted { entries: 1, vectors: 1, nodes: 2, ref_docs: 1 });
        assert_eq!(index.document_summary("stores").await.unwrap(), None);
        let updated = index.update_ref_doc(Node::document("alpacas rest").with_id("caravans")).await.unwrap();
        assert_eq!(updated, Deleted { entries: 1, vectors: 1, nodes: 2, ref_docs: 0 });
        assert_eq!(index.document_summary("caravans").await.unwrap(), Some("alpacas".into()));
        index.drop_index().await.unwrap();
        assert!(ctx.docstore().node_ids().await.unwrap().is_empty());
        assert_eq!(ctx.vector_store().unwrap().count().await.unwrap(), Some(0));
    });
}

#[test]
fn a_tree_is_gone_down_from_the_top() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let leaves = (0..12).map(|i| node(&format!("n{i:02}"), &format!("leaf{i:02} text"), "d")).collect();
        let builder = TreeIndex::builder(&ctx).llm(Arc::new(LongestWord)).embedder(TestEmbedder::new("m", 64));
        let index = builder.from_nodes(leaves).await.unwrap();
        assert_eq!(index.all_leaf_retriever().retrieve("").await.unwrap().len(), 14);
        assert_eq!(index.root_retriever().retrieve("").await.unwrap().len(), 2);
        let select = index.select_leaf_embedding_retriever();
        assert_eq!(ids(&select.clone().child_branch_factor(2).retrieve("leaf03 text").await.unwrap())[0], "n03");
        assert_eq!(select.retrieve("leaf11").await.unwrap().len(), 1);
        index.drop_index().await.unwrap();
        assert!(ctx.docstore().node_ids().await.unwrap().is_empty());

        let flat = TreeIndex::builder(&ctx).from_nodes(nodes()).await.unwrap();
        assert_eq!(ids(&flat.root_retriever().retrieve("").await.unwrap()), ["a", "b", "c"]);
    });
}

#[test]
fn a_model_is_remembered_whatever_it_was_first_used_for() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let builder = DocumentSummaryIndex::builder(&ctx).id("s").llm(Arc::new(LongestWord));
        let index = builder.embedder(TestEmbedder::new("m", 64)).from_nodes(Vec::new()).await.unwrap();
        assert_eq!(ctx.index_store().embedding_identity("s").await.unwrap(), None);
        let documents = ["stores", "caravans"].map(|id| Node::document(id).with_id(id));
        assert_eq!(index.refresh_ref_docs(documents.into()).await.unwrap(), [true, true]);
        assert!(ctx.index_store().embedding_identity("s").await.unwrap().is_some());
    });
}

#[test]
fn what_a_summary_needs_is_named() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let build = |nodes| DocumentSummaryIndex::builder(&ctx).id("s").from_nodes(nodes);
        assert_eq!(
            build(nodes()).await.unwrap_err().to_string(),
            "index 's' has no language model to summarize documents with; give it one"
        );
        assert!(matches!(build(vec![Node::text("x")]).await, Err(Error::NoSource { .. })));
        assert!(ctx.docstore().node_ids().await.unwrap().is_empty());
    });
}

#[test]
fn images_and_texts_are_found_each_in_their_store() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let image = |id: &str, text: &str| {
            Node::image(text, ImageContent::default()).with_id(id).with_source("album").with_embedding([1.0, 0.5])
        };
        let nodes = vec![node("t", "a text", "texts"), image("plain", ""), image("captioned", "a caption")];
        let builder = MultiModalVectorStoreIndex::builder(&ctx).id("m").embedder(TestEmbedder::new("m", 64));
        let index = builder.from_nodes(nodes).await.unwrap();
        assert_eq!(ids(&index.as_retriever().retrieve("caption").await.unwrap()), ["captioned", "t"]);
        let near = QueryBundle::default().with_embedding([1.0, 0.5]);
        assert_eq!(index.image_retriever().retrieve(&near).await.unwrap().len(), 2);
        let deleted = index.delete_ref_doc("album").await.unwrap();
        assert_eq!(deleted, Deleted { entries: 2, vectors: 3, nodes: 2, ref_docs: 1 });
        assert_eq!(ctx.vector_store_of(IMAGE_NAMESPACE).unwrap().count().await.unwrap(), Some(0));
        let bare = Node::image("", ImageContent::default());
        assert!(matches!(index.insert_nodes(vec![bare]).await, Err(Error::NoModel { .. })));
    });
}

#[test]
fn a_property_graph_tells_what_is_near_a_question() {
    block_on(async {
        let graph = SimplePropertyGraphStore::new();
        graph.upsert_llama_nodes(&[node("chunk", "Llamas carry maize.", "d")]).unwrap();
        let entity = |name: &str| LabelledNode::entity(name).with_property("triplet_source_id", "chunk");
        graph.upsert_nodes(["llama", "maize", "cord"].map(entity)).unwrap();
        let relations = vec![Relation::new("carries", "llama", "maize"), Relation::new("counts", "cord", "maize")];
        graph.upsert_relations(relations).unwrap();
        let ctx = StorageContext::builder().property_graph_store(Arc::new(graph)).build();
        let vector = |id: &str, x: f64| Node::text(id).with_id(id).with_embedding([x, 1.0]);
        let vectors = [vector("llama", 1.0), vector("cord", -1.0), vector("of another index", 1.0)];
        ctx.vector_store().unwrap().add(&vectors).await.unwrap();
        ctx.index_store().add_index_struct(&IndexStruct::new("g", IndexStructData::PropertyGraph)).await.unwrap();
        let index = PropertyGraphIndex::try_from(load_index_from_storage(&ctx, None).await.unwrap()).unwrap();
        let asked = QueryBundle::default().with_embedding([1.0, 1.0]);
        let retriever = index.vector_context_retriever().top_k(1);
        let found = retriever.clone().include_text(false).retrieve(&asked).await.unwrap();
        assert_eq!(found[0].node.text_content(), "llama -> carries -> maize");
        assert!((found[0].score.unwrap() - 1.0).abs() < 1e-9 && found.len() == 1);
        let found = retriever.retrieve(&asked).await.unwrap();
        assert_eq!(
            found[0].node.text_content(),
            "Here are some facts extracted from the provided text:\n\nllama -> carries -> maize\n\nLlamas carry maize."
        );
        assert_eq!(found[0].node.id, "chunk");
    });
}
