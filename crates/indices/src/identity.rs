use indexstore::EmbeddingIdentity;
use raw_json::Object;
use schema::{MetadataMode, Node};

use crate::{Embedder, Error, IndexHandle, Result};

/// How many texts a model gets at a time at most.
const BATCH: usize = 2048;

/// The sentence whose embedding is remembered.
const PROBE: &str = "The storekeeper knots a cord for every sack of maize that enters the storehouse.";

/// How far a cosine of the remembered embedding and the same sentence's may be from 1: services round, and compute in
/// another order from day to day.
const TOLERANCE: f64 = 1e-3;

impl IndexHandle {
    /// Embeds the nodes that have no embedding. Returns what is to be remembered of the model, if nothing is so far.
    pub(crate) async fn embed_nodes(&self, nodes: &mut [Node]) -> Result<Option<EmbeddingIdentity>> {
        let missing: Vec<&mut Node> = nodes.iter_mut().filter(|node| node.embedding.is_none()).collect();
        let mut texts = Vec::with_capacity(missing.len());
        for node in &missing {
            texts.push(node.get_content(MetadataMode::Embed)?.to_string_lossy().into_owned());
        }
        let (embeddings, identity) = self.embed_texts(&texts, "nodes").await?;
        for (node, embedding) in missing.into_iter().zip(embeddings) {
            node.embedding = Some(embedding);
        }
        Ok(identity)
    }

    /// The embeddings of nodes, which are made for those that have none, to be compared with a question's.
    pub(crate) async fn embeddings_of(&self, nodes: &[Node], question: &[f64]) -> Result<Vec<Vec<f64>>> {
        let mut nodes = nodes.to_vec();
        self.embed_nodes(&mut nodes).await?;
        let embedding = |node: Node| {
            let embedding = node.embedding.unwrap_or_default();
            let (stored, query) = (embedding.len(), question.len());
            if stored == query {
                return Ok(embedding);
            }
            Err(vectorstore::Error::QueryDimension { id: node.id, stored, query }.into())
        };
        nodes.into_iter().map(embedding).collect()
    }

    /// Embeds texts. Returns their embeddings, with what is to be remembered of the model, if nothing is so far.
    /// Without texts no model is asked for.
    pub(crate) async fn embed_texts(
        &self,
        texts: &[String],
        what: &str,
    ) -> Result<(Vec<Vec<f64>>, Option<EmbeddingIdentity>)> {
        if texts.is_empty() {
            return Ok((Vec::new(), None));
        }
        let embedder = self.embedder(|| format!("to embed {} {what} with", texts.len()))?;
        let recorded = self.ctx.index_store().embedding_identity(self.index_id()).await?;
        self.check_embedder(embedder, recorded.as_ref())?;
        let embeddings = embed_all(embedder, texts).await?;
        let identity = match recorded {
            Some(recorded) => {
                check_dimensions(self, embedder, &recorded, &embeddings)?;
                None
            }
            None => {
                let identity = identify(embedder).await?;
                check(embedder, &[identity.probe.clone(), embeddings[0].clone()])?;
                Some(identity)
            }
        };
        Ok((embeddings, identity))
    }

    /// Embeds a question.
    pub(crate) async fn embed_query(&self, query: &str) -> Result<Vec<f64>> {
        let embedder = self.embedder(|| "to embed the question with, which has no embedding".to_owned())?;
        let recorded = self.ctx.index_store().embedding_identity(self.index_id()).await?;
        self.check_embedder(embedder, recorded.as_ref())?;
        let embedding =
            embedder.embed_query(query).await.map_err(|source| failed(embedder, "to embed the question", source))?;
        if let Some(recorded) = recorded {
            check_dimensions(self, embedder, &recorded, std::slice::from_ref(&embedding))?;
        }
        Ok(embedding)
    }

    /// Compares the embedding of one fixed sentence with the one that is remembered, so that a model is noticed that
    /// has changed under its name. Returns `false` if nothing is remembered.
    ///
    /// # Errors
    /// [`Error::OtherModel`] if they differ by more than rounding, [`Error::NoModel`] and [`Error::Model`].
    pub async fn verify_embedder(&self) -> Result<bool> {
        let embedder = self.embedder(|| "to verify".to_owned())?;
        let recorded = self.ctx.index_store().embedding_identity(self.index_id()).await?;
        self.check_embedder(embedder, recorded.as_ref())?;
        let Some(recorded) = recorded else { return Ok(false) };
        let now = identify(embedder).await?;
        check_dimensions(self, embedder, &recorded, std::slice::from_ref(&now.probe))?;
        if (cosine(&now.probe, &recorded.probe) - 1.0).abs() <= TOLERANCE {
            return Ok(true);
        }
        Err(Error::OtherModel {
            id: self.index_id(),
            recorded: format!("another version of {}", describe(&recorded.model_name.to_string(), recorded.dimensions)),
            given: describe(embedder.model_name(), now.dimensions),
        })
    }

    fn embedder(&self, purpose: impl FnOnce() -> String) -> Result<&dyn Embedder> {
        match &self.settings.embedder {
            Some(embedder) => Ok(&**embedder),
            None => Err(Error::NoModel { id: Some(self.index_id()), model: "embedder", purpose: purpose() }),
        }
    }

    /// Compares what the model says of itself with what is remembered.
    fn check_embedder(&self, embedder: &dyn Embedder, recorded: Option<&EmbeddingIdentity>) -> Result<()> {
        let Some(recorded) = recorded else { return Ok(()) };
        let dimensions = embedder.dimensions().unwrap_or(recorded.dimensions);
        if recorded.model_name == *embedder.model_name() && recorded.dimensions == dimensions {
            return Ok(());
        }
        Err(self.other_model(recorded, embedder, dimensions))
    }

    fn other_model(&self, recorded: &EmbeddingIdentity, given: &dyn Embedder, dimensions: usize) -> Error {
        Error::OtherModel {
            id: self.index_id(),
            recorded: describe(&recorded.model_name.to_string(), recorded.dimensions),
            given: describe(given.model_name(), dimensions),
        }
    }
}

fn describe(name: &str, dimensions: usize) -> String {
    format!("'{name}' ({dimensions} numbers)")
}

fn check_dimensions(
    index: &IndexHandle,
    embedder: &dyn Embedder,
    recorded: &EmbeddingIdentity,
    embeddings: &[Vec<f64>],
) -> Result<()> {
    match embeddings.iter().find(|embedding| embedding.len() != recorded.dimensions) {
        Some(other) => Err(index.other_model(recorded, embedder, other.len())),
        None => Ok(()),
    }
}

/// Embeds texts, batch by batch.
pub(crate) async fn embed_all(embedder: &dyn Embedder, texts: &[String]) -> Result<Vec<Vec<f64>>> {
    let mut embeddings = Vec::with_capacity(texts.len());
    for batch in texts.chunks(BATCH) {
        let purpose = || format!("to embed {} texts", batch.len());
        let embedded = embedder.embed_texts(batch).await.map_err(|source| failed(embedder, &purpose(), source))?;
        if embedded.len() != batch.len() {
            let source = format!("it returned {} embeddings", embedded.len()).into();
            return Err(failed(embedder, &purpose(), source));
        }
        embeddings.extend(embedded);
    }
    check(embedder, &embeddings)?;
    Ok(embeddings)
}

/// Checks that a model's embeddings are of finite numbers, and all of the same length.
fn check(embedder: &dyn Embedder, embeddings: &[Vec<f64>]) -> Result<()> {
    let Some(first) = embeddings.first() else { return Ok(()) };
    for embedding in embeddings {
        let problem = if embedding.len() != first.len() {
            format!("it returned embeddings of {} numbers and of {}", first.len(), embedding.len())
        } else if embedding.is_empty() {
            "it returned an embedding without numbers".to_owned()
        } else if let Some(number) = embedding.iter().find(|number| !number.is_finite()) {
            format!("it returned an embedding with the number {number}")
        } else {
            continue;
        };
        return Err(failed(embedder, &format!("to embed {} texts", embeddings.len()), problem.into()));
    }
    Ok(())
}

async fn identify(embedder: &dyn Embedder) -> Result<EmbeddingIdentity> {
    let probe = embedder.embed_text(PROBE).await.map_err(|source| failed(embedder, "to embed a sentence", source))?;
    let norm = probe.iter().map(|x| x * x).sum::<f64>().sqrt();
    Ok(EmbeddingIdentity {
        model_name: embedder.model_name().into(),
        dimensions: probe.len(),
        normalized: (norm - 1.0).abs() < TOLERANCE,
        probe,
        extra: Object::new(),
    })
}

fn failed(embedder: &dyn Embedder, purpose: &str, source: crate::ModelError) -> Error {
    Error::Model { model: embedder.model_name().to_owned(), purpose: purpose.to_owned(), source }
}

/// The cosine of two embeddings of the same length; not a number if one of them has no direction.
pub(crate) fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}
