use kv_core::{KvStoreExt, WriteBatch};
use raw_json::{Object, PyString, RawJson, Value};

use crate::{KvIndexStore, Result};

/// What an index was embedded with.
///
/// It lies beside the structs in the collection `<namespace>/embedding`, by index id. LlamaIndex does not look at that
/// collection, keeps it, and writes it back.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingIdentity {
    /// The model's name.
    pub model_name: PyString,
    /// How many numbers its embeddings have.
    pub dimensions: usize,
    /// Whether their length is 1.
    pub normalized: bool,
    /// The embedding of one fixed sentence, to tell models of the same name apart.
    pub probe: Vec<f64>,
    /// Fields that this crate does not know; they are written back.
    pub extra: Object,
}

impl EmbeddingIdentity {
    /// Reads a record. `None` if it says nothing that can be compared.
    pub(crate) fn from_raw(raw: &RawJson) -> Option<Self> {
        let Value::Object(mut fields) = raw.value() else { return None };
        let mut take = |name: &str| fields.shift_remove(name.as_bytes());
        let model_name = take("model_name")?.as_str()?.clone();
        let dimensions = match take("dimensions")? {
            Value::Int(n) => usize::try_from(n).ok()?,
            _ => return None,
        };
        let normalized = matches!(take("normalized"), Some(Value::Bool(true)));
        let probe = take("probe")?.as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
        Some(Self { model_name, dimensions, normalized, probe, extra: fields })
    }

    pub(crate) fn to_raw(&self) -> RawJson {
        let known = [
            ("model_name", Value::from(&self.model_name)),
            ("dimensions", self.dimensions.into()),
            ("normalized", self.normalized.into()),
            ("probe", self.probe.clone().into()),
        ];
        let known = known.into_iter().map(|(name, value)| (PyString::from(name), value));
        Value::Object(known.chain(self.extra.clone()).collect()).into()
    }
}

impl KvIndexStore {
    /// What an index was embedded with, or `None` if nobody remembered it.
    ///
    /// # Errors
    /// If the store beneath fails.
    pub async fn embedding_identity(&self, index_id: impl Into<PyString>) -> Result<Option<EmbeddingIdentity>> {
        let raw = self.kv().get(&self.embedding_collection(), index_id).await?;
        Ok(raw.as_ref().and_then(EmbeddingIdentity::from_raw))
    }

    /// Remembers what an index was embedded with. It is renamed and deleted with the index.
    ///
    /// # Errors
    /// If the store beneath fails.
    pub async fn set_embedding_identity(
        &self,
        index_id: impl Into<PyString>,
        identity: &EmbeddingIdentity,
    ) -> Result<()> {
        let mut batch = WriteBatch::new();
        batch.put(self.embedding_collection(), index_id, identity.to_raw());
        Ok(self.kv().apply(batch).await.map(drop)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IndexStruct, IndexStructData};

    fn identity() -> EmbeddingIdentity {
        let extra = [("later", Value::from(1))].into_iter().map(|(k, v)| (k.into(), v)).collect();
        EmbeddingIdentity { model_name: "m".into(), dimensions: 2, normalized: true, probe: vec![0.6, 0.8], extra }
    }

    #[test]
    fn it_goes_where_its_index_goes() {
        pollster::block_on(async {
            let store = KvIndexStore::in_memory().with_namespace("team");
            store.create_index_struct(&IndexStruct::new("a", IndexStructData::Empty), Some(&identity())).await.unwrap();
            assert_eq!(store.embedding_identity("a").await.unwrap(), Some(identity()));
            let stored = store.kv().get("team/embedding", "a").await.unwrap().unwrap();
            assert_eq!(
                stored.as_str(),
                r#"{"model_name": "m", "dimensions": 2, "normalized": true, "probe": [0.6, 0.8], "later": 1}"#
            );
            store.rename_index_struct("a", "b").await.unwrap();
            assert_eq!(store.embedding_identity("a").await.unwrap(), None);
            assert_eq!(store.embedding_identity("b").await.unwrap(), Some(identity()));
            assert!(store.delete_index_struct("b").await.unwrap());
            assert!(!store.delete_index_struct("b").await.unwrap());
            assert_eq!(store.embedding_identity("b").await.unwrap(), None);
        });
    }

    #[test]
    fn what_says_nothing_counts_as_nothing() {
        for json in ["{}", "[]", r#"{"model_name": 1}"#, r#"{"model_name": "m", "dimensions": -1, "probe": []}"#] {
            assert_eq!(EmbeddingIdentity::from_raw(&json.parse().unwrap()), None, "{json}");
        }
    }
}
