use async_trait::async_trait;
use raw_json::{PyString, RawJson, Text, Value, py_str};
use schema::Node;

use super::SplitError;
use super::nodes::{self, NodeOptions, Part};
use crate::{ModelError, Transformation};

/// Makes nodes of JSON texts: LlamaIndex's `JSONNodeParser`. An object becomes one node, a list one of each item.
///
/// A node's text has a line for each value, with the keys on the way to it. A text that is no JSON gives no node.
#[derive(Debug, Clone, Default)]
pub struct JsonNodeParser {
    options: NodeOptions,
}

impl JsonNodeParser {
    /// What nodes get of their document.
    #[must_use]
    pub fn options(mut self, options: NodeOptions) -> Self {
        self.options = options;
        self
    }

    pub(crate) fn parts(&self, document: &Node) -> Result<Vec<Part>, SplitError> {
        let text = document.text_content();
        let Ok(read) = RawJson::parse(&Text::from(text.to_string_lossy().into_owned())) else { return Ok(Vec::new()) };
        let items = match read.value() {
            Value::Array(items) => items,
            object @ Value::Object(_) => vec![object],
            _ => return Err(SplitError::Json),
        };
        Ok(items.iter().map(|item| Part { at: Some(0), ..Part::from(lines(item)) }).collect())
    }
}

/// A line for each value within another, with the keys on the way to it.
fn lines(item: &Value) -> PyString {
    let space = PyString::from(" ");
    let mut text: Vec<PyString> = Vec::new();
    let mut open: Vec<(Vec<PyString>, &Value)> = vec![(Vec::new(), item)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(entries) => {
                let inner = entries
                    .iter()
                    .rev()
                    .map(|(key, value)| ([path.as_slice(), std::slice::from_ref(key)].concat(), value));
                open.extend(inner);
            }
            Value::Array(items) => open.extend(items.iter().rev().map(|item| (path.clone(), item))),
            leaf => {
                if !text.is_empty() {
                    text.push("\n".into());
                }
                for key in path {
                    text.extend([key, space.clone()]);
                }
                text.push(py_str(leaf));
            }
        }
    }
    PyString::concat(&text)
}

#[async_trait]
impl Transformation for JsonNodeParser {
    async fn transform(&self, documents: Vec<Node>) -> Result<Vec<Node>, ModelError> {
        Ok(nodes::parse(&documents, &self.options, |document| self.parts(document))?)
    }

    fn cache_settings(&self) -> Option<String> {
        self.options.has_random_ids().then(|| format!("{self:?}"))
    }
}
