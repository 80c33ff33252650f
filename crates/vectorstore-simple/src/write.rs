//! Writing a store's file as LlamaIndex does.

use std::io;

use raw_json::{Dialect, JsonWriter, Object, PyString, Value};

use crate::SimilarityMode;
use crate::load::{EMBEDDINGS, METADATA, REF_DOC_IDS, SIMILARITY};
use crate::state::State;
use crate::vectors::Stored;

impl State {
    pub(crate) fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut json = JsonWriter::new(out, Dialect::Ascii);
        json.begin_object()?;
        json.key(&EMBEDDINGS.into())?;
        json.begin_object()?;
        for (id, embedding) in self.vectors.iter() {
            json.key(id)?;
            match embedding {
                Stored::Aside(raw) => json.raw(raw)?,
                Stored::Row(row) => {
                    json.begin_array()?;
                    row.into_iter().try_for_each(|x| json.f64(x))?;
                    json.end_array()?;
                }
            }
        }
        json.end_object()?;
        json.key(&REF_DOC_IDS.into())?;
        json.begin_object()?;
        for (id, ref_doc_id) in &self.ref_doc_ids {
            json.key(id)?;
            json.string(ref_doc_id)?;
        }
        json.end_object()?;
        json.key(&METADATA.into())?;
        match &self.metadata.0 {
            None => json.value(&Value::Null)?,
            Some(entries) => {
                json.begin_object()?;
                for (id, raw) in entries {
                    json.key(id)?;
                    json.raw(raw)?;
                }
                json.end_object()?;
            }
        }
        if let Some(mode) = self.recorded_similarity() {
            json.key(&SIMILARITY.into())?;
            json.string(&mode.name().into())?;
        }
        for (key, raw) in &self.other {
            json.key(key)?;
            json.raw(raw)?;
        }
        json.end_object()?;
        json.finish().map(drop)
    }

    /// What the file says of how embeddings are compared: nothing if it is as LlamaIndex does.
    fn recorded_similarity(&self) -> Option<SimilarityMode> {
        (self.similarity != SimilarityMode::default()).then_some(self.similarity)
    }

    /// The same as [`write`](Self::write) makes, as a value.
    pub(crate) fn to_dict(&self) -> Value {
        let embedding = |stored| match stored {
            Stored::Aside(raw) => raw.value(),
            Stored::Row(row) => row.into(),
        };
        let embeddings: Object = self.vectors.iter().map(|(id, stored)| (id.clone(), embedding(stored))).collect();
        let ref_doc_ids: Object = self.ref_doc_ids.iter().map(|(id, doc)| (id.clone(), doc.into())).collect();
        let metadata = match &self.metadata.0 {
            None => Value::Null,
            Some(entries) => Value::Object(entries.iter().map(|(id, raw)| (id.clone(), raw.value())).collect()),
        };
        let known =
            [(EMBEDDINGS, Value::Object(embeddings)), (REF_DOC_IDS, Value::Object(ref_doc_ids)), (METADATA, metadata)];
        let similarity = self.recorded_similarity().map(|mode| (SIMILARITY, mode.name().into()));
        let known = known.into_iter().chain(similarity).map(|(key, value)| (PyString::from(key), value));
        Value::Object(known.chain(self.other.iter().map(|(key, raw)| (key.clone(), raw.value()))).collect())
    }
}
