use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    Index, Llm, NodeWithScore, QueryBundle, Response, ResponseMode, ResponseSynthesizer, Result, Retriever,
    StreamingResponse,
};

/// Answers questions. For callers: [`QueryEngineExt`] has the short forms.
#[async_trait]
pub trait QueryEngine: Debug + Send + Sync + 'static {
    /// Answers a question.
    ///
    /// # Errors
    /// If nodes cannot be found, or if a model is missing or fails.
    async fn query_bundle(&self, query: &QueryBundle) -> Result<Response>;

    /// Answers a question piece by piece. By default there is one piece.
    ///
    /// # Errors
    /// As [`query_bundle`](Self::query_bundle); those of a model may also come within the stream.
    async fn stream_bundle(&self, query: &QueryBundle) -> Result<StreamingResponse> {
        Ok(StreamingResponse::whole(self.query_bundle(query).await?))
    }

    /// This engine, if it finds nodes and then answers from them: in a graph, the nodes it finds may stand for indexes.
    /// By default it is none, and its answer is taken as it is.
    fn as_retriever_query_engine(&self) -> Option<&RetrieverQueryEngine> {
        None
    }
}

/// Passes everything on to what it points to.
macro_rules! pointers {
    ($($pointer:ident)*) => {
        $(
            #[async_trait]
            impl<Q: QueryEngine + ?Sized> QueryEngine for $pointer<Q> {
                async fn query_bundle(&self, query: &QueryBundle) -> Result<Response> {
                    (**self).query_bundle(query).await
                }

                async fn stream_bundle(&self, query: &QueryBundle) -> Result<StreamingResponse> {
                    (**self).stream_bundle(query).await
                }

                fn as_retriever_query_engine(&self) -> Option<&RetrieverQueryEngine> {
                    (**self).as_retriever_query_engine()
                }
            }
        )*
    };
}

pointers! { Box Arc }

/// Short forms for every [`QueryEngine`].
pub trait QueryEngineExt: QueryEngine {
    /// Answers a question, which is a string, or a [`QueryBundle`] with an embedding.
    ///
    /// # Errors
    /// As [`QueryEngine::query_bundle`].
    fn query(&self, query: impl Into<QueryBundle>) -> impl Future<Output = Result<Response>> + Send {
        let query = query.into();
        async move { self.query_bundle(&query).await }
    }

    /// Answers a question piece by piece.
    ///
    /// # Errors
    /// As [`QueryEngine::stream_bundle`].
    fn query_stream(&self, query: impl Into<QueryBundle>) -> impl Future<Output = Result<StreamingResponse>> + Send {
        let query = query.into();
        async move { self.stream_bundle(&query).await }
    }
}

impl<Q: QueryEngine + ?Sized> QueryEngineExt for Q {}

/// Finds nodes and answers from them.
///
/// ```
/// use indices::{QueryEngineExt, SummaryIndex};
/// use schema::Node;
/// use storage_context::StorageContext;
///
/// # pollster::block_on(async {
/// let ctx = StorageContext::in_memory();
/// let documents = vec![Node::document("The colca is a storehouse."), Node::document("Llamas carry grain.")];
/// let index = SummaryIndex::builder(&ctx).from_documents(documents).await?;
/// let answer = index.as_query_engine().query("What do llamas carry?").await?;
/// assert_eq!(answer.to_string(), "Llamas carry grain.");
/// assert_eq!(answer.source_nodes.len(), 2);
/// # Ok::<(), indices::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct RetrieverQueryEngine {
    retriever: Arc<dyn Retriever>,
    pub(crate) synthesizer: ResponseSynthesizer,
}

impl RetrieverQueryEngine {
    /// Answers from the nodes that a retriever finds.
    pub fn new(retriever: impl Retriever) -> Self {
        Self { retriever: Arc::new(retriever), synthesizer: ResponseSynthesizer::default() }
    }

    /// What finds the nodes.
    #[must_use]
    pub fn retriever(mut self, retriever: impl Retriever) -> Self {
        self.retriever = Arc::new(retriever);
        self
    }

    /// How answers are made; [`ResponseMode::Extractive`] by default.
    #[must_use]
    pub fn response_mode(mut self, mode: ResponseMode) -> Self {
        self.synthesizer = self.synthesizer.response_mode(mode);
        self
    }

    /// The language model, which some modes ask; the index's by default.
    #[must_use]
    pub fn llm(mut self, llm: impl Llm) -> Self {
        self.synthesizer = self.synthesizer.llm(llm);
        self
    }

    pub(crate) async fn retrieve(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        self.retriever.retrieve_bundle(query).await
    }
}

#[async_trait]
impl QueryEngine for RetrieverQueryEngine {
    async fn query_bundle(&self, query: &QueryBundle) -> Result<Response> {
        let nodes = self.retrieve(query).await?;
        self.synthesizer.answer(query, nodes, Vec::new()).await
    }

    async fn stream_bundle(&self, query: &QueryBundle) -> Result<StreamingResponse> {
        let nodes = self.retrieve(query).await?;
        self.synthesizer.stream(query, nodes, Vec::new()).await
    }

    fn as_retriever_query_engine(&self) -> Option<&RetrieverQueryEngine> {
        Some(self)
    }
}

impl Index {
    /// Answers from the nodes that [`as_retriever`](Self::as_retriever) finds, with the index's language model if the
    /// mode asks one.
    pub fn as_query_engine(&self) -> RetrieverQueryEngine {
        let mut engine = RetrieverQueryEngine::new(self.as_retriever());
        engine.synthesizer.llm = self.settings.llm.clone();
        engine.synthesizer.index_id = Some(self.index_id());
        engine
    }
}
