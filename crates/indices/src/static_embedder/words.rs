use std::panic::{AssertUnwindSafe, catch_unwind};

use raw_json::{Dialect, Scanner, Text, write_string};
use tokenizers::{ModelWrapper, Tokenizer};

use crate::ModelError;

/// A tokenizer, as far as static models need one.
pub(super) struct Words {
    tokenizer: Tokenizer,
    /// The token that stands for what is not known.
    unknown: Option<u32>,
}

/// What static models do without: cutting texts off, filling them up, adding tokens, and making texts of tokens.
const NEEDLESS: [&str; 4] = ["decoder", "padding", "post_processor", "truncation"];

impl Words {
    /// Reads a tokenizer's JSON file, or says what is wrong with it.
    pub(super) fn parse(file: &[u8]) -> Result<Self, String> {
        let needed = needed(file).map_err(|e| e.to_string())?;
        let tokenizer = guarded(|| Tokenizer::from_bytes(needed)).map_err(|e| e.to_string())?;
        let unknown = match tokenizer.get_model() {
            ModelWrapper::BPE(model) => model.get_unk_token().clone(),
            ModelWrapper::WordPiece(model) => Some(model.unk_token.clone()),
            ModelWrapper::WordLevel(model) => Some(model.unk_token.clone()),
            // As model2vec does: the token has a vector like any other.
            ModelWrapper::Unigram(_) => None,
        };
        let unknown = unknown.and_then(|token| tokenizer.token_to_id(&token));
        Ok(Self { tokenizer, unknown })
    }

    /// The last of all tokens.
    pub(super) fn last(&self) -> Option<u32> {
        self.tokenizer.get_vocab(true).into_values().max()
    }

    /// The tokens of a text, but for unknown ones.
    pub(super) fn tokens(&self, text: &str) -> Result<Vec<usize>, ModelError> {
        let encoding = guarded(|| self.tokenizer.encode_fast(text, false))?;
        let known = encoding.get_ids().iter().filter(|id| Some(**id) != self.unknown);
        Ok(known.map(|id| *id as usize).collect())
    }
}

/// Checks that a file is a JSON object, and returns it without what is needless.
fn needed(file: &[u8]) -> raw_json::Result<Vec<u8>> {
    let text = Text::decode(file.to_vec())?;
    let mut scanner = Scanner::new(&text);
    let mut needed = b"{".to_vec();
    scanner.object(|key, scanner| {
        let value = scanner.raw()?;
        if !NEEDLESS.iter().any(|needless| key == **needless) {
            if needed.len() > 1 {
                needed.push(b',');
            }
            write_string(&mut needed, &key, Dialect::Compact);
            needed.push(b':');
            needed.extend_from_slice(value.as_str().as_bytes());
        }
        Ok::<(), raw_json::Error>(())
    })?;
    scanner.finish()?;
    needed.push(b'}');
    Ok(needed)
}

/// The library panics on some damaged files: inside what normalizes texts, when it reads it or when it uses it.
fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, ModelError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(done) => done,
        Err(_) => Err("the tokenizer breaks off".into()),
    }
}
