//! The files that lie beside the context's where it was opened.

use persist::{Content, PersistFile, ReadFile, read_files};

use super::Persisting;
use crate::file_names::LEGACY_VECTOR_STORE;
use crate::origin::Beside;
use crate::{Action, FileReport};

impl Persisting<'_> {
    /// Brings along the files of LlamaIndex that lay beside the context's where it was opened; tells of all others.
    pub(super) async fn carry_along(&mut self) {
        let beside = self.ctx.origins().beside.clone();
        let Some(Beside { place, names, options, .. }) = beside.filter(|from| from.identity != self.identity) else {
            return;
        };
        for name in names {
            if self.seen.carried.contains(&name) {
                continue;
            }
            if self.taken.contains(&name) || !is_llama_index_file(&name) {
                self.report.left_behind.push(name);
                continue;
            }
            let there = self.writer.listing().get(&name).cloned();
            match (read_files(&*place, &[&name], options.clone()).await.map(|mut files| files.pop().flatten()), there) {
                (Ok(Some(ReadFile { bytes, digest, .. })), Some(there)) => {
                    let size = bytes.len() as u64;
                    match self.has_content(&there, Some((size, digest))).await {
                        Ok(true) => drop(self.seen.carried.insert(name)),
                        _ => self.report.left_behind.push(name),
                    }
                }
                (Ok(Some(ReadFile { bytes, .. })), None) => {
                    let (store, action) = ("beside the stores".to_owned(), Action::Copied);
                    self.tell(FileReport { name: name.clone(), store, action, size: 0, digest: None }, None);
                    self.changes.write.push(PersistFile::new(name.clone(), Content::Bytes(bytes)));
                    self.seen.carried.insert(name);
                }
                // One that is gone by now needs no telling.
                (Ok(None), _) => {}
                (Err(_), _) => self.report.left_behind.push(name),
            }
        }
    }
}

/// Whether LlamaIndex leaves files of this name beside a context's: other kinds of stores, a pipeline's cache, older
/// layouts.
fn is_llama_index_file(name: &str) -> bool {
    matches!(
        name,
        "id_map.json"
            | "image_store.json"
            | "chat_store.json"
            | "llama_cache"
            | "graph_store.json"
            | "property_graph_store.json"
    ) || name.ends_with(LEGACY_VECTOR_STORE)
}
