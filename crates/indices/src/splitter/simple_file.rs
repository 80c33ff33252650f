use async_trait::async_trait;
use schema::Node;

use super::nodes::{self, NodeOptions, Part};
use super::{JsonNodeParser, MarkdownNodeParser};
use crate::{ModelError, Transformation};

/// Makes nodes of files by what they are: LlamaIndex's `SimpleFileNodeParser`. Markdown and JSON are taken apart by
/// their parsers; any other document becomes one node.
///
/// What a file is says the `extension` in its metadata, or that of `file_path`.
#[derive(Debug, Clone, Default)]
pub struct SimpleFileNodeParser {
    options: NodeOptions,
}

impl SimpleFileNodeParser {
    /// What nodes get of their document.
    #[must_use]
    pub fn options(mut self, options: NodeOptions) -> Self {
        self.options = options;
        self
    }
}

/// The extension of a file, with its dot.
fn extension(document: &Node) -> Option<String> {
    let told =
        |key: &str| document.metadata.get(key.as_bytes()).and_then(|value| value.as_str()).map(ToString::to_string);
    if let Some(extension) = told("extension") {
        return Some(extension);
    }
    let path = told("file_path")?;
    let name = path.rsplit('/').next().unwrap_or_default();
    // Dots in front are no extension, as in Python.
    let stem = name.trim_start_matches('.');
    stem.rfind('.').map(|at| stem[at..].to_lowercase())
}

#[async_trait]
impl Transformation for SimpleFileNodeParser {
    async fn transform(&self, documents: Vec<Node>) -> Result<Vec<Node>, ModelError> {
        let mut all = Vec::new();
        for document in &documents {
            let by_kind = self.options.with_random_ids();
            let one = std::slice::from_ref(document);
            all.extend(match extension(document).as_deref() {
                Some(".md") => MarkdownNodeParser::default().options(by_kind).transform(one.to_vec()).await?,
                Some(".json") => JsonNodeParser::default().options(by_kind).transform(one.to_vec()).await?,
                _ => nodes::build(document, vec![Part::from(document.text_content())], &self.options)?,
            });
        }
        nodes::relate(&documents, &mut all, &self.options)?;
        Ok(all)
    }

    fn cache_settings(&self) -> Option<String> {
        self.options.has_random_ids().then(|| format!("{self:?}"))
    }
}
