use std::collections::HashSet;

use raw_json::{PyString, Value, py_str, strip};

use crate::template::fill;
use crate::{Error, MediaContent, Node, NodeContent, Result};

/// For whose eyes a node's content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetadataMode {
    /// With all metadata.
    All,
    /// With what embedding models may see.
    Embed,
    /// With what language models may see.
    Llm,
    /// The text alone.
    None,
}

impl Node {
    /// The text alone; empty if the node has none.
    pub fn text_content(&self) -> PyString {
        match &self.content {
            NodeContent::Text(text) | NodeContent::Image(text, _) | NodeContent::Index(text, _) => text.text.clone(),
            NodeContent::Document(media) | NodeContent::ImageDocument(media) | NodeContent::Multimodal(media) => {
                media.text().cloned().unwrap_or_default()
            }
        }
    }

    /// The text with the metadata that `mode` lets through, laid out by the node's templates.
    ///
    /// A document without a text resource has empty content in every mode, metadata or not: so it is in LlamaIndex.
    ///
    /// # Errors
    /// [`Error::Template`] if a template names something unknown.
    pub fn get_content(&self, mode: MetadataMode) -> Result<PyString> {
        let (text, metadata) = match &self.content {
            NodeContent::Text(text) | NodeContent::Image(text, _) | NodeContent::Index(text, _) => {
                (&text.text, strip(&self.get_metadata_str(mode)?))
            }
            NodeContent::Document(media) | NodeContent::ImageDocument(media) | NodeContent::Multimodal(media) => {
                match media.text() {
                    Some(text) => (text, self.get_metadata_str(mode)?),
                    None => return Ok(PyString::default()),
                }
            }
        };
        if mode == MetadataMode::None || metadata.is_empty() {
            return Ok(text.clone());
        }
        let filled = self.fill(&self.text_template, &[("content", text), ("metadata_str", &metadata)])?;
        Ok(strip(&filled))
    }

    /// The metadata that `mode` lets through as text: one entry after the other by `metadata_template`, joined by
    /// `metadata_separator`.
    ///
    /// # Errors
    /// [`Error::Template`] if the template names something unknown.
    pub fn get_metadata_str(&self, mode: MetadataMode) -> Result<PyString> {
        let excluded: &[PyString] = match mode {
            MetadataMode::None => return Ok(PyString::default()),
            MetadataMode::All => &[],
            MetadataMode::Embed => &self.excluded_embed_metadata_keys,
            MetadataMode::Llm => &self.excluded_llm_metadata_keys,
        };
        let excluded: HashSet<&PyString> = excluded.iter().collect();
        let mut parts: Vec<PyString> = Vec::new();
        for (key, value) in self.metadata.iter().filter(|(key, _)| !excluded.contains(key)) {
            if !parts.is_empty() {
                parts.push(self.metadata_separator.clone());
            }
            parts.push(self.fill(&self.metadata_template, &[("key", key), ("value", &py_str(value))])?);
        }
        Ok(PyString::concat(&parts))
    }

    /// The node that an `IndexNode` carries in `obj`.
    ///
    /// LlamaIndex makes a text node of anything else that stands there, with a new id at every read; here its id is
    /// the `index_id`, so that it stays the same.
    pub fn obj_node(&self) -> Option<Node> {
        let NodeContent::Index(_, index) = &self.content else { return None };
        match index.obj.as_ref()? {
            Value::Null => None,
            obj => Some(
                Node::from_value(obj, &index.index_id)
                    .unwrap_or_else(|_| Node::text(py_str(obj)).with_id(&index.index_id)),
            ),
        }
    }

    fn fill(&self, template: &PyString, values: &[(&str, &PyString)]) -> Result<PyString> {
        fill(template, values).map_err(|problem| Error::Template {
            id: self.id.clone(),
            // Enough to find it by.
            template: PyString::from_code_points(template.code_points().take(200)),
            problem,
        })
    }
}

impl MediaContent {
    /// The text of the text resource; a resource without a text counts as an empty one.
    fn text(&self) -> Option<&PyString> {
        static EMPTY: std::sync::LazyLock<PyString> = std::sync::LazyLock::new(PyString::default);
        self.text_resource.as_ref().map(|resource| resource.text.as_ref().unwrap_or(&EMPTY))
    }
}
