use std::sync::Arc;

use async_trait::async_trait;
use raw_json::PyString;
use regex::Regex;
use schema::Node;

use super::SplitError;
use super::chunk::{Chunk, Gathering};
use super::nodes::{self, NodeOptions, Part};
use super::parts::{Cut, pieces};
use super::tokenizer::{Cl100kBase, Tokenizer};
use crate::{ModelError, Transformation};

/// Splits texts into chunks of whole sentences, as far as they fit: LlamaIndex's `SentenceSplitter`, its default.
///
/// A text is cut into paragraphs, those that are too long into sentences, those into phrases, words and characters, and
/// the pieces are put together to chunks of up to `chunk_size` tokens. A chunk begins with the last pieces of the one
/// before, as many as have `chunk_overlap` tokens together. The metadata that models see with a chunk count too.
///
/// ```
/// use indices::{SentenceSplitter, Transformation};
/// use schema::Node;
///
/// # pollster::block_on(async {
/// let splitter = SentenceSplitter::new(60, 10)?;
/// let document = Node::document("The colca is a storehouse. ".repeat(20)).with_id("stores");
/// let nodes = splitter.transform(vec![document]).await?;
/// assert!(nodes.len() > 1 && nodes.iter().all(|node| node.ref_doc_id().unwrap() == Some(&"stores".into())));
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// # }).unwrap();
/// ```
///
/// Source: the library's behaviour, described in the specification's page on node parsers. Time grows with the length
/// of the text; tokens are counted about three times.
#[derive(Debug, Clone)]
pub struct SentenceSplitter {
    chunk_size: usize,
    chunk_overlap: usize,
    separator: String,
    paragraph_separator: String,
    secondary_chunking_regex: Option<Regex>,
    tokenizer: Arc<dyn Tokenizer>,
    options: NodeOptions,
}

/// Runs up to a punctuation mark, and the mark.
const SECONDARY: &str = "[^,.;\u{3002}\u{ff1f}\u{ff01}]+[,.;\u{3002}\u{ff1f}\u{ff01}]?|[,.;\u{3002}\u{ff1f}\u{ff01}]";

/// Chunks of 1024 tokens that overlap by 200.
impl Default for SentenceSplitter {
    fn default() -> Self {
        Self {
            chunk_size: 1024,
            chunk_overlap: 200,
            separator: " ".to_owned(),
            paragraph_separator: "\n\n\n".to_owned(),
            secondary_chunking_regex: Some(Regex::new(SECONDARY).expect("it is a valid expression")),
            tokenizer: Arc::new(Cl100kBase),
            options: NodeOptions::default(),
        }
    }
}

impl SentenceSplitter {
    /// Splits into chunks of up to `chunk_size` tokens that overlap by up to `chunk_overlap`.
    ///
    /// # Errors
    /// [`SplitError::Overlap`] and [`SplitError::NoSize`].
    pub fn new(chunk_size: usize, chunk_overlap: usize) -> Result<Self, SplitError> {
        check_sizes(chunk_size, chunk_overlap)?;
        Ok(Self { chunk_size, chunk_overlap, ..Self::default() })
    }

    /// What stands between words; a space by default.
    #[must_use]
    pub fn separator(mut self, separator: impl Into<String>) -> Self {
        self.separator = separator.into();
        self
    }

    /// What stands between paragraphs; three line feeds by default.
    #[must_use]
    pub fn paragraph_separator(mut self, separator: impl Into<String>) -> Self {
        self.paragraph_separator = separator.into();
        self
    }

    /// What the phrases of a sentence are, or `None` to cut long sentences into words at once. What it does not match
    /// is lost.
    ///
    /// # Errors
    /// [`SplitError::Regex`] for what is no expression of the crate `regex`: unlike Python it knows no look-around and no
    /// back references.
    pub fn secondary_chunking_regex(mut self, regex: Option<&str>) -> Result<Self, SplitError> {
        let compile = |regex| Regex::new(regex).map_err(|e| SplitError::Regex { problem: e.to_string() });
        self.secondary_chunking_regex = regex.filter(|regex| !regex.is_empty()).map(compile).transpose()?;
        Ok(self)
    }

    /// What counts tokens; [`Cl100kBase`] by default.
    #[must_use]
    pub fn tokenizer(mut self, tokenizer: impl Tokenizer) -> Self {
        self.tokenizer = Arc::new(tokenizer);
        self
    }

    /// What nodes get of their document.
    #[must_use]
    pub fn options(mut self, options: NodeOptions) -> Self {
        self.options = options;
        self
    }

    /// The chunks of a text.
    ///
    /// # Errors
    /// [`SplitError::SingleToken`], [`SplitError::EmptySeparator`].
    pub fn split_text(&self, text: impl Into<PyString>) -> Result<Vec<PyString>, SplitError> {
        self.split(&text.into(), self.chunk_size)
    }

    fn split(&self, text: &PyString, size: usize) -> Result<Vec<PyString>, SplitError> {
        if text.is_empty() {
            return Ok(vec![text.clone()]);
        }
        let mut cuts = vec![Cut::Separator(self.paragraph_separator.clone()), Cut::Sentences];
        cuts.extend(self.secondary_chunking_regex.clone().map(Cut::Regex));
        cuts.extend([Cut::Separator(self.separator.clone()), Cut::Chars]);
        // A replacement character is as long as a lone surrogate.
        let lossy = text.to_string_lossy();
        let chunks = self.merge(&lossy, size, &cuts)?.into_iter().map(|chunk| chunk.strip(&lossy));
        Ok(chunks.filter(|chunk| !chunk.is_empty()).map(|chunk| chunk.of(text)).collect())
    }

    fn merge(&self, text: &str, size: usize, cuts: &[Cut]) -> Result<Vec<Chunk>, SplitError> {
        let mut chunks = Vec::new();
        let mut gathering = Gathering::default();
        // Whether there is nothing in it but what the chunk before ended with.
        let mut is_fresh = true;
        for piece in pieces(text, size, cuts, &*self.tokenizer)? {
            if piece.tokens > size {
                return Err(SplitError::SingleToken);
            }
            if !is_fresh && gathering.with(&piece) > size {
                chunks.push(gathering.chunk());
                gathering.keep_end(self.chunk_overlap);
                is_fresh = true;
            }
            if is_fresh {
                gathering.drop_front(|tokens| piece.tokens.saturating_add(tokens) > size);
            }
            gathering.push(piece);
            is_fresh = false;
        }
        if !is_fresh {
            chunks.push(gathering.chunk());
        }
        Ok(chunks)
    }
}

#[async_trait]
impl Transformation for SentenceSplitter {
    async fn transform(&self, documents: Vec<Node>) -> Result<Vec<Node>, ModelError> {
        Ok(nodes::parse(&documents, &self.options, |document| {
            let room = room(document, self.chunk_size, 0, &*self.tokenizer)?;
            let chunks = self.split(&document.text_content(), room)?;
            Ok(chunks.into_iter().map(Part::from).collect())
        })?)
    }

    fn cache_settings(&self) -> Option<String> {
        self.options.has_random_ids().then(|| format!("{self:?}"))
    }
}

pub(crate) fn check_sizes(chunk_size: usize, chunk_overlap: usize) -> Result<(), SplitError> {
    if chunk_overlap > chunk_size {
        return Err(SplitError::Overlap { chunk_overlap, chunk_size });
    }
    if chunk_size == 0 {
        return Err(SplitError::NoSize);
    }
    Ok(())
}

/// How many tokens are left for a document's text beside the metadata that models see with it, of which there are `more`
/// than they say.
pub(crate) fn room(
    document: &Node,
    chunk_size: usize,
    more: usize,
    tokenizer: &dyn Tokenizer,
) -> Result<usize, SplitError> {
    let embed = document.get_metadata_str(schema::MetadataMode::Embed)?;
    let llm = document.get_metadata_str(schema::MetadataMode::Llm)?;
    let longer = if embed.code_points().count() > llm.code_points().count() { embed } else { llm };
    let tokens = tokenizer.count(&longer.to_string_lossy()).saturating_add(more);
    if tokens >= chunk_size {
        return Err(SplitError::Metadata { tokens, chunk_size });
    }
    let room = chunk_size - tokens;
    if room < SHORT {
        tracing::warn!(document = %document.id, tokens, chunk_size, "the metadata leave chunks less than {SHORT} tokens");
    }
    Ok(room)
}

/// Of chunks shorter than this many tokens LlamaIndex warns too.
const SHORT: usize = 50;
