//! What indexes there are, and what the stores have of their nodes: as much of it as decides what may come next.
//!
//! An operation on an index is well defined in LlamaIndex only if what came before it fits. Where it fails half-way or
//! goes wrong, ours does the documented thing, and the two cannot be compared: such operations are not generated. Each
//! condition here says why. The rules D33 to D38 are those of docs/compatibility.md.

use std::collections::{BTreeSet, HashMap, HashSet};

use colca::indices::{KeywordExtractor, SimpleKeywords};
use colca::prelude::*;

use super::apply_indexes::document;
use super::models::{MarksLlm, chunks, triplets};
use super::request::Request;

/// The state that operations lead to.
#[derive(Debug, Clone, Default)]
pub(super) struct Existing {
    /// In the order of the index store.
    pub(super) indexes: Vec<Known>,
    /// The nodes in the document store: the document that each comes from, and that document's hash at the time.
    pub(super) stored: HashMap<PyString, (Option<PyString>, Option<String>)>,
    /// The nodes that the document store lists of each document.
    listed: HashMap<PyString, Vec<PyString>>,
    /// The hashes of documents.
    hashes: HashMap<PyString, String>,
    /// The vectors in the store for texts, with their documents.
    vectors: HashMap<PyString, Option<PyString>>,
    /// What the language model has written of documents so far, as it is embedded.
    summaries: BTreeSet<PyString>,
}

/// An index.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) kind: String,
    /// The nodes that its struct lists, without summaries.
    pub(super) nodes: Vec<PyString>,
    /// The summaries of documents, with the nodes that each stands for.
    summaries: HashMap<PyString, Vec<(PyString, Vec<PyString>)>>,
    /// How many nodes a tree has at the top.
    top: usize,
    /// Whether there are leaves beside summaries there.
    mixed: bool,
    /// Whether something was embedded for it.
    embedded: bool,
}

/// How many nodes are below one, or at the top, of a tree.
const CHILDREN: usize = 10;

impl Existing {
    /// The state after these operations, or `None` if one of them is not well defined.
    pub(super) fn after<'a>(operations: impl IntoIterator<Item = &'a Value>) -> Option<Self> {
        let mut existing = Self::default();
        operations.into_iter().all(|operation| existing.apply(operation).is_some()).then_some(existing)
    }

    /// Applies an operation if it is well defined; if not, the state must not be used any more.
    pub(super) fn apply(&mut self, operation: &Value) -> Option<()> {
        let request = Request(operation);
        let name = request.text("op").ok()?.to_string();
        let Some(name) = name.strip_prefix("indexes.") else { return Some(()) };
        if name == "build" {
            return self.build(&request);
        }
        let id = request.text("id").ok()?.to_string();
        // Both fail if there is none.
        let Some(at) = self.indexes.iter().position(|known| known.id == id) else { return Some(()) };
        let always = request.flag("always");
        match name {
            "insert" => self.insert_document(at, &document(request.part("document")).ok()?),
            "insert_nodes" => self.insert(at, &request.nodes().ok()?, false),
            "update" => self.update(at, &document(request.part("document")).ok()?),
            "refresh" => self.refresh(at, &documents(&request)?),
            "delete_nodes" => self.delete_nodes(at, &request.texts("node_ids").ok()?, always),
            "delete_document" => self.delete_document(at, request.text("ref_doc_id").ok()?, always),
            "rename" => {
                let to = request.text("to").ok()?.to_string();
                // LlamaIndex overwrites another index, and moves one to the end that has the id already.
                if !self.is_new(&to) {
                    return None;
                }
                let known = Known { id: to, ..self.indexes.remove(at) };
                self.indexes.push(known);
                Some(())
            }
            _ => Some(()),
        }
    }

    /// Whether a question about the indexes has one right answer.
    pub(super) fn can_tell(&self, question: &Value) -> bool {
        let request = Request(question);
        let text = |name: &str| request.text(name).map(ToString::to_string).unwrap_or_default();
        let Some(known) = self.indexes.iter().find(|known| known.id == text("id")) else { return true };
        let keywords = request.part("options").get("retriever_mode") == Some(&"keyword".into());
        match (text("op").as_str(), known.kind.as_str()) {
            // It fails at a vector of another index.
            ("indexes.retrieve", "document_summary") => self.vectors.keys().all(|id| known.is_summary(id)),
            // Of more than three nodes of a keyword it takes some, and finds at most ten.
            ("indexes.retrieve", "kg") if keywords => known.nodes.len() <= 3,
            ("indexes.retrieve", "kg") => known.nodes.len() < 10,
            // Which of the nodes that have equally many keywords it misses first is arbitrary.
            ("indexes.retrieve", "keyword_table") => self.has_all(known),
            // It drops a leaf beside summaries that it chooses together with one of those.
            ("indexes.retrieve", "tree") => {
                let factor = Request(request.part("options")).size("child_branch_factor");
                !known.mixed || factor.is_ok_and(|factor| factor == 1)
            }
            // D37.
            ("indexes.documents", "empty") => false,
            // It does not look whether the nodes are there.
            ("indexes.documents", "document_summary") => self.has_all(known),
            _ => true,
        }
    }

    /// The indexes for which something was embedded.
    pub(super) fn embedded(&self) -> BTreeSet<String> {
        self.indexes.iter().filter(|known| known.embedded).map(|known| known.id.clone()).collect()
    }

    fn is_new(&self, id: &str) -> bool {
        self.indexes.iter().all(|known| known.id != id)
    }

    fn has_all(&self, known: &Known) -> bool {
        known.nodes.iter().all(|id| self.stored.contains_key(id))
    }

    fn build(&mut self, request: &Request<'_>) -> Option<()> {
        let (id, kind) = (request.text("id").ok()?.to_string(), request.text("kind").ok()?.to_string());
        if !self.is_new(&id) {
            return None;
        }
        self.indexes.push(Known { id, kind, ..Known::default() });
        let mut nodes = request.nodes().ok()?;
        for document in documents(request)? {
            self.hashes.insert(document.id.clone(), document.hash().ok()?);
            nodes.extend(chunks(&document).ok()?);
        }
        self.insert(self.indexes.len() - 1, &nodes, true)
    }

    fn insert_document(&mut self, at: usize, document: &Node) -> Option<()> {
        self.insert(at, &chunks(document).ok()?, false)?;
        self.hashes.insert(document.id.clone(), document.hash().ok()?);
        Some(())
    }

    fn insert(&mut self, at: usize, nodes: &[Node], building: bool) -> Option<()> {
        let embeds = |node: &Node| node.get_content(MetadataMode::Embed).is_ok_and(|text| !text.is_empty());
        let kind = self.indexes[at].kind.clone();
        match kind.as_str() {
            "vector_store" => {
                for node in nodes.iter().filter(|node| !building || embeds(node)) {
                    self.store(node)?;
                    self.add_vector(at, node)?;
                }
            }
            "multimodal" => {
                // It leaves out images without metadata when it builds.
                let blank = |node: &Node| building && !embeds(node);
                for node in nodes {
                    let is_text = !node.text_content().is_empty();
                    match node.content {
                        // The text of an image with an embedding gets that one, too.
                        NodeContent::Image(..) if is_text || blank(node) => return None,
                        NodeContent::Image(..) => self.indexes[at].list(&node.id),
                        _ if is_text => self.add_vector(at, node)?,
                        _ => continue,
                    }
                    self.store(node)?;
                }
            }
            "list" => {
                for node in nodes {
                    self.store(node)?;
                    self.indexes[at].nodes.push(node.id.clone());
                }
            }
            "keyword_table" => {
                for node in nodes {
                    self.store(node)?;
                    let text = node.get_content(MetadataMode::Llm).ok()?.to_string_lossy().into_owned();
                    if !pollster::block_on(SimpleKeywords.extract(&text, 10)).ok()?.is_empty() {
                        self.indexes[at].list(&node.id);
                    }
                }
            }
            "kg" => {
                for node in nodes {
                    self.store(node)?;
                    let text = node.get_content(MetadataMode::Llm).ok()?.to_string_lossy().into_owned();
                    if !triplets(&text).is_empty() {
                        self.indexes[at].list(&node.id);
                        self.indexes[at].embedded = true;
                    }
                }
            }
            "document_summary" => {
                let mut summarized: Vec<(PyString, Vec<PyString>)> = Vec::new();
                for node in nodes {
                    self.store(node)?;
                    self.indexes[at].list(&node.id);
                    let document = node.ref_doc_id().ok()??;
                    match summarized.iter_mut().find(|(known, _)| known == document) {
                        Some((_, of_document)) => of_document.push(node.id.clone()),
                        None => summarized.push((document.clone(), vec![node.id.clone()])),
                    }
                }
                for (document, of_document) in summarized {
                    let of_summary = nodes.iter().filter(|node| of_document.contains(&node.id));
                    let text = summary_text(&of_summary.collect::<Vec<_>>())?;
                    let id = PyString::from(format!("summary {}", self.summaries.len()));
                    // Which of equal ones comes first depends on their ids, which are random.
                    if !self.summaries.insert(text) {
                        return None;
                    }
                    let summary = Node::text("").with_id(id).with_source(&document);
                    self.store(&summary)?;
                    self.vectors.insert(summary.id.clone(), Some(document.clone()));
                    let known = &mut self.indexes[at];
                    known.embedded = true;
                    known.summaries.entry(document).or_default().push((summary.id, of_document));
                }
            }
            "tree" if building => {
                for node in nodes {
                    self.store(node)?;
                    self.indexes[at].list(&node.id);
                    // It cannot summarize what is blank.
                    let text = node.get_content(MetadataMode::Llm).ok()?.to_string_lossy().into_owned();
                    if nodes.len() > CHILDREN && !is_filled(&text) {
                        return None;
                    }
                }
                let mut top = nodes.len();
                while top > CHILDREN {
                    top = top.div_ceil(CHILDREN);
                }
                self.indexes[at].top = top;
            }
            "tree" => {
                // It looks at those at the top.
                if !self.has_all(&self.indexes[at]) {
                    return None;
                }
                for node in nodes {
                    // A node that is there is put there once more; and of too many at the top, it loses the half.
                    if self.indexes[at].nodes.contains(&node.id) || self.indexes[at].top == CHILDREN {
                        return None;
                    }
                    self.store(node)?;
                    let known = &mut self.indexes[at];
                    known.mixed |= known.top < known.nodes.len();
                    known.list(&node.id);
                    known.top += 1;
                }
            }
            // D36.
            _ if !building => return None,
            _ => {}
        }
        Some(())
    }

    fn add_vector(&mut self, at: usize, node: &Node) -> Option<()> {
        self.vectors.insert(node.id.clone(), node.ref_doc_id().ok()?.cloned());
        self.indexes[at].list(&node.id);
        self.indexes[at].embedded |= node.embedding.is_none();
        Some(())
    }

    fn store(&mut self, node: &Node) -> Option<()> {
        let source = node.related(NodeRelationship::Source).ok()?;
        if let Some(source) = source {
            let listed = self.listed.entry(source.node_id.clone()).or_default();
            if !listed.contains(&node.id) {
                listed.push(node.id.clone());
            }
        }
        let hash = source.and_then(|source| Some(source.hash.as_ref()?.to_string()));
        self.stored.insert(node.id.clone(), (source.map(|source| source.node_id.clone()), hash));
        Some(())
    }

    /// Deletes from the document store.
    fn unstore(&mut self, id: &PyString) {
        let Some((Some(source), _)) = self.stored.remove(id) else { return };
        let Some(listed) = self.listed.get_mut(&source) else { return };
        listed.retain(|listed| listed != id);
        if listed.is_empty() {
            self.listed.remove(&source);
            self.hashes.remove(&source);
        }
    }

    /// Deletes a document from the document store.
    fn unstore_document(&mut self, document: &PyString) {
        let Some(nodes) = self.listed.get(document).cloned() else { return };
        nodes.iter().for_each(|id| self.unstore(id));
    }

    fn update(&mut self, at: usize, document: &Node) -> Option<()> {
        if self.indexes[at].kind == "empty" {
            return self.refuses(&document.id);
        }
        // What is deleted and comes again moves to the end of LlamaIndex's stores, and stays where it is in ours.
        let again = |node: &Node| self.stored.contains_key(&node.id) || self.vectors.contains_key(&node.id);
        if chunks(document).ok()?.iter().any(again) {
            return None;
        }
        self.delete_document(at, &document.id, true)?;
        self.insert_document(at, document)
    }

    fn refresh(&mut self, at: usize, documents: &[Node]) -> Option<()> {
        for document in documents {
            let id = &document.id;
            match self.hashes.get(id) {
                // Nodes that were inserted by hand stay beside those of the document.
                None if self.listed.contains_key(id) => return None,
                None => self.insert_document(at, document)?,
                Some(hash) if *hash == document.hash().ok()? => {
                    let known = &self.indexes[at];
                    let own: Vec<_> = self.listed.get(id)?.iter().filter(|id| known.nodes.contains(id)).collect();
                    let fresh = |id: &&PyString| self.stored[*id].1.as_ref().is_none_or(|made_from| made_from == hash);
                    // It thinks a document fresh that only another index has, or of which this one has two versions.
                    if own.is_empty() || !own.iter().all(fresh) {
                        return None;
                    }
                }
                Some(_) => self.update(at, document)?,
            }
        }
        // It cannot, and ours says so beforehand.
        (self.indexes[at].kind != "empty").then_some(())
    }

    /// For an empty index, which cannot delete: it says so if it comes to it.
    fn refuses(&self, document: &PyString) -> Option<()> {
        self.listed.contains_key(document).then_some(())
    }

    fn delete_nodes(&mut self, at: usize, ids: &[PyString], always: bool) -> Option<()> {
        let known = &self.indexes[at];
        let distinct: HashSet<&PyString> = ids.iter().collect();
        if ids.is_empty() || distinct.len() < ids.len() {
            return None;
        }
        match known.kind.as_str() {
            // D34: it keeps them in its struct. A vector that is not its own goes, and another index misses it.
            "vector_store" | "multimodal" if !always => {
                return ids.iter().all(|id| !known.nodes.contains(id) && !self.vectors.contains_key(id)).then_some(());
            }
            "vector_store" | "multimodal" => {
                // D35. Images stay in their vector store.
                let own = |id: &PyString| known.nodes.contains(id) && self.vectors.contains_key(id);
                if !ids.iter().all(|id| own(id) && !self.is_shared(at, id)) {
                    return None;
                }
                ids.iter().for_each(|id| drop(self.vectors.remove(id)));
            }
            // It looks at all of its nodes, and fails if one is missing.
            "list" if !self.has_all(known) => return None,
            "list" | "keyword_table" => {}
            "document_summary" => return self.delete_summarized(at, ids, always),
            // D38.
            "tree" | "kg" => return None,
            // It says that it cannot.
            _ => return Some(()),
        }
        self.indexes[at].nodes.retain(|id| !ids.contains(id));
        if always {
            ids.iter().for_each(|id| self.unstore(id));
        }
        Some(())
    }

    /// D34: only whole documents go, and never from the document store.
    fn delete_summarized(&mut self, at: usize, ids: &[PyString], always: bool) -> Option<()> {
        let known = &self.indexes[at];
        let touched: Vec<PyString> = known
            .summaries
            .iter()
            .filter(|(_, summaries)| summaries.iter().any(|(_, nodes)| nodes.iter().any(|id| ids.contains(id))))
            .map(|(document, _)| document.clone())
            .collect();
        let whole =
            |document: &PyString| known.summaries[document].iter().all(|(_, of)| of.iter().all(|id| ids.contains(id)));
        // Other ids are passed over, but ours takes vectors with them that are nobody's.
        let odd = ids.iter().any(|id| !known.nodes.contains(id) && self.vectors.contains_key(id));
        if always || odd || !touched.iter().all(|document| whole(document) && self.listed.contains_key(document)) {
            return None;
        }
        touched.iter().try_for_each(|document| self.delete_document(at, document, false))
    }

    fn delete_document(&mut self, at: usize, document: &PyString, always: bool) -> Option<()> {
        let known = &self.indexes[at];
        let listed = self.listed.get(document).cloned();
        let of_document: Vec<PyString> = self.vectors_of(document);
        match (known.kind.as_str(), &listed) {
            // It deletes the vectors of the document also if they are another index's, or if nobody knows of them.
            ("vector_store" | "multimodal", None) => return of_document.is_empty().then_some(()),
            ("vector_store", Some(nodes)) => {
                // D35.
                if !nodes.iter().all(|id| known.nodes.contains(id))
                    || !of_document.iter().all(|id| nodes.contains(id) && !self.is_shared(at, id))
                {
                    return None;
                }
            }
            // D34: its struct keeps them. D38.
            ("multimodal" | "tree" | "kg", Some(_)) => return None,
            ("list" | "keyword_table" | "document_summary" | "tree" | "kg", None) => return Some(()),
            // Of several nodes, it passes over the second when they leave the document store too.
            ("list" | "keyword_table", Some(nodes)) if always && nodes.len() > 1 => return None,
            ("list", Some(_)) if !self.has_all(known) => return None,
            ("list" | "keyword_table", Some(_)) => {}
            ("document_summary", Some(_)) => {
                // D35; and if a document was inserted twice, the older summary stays.
                let [(summary, nodes)] = &known.summaries.get(document)?[..] else { return None };
                // Of nodes that have left the document store, ours does not know that they are the document's.
                let listed = |id: &PyString| self.listed[document].contains(id);
                if of_document != [summary.clone()] || !listed(summary) || !nodes.iter().all(listed) {
                    return None;
                }
            }
            _ => return self.refuses(document),
        }
        of_document.iter().filter(|_| known.has_vectors()).for_each(|id| drop(self.vectors.remove(id)));
        let gone = listed.unwrap_or_default();
        let known = &mut self.indexes[at];
        known.nodes.retain(|id| !gone.contains(id));
        known.summaries.remove(document);
        if always {
            self.unstore_document(document);
        }
        Some(())
    }

    fn vectors_of(&self, document: &PyString) -> Vec<PyString> {
        let of_document = |(_, of): &(&PyString, &Option<PyString>)| of.as_ref() == Some(document);
        self.vectors.iter().filter(of_document).map(|(id, _)| id.clone()).collect()
    }

    /// Whether another index has this vector too. Then it stays in ours, and goes in LlamaIndex.
    fn is_shared(&self, at: usize, id: &PyString) -> bool {
        let has = |known: &Known| match known.kind.as_str() {
            "vector_store" | "multimodal" => known.nodes.contains(id),
            _ => known.is_summary(id),
        };
        self.indexes.iter().enumerate().any(|(other, known)| other != at && has(known))
    }
}

impl Known {
    fn list(&mut self, id: &PyString) {
        if !self.nodes.contains(id) {
            self.nodes.push(id.clone());
        }
    }

    fn is_summary(&self, id: &PyString) -> bool {
        self.summaries.values().flatten().any(|(summary, _)| summary == id)
    }

    fn has_vectors(&self) -> bool {
        matches!(self.kind.as_str(), "vector_store" | "multimodal" | "document_summary")
    }
}

/// What is embedded of the summary of these nodes.
fn summary_text(nodes: &[&Node]) -> Option<PyString> {
    let texts: Result<Vec<_>, _> = nodes.iter().map(|node| node.get_content(MetadataMode::Llm)).collect();
    let prompt = texts.ok()?.iter().map(|text| text.to_string_lossy().into_owned()).collect::<Vec<_>>().join("\n");
    // Ours does not ask about nothing.
    is_filled(&prompt).then_some(())?;
    let first = nodes.first()?;
    let summary = Node {
        metadata: first.metadata.clone(),
        excluded_embed_metadata_keys: first.excluded_embed_metadata_keys.clone(),
        ..Node::text(pollster::block_on(MarksLlm.complete(&prompt)).ok()?)
    };
    summary.get_content(MetadataMode::Embed).ok()
}

/// Whether there is surely something in a text.
fn is_filled(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_alphanumeric())
}

fn documents(request: &Request<'_>) -> Option<Vec<Node>> {
    request.part("documents").as_array().unwrap_or_default().iter().map(|given| document(given).ok()).collect()
}
