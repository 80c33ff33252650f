//! The embeddings of the recordings: numbers drawn from a hash of the text.

use async_trait::async_trait;
use colca::indices::ModelError;
use colca::prelude::*;
use sha2::{Digest, Sha256};

use super::Case;

/// The number *j* of a text's embedding is 2·u − 1, to six digits, with u from the SHA-256 of `salt|j|text`.
#[derive(Debug, Clone)]
pub struct DetEmbedding {
    dimensions: usize,
    salt: String,
}

impl DetEmbedding {
    /// Makes embeddings of so many dimensions; the salt makes it differ from others.
    pub fn new(dimensions: usize, salt: &str) -> Self {
        Self { dimensions, salt: salt.to_owned() }
    }

    /// The one that a case was recorded with.
    pub(super) fn of(case: &Case) -> Self {
        let dimensions = match case.question("dim") {
            Some(Value::Int(n)) => usize::try_from(n).unwrap_or(0),
            _ => 8,
        };
        let salt = case.question("salt").and_then(|salt| Some(salt.as_str()?.to_string())).unwrap_or_default();
        Self { dimensions, salt }
    }

    /// The embedding of a text.
    pub fn embed(&self, text: &str) -> Vec<f64> {
        let number = |j: usize| {
            let mut hash = Sha256::new();
            hash.update(format!("{}|{j}|{text}", self.salt).as_bytes());
            let drawn = hash.finalize().iter().take(8).fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
            let number = drawn as f64 / 2_f64.powi(64) * 2.0 - 1.0;
            // Through decimals, as Python rounds.
            format!("{number:.6}").parse().unwrap_or(number)
        };
        (0..self.dimensions).map(number).collect()
    }
}

#[async_trait]
impl Embedder for DetEmbedding {
    fn model_name(&self) -> &str {
        "recorded"
    }

    fn dimensions(&self) -> Option<usize> {
        Some(self.dimensions)
    }

    async fn embed_texts(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, ModelError> {
        Ok(texts.iter().map(|text| self.embed(text)).collect())
    }
}
