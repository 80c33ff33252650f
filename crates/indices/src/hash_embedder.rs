use std::collections::HashMap;

use async_trait::async_trait;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{Embedder, ModelError};

/// Embeds texts by the words in them, without a model: for examples, tests, and searches by word.
///
/// Each word, in lower case, adds to one of the embedding's numbers or subtracts from it, and so do the groups of three
/// characters in it, so that forms of a word are near each other; a hash chooses which number and which sign (feature
/// hashing: Weinberger, Dasgupta, Langford, Smola and Attenberg, "Feature Hashing for Large Scale Multitask Learning",
/// 2009). A word that occurs more often counts more, by the logarithm. The result has length 1.
///
/// Texts are near each other if they share words. That is all: it knows no synonyms, no word order, no other languages'
/// words for the same thing, and common words count as much as rare ones. The same text has the same embedding on every
/// machine.
///
/// ```
/// use indices::{Embedder, HashEmbedder};
///
/// # pollster::block_on(async {
/// let embedder = HashEmbedder::new(256);
/// let texts = ["The colca is a storehouse.", "Llamas carry grain."].map(str::to_owned);
/// let [storehouse, llamas] = &embedder.embed_texts(&texts).await?[..] else { unreachable!() };
/// let question = embedder.embed_query("Which storehouses are there?").await?;
/// let near = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
/// assert!(near(&question, storehouse) > near(&question, llamas));
/// # Ok::<(), indices::ModelError>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct HashEmbedder {
    name: String,
    dimensions: usize,
}

/// How much a group of characters counts beside a word.
const GROUP: f64 = 0.25;

impl HashEmbedder {
    /// Makes embeddings of so many numbers; a few hundred tell apart texts of a few hundred words. 0 is taken as 1.
    pub fn new(dimensions: usize) -> Self {
        let dimensions = dimensions.max(1);
        Self { name: format!("hash-embedder-1-{dimensions}"), dimensions }
    }

    fn embed(&self, text: &str) -> Vec<f64> {
        let mut features: HashMap<String, f64> = HashMap::new();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let word = word.to_lowercase();
            let marked: Vec<char> = format!("<{word}>").chars().collect();
            for group in marked.windows(3) {
                *features.entry(group.iter().collect()).or_default() += GROUP;
            }
            *features.entry(format!("={word}")).or_default() += 1.0;
        }
        let mut embedding = vec![0.0; self.dimensions];
        let mut features: Vec<_> = features.into_iter().collect();
        // Sums of floats depend on the order.
        features.sort_by(|a, b| a.0.cmp(&b.0));
        for (feature, count) in features {
            let hash = xxh3_64_with_seed(feature.as_bytes(), 0);
            let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
            embedding[(hash % self.dimensions as u64) as usize] += sign * (1.0 + count).ln();
        }
        let norm = embedding.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 0.0 {
            // As singles, which a vector store keeps in half the space.
            embedding.iter_mut().for_each(|x| *x = f64::from((*x / norm) as f32));
        } else {
            embedding[0] = 1.0;
        }
        embedding
    }
}

/// 384 numbers.
impl Default for HashEmbedder {
    fn default() -> Self {
        Self::new(384)
    }
}

#[async_trait]
impl Embedder for HashEmbedder {
    fn model_name(&self) -> &str {
        &self.name
    }

    fn dimensions(&self) -> Option<usize> {
        Some(self.dimensions)
    }

    async fn embed_texts(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, ModelError> {
        Ok(texts.iter().map(|text| self.embed(text)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &str, b: &str) -> f64 {
        let embedder = HashEmbedder::default();
        embedder.embed(a).iter().zip(embedder.embed(b)).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_that_share_words_are_near() {
        assert!((near("Grain, stored high!", "grain stored HIGH") - 1.0).abs() < 1e-6);
        assert!(near("the colca stores grain", "grain in a colca") > 0.3);
        assert!(near("storehouse", "storehouses") > near("storehouse", "caravan") + 0.1);
    }

    #[test]
    fn every_text_has_a_direction() {
        for text in ["", " ", "?!", "日本語", "a"] {
            assert!((near(text, text) - 1.0).abs() < 1e-6, "{text:?}");
        }
        assert_eq!(HashEmbedder::new(0).embed("x").len(), 1);
    }

    #[test]
    fn embeddings_are_the_same_everywhere() {
        let embedding = HashEmbedder::new(4).embed("llama caravan");
        assert_eq!(embedding, EXPECTED.map(f64::from));
    }

    const EXPECTED: [f32; 4] = [-0.903_358_04, 0.0, -0.428_887_16, 0.0];
}
