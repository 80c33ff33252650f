//! Indexes over a vector store that keeps the nodes' texts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use indices::{Deleted, Error, RetrieverExt, VectorStoreIndex};
use pollster::block_on;
use raw_json::PyString;
use schema::{ImageContent, Node};
use storage_context::StorageContext;
use vectorstore::{NodeSelection, Result, VectorStore, VectorStoreQuery, VectorStoreQueryResult};
use vectorstore_simple::SimpleVectorStore;

use crate::models::TestEmbedder;

#[derive(Debug, Default)]
pub(crate) struct WithTexts {
    vectors: SimpleVectorStore,
    nodes: Mutex<BTreeMap<PyString, Node>>,
}

#[async_trait]
impl VectorStore for WithTexts {
    async fn add(&self, nodes: &[Node]) -> Result<Vec<PyString>> {
        let ids = self.vectors.add(nodes).await?;
        self.nodes.lock().unwrap().extend(nodes.iter().map(|node| (node.id.clone(), node.clone())));
        Ok(ids)
    }

    async fn delete(&self, ref_doc_id: &PyString) -> Result<usize> {
        self.vectors.delete(ref_doc_id).await
    }

    async fn delete_nodes(&self, selection: &NodeSelection) -> Result<usize> {
        self.vectors.delete_nodes(selection).await
    }

    async fn clear(&self) -> Result<()> {
        self.vectors.clear().await
    }

    async fn get(&self, node_id: &PyString) -> Result<Option<Vec<f64>>> {
        self.vectors.get(node_id).await
    }

    async fn query(&self, query: &VectorStoreQuery) -> Result<VectorStoreQueryResult> {
        let found = self.vectors.query(query).await?;
        let nodes = self.nodes.lock().unwrap();
        let nodes = found.ids.iter().map(|id| Node { embedding: None, ..nodes[id].clone() }).collect();
        Ok(found.with_nodes(nodes))
    }

    async fn count(&self) -> Result<Option<usize>> {
        self.vectors.count().await
    }

    fn stores_text(&self) -> bool {
        true
    }
}

fn version(id: &str, n: usize) -> Node {
    Node::document(format!("{id} version {n}")).with_id(id)
}

async fn texts(index: &VectorStoreIndex) -> Vec<String> {
    let found = index.as_retriever().top_k(9).retrieve("version").await.unwrap();
    let mut texts: Vec<String> = found.iter().map(|found| found.node.text_content().to_string()).collect();
    texts.sort();
    texts
}

#[test]
fn the_vector_store_is_all_there_is_of_texts() {
    block_on(async {
        let ctx = StorageContext::builder().vector_store(Arc::new(WithTexts::default())).build();
        let builder = VectorStoreIndex::builder(&ctx).id("v").embedder(TestEmbedder::new("m", 16));
        let index = builder.from_documents(vec![version("a", 1), version("b", 1)]).await.unwrap();
        assert!(ctx.docstore().node_ids().await.unwrap().is_empty());
        assert!(index.node_ids().await.unwrap().is_empty());
        assert_eq!(texts(&index).await, ["a version 1", "b version 1"]);

        let deleted = index.update_ref_doc(version("a", 2)).await.unwrap();
        assert_eq!(deleted, Deleted { vectors: 1, ..Deleted::default() });
        assert_eq!(texts(&index).await, ["a version 2", "b version 1"]);
        assert_eq!(index.refresh_ref_docs(vec![version("a", 2), version("b", 2)]).await.unwrap(), [false, true]);
        assert_eq!(texts(&index).await, ["a version 2", "b version 2"]);

        assert_eq!(index.delete_ref_doc("a").await.unwrap(), Deleted { vectors: 1, ..Deleted::default() });
        assert_eq!(texts(&index).await, ["b version 2"]);
        assert_eq!(index.refresh_ref_docs(vec![version("a", 2), version("b", 2)]).await.unwrap(), [true, false]);
    });
}

#[test]
fn images_are_listed_and_so_is_all_if_asked_for() {
    block_on(async {
        let ctx = StorageContext::builder().vector_store(Arc::new(WithTexts::default())).build();
        let image = Node::image("picture", ImageContent::default()).with_id("image").with_embedding([1.0, 0.0]);
        let text = Node::text("words").with_id("text").with_embedding([0.0, 1.0]);
        let build = |id: &str, all| VectorStoreIndex::builder(&ctx).id(id).store_nodes_override(all);
        let index = build("some", false).from_nodes(vec![image.clone(), text.clone()]).await.unwrap();
        assert_eq!(index.node_ids().await.unwrap().into_iter().collect::<Vec<_>>(), ["image"]);
        let index = build("all", true).from_nodes(vec![image, text]).await.unwrap();
        assert_eq!(index.node_ids().await.unwrap().len(), 2);
        assert_eq!(ctx.docstore().node_ids().await.unwrap().len(), 2);
    });
}

#[test]
fn an_index_may_be_a_vector_store_alone() {
    block_on(async {
        let store = Arc::new(WithTexts::default());
        store.add(&[Node::text("words").with_id("text").with_embedding([0.0; 16].map(|_: f64| 0.25))]).await.unwrap();
        let index = VectorStoreIndex::from_vector_store(store).await.unwrap();
        let index = index.with_embedder(TestEmbedder::new("m", 16));
        assert_eq!(texts(&index).await, ["words"]);
        let bare = VectorStoreIndex::from_vector_store(Arc::new(SimpleVectorStore::new())).await;
        assert!(matches!(bare, Err(Error::NoTexts)));
    });
}
