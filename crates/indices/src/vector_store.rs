use indexstore::IndexStructData;
use raw_json::PyString;
use schema::{MetadataMode, Node, NodeContent};
use storage_context::{DEFAULT_NAMESPACE, StorageContext};

use crate::graph_change::GraphChange;
use crate::insertion::{Insertion, ids};
use crate::{Embedder, Error, IndexBuilder, IndexHandle, Result, VectorIndexRetriever, VectorStoreIndex};

/// Nodes are embedded, and kept in the document store without their embeddings, unless the vector store keeps their
/// texts. A new index leaves out nodes with nothing to embed, as LlamaIndex does.
pub(crate) async fn plan(index: &IndexHandle, mut nodes: Vec<Node>, building: bool) -> Result<Insertion> {
    let store = index.vector_store(DEFAULT_NAMESPACE)?;
    if building {
        let mut filled = Vec::with_capacity(nodes.len());
        for node in nodes {
            if !node.get_content(MetadataMode::Embed)?.is_empty() {
                filled.push(node);
            }
        }
        nodes = filled;
    }
    let identity = index.embed_nodes(&mut nodes).await?;
    let listed: Vec<usize> = (0..nodes.len()).filter(|&at| is_listed(index, &nodes[at], store.stores_text())).collect();
    let bare: Vec<Node> = listed.iter().map(|&at| without_embedding(&mut nodes[at])).collect();
    let documents = index.prepare(&bare, true)?;
    let entries: Vec<(usize, PyString)> = listed.into_iter().zip(bare.into_iter().map(|node| node.id)).collect();
    Ok(Insertion {
        ids: ids(&nodes),
        rows: vec![(store, nodes)],
        documents,
        summaries: None,
        change: Box::new(move |data, vector_ids| {
            if let IndexStructData::VectorStore(dict) = data {
                for (at, node_id) in &entries {
                    // A store that gives no id keeps the node's.
                    let vector_id = vector_ids.get(*at).unwrap_or(node_id);
                    dict.nodes_dict.insert(vector_id.clone(), node_id.clone());
                }
            }
        }),
        identity,
        graph: GraphChange::None,
    })
}

/// Whether the index lists a node and the document store keeps it: not if the vector store has all of it.
fn is_listed(index: &IndexHandle, node: &Node, stores_text: bool) -> bool {
    !stores_text
        || index.settings.store_nodes_override
        || matches!(node.content, NodeContent::Image(..) | NodeContent::Index(..))
}

/// A copy without the embedding, which may be long.
pub(crate) fn without_embedding(node: &mut Node) -> Node {
    let embedding = node.embedding.take();
    let bare = node.clone();
    node.embedding = embedding;
    bare
}

impl VectorStoreIndex {
    /// An index over a vector store that keeps the nodes' texts, in a context of its own. Nothing is read or written
    /// until it is used; the index is not stored anywhere, since the vector store is all there is of it.
    ///
    /// # Errors
    /// [`Error::NoTexts`] if the store keeps no texts.
    pub async fn from_vector_store(store: std::sync::Arc<dyn vectorstore::VectorStore>) -> Result<Self> {
        if !store.stores_text() {
            return Err(Error::NoTexts);
        }
        let ctx = StorageContext::builder().vector_store(store).build();
        IndexBuilder::<Self>::new(&ctx).from_nodes(Vec::new()).await
    }

    /// Finds the nodes nearest to a question, with the index's own embedder, or that of the question if it has one.
    pub fn as_retriever(&self) -> VectorIndexRetriever {
        VectorIndexRetriever::new((**self).clone())
    }

    /// Finds the nodes nearest to a question, with this embedder.
    pub fn retriever(&self, embedder: impl Embedder) -> VectorIndexRetriever {
        self.clone().with_embedder(embedder).as_retriever()
    }
}
