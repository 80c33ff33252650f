use indexstore::IndexStructData;
use raw_json::PyString;
use schema::{Node, NodeContent};
use storage_context::{DEFAULT_NAMESPACE, IMAGE_NAMESPACE};

use crate::graph_change::GraphChange;
use crate::insertion::{Insertion, ids};
use crate::vector_store::without_embedding;
use crate::{Error, IndexHandle, MultiModalVectorStoreIndex, Result, VectorIndexRetriever};

/// Texts, also those of images, go to the vector store `default`, images to the one called `image`. Images come with
/// their embeddings: a model for texts has none for them.
pub(crate) async fn plan(index: &IndexHandle, nodes: Vec<Node>) -> Result<Insertion> {
    let texts_store = index.vector_store(DEFAULT_NAMESPACE)?;
    let images_store = index.vector_store(IMAGE_NAMESPACE)?;
    let mut texts = Vec::new();
    let mut images = Vec::new();
    for node in nodes {
        let is_text = !node.text_content().is_empty();
        let NodeContent::Image(_, image) = &node.content else {
            if is_text {
                texts.push(node);
            }
            continue;
        };
        if node.embedding.is_none() {
            let purpose = format!("to embed the image '{}' with, which has no embedding", node.id);
            return Err(Error::NoModel { id: Some(index.index_id()), model: "embedder of images", purpose });
        }
        if is_text {
            texts.push(Node { embedding: image.text_embedding.clone(), ..node.clone() });
        }
        images.push(node);
    }
    let identity = index.embed_nodes(&mut texts).await?;
    let listed: Vec<PyString> = texts.iter().chain(&images).map(|node| node.id.clone()).collect();
    let bare: Vec<Node> = texts.iter_mut().chain(&mut images).map(without_embedding).collect();
    Ok(Insertion {
        ids: ids(&bare),
        documents: index.prepare(&bare, true)?,
        summaries: None,
        rows: vec![(texts_store, texts), (images_store, images)],
        change: Box::new(move |data, vector_ids| {
            if let IndexStructData::Multimodal(dict) = data {
                for (at, node_id) in listed.iter().enumerate() {
                    let vector_id = vector_ids.get(at).unwrap_or(node_id);
                    dict.nodes_dict.insert(vector_id.clone(), node_id.clone());
                }
            }
        }),
        identity,
        graph: GraphChange::None,
    })
}

impl MultiModalVectorStoreIndex {
    /// Finds the texts nearest to a question, those of images too.
    pub fn as_retriever(&self) -> VectorIndexRetriever {
        VectorIndexRetriever::new((**self).clone())
    }

    /// Finds the images nearest to a question, which must come with its embedding.
    pub fn image_retriever(&self) -> VectorIndexRetriever {
        VectorIndexRetriever::new((**self).clone()).in_namespace(IMAGE_NAMESPACE)
    }
}
