use async_trait::async_trait;
use raw_json::PyString;
use schema::{Metadata, Node};

use super::SplitError;
use super::nodes::{self, NodeOptions, Part};
use super::sentences::is_python_whitespace;
use crate::{ModelError, Transformation};

/// Makes a node of each section of a Markdown text: LlamaIndex's `MarkdownNodeParser`.
///
/// A section begins with a header line, as long as that is not within a code block, and its node has the titles above it
/// in its metadata, as `header_path`. Sections have any length; a splitter after this one cuts long ones.
#[derive(Debug, Clone)]
pub struct MarkdownNodeParser {
    header_path_separator: String,
    options: NodeOptions,
}

impl Default for MarkdownNodeParser {
    fn default() -> Self {
        Self { header_path_separator: "/".to_owned(), options: NodeOptions::default() }
    }
}

impl MarkdownNodeParser {
    /// What stands between the titles of `header_path`; a slash by default.
    #[must_use]
    pub fn header_path_separator(mut self, separator: impl Into<String>) -> Self {
        self.header_path_separator = separator.into();
        self
    }

    /// What nodes get of their document.
    #[must_use]
    pub fn options(mut self, options: NodeOptions) -> Self {
        self.options = options;
        self
    }

    pub(crate) fn parts(&self, document: &Node) -> Vec<Part> {
        let text = document.text_content();
        let lossy = text.to_string_lossy();
        let mut parts = Vec::new();
        let mut section = Section::default();
        let mut titles: Vec<(usize, PyString)> = Vec::new();
        let mut in_code = false;
        let mut start = 0;
        for line in lossy.split('\n') {
            // A replacement character is as long as a lone surrogate.
            let original = text.slice(start..start + line.len()).unwrap_or_default();
            start += line.len() + 1;
            if line.trim_start_matches(is_python_whitespace).starts_with("```") {
                in_code = !in_code;
                section.line(&original);
                continue;
            }
            match header(line).filter(|_| !in_code) {
                None => section.line(&original),
                Some((level, title)) => {
                    parts.extend(self.part(&section, &titles));
                    let title = original.slice(original.len() - title.len()..original.len()).unwrap_or_default();
                    while titles.last().is_some_and(|(above, _)| *above >= level) {
                        titles.pop();
                    }
                    section = Section::default();
                    let marks = PyString::from(format!("{} ", "#".repeat(level)));
                    section.line(&PyString::concat([&marks, &title]));
                    titles.push((level, title));
                }
            }
        }
        parts.extend(self.part(&section, &titles));
        parts
    }

    /// A section under these titles; `None` if it is blank.
    fn part(&self, section: &Section, titles: &[(usize, PyString)]) -> Option<Part> {
        let text = raw_json::strip(&PyString::concat(&section.lines));
        if text.is_empty() {
            return None;
        }
        let separator = PyString::from(self.header_path_separator.as_str());
        let mut path = vec![separator.clone()];
        let above = &titles[..titles.len().saturating_sub(1)];
        // Where all there is above is one empty title, there is nothing between the separators.
        if above.iter().any(|(_, title)| !title.is_empty()) || above.len() > 1 {
            for (_, title) in above {
                path.extend([title.clone(), separator.clone()]);
            }
        }
        let mut metadata = Metadata::new();
        if self.options.includes_metadata() {
            metadata.insert("header_path".into(), PyString::concat(&path).into());
        }
        Some(Part { text, metadata, at: Some(0) })
    }
}

/// The lines of a section.
#[derive(Default)]
struct Section {
    lines: Vec<PyString>,
}

impl Section {
    fn line(&mut self, line: &PyString) {
        self.lines.extend([line.clone(), PyString::from("\n")]);
    }
}

/// The level and the title of a header line.
fn header(line: &str) -> Option<(usize, &str)> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    let mut chars = rest.chars();
    (level > 0 && chars.next().is_some_and(is_python_whitespace)).then_some((level, chars.as_str()))
}

#[async_trait]
impl Transformation for MarkdownNodeParser {
    async fn transform(&self, documents: Vec<Node>) -> Result<Vec<Node>, ModelError> {
        Ok(nodes::parse(&documents, &self.options, |document| Ok::<_, SplitError>(self.parts(document)))?)
    }

    fn cache_settings(&self) -> Option<String> {
        self.options.has_random_ids().then(|| format!("{self:?}"))
    }
}
