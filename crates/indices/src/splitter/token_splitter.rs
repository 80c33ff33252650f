use std::sync::Arc;

use async_trait::async_trait;
use raw_json::PyString;
use schema::Node;

use super::SplitError;
use super::chunk::{Chunk, Gathering};
use super::nodes::{self, NodeOptions, Part};
use super::parts::{Cut, pieces};
use super::sentence_splitter::{check_sizes, room};
use super::tokenizer::{Cl100kBase, Tokenizer};
use crate::{ModelError, Transformation};

/// Splits texts into chunks of words: LlamaIndex's `TokenTextSplitter`.
///
/// A text is cut at a separator, then at the backup separators, then into characters, and the pieces are put together to
/// chunks of up to `chunk_size` tokens that overlap by up to `chunk_overlap`.
#[derive(Debug, Clone)]
pub struct TokenTextSplitter {
    chunk_size: usize,
    chunk_overlap: usize,
    separator: String,
    backup_separators: Vec<String>,
    keep_whitespaces: bool,
    tokenizer: Arc<dyn Tokenizer>,
    options: NodeOptions,
}

/// Chunks of 1024 tokens that overlap by 20.
impl Default for TokenTextSplitter {
    fn default() -> Self {
        Self {
            chunk_size: 1024,
            chunk_overlap: 20,
            separator: " ".to_owned(),
            backup_separators: vec!["\n".to_owned()],
            keep_whitespaces: false,
            tokenizer: Arc::new(Cl100kBase),
            options: NodeOptions::default(),
        }
    }
}

/// How many tokens the metadata count for beyond their own.
const MORE_METADATA: usize = 2;

impl TokenTextSplitter {
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

    /// What too long pieces are cut at, one after the other; a line feed by default.
    #[must_use]
    pub fn backup_separators(mut self, separators: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.backup_separators = separators.into_iter().map(Into::into).collect();
        self
    }

    /// Whether chunks keep the whitespace at their ends; they do not by default.
    #[must_use]
    pub fn keep_whitespaces(mut self, keep: bool) -> Self {
        self.keep_whitespaces = keep;
        self
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

    /// The chunks of a text. A piece that cannot be cut and has more tokens than a chunk is a chunk of its own.
    ///
    /// # Errors
    /// [`SplitError::EmptySeparator`].
    pub fn split_text(&self, text: impl Into<PyString>) -> Result<Vec<PyString>, SplitError> {
        self.split(&text.into(), self.chunk_size)
    }

    fn split(&self, text: &PyString, size: usize) -> Result<Vec<PyString>, SplitError> {
        if text.is_empty() {
            return Ok(vec![text.clone()]);
        }
        let separators = std::iter::once(&self.separator).chain(&self.backup_separators);
        let cuts: Vec<Cut> = separators.cloned().map(Cut::Separator).chain([Cut::Chars]).collect();
        // A replacement character is as long as a lone surrogate.
        let lossy = text.to_string_lossy();
        Ok(self.merge(&lossy, size, &cuts)?.iter().map(|chunk| chunk.of(text)).collect())
    }

    fn merge(&self, text: &str, size: usize, cuts: &[Cut]) -> Result<Vec<Chunk>, SplitError> {
        let mut chunks = Vec::new();
        let mut close = |gathering: &Gathering| {
            let chunk = gathering.chunk();
            let chunk = if self.keep_whitespaces { chunk } else { chunk.strip(text) };
            if !chunk.is_empty() {
                chunks.push(chunk);
            }
        };
        let mut gathering = Gathering::default();
        for piece in pieces(text, size, cuts, &*self.tokenizer)? {
            if gathering.with(&piece) > size {
                close(&gathering);
                gathering
                    .drop_front(|tokens| tokens > self.chunk_overlap || piece.tokens.saturating_add(tokens) > size);
            }
            gathering.push(piece);
        }
        close(&gathering);
        Ok(chunks)
    }
}

#[async_trait]
impl Transformation for TokenTextSplitter {
    async fn transform(&self, documents: Vec<Node>) -> Result<Vec<Node>, ModelError> {
        Ok(nodes::parse(&documents, &self.options, |document| {
            let room = room(document, self.chunk_size, MORE_METADATA, &*self.tokenizer)?;
            let chunks = self.split(&document.text_content(), room)?;
            Ok(chunks.into_iter().map(Part::from).collect())
        })?)
    }

    fn cache_settings(&self) -> Option<String> {
        self.options.has_random_ids().then(|| format!("{self:?}"))
    }
}
