use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use docstore::{AddOptions, PreparedNodes};
use indexstore::{EmbeddingIdentity, IndexStructData};
use raw_json::PyString;
use schema::Node;
use vectorstore::VectorStore;

use crate::graph_change::GraphChange;
use crate::kinds::Planner;
use crate::needs::Needs;
use crate::{Error, IndexHandle, Result, kinds};

/// What a struct gets, told the vectors' ids.
pub(crate) type Change = Box<dyn Fn(&mut IndexStructData, &[PyString]) + Send + Sync>;

/// Nodes that are to be inserted, with all done that can fail because of them.
pub(crate) struct Insertion {
    /// What the vector stores get.
    pub(crate) rows: Vec<(Arc<dyn VectorStore>, Vec<Node>)>,
    /// What the document store gets.
    pub(crate) documents: PreparedNodes,
    /// What it gets after that, which does not tell a document's metadata.
    pub(crate) summaries: Option<PreparedNodes>,
    /// What the graph store gets.
    pub(crate) graph: GraphChange,
    /// What the struct gets.
    pub(crate) change: Change,
    /// What is to be remembered of the model.
    pub(crate) identity: Option<EmbeddingIdentity>,
    /// The nodes.
    pub(crate) ids: HashSet<PyString>,
}

impl Insertion {
    /// Stores the nodes, and then does what makes them the index's, told the vectors' ids. The vectors come first: their
    /// store may refuse them. Then comes what is to be done `first` of all else. If something fails after that, vectors
    /// and summaries that are nobody's are taken back, as far as that succeeds; the document store still lists the nodes
    /// of the document, and the next update takes those.
    pub(crate) async fn store<T, F: Future<Output = Result<T>>>(
        &self,
        index: &IndexHandle,
        first: impl Future<Output = Result<()>>,
        own: impl FnOnce(Vec<PyString>) -> F,
    ) -> Result<T> {
        let graph = self.graph.settle(index).await?;
        let mut vector_ids = Vec::new();
        for (store, nodes) in self.rows.iter().chain(graph.rows()) {
            if !nodes.is_empty() {
                let added = store.add(nodes).await;
                vector_ids.extend(self.or_take_back(index, &vector_ids, added.map_err(Into::into)).await?);
            }
        }
        let begun = first.await;
        self.or_take_back(index, &vector_ids, begun).await?;
        let stored = self.store_documents(index).await;
        self.or_take_back(index, &vector_ids, stored).await?;
        let stored = graph.store(&index.ctx).await;
        self.or_take_back(index, &vector_ids, stored).await?;
        let owned = own(vector_ids.clone()).await;
        self.or_take_back(index, &vector_ids, owned).await
    }

    pub(crate) async fn store_documents(&self, index: &IndexHandle) -> Result<()> {
        for nodes in self.prepared().into_iter().filter(|nodes| !nodes.is_empty()) {
            index.ctx.docstore().add_prepared(nodes).await?;
        }
        Ok(())
    }

    /// What the document store gets: nodes, then summaries.
    pub(crate) fn prepared(&self) -> Vec<&PreparedNodes> {
        std::iter::once(&self.documents).chain(&self.summaries).collect()
    }

    async fn or_take_back<T>(&self, index: &IndexHandle, vector_ids: &[PyString], result: Result<T>) -> Result<T> {
        let summaries: Vec<PyString> = self.summaries.iter().flat_map(PreparedNodes::ids).cloned().collect();
        if result.is_err()
            && !(vector_ids.is_empty() && summaries.is_empty())
            && let Ok(needs) = Needs::read(&index.ctx).await
        {
            // The first error is the one that matters.
            drop(index.delete_vectors(vector_ids.iter().cloned(), &needs).await);
            if !needs.everything && !summaries.is_empty() {
                drop(index.ctx.docstore().delete_documents_except(&summaries, &needs.nodes).await);
            }
        }
        result
    }
}

impl IndexHandle {
    /// Inserts nodes: into the vector store those of an index that has embeddings, then into the document store, then
    /// what a graph index found in them into the graph store, then into the index. Nodes with ids that are there are
    /// replaced.
    ///
    /// Everything that the nodes can make fail is done before anything is changed. If a store fails, what was stored
    /// before belongs to no index, vectors are taken back if possible, and inserting the nodes again completes it.
    ///
    /// # Errors
    /// [`Error::NoModel`], [`Error::Model`] and [`Error::OtherModel`] if nodes have to be embedded,
    /// [`Error::Unsupported`] for kinds that take no nodes; what the stores report.
    pub async fn insert_nodes(&self, nodes: Vec<Node>) -> Result<()> {
        let insertion = Planner::new(self, false).plan(nodes).await?;
        self.apply(&insertion, &HashSet::new()).await.map(drop)
    }

    /// Inserts a document: transforms it into nodes, inserts those, and remembers its hash.
    ///
    /// # Errors
    /// [`Error::Transformation`], and as [`insert_nodes`](Self::insert_nodes).
    pub async fn insert(&self, document: Node) -> Result<()> {
        let (id, hash) = (document.id.clone(), document.hash()?);
        let nodes = self.transform(vec![document]).await?;
        self.insert_nodes(nodes).await?;
        Ok(self.ctx.docstore().set_document_hash(id, &hash).await?)
    }

    /// Makes nodes of documents.
    pub(crate) async fn transform(&self, mut nodes: Vec<Node>) -> Result<Vec<Node>> {
        for transformation in &self.settings.transformations {
            let transformed = transformation.transform(nodes).await;
            nodes = transformed.map_err(|source| Error::Transformation { id: self.index_id(), source })?;
        }
        Ok(nodes)
    }

    /// Stores what was prepared and changes the struct, which forgets the `old` nodes first. Returns the vectors that it
    /// has forgotten.
    pub(crate) async fn apply(&self, insertion: &Insertion, old: &HashSet<PyString>) -> Result<kinds::Forgotten> {
        let own = async |vector_ids: Vec<PyString>| {
            if let Some(identity) = &insertion.identity {
                self.ctx.index_store().set_embedding_identity(self.index_id(), identity).await?;
            }
            self.change(|index_struct| {
                let forgotten = kinds::forget(&mut index_struct.data, old);
                (insertion.change)(&mut index_struct.data, &vector_ids);
                forgotten
            })
            .await
        };
        insertion.store(self, async { Ok(()) }, own).await
    }

    /// Prepares nodes for the document store.
    pub(crate) fn prepare(&self, nodes: &[Node], first_metadata: bool) -> Result<PreparedNodes> {
        let options = AddOptions { first_metadata, ..AddOptions::default() };
        Ok(self.ctx.docstore().prepare(nodes, options)?)
    }
}

/// The ids of nodes.
pub(crate) fn ids(nodes: &[Node]) -> HashSet<PyString> {
    nodes.iter().map(|node| node.id.clone()).collect()
}
