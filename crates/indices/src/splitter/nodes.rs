use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use raw_json::PyString;
use schema::{
    Metadata, Node, NodeContent, NodeRelationship, RelatedNodeInfo, RelatedNodes, Relationships, TextContent,
};

use super::SplitError;
use crate::transformation::image;

/// What nodes get of the document they are made of.
#[derive(Clone)]
pub struct NodeOptions {
    include_metadata: bool,
    include_prev_next_rel: bool,
    id_func: Option<Arc<IdFunc>>,
}

type IdFunc = dyn Fn(usize, &Node) -> PyString + Send + Sync;

impl Default for NodeOptions {
    fn default() -> Self {
        Self { include_metadata: true, include_prev_next_rel: true, id_func: None }
    }
}

impl fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeOptions")
            .field("include_metadata", &self.include_metadata)
            .field("include_prev_next_rel", &self.include_prev_next_rel)
            .field("id_func", &self.id_func.is_some())
            .finish()
    }
}

impl NodeOptions {
    /// Whether nodes get the document's metadata; they do by default.
    #[must_use]
    pub fn include_metadata(mut self, include: bool) -> Self {
        self.include_metadata = include;
        self
    }

    /// Whether nodes know the ones before and after them; they do by default.
    #[must_use]
    pub fn include_prev_next_rel(mut self, include: bool) -> Self {
        self.include_prev_next_rel = include;
        self
    }

    /// Makes the nodes' ids of their position and document; random UUIDs by default. As in LlamaIndex, positions begin
    /// at 0 whenever nodes are made, which for Markdown and JSON is for every single one.
    #[must_use]
    pub fn id_func(mut self, id: impl Fn(usize, &Node) -> PyString + Send + Sync + 'static) -> Self {
        self.id_func = Some(Arc::new(id));
        self
    }

    pub(crate) fn with_random_ids(&self) -> Self {
        Self { id_func: None, ..self.clone() }
    }

    /// Whether nobody else makes the ids, of whom nothing is known.
    pub(crate) fn has_random_ids(&self) -> bool {
        self.id_func.is_none()
    }

    pub(crate) fn includes_metadata(&self) -> bool {
        self.include_metadata
    }
}

/// What becomes a node.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) text: PyString,
    /// What the node has beside its document's metadata.
    pub(crate) metadata: Metadata,
    /// Its position as far as ids are made of it.
    pub(crate) at: Option<usize>,
}

impl From<PyString> for Part {
    fn from(text: PyString) -> Self {
        Self { text, metadata: Metadata::new(), at: None }
    }
}

/// Makes nodes of the parts of documents.
pub(crate) fn parse(
    documents: &[Node],
    options: &NodeOptions,
    split: impl Fn(&Node) -> Result<Vec<Part>, SplitError>,
) -> Result<Vec<Node>, SplitError> {
    let mut nodes = Vec::new();
    for document in documents {
        nodes.extend(build(document, split(document)?, options)?);
    }
    relate(documents, &mut nodes, options)?;
    Ok(nodes)
}

/// One node of each part.
pub(crate) fn build(document: &Node, parts: Vec<Part>, options: &NodeOptions) -> Result<Vec<Node>, SplitError> {
    if matches!(document.content, NodeContent::Multimodal(_)) {
        return Err(SplitError::UnknownKind { id: document.id.clone() });
    }
    let source = document.as_related_node_info()?;
    let nodes = parts.into_iter().enumerate().map(|(at, part)| {
        let text = TextContent::new(part.text);
        let content = match &document.content {
            NodeContent::ImageDocument(media) => NodeContent::Image(text, image(media)),
            _ => NodeContent::Text(text),
        };
        let mut node = Node {
            embedding: document.embedding.clone(),
            metadata: part.metadata,
            excluded_embed_metadata_keys: document.excluded_embed_metadata_keys.clone(),
            excluded_llm_metadata_keys: document.excluded_llm_metadata_keys.clone(),
            metadata_template: document.metadata_template.clone(),
            metadata_separator: document.metadata_separator.clone(),
            text_template: document.text_template.clone(),
            relationships: Relationships::from([(NodeRelationship::Source, RelatedNodes::One(source.clone()))]),
            ..Node::new(content)
        };
        if let Some(id) = &options.id_func {
            node.id = id(part.at.unwrap_or(at), document);
        }
        node
    });
    Ok(nodes.collect())
}

/// Tells nodes where in their documents they are, gives them their metadata, and has them know their neighbours. This is
/// done one node after the other, and shows: the node after has not got its metadata when its hash is taken.
pub(crate) fn relate(documents: &[Node], nodes: &mut [Node], options: &NodeOptions) -> Result<(), SplitError> {
    let parents: HashMap<&PyString, Parent<'_>> =
        documents.iter().map(|document| (&document.id, Parent::new(document))).collect();
    let mut places = Places { parents, next: HashMap::new() };
    for at in 0..nodes.len() {
        let given = nodes[at].related(NodeRelationship::Source)?.cloned();
        if let Some(given) = given {
            places.inherit(&mut nodes[at], &given, options)?;
        }
        if options.include_prev_next_rel {
            let source = source_id(&nodes[at])?.cloned();
            let neighbour = |node: Option<&Node>| match node {
                Some(node) if source.is_some() && source_id(node)? == source.as_ref() => {
                    Ok(Some(node.as_related_node_info()?))
                }
                _ => Ok::<_, SplitError>(None),
            };
            let before = neighbour(at.checked_sub(1).and_then(|before| nodes.get(before)))?;
            let after = neighbour(nodes.get(at + 1))?;
            set(&mut nodes[at], NodeRelationship::Previous, before);
            set(&mut nodes[at], NodeRelationship::Next, after);
        }
    }
    Ok(())
}

fn set(node: &mut Node, relationship: NodeRelationship, info: Option<RelatedNodeInfo>) {
    if let Some(info) = info {
        node.relationships.insert(relationship, RelatedNodes::One(info));
    }
}

fn source_id(node: &Node) -> Result<Option<&PyString>, SplitError> {
    Ok(node.related(NodeRelationship::Source)?.map(|source| &source.node_id))
}

/// A document whose nodes are looked for in it.
struct Parent<'a> {
    document: &'a Node,
    text: PyString,
    /// A place in the text, in characters and in bytes.
    known: (usize, usize),
}

impl<'a> Parent<'a> {
    fn new(document: &'a Node) -> Self {
        Self { document, text: document.text_content(), known: (0, 0) }
    }

    /// Where a text occurs first at or after a character.
    fn find(&mut self, part: &PyString, from: usize) -> Option<usize> {
        let start = self.byte(from)?;
        let found = start + memchr::memmem::find(&self.text.as_bytes()[start..], part.as_bytes())?;
        let chars = from + starts(&self.text.as_bytes()[start..found]);
        self.known = (chars, found);
        Some(chars)
    }

    /// The byte that a character begins at, or the end of the text; `None` beyond.
    fn byte(&mut self, char: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let (mut chars, mut at) = if self.known.0 <= char { self.known } else { (0, 0) };
        while chars < char {
            if at == bytes.len() {
                return None;
            }
            at += 1 + bytes[at + 1..].iter().take_while(|&&byte| !is_start(byte)).count();
            chars += 1;
        }
        self.known = (chars, at);
        Some(at)
    }
}

fn is_start(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

/// How many characters begin in these bytes.
fn starts(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| is_start(byte)).count()
}

struct Places<'a> {
    parents: HashMap<&'a PyString, Parent<'a>>,
    /// From which character on the next node of a source is looked for.
    next: HashMap<PyString, usize>,
}

impl Places<'_> {
    /// Gives a node what it has from its source.
    fn inherit(&mut self, node: &mut Node, given: &RelatedNodeInfo, options: &NodeOptions) -> Result<(), SplitError> {
        if let Some(parent) = self.parents.get_mut(&given.node_id) {
            let mut source = &given.node_id;
            if let Some(of_parent) = parent.document.related(NodeRelationship::Source)? {
                node.relationships.insert(NodeRelationship::Source, RelatedNodes::One(of_parent.clone()));
                source = &of_parent.node_id;
            }
            let text = node.text_content();
            let from = self.next.get(source).copied().unwrap_or(0);
            if let (NodeContent::Text(content) | NodeContent::Image(content, _), Some(start)) =
                (&mut node.content, parent.find(&text, from))
            {
                let end = start + starts(text.as_bytes());
                content.start_char_idx = i64::try_from(start).ok();
                content.end_char_idx = i64::try_from(end).ok();
                self.next.insert(source.clone(), start + 1);
            }
            if options.include_metadata {
                let own = std::mem::replace(&mut node.metadata, parent.document.metadata.clone());
                node.metadata.extend(own);
            }
        }
        if options.include_metadata {
            for (key, value) in &given.metadata {
                if !node.metadata.contains_key(key) {
                    node.metadata.insert(key.clone(), value.clone());
                }
            }
        }
        Ok(())
    }
}
