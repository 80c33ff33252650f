use std::future::Future;
use std::sync::Arc;

use raw_json::PyString;
use schema::MetadataMode;

use crate::response::{EMPTY, or_before};
use crate::summarize::{self, LastPrompt};
use crate::{Error, Llm, NodeWithScore, QueryBundle, Response, Result, StreamingResponse, extract};

/// How an answer is made of the nodes that were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ResponseMode {
    /// Quotes the sentences that fit the question best. No model is asked.
    ///
    /// Sentences are chosen by the words that they share with the question, stop words aside. A word counts more the
    /// fewer of the sentences have it, and sentences of what was found first count more. Up to three sentences are
    /// quoted, in the order in which they were found, each on lines of its own; those with less than half of the best
    /// one's score are not. If no word occurs, the first sentence of the first node is quoted.
    ///
    /// That is all: nothing is understood, no word is matched with another form of it, and there is an answer even if
    /// the texts have none.
    #[default]
    Extractive,
    /// The source nodes with an empty answer.
    NoText,
    /// As [`Refine`](Self::Refine), with as few questions to the language model as the texts fit.
    Compact,
    /// Asks the language model for an answer from the first text, and for a better one with each of the others.
    Refine,
    /// Asks the language model for answers from as many texts as fit at a time, then for answers from the answers,
    /// until there is one.
    TreeSummarize,
}

/// Makes answers of nodes: LlamaIndex's response synthesizers.
///
/// Language models see what they may see of the nodes, [`MetadataMode::Llm`]. A text that is too long for the model is
/// split, and none is cut off. If there are no nodes, or nothing in them, the answer is LlamaIndex's `Empty Response`,
/// and no model is asked.
///
/// ```
/// use indices::{NodeWithScore, ResponseSynthesizer};
/// use schema::Node;
///
/// # pollster::block_on(async {
/// let node = Node::text("The colca is a storehouse. It stands on the slope.");
/// let nodes = vec![NodeWithScore { node, score: None }];
/// let answer = ResponseSynthesizer::default().synthesize("What is a colca?", nodes).await?;
/// assert_eq!(answer.to_string(), "The colca is a storehouse.");
/// # Ok::<(), indices::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct ResponseSynthesizer {
    mode: ResponseMode,
    pub(crate) llm: Option<Arc<dyn Llm>>,
    /// The index whose model is taken, for messages.
    pub(crate) index_id: Option<PyString>,
}

impl ResponseSynthesizer {
    /// Makes answers in this mode.
    pub fn new(mode: ResponseMode) -> Self {
        Self::default().response_mode(mode)
    }

    /// How answers are made; [`ResponseMode::Extractive`] by default.
    #[must_use]
    pub fn response_mode(mut self, mode: ResponseMode) -> Self {
        self.mode = mode;
        self
    }

    /// The language model, which some modes ask.
    #[must_use]
    pub fn llm(mut self, llm: impl Llm) -> Self {
        self.llm = Some(Arc::new(llm));
        self
    }

    /// Makes an answer of nodes.
    ///
    /// # Errors
    /// [`Error::NoModel`] if the mode asks one; [`Error::Model`] if it fails, or if its answers never get shorter than
    /// what it reads; [`Error::NoRoom`] if the question is too long for it; [`Error::Node`] if the content of a node
    /// cannot be laid out.
    pub fn synthesize(
        &self,
        query: impl Into<QueryBundle>,
        nodes: Vec<NodeWithScore>,
    ) -> impl Future<Output = Result<Response>> + Send {
        let query = query.into();
        async move { self.answer(&query, nodes, Vec::new()).await }
    }

    /// Makes an answer of nodes and returns it piece by piece. All questions to the model but the last are answered
    /// before this returns.
    ///
    /// # Errors
    /// As [`synthesize`](Self::synthesize); those of the model may also come within the stream.
    pub fn synthesize_stream(
        &self,
        query: impl Into<QueryBundle>,
        nodes: Vec<NodeWithScore>,
    ) -> impl Future<Output = Result<StreamingResponse>> + Send {
        let query = query.into();
        async move { self.stream(&query, nodes, Vec::new()).await }
    }

    pub(crate) async fn answer(
        &self,
        query: &QueryBundle,
        mut nodes: Vec<NodeWithScore>,
        more_sources: Vec<NodeWithScore>,
    ) -> Result<Response> {
        let response = match self.prepare(&query.query_str, &nodes).await? {
            Prepared::Answer(answer) => answer,
            Prepared::Ask(llm, LastPrompt { prompt, before }) => {
                or_before(summarize::complete(&*llm, &prompt).await?, before)
            }
        };
        nodes.extend(more_sources);
        Ok(Response { response, source_nodes: nodes })
    }

    pub(crate) async fn stream(
        &self,
        query: &QueryBundle,
        mut nodes: Vec<NodeWithScore>,
        more_sources: Vec<NodeWithScore>,
    ) -> Result<StreamingResponse> {
        let prepared = self.prepare(&query.query_str, &nodes).await?;
        nodes.extend(more_sources);
        match prepared {
            Prepared::Answer(response) => Ok(StreamingResponse::whole(Response { response, source_nodes: nodes })),
            Prepared::Ask(llm, last) => StreamingResponse::ask(llm, last, nodes).await,
        }
    }

    /// Does everything but the last question to the model.
    async fn prepare(&self, question: &str, nodes: &[NodeWithScore]) -> Result<Prepared> {
        if nodes.is_empty() {
            return Ok(Prepared::Answer(EMPTY.to_owned()));
        }
        match self.mode {
            ResponseMode::NoText => return Ok(Prepared::Answer(String::new())),
            ResponseMode::Extractive => return Ok(Prepared::Answer(or_before(extract::answer(question, nodes), None))),
            ResponseMode::Compact | ResponseMode::Refine | ResponseMode::TreeSummarize => {}
        }
        let Some(llm) = &self.llm else {
            let purpose = format!("to answer with in the mode {:?}", self.mode);
            return Err(Error::NoModel { id: self.index_id.clone(), model: "language model", purpose });
        };
        let mut texts = Vec::with_capacity(nodes.len());
        for found in nodes {
            texts.push(found.node.get_content(MetadataMode::Llm)?.to_string_lossy().into_owned());
        }
        let last = match self.mode {
            ResponseMode::TreeSummarize => summarize::tree(&**llm, question, texts).await?,
            mode => summarize::refine(&**llm, question, &texts, mode == ResponseMode::Compact).await?,
        };
        Ok(match last {
            Some(last) => Prepared::Ask(Arc::clone(llm), last),
            None => Prepared::Answer(EMPTY.to_owned()),
        })
    }
}

/// An answer, or the last question to a model.
enum Prepared {
    Answer(String),
    Ask(Arc<dyn Llm>, LastPrompt),
}
