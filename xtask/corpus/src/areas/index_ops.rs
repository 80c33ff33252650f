//! Operations on indexes.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use colca::indexstore::{KeywordTable, KnowledgeGraph};
use colca::indices::{self, KeywordExtractor, ModelError, NodeOptions, SentenceSplitter};
use colca::prelude::*;

use super::det_embedding::DetEmbedding;
use super::ops::node;
use super::{Case, Outcome};
use crate::expected::{difference, python_error};
use crate::rules::{self, Rule};

/// An operation on an index.
pub(super) struct IndexOp {
    index: String,
    embedder: DetEmbedding,
    splitter: SentenceSplitter,
    /// The keywords that its language model found.
    keywords: Keywords,
    /// Nodes that were deleted by operations before or after.
    deleted: Vec<PyString>,
    what: What,
}

/// Finds the keywords that LlamaIndex's language model found.
#[derive(Debug, Clone)]
struct Keywords(HashMap<String, Vec<String>>);

#[async_trait]
impl KeywordExtractor for Keywords {
    async fn extract(&self, text: &str, _max: usize) -> Result<Vec<String>, ModelError> {
        Ok(self.0.get(text).cloned().unwrap_or_default())
    }
}

impl Keywords {
    /// Those of inserted nodes in the struct after the operation.
    fn of(what: &What, index: &str, index_store: &Value) -> Self {
        let id = PyString::from(index);
        let stored = index_store.get("index_store/data").and_then(|structs| structs.as_object()?.get(&id).cloned());
        let stored = stored.map(|raw| IndexStruct::from_raw(&raw.into(), &id).data);
        let (Some(IndexStructData::KeywordTable(known)), What::InsertNodes(nodes)) = (stored, what) else {
            return Self(HashMap::new());
        };
        let keywords = |node: &Node| {
            known
                .table
                .iter()
                .filter(|(_, ids)| ids.contains(&node.id))
                .map(|(keyword, _)| keyword.to_string())
                .collect()
        };
        let text = |node: &Node| node.get_content(MetadataMode::Llm).map(|text| text.to_string()).unwrap_or_default();
        Self(nodes.iter().map(|node| (text(node), keywords(node))).collect())
    }
}

/// Finds none of the summaries fitting that a node could be inserted below, as the recorded one.
#[derive(Debug)]
struct Undecided;

#[async_trait]
impl Llm for Undecided {
    fn model_name(&self) -> &str {
        "undecided"
    }

    async fn complete(&self, _prompt: &str) -> Result<String, ModelError> {
        Ok("none".to_owned())
    }
}

enum What {
    InsertNodes(Vec<Node>),
    DeleteNodes(Vec<PyString>, DocstoreDelete),
    DeleteRefDoc(PyString, DocstoreDelete),
    Update(Box<Node>),
    Refresh(Vec<Node>),
    Retrieve,
}

/// The splitter that LlamaIndex was recorded with, whose nodes get the ids that were recorded after the operation.
fn splitter(docstore: &Value) -> SentenceSplitter {
    let mut ids: HashMap<PyString, Vec<PyString>> = HashMap::new();
    let nodes = docstore.get("docstore/data").and_then(Value::as_object).into_iter().flatten();
    for node in nodes.filter_map(|(id, value)| Node::from_value(value, id).ok()) {
        if let Ok(Some(source)) = node.ref_doc_id() {
            ids.entry(source.clone()).or_default().push(node.id.clone());
        }
    }
    let recorded = move |at: usize, document: &Node| ids.get(&document.id).and_then(|ids| ids.get(at)).cloned();
    let options = NodeOptions::default().id_func(move |at, document| recorded(at, document).unwrap_or_default());
    SentenceSplitter::new(CHUNK_SIZE, CHUNK_OVERLAP).expect("the overlap is smaller").options(options)
}

const CHUNK_SIZE: usize = 48;
const CHUNK_OVERLAP: usize = 8;

impl IndexOp {
    /// `docstore_after` and `index_store_after` are LlamaIndex's stores after the operation.
    pub(super) fn read(op: &Value, case: &Case, docstore_after: &Value, index_store_after: &Value) -> Option<Self> {
        let text = |key: &str| op.get(key).and_then(Value::as_str).cloned();
        let docstore = match op.get("delete_from_docstore") {
            Some(Value::Bool(true)) => DocstoreDelete::Always,
            _ => DocstoreDelete::Keep,
        };
        let list = |key: &str| op.get(key).and_then(Value::as_array).unwrap_or_default();
        let what = match text("op")?.to_str()?.strip_prefix("index.")? {
            "insert_nodes" => What::InsertNodes(list("nodes").iter().map(node).collect::<Option<_>>()?),
            "delete_nodes" => {
                What::DeleteNodes(list("node_ids").iter().filter_map(|id| id.as_str().cloned()).collect(), docstore)
            }
            "delete_ref_doc" => What::DeleteRefDoc(text("ref_doc_id")?, docstore),
            "update_ref_doc" => What::Update(Box::new(document(op.get("document")?)?)),
            "refresh_ref_docs" => What::Refresh(list("documents").iter().map(document).collect::<Option<_>>()?),
            "retrieve_default" => What::Retrieve,
            _ => return None,
        };
        let index = text("index")?.to_string();
        let splitter = splitter(docstore_after);
        let keywords = Keywords::of(&what, &index, index_store_after);
        let ops = case.question("ops").unwrap_or(Value::Null);
        let of_index = |op: &&Value| op.get("index").and_then(Value::as_str).is_some_and(|of| *of == *index);
        let lists = ops.as_array().unwrap_or_default().iter().filter(of_index).filter_map(|op| op.get("node_ids"));
        let deleted = lists.flat_map(|ids| ids.as_array().unwrap_or_default()).filter_map(|id| id.as_str().cloned());
        let deleted = deleted.collect();
        Some(Self { index, embedder: DetEmbedding::of(case), splitter, keywords, deleted, what })
    }

    pub(super) async fn apply(&self, ctx: &StorageContext) -> Result<Value, String> {
        self.try_apply(ctx).await.map_err(|e| e.to_string())
    }

    async fn try_apply(&self, ctx: &StorageContext) -> Result<Value, indices::Error> {
        let index = load_index_from_storage(ctx, Some(&self.index)).await?;
        let splitter: Arc<dyn Transformation> = Arc::new(self.splitter.clone());
        let index = index.with_embedder(self.embedder.clone()).with_transformations(vec![splitter]);
        let index = match index {
            Index::KeywordTable(index) => index.with_keyword_extractor(self.keywords.clone()).into(),
            index => index,
        };
        let always = DeleteOptions::docstore(DocstoreDelete::Always);
        match &self.what {
            What::InsertNodes(nodes) => index.with_llm(Undecided).insert_nodes(nodes.clone()).await?,
            What::DeleteNodes(ids, docstore) => {
                index.delete_nodes_with(ids, DeleteOptions::docstore(*docstore)).await.map(drop)?;
            }
            What::DeleteRefDoc(id, docstore) => {
                index.delete_ref_doc_with(id, DeleteOptions::docstore(*docstore)).await.map(drop)?;
            }
            What::Update(document) => index.update_ref_doc_with(Node::clone(document), always).await.map(drop)?,
            What::Refresh(documents) => {
                return Ok(index.refresh_ref_docs_with(documents.clone(), always).await?.into());
            }
            What::Retrieve => {
                let found = index.as_retriever().retrieve("q").await?;
                return Ok(Value::Array(found.iter().map(|found| Value::from(&found.node.id)).collect()));
            }
        }
        Ok(Value::Null)
    }

    /// What is to be said where LlamaIndex raised an error.
    pub(super) fn judge_error(&self, kind: &str, message: &str, ours: &Result<Value, String>) -> Outcome {
        match (kind, ours) {
            // It cannot delete what is gone already.
            ("KeyError", Ok(_)) if self.deletes(message.trim_matches('\'')) => {
                Outcome::Deviation(rules::REPEATED_DELETES)
            }
            ("NotImplementedError", Ok(_)) if matches!(self.what, What::DeleteNodes(..) | What::DeleteRefDoc(..)) => {
                Outcome::Deviation(rules::REFUSED_DELETES)
            }
            ("NotImplementedError", Err(ours)) if ours.contains(" cannot ") => Outcome::Passed,
            // Ours would, with a language model.
            ("NotImplementedError", Err(ours))
                if message.contains("tree") && ours.contains("no language model to summarize") =>
            {
                Outcome::Deviation(rules::REFUSED_DELETES)
            }
            ("ValueError", Err(ours))
                if message.ends_with(" not found.") && ours.contains("not in the document store") =>
            {
                let id = message.trim_start_matches("doc_id ").trim_end_matches(" not found.");
                if ours.contains(&format!("'{id}'")) {
                    Outcome::Passed
                } else {
                    Outcome::Failed(format!("LlamaIndex misses {id}; ours: {ours}"))
                }
            }
            _ => Outcome::Failed(format!("LlamaIndex: {kind}: {message}; ours: {ours:?}")),
        }
    }

    fn deletes(&self, id: &str) -> bool {
        match &self.what {
            What::DeleteNodes(ids, _) => ids.iter().any(|known| *known == *id),
            What::DeleteRefDoc(..) => true,
            _ => false,
        }
    }

    /// The rule by which a part is in another state after this operation.
    pub(super) fn state_rule(
        &self,
        part: &str,
        result: &Value,
        before: &Value,
        theirs: &Value,
        ours: &Value,
    ) -> Option<&'static Rule> {
        match (part, &self.what) {
            ("index_store", _) => {
                let mut ours = ours.as_object()?.clone();
                let remembered = ours.shift_remove(&b"index_store/embedding"[..]).is_some();
                if remembered && difference(theirs, &Value::Object(ours.clone())).is_none() {
                    return Some(rules::REMEMBERED_MODEL);
                }
                let gone: Vec<PyString> = self.gone(before)?.into_iter().chain(self.deleted.iter().cloned()).collect();
                // What was deleted before it may have forgotten in memory, and not in the store that ours began with.
                let (theirs, ours) = (self.without(theirs, &gone)?, self.without(&Value::Object(ours), &self.deleted)?);
                let refused = python_error(result).is_some_and(|(kind, _)| kind == "NotImplementedError");
                let rule = if refused { rules::REFUSED_DELETES } else { rules::FORGOTTEN_NODES };
                same_structs(&theirs, &ours).then_some(rule)
            }
            // It fails at what the index does not have, and the rest stays.
            ("vector_store" | "doc_store", What::DeleteRefDoc(id, DocstoreDelete::Always))
                if python_error(result).is_some_and(|(kind, _)| kind == "KeyError") =>
            {
                let gone: Vec<PyString> = self.gone(before)?.into_iter().chain([id.clone()]).collect();
                let rest = pruned(theirs, &gone);
                difference(&rest, ours).is_none().then_some(rules::REPEATED_DELETES)
            }
            // It stores the nodes before it refuses them.
            ("doc_store", What::InsertNodes(_)) if python_error(result).is_some() => {
                let untouched = before.get("doc_store").unwrap_or(&Value::Null);
                difference(untouched, ours).is_none().then_some(rules::REFUSED_INSERTS)
            }
            _ => None,
        }
    }

    /// The nodes that this operation takes out of the index.
    fn gone(&self, before: &Value) -> Option<Vec<PyString>> {
        match &self.what {
            What::DeleteNodes(ids, _) => Some(ids.clone()),
            What::DeleteRefDoc(id, _) => {
                let info = before.get("doc_store")?.get("docstore/ref_doc_info")?.as_object()?.get(id)?;
                Some(info.get("node_ids")?.as_array()?.iter().filter_map(|id| id.as_str().cloned()).collect())
            }
            _ => None,
        }
    }

    /// LlamaIndex's structs without nodes that it left in this operation's.
    fn without(&self, index_store: &Value, gone: &[PyString]) -> Option<Value> {
        let mut store = index_store.as_object()?.clone();
        let Some(Value::Object(structs)) = store.get_mut(&b"index_store/data"[..]) else { return None };
        let id = PyString::from(self.index.as_str());
        let mut index_struct = IndexStruct::from_raw(&structs.get(&id)?.into(), &id);
        match &mut index_struct.data {
            IndexStructData::VectorStore(dict) | IndexStructData::Multimodal(dict) => {
                dict.nodes_dict.retain(|_, node| !gone.contains(node));
            }
            IndexStructData::DocumentSummary(known) => {
                known.node_id_to_summary_id.retain(|node, _| !gone.contains(node));
                known.summary_id_to_node_ids.values_mut().for_each(|nodes| nodes.retain(|node| !gone.contains(node)));
            }
            IndexStructData::KeywordTable(KeywordTable { table })
            | IndexStructData::KnowledgeGraph(KnowledgeGraph { table, .. }) => table.retain(|_, nodes| {
                nodes.retain(|node| !gone.contains(node));
                !nodes.is_empty()
            }),
            _ => {}
        }
        structs.insert(id, index_struct.to_raw().value());
        Some(Value::Object(store))
    }
}

/// A store without the entries under these ids.
fn pruned(store: &Value, gone: &[PyString]) -> Value {
    match store {
        Value::Object(entries) => {
            let rest = entries.iter().filter(|(key, _)| !gone.contains(key));
            rest.map(|(key, value)| (key, pruned(value, gone))).collect()
        }
        other => other.clone(),
    }
}

/// An index store with keywords and their nodes in one order: LlamaIndex writes them in any.
pub(super) fn sorted_keywords(index_store: &Value) -> Value {
    let mut store = index_store.clone();
    if let Value::Object(collections) = &mut store
        && let Some(Value::Object(structs)) = collections.get_mut(&b"index_store/data"[..])
    {
        for (id, value) in structs {
            let mut index_struct = IndexStruct::from_raw(&(&*value).into(), id);
            if let IndexStructData::KeywordTable(keywords) = &mut index_struct.data {
                keywords.table.sort_unstable_keys();
                keywords.table.values_mut().for_each(|nodes| nodes.sort_unstable());
                *value = index_struct.to_raw().value();
            }
        }
    }
    store
}

/// Whether two index stores say the same.
fn same_structs(a: &Value, b: &Value) -> bool {
    let read = |store: &Value| {
        let structs = store.get("index_store/data").and_then(Value::as_object).cloned().unwrap_or_default();
        structs.iter().map(|(id, raw)| IndexStruct::from_raw(&raw.into(), id)).collect::<Vec<_>>()
    };
    read(a) == read(b)
}

/// A document as the operations give it.
fn document(given: &Value) -> Option<Node> {
    let text = |key: &str| given.get(key).and_then(Value::as_str).cloned();
    let mut document = Node::document(text("text")?).with_id(text("id_")?);
    document.metadata = given.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    Some(document)
}
