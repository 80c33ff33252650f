mod error;
mod files;
mod weights;
mod words;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use raw_json::{RawJson, Text, Value};
use xxhash_rust::xxh3::Xxh3;

use self::files::{File, Files};
use self::weights::Weights;
use self::words::Words;
use crate::{Embedder, ModelError};

pub use self::error::StaticModelError;

/// Embeds texts by the mean of their tokens' vectors: static embedding models, as made by model2vec and wordllama.
///
/// Such a model is a table with a vector for each token, and a tokenizer. It runs on any machine, knows synonyms and
/// forms of words, and knows no word order. A hundred thousand sentences a second are usual.
///
/// Read are safetensors files with a tensor `embeddings` or `embedding.weight` of F16, BF16, F32, F64 or I8, where
/// there are some with `mapping` (the row of each token) and `weights` (how much each token counts), and tokenizers as
/// JSON files. A text is embedded whole, however long it is; tokens that the tokenizer names unknown do not count, and
/// a text without any token has an embedding of zeros, which is near nothing. Embeddings have length 1, unless
/// `config.json` beside the weights has `"normalize": false`. A clone shares the table. All work is done by the task
/// that asks.
///
/// The model's name ends with a digest of what it is made of, so that an index notices another model of the same name.
/// It does not depend on the folder.
///
/// ```no_run
/// use indices::{Embedder, StaticEmbedder};
///
/// # pollster::block_on(async {
/// let embedder = StaticEmbedder::open("models/potion-base-8M").await?;
/// println!("{} makes embeddings of {:?} numbers", embedder.model_name(), embedder.dimensions());
/// # Ok::<(), indices::StaticModelError>(())
/// # }).unwrap();
/// ```
///
/// Source: the layouts are those of model2vec (Tulkens and van Dongen, "Model2Vec: Fast State-of-the-Art Static
/// Embeddings", 2024) and wordllama.
#[derive(Clone)]
pub struct StaticEmbedder {
    name: String,
    model: Arc<Model>,
}

struct Model {
    weights: Weights,
    words: Words,
    normalize: bool,
}

impl StaticEmbedder {
    /// Opens the model in a folder, which has one safetensors file (or `model.safetensors`) and one JSON file of a
    /// tokenizer (or `tokenizer.json`), side by side or in its folders `weights` and `tokenizers`.
    ///
    /// # Errors
    /// [`StaticModelError`], which names the file and what is wrong with it.
    pub async fn open(folder: impl AsRef<Path>) -> Result<Self, StaticModelError> {
        Self::load(&Files::find(folder.as_ref()).await?).await
    }

    /// Opens the model of these two files.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_files(weights: impl AsRef<Path>, tokenizer: impl AsRef<Path>) -> Result<Self, StaticModelError> {
        Self::load(&Files::new(weights.as_ref(), tokenizer.as_ref())).await
    }

    /// Names the model, in front of the digest. By default it has the name of the safetensors file, unless that is
    /// `model`.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        let digest = self.name.rsplit('@').next().unwrap_or_default();
        self.name = format!("{name}@{digest}");
        self
    }

    async fn load(files: &Files) -> Result<Self, StaticModelError> {
        let normalize = match files.read_config().await? {
            Some(config) => normalizes(config)?,
            None => true,
        };
        let (weights, tokenizer) = (files.read_weights().await?, files.read_tokenizer().await?);
        let mut digest = Xxh3::new();
        for part in [&weights.bytes, &tokenizer.bytes] {
            digest.update(&(part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.update(&[u8::from(normalize)]);
        let name = files.stem().unwrap_or_else(|| "static".to_owned());
        let name = format!("{name}@{:016x}", digest.digest());
        Ok(Self { name, model: Arc::new(Model::parse(&weights, &tokenizer, normalize)?) })
    }
}

impl Model {
    fn parse(weights_file: &File, tokenizer: &File, normalize: bool) -> Result<Self, StaticModelError> {
        let weights = Weights::parse(&weights_file.path, &weights_file.bytes)?;
        let words = Words::parse(&tokenizer.bytes).map_err(|problem| StaticModelError::Damaged {
            file: tokenizer.path.clone(),
            wanted: "tokenizer's JSON file",
            problem,
        })?;
        if let Some(token) = words.last().filter(|token| *token as usize >= weights.tokens()) {
            return Err(StaticModelError::OtherTokenizer {
                tokenizer: tokenizer.path.clone(),
                token,
                weights: weights_file.path.clone(),
                tokens: weights.tokens(),
            });
        }
        Ok(Self { weights, words, normalize })
    }

    fn embed(&self, text: &str) -> Result<Vec<f64>, ModelError> {
        let tokens = self.words.tokens(text)?;
        let mut embedding = vec![0.0; self.weights.dimensions];
        for token in &tokens {
            self.weights.add(*token, &mut embedding);
        }
        let length = match self.normalize {
            true => embedding.iter().map(|x| x * x).sum::<f64>().sqrt(),
            false => tokens.len() as f64,
        };
        if length > 0.0 {
            // A store keeps what is exactly a float of 32 bits in half the memory.
            embedding.iter_mut().for_each(|x| *x = f64::from((*x / length) as f32));
        }
        Ok(embedding)
    }
}

#[async_trait]
impl Embedder for StaticEmbedder {
    fn model_name(&self) -> &str {
        &self.name
    }

    fn dimensions(&self) -> Option<usize> {
        Some(self.model.weights.dimensions)
    }

    async fn embed_texts(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, ModelError> {
        texts.iter().map(|text| self.model.embed(text)).collect()
    }
}

impl fmt::Debug for StaticEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticEmbedder")
            .field("name", &self.name)
            .field("tokens", &self.model.weights.tokens())
            .field("dimensions", &self.model.weights.dimensions)
            .finish_non_exhaustive()
    }
}

/// Whether a model's settings ask for embeddings of length 1. Without such a setting they have it.
fn normalizes(config: File) -> Result<bool, StaticModelError> {
    let settings = Text::decode(config.bytes).and_then(|text| RawJson::parse(&text));
    let settings = settings.map_err(|e| StaticModelError::Damaged {
        file: config.path,
        wanted: "JSON file of settings",
        problem: e.to_string(),
    })?;
    Ok(!matches!(settings.value().get("normalize"), Some(Value::Bool(false))))
}
