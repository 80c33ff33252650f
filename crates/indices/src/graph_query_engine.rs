use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, FutureExt};
use indexmap::IndexMap;
use raw_json::PyString;
use schema::{Node, NodeContent};

use crate::{
    ComposableGraph, Error, Index, Llm, NodeWithScore, QueryBundle, QueryEngine, Response, ResponseMode,
    ResponseSynthesizer, Result, RetrieverQueryEngine, StreamingResponse,
};

/// Answers questions from a [`ComposableGraph`].
///
/// The root finds nodes. Those that stand for an index of the graph are answered by that index, in the same way, and a
/// text node with the answer and the same score takes their place; from these and the other nodes the root's answer is
/// made. Its sources are what it was made of, and behind them the sources of the answers below it.
///
/// An index that would be asked again for an answer of its own is an error that names the way there.
#[derive(Debug, Clone)]
pub struct ComposableGraphQueryEngine {
    graph: ComposableGraph,
    custom: IndexMap<PyString, Arc<dyn QueryEngine>>,
    mode: ResponseMode,
    llm: Option<Arc<dyn Llm>>,
}

impl ComposableGraphQueryEngine {
    pub(crate) fn new(graph: &ComposableGraph) -> Self {
        Self { graph: graph.clone(), custom: IndexMap::new(), mode: ResponseMode::default(), llm: None }
    }

    /// How the answers of all indexes are made that have no engine of their own; [`ResponseMode::Extractive`] by
    /// default.
    #[must_use]
    pub fn response_mode(mut self, mode: ResponseMode) -> Self {
        self.mode = mode;
        self
    }

    /// The language model for all indexes that have no engine of their own; each index's by default.
    #[must_use]
    pub fn llm(mut self, llm: impl Llm) -> Self {
        self.llm = Some(Arc::new(llm));
        self
    }

    /// What answers for an index. If it is a [`RetrieverQueryEngine`], the nodes it finds may again stand for indexes;
    /// the answers of others are taken as they are.
    #[must_use]
    pub fn custom_query_engine(mut self, index_id: impl Into<PyString>, engine: impl QueryEngine) -> Self {
        self.custom.insert(index_id.into(), Arc::new(engine));
        self
    }

    /// An engine for an index that is not there would never be asked.
    fn check(&self) -> Result<()> {
        let indices = self.graph.all_indices();
        match self.custom.keys().find(|id| !indices.contains_key(*id)) {
            Some(id) => Err(Error::NotFound { id: id.clone(), known: indices.keys().cloned().collect() }),
            None => Ok(()),
        }
    }

    /// What answers for an index of the graph.
    fn engine(&self, index_id: &PyString, index: &Index) -> Arc<dyn QueryEngine> {
        if let Some(custom) = self.custom.get(index_id) {
            return Arc::clone(custom);
        }
        let engine = index.as_query_engine().response_mode(self.mode);
        match &self.llm {
            Some(llm) => Arc::new(engine.llm(Arc::clone(llm))),
            None => Arc::new(engine),
        }
    }

    /// Answers by an index. The graph was entered when the question was so deep.
    fn answer<'a>(
        &'a self,
        engine: &'a dyn QueryEngine,
        query: &'a QueryBundle,
        graph: usize,
    ) -> BoxFuture<'a, Result<Response>> {
        async move {
            let Some(engine) = engine.as_retriever_query_engine() else { return engine.query_bundle(query).await };
            let (nodes, below) = self.find(engine, query, graph).await?;
            engine.synthesizer.answer(query, nodes, below).await
        }
        .boxed()
    }

    /// What an index finds, with answers in place of the nodes that stand for others, and the sources of those answers.
    async fn find(
        &self,
        engine: &RetrieverQueryEngine,
        query: &QueryBundle,
        graph: usize,
    ) -> Result<(Vec<NodeWithScore>, Vec<NodeWithScore>)> {
        let mut nodes = engine.retrieve(query).await?;
        let mut below = Vec::new();
        for found in &mut nodes {
            let NodeContent::Index(_, pointer) = &found.node.content else { continue };
            let id = &pointer.index_id;
            let Some(index) = self.graph.all_indices().get(id) else { continue };
            let engine = self.engine(id, index);
            let response = self.answer(&*engine, &query.enter(id, graph)?, graph).await?;
            found.node = Node::text(response.response);
            below.extend(response.source_nodes);
        }
        Ok((nodes, below))
    }

    /// Begins with the root.
    fn root(&self, query: &QueryBundle) -> Result<(Arc<dyn QueryEngine>, QueryBundle)> {
        self.check()?;
        let id = self.graph.root_id();
        Ok((self.engine(id, self.graph.root_index()), query.enter(id, query.depth())?))
    }
}

#[async_trait]
impl QueryEngine for ComposableGraphQueryEngine {
    async fn query_bundle(&self, query: &QueryBundle) -> Result<Response> {
        let (root, below) = self.root(query)?;
        self.answer(&*root, &below, query.depth()).await
    }

    async fn stream_bundle(&self, query: &QueryBundle) -> Result<StreamingResponse> {
        let (root, below) = self.root(query)?;
        let Some(engine) = root.as_retriever_query_engine() else { return root.stream_bundle(&below).await };
        let (nodes, sources) = self.find(engine, &below, query.depth()).await?;
        let synthesizer: &ResponseSynthesizer = &engine.synthesizer;
        synthesizer.stream(&below, nodes, sources).await
    }
}
