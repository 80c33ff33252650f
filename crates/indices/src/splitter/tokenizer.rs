use std::fmt::Debug;

/// Counts tokens.
pub trait Tokenizer: Debug + Send + Sync + 'static {
    /// How many tokens a text has.
    fn count(&self, text: &str) -> usize;
}

/// The tokens of `gpt-3.5-turbo`, LlamaIndex's default. The names of its special tokens, as `<|endoftext|>`, count as
/// one token each.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cl100kBase;

impl Tokenizer for Cl100kBase {
    fn count(&self, text: &str) -> usize {
        // The encoding is built in; without it no text would ever be too long.
        tiktoken::get_encoding("cl100k_base").map_or(0, |encoding| encoding.count_with_special_tokens(text))
    }
}
