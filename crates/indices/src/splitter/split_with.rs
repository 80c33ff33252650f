use std::fmt;

use async_trait::async_trait;
use schema::Node;

use super::nodes::{self, NodeOptions, Part};
use crate::{ModelError, Transformation};

/// Splits texts with a function, such as a splitter of another crate. Nodes are made of its chunks as of all others.
///
/// ```
/// use indices::{SplitWith, Transformation};
/// use schema::Node;
/// use text_splitter::TextSplitter;
///
/// # pollster::block_on(async {
/// let splitter = TextSplitter::new(20);
/// let splitter = SplitWith::new(move |text: &str| splitter.chunks(text).map(str::to_owned).collect());
/// let nodes = splitter.transform(vec![Node::document("Llamas carry grain. Knots count sacks.").with_id("d")]).await?;
/// assert_eq!(nodes[1].text_content(), "Knots count sacks.");
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// # }).unwrap();
/// ```
pub struct SplitWith {
    split: Box<Split>,
    options: NodeOptions,
}

type Split = dyn Fn(&str) -> Vec<String> + Send + Sync;

impl SplitWith {
    /// Splits with this function. It gets texts with U+FFFD in place of lone surrogates.
    pub fn new(split: impl Fn(&str) -> Vec<String> + Send + Sync + 'static) -> Self {
        Self { split: Box::new(split), options: NodeOptions::default() }
    }

    /// What nodes get of their document.
    #[must_use]
    pub fn options(mut self, options: NodeOptions) -> Self {
        self.options = options;
        self
    }
}

impl fmt::Debug for SplitWith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SplitWith").field("options", &self.options).finish_non_exhaustive()
    }
}

#[async_trait]
impl Transformation for SplitWith {
    async fn transform(&self, documents: Vec<Node>) -> Result<Vec<Node>, ModelError> {
        Ok(nodes::parse(&documents, &self.options, |document| {
            let chunks = (self.split)(&document.text_content().to_string_lossy());
            Ok(chunks.into_iter().map(|chunk| Part::from(raw_json::PyString::from(chunk))).collect())
        })?)
    }
}
