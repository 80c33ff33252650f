use async_trait::async_trait;
use indexmap::IndexMap;
use indexstore::IndexStructData;
use raw_json::PyString;
use schema::{MetadataMode, Node};
use storage_context::DEFAULT_NAMESPACE;
use vectorstore::VectorStoreQuery;

use crate::graph_change::GraphChange;
use crate::insertion::{Insertion, ids};
use crate::retriever::{NodeWithScore, QueryBundle, Retriever, unscored};
use crate::vector_retriever::query_own;
use crate::vector_store::without_embedding;
use crate::{DocumentSummaryIndex, Error, IndexHandle, Result, summarize};

/// What the language model is asked of each document.
const QUESTION: &str = "Describe what this text is about, and which questions it can answer.";

/// Each document gets a summary by the language model; the summary is embedded and stands for the document's nodes.
pub(crate) async fn plan(index: &IndexHandle, nodes: &[Node]) -> Result<Insertion> {
    let store = index.vector_store(DEFAULT_NAMESPACE)?;
    let mut by_document: IndexMap<PyString, Vec<&Node>> = IndexMap::new();
    for node in nodes {
        let document = node.ref_doc_id()?;
        let document = document.ok_or_else(|| Error::NoSource { id: index.index_id(), node: node.id.clone() })?;
        by_document.entry(document.clone()).or_default().push(node);
    }
    let mut summaries = Vec::with_capacity(by_document.len());
    let mut entries = Vec::with_capacity(by_document.len());
    for (document, nodes) in &by_document {
        let mut texts = Vec::with_capacity(nodes.len());
        for node in nodes {
            texts.push(node.get_content(MetadataMode::Llm)?.to_string_lossy().into_owned());
        }
        let llm = index.llm(|| "to summarize documents with".to_owned())?;
        let first = nodes[0];
        let summary = Node {
            metadata: first.metadata.clone(),
            excluded_embed_metadata_keys: first.excluded_embed_metadata_keys.clone(),
            excluded_llm_metadata_keys: first.excluded_llm_metadata_keys.clone(),
            ..Node::text(summarize::summarize(llm, QUESTION, texts).await?).with_source(document)
        };
        let of_summary: Vec<PyString> = nodes.iter().map(|node| node.id.clone()).collect();
        entries.push((document.clone(), summary.id.clone(), of_summary));
        summaries.push(summary);
    }
    let identity = index.embed_nodes(&mut summaries).await?;
    let bare: Vec<Node> = summaries.iter_mut().map(without_embedding).collect();
    Ok(Insertion {
        ids: ids(nodes).into_iter().chain(ids(&summaries)).collect(),
        rows: vec![(store, summaries)],
        documents: index.prepare(nodes, false)?,
        summaries: Some(index.prepare(&bare, false)?),
        change: Box::new(move |data, _| {
            if let IndexStructData::DocumentSummary(known) = data {
                for (document, summary, nodes) in &entries {
                    known.doc_id_to_summary_id.insert(document.clone(), summary.clone());
                    known.summary_id_to_node_ids.insert(summary.clone(), nodes.clone());
                    known.node_id_to_summary_id.extend(nodes.iter().map(|node| (node.clone(), summary.clone())));
                }
            }
        }),
        identity,
        graph: GraphChange::None,
    })
}

impl DocumentSummaryIndex {
    /// Finds the nodes of the documents whose summaries are nearest to a question.
    pub fn as_retriever(&self) -> DocumentSummaryRetriever {
        DocumentSummaryRetriever { index: (**self).clone(), top_k: Some(1) }
    }

    /// The summary of a document, or `None` if the index does not have it.
    ///
    /// # Errors
    /// [`Error::MissingNodes`] if the summary is gone from the document store.
    pub async fn document_summary(&self, ref_doc_id: impl Into<PyString>) -> Result<Option<PyString>> {
        let index_struct = self.index_struct();
        let IndexStructData::DocumentSummary(known) = &index_struct.data else { return Ok(None) };
        let Some(summary) = known.doc_id_to_summary_id.get(&ref_doc_id.into()) else { return Ok(None) };
        let nodes = self.fetch(std::slice::from_ref(summary)).await?;
        Ok(nodes.first().map(Node::text_content))
    }
}

/// Finds the nodes of the documents of a [`DocumentSummaryIndex`] whose summaries are nearest to a question: all of
/// them, in their order, without scores.
#[derive(Debug, Clone)]
pub struct DocumentSummaryRetriever {
    index: IndexHandle,
    top_k: Option<i64>,
}

impl DocumentSummaryRetriever {
    /// How many documents; 1 by default.
    #[must_use]
    pub fn top_k(mut self, top_k: impl Into<Option<i64>>) -> Self {
        self.top_k = top_k.into();
        self
    }
}

#[async_trait]
impl Retriever for DocumentSummaryRetriever {
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        let index_struct = self.index.index_struct();
        let IndexStructData::DocumentSummary(known) = &index_struct.data else { return Ok(Vec::new()) };
        let own: IndexMap<_, _> = known.summary_id_to_node_ids.keys().map(|id| (id.clone(), id.clone())).collect();
        let store = self.index.vector_store(DEFAULT_NAMESPACE)?;
        if own.is_empty() {
            return Ok(Vec::new());
        }
        let embedding = query.embedding_for(&self.index).await?;
        let asked = VectorStoreQuery::new(embedding).with_top_k(self.top_k);
        let found = query_own(&*store, asked, &own).await?;
        let ids: Vec<PyString> =
            found.ids.iter().filter_map(|id| known.summary_id_to_node_ids.get(id)).flatten().cloned().collect();
        let nodes = self.index.fetch(&ids).await?;
        self.index.finish(query, unscored(nodes)).await
    }
}
