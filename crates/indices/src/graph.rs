use std::sync::Arc;

use indexmap::IndexMap;
use raw_json::PyString;
use schema::{Node, NodeRelationship, ObjectType, RelatedNodeInfo, RelatedNodes};
use storage_context::StorageContext;

use crate::{ComposableGraphQueryEngine, Embedder, Error, Index, IndexBuilder, IndexKind, Llm, Result};

/// Indexes that refer to one another: a node of one may stand for another.
///
/// Nothing in a store marks a graph. It is the indexes of a context, and an id that says where to begin.
#[derive(Debug, Clone)]
pub struct ComposableGraph {
    root_id: PyString,
    indices: IndexMap<PyString, Index>,
}

impl ComposableGraph {
    pub(crate) fn new(root_id: PyString, indices: Vec<Index>) -> Result<Self> {
        let indices: IndexMap<_, _> = indices.into_iter().map(|index| (index.index_id(), index)).collect();
        if !indices.contains_key(&root_id) {
            return Err(Error::NotFound { id: root_id, known: indices.into_keys().collect() });
        }
        Ok(Self { root_id, indices })
    }

    /// Builds an index over others: for each of them it has an index node with its summary, by which it is found.
    ///
    /// The summaries are those given, one for each index, or the indexes' own. Given ones are stored with the indexes.
    /// (LlamaIndex keeps them in memory only, and loses them unless somebody saves them later.) They are stored before
    /// the root is, and after all else that can fail because of what was given.
    ///
    /// ```
    /// use indices::{ComposableGraph, KeywordTableIndex, QueryEngineExt, SummaryIndex};
    /// use schema::Node;
    /// use storage_context::StorageContext;
    ///
    /// # pollster::block_on(async {
    /// let ctx = StorageContext::in_memory();
    /// let stores = SummaryIndex::builder(&ctx).from_documents(vec![Node::document("The colca is cold.")]).await?;
    /// let herds = SummaryIndex::builder(&ctx).from_documents(vec![Node::document("Llamas eat ichu.")]).await?;
    /// let root = KeywordTableIndex::builder(&ctx).id("root");
    /// let children = [stores.into(), herds.into()];
    /// let graph = ComposableGraph::from_indices(root, &children, Some(&["the storehouses", "the llamas"])).await?;
    /// let answer = graph.as_query_engine().query("What do llamas eat?").await?;
    /// assert_eq!(answer.to_string(), "Llamas eat ichu.");
    /// # Ok::<(), indices::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::SummaryCount`], [`Error::NoSummary`] and [`Error::OtherContext`] before anything has changed; as
    /// [`IndexBuilder::from_nodes`]; and what the index store reports.
    pub async fn from_indices<T: IndexKind + Into<Index>>(
        root: IndexBuilder<T>,
        children: &[Index],
        summaries: Option<&[&str]>,
    ) -> Result<Self> {
        let summaries = match summaries {
            None => children.iter().map(own_summary).collect::<Result<Vec<_>>>()?,
            Some(given) if given.len() == children.len() => given.iter().copied().map(PyString::from).collect(),
            Some(given) => {
                return Err(Error::SummaryCount { children: children.len(), summaries: given.len() });
            }
        };
        if let Some(other) = children.iter().find(|child| !is_same(child.storage_context(), root.context())) {
            return Err(Error::OtherContext { id: other.index_id() });
        }
        let nodes = children.iter().zip(&summaries).map(|(child, summary)| stand_in(child, summary)).collect();
        let store = async {
            for (child, summary) in children.iter().zip(&summaries) {
                if child.summary().as_ref() != Some(summary) {
                    child.set_summary(summary).await?;
                }
            }
            Ok(())
        };
        let root: Index = root.build_after(nodes, store).await?.into();
        Self::new(root.index_id(), children.iter().cloned().chain([root.clone()]).collect())
    }

    /// Gives all indexes this model for embeddings. Each compares it with the one it was embedded with.
    #[must_use]
    pub fn with_embedder(self, embedder: impl Embedder) -> Self {
        let embedder: Arc<dyn Embedder> = Arc::new(embedder);
        self.map(|index| index.with_embedder(Arc::clone(&embedder)))
    }

    /// Gives all indexes this language model.
    #[must_use]
    pub fn with_llm(self, llm: impl Llm) -> Self {
        let llm: Arc<dyn Llm> = Arc::new(llm);
        self.map(|index| index.with_llm(Arc::clone(&llm)))
    }

    fn map(mut self, change: impl Fn(Index) -> Index) -> Self {
        self.indices = self.indices.into_iter().map(|(id, index)| (id, change(index))).collect();
        self
    }

    /// Answers questions from the root down.
    pub fn as_query_engine(&self) -> ComposableGraphQueryEngine {
        ComposableGraphQueryEngine::new(self)
    }

    /// The id of the index to begin with.
    pub fn root_id(&self) -> &PyString {
        &self.root_id
    }

    /// The index to begin with.
    pub fn root_index(&self) -> &Index {
        &self.indices[&self.root_id]
    }

    /// All indexes by id, in the order of the index store; of a graph that was just made, the root is the last.
    pub fn all_indices(&self) -> &IndexMap<PyString, Index> {
        &self.indices
    }

    /// The index with this id, or `None`.
    pub fn get_index(&self, index_id: impl Into<PyString>) -> Option<&Index> {
        self.indices.get(&index_id.into())
    }
}

fn own_summary(index: &Index) -> Result<PyString> {
    index.summary().ok_or_else(|| Error::NoSummary { id: index.index_id() })
}

/// The node that stands for an index, LlamaIndex's.
fn stand_in(index: &Index, summary: &PyString) -> Node {
    let node_type = Some(ObjectType::Index.code().into());
    let source = RelatedNodeInfo { node_type, ..RelatedNodeInfo::new(index.index_id()) };
    let mut node = Node::index(summary, index.index_id());
    node.relationships.insert(NodeRelationship::Source, RelatedNodes::One(source));
    node
}

/// Whether two handles are on the same context: its stores are in one place then.
fn is_same(a: &StorageContext, b: &StorageContext) -> bool {
    std::ptr::eq(a.docstore(), b.docstore())
}
