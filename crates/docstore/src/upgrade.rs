use futures_util::TryStreamExt;
use kv_core::WriteBatch;
use raw_json::PyString;
use schema::Node;

use crate::{KvDocumentStore, RefDocInfo, Result};

/// What an upgrade has done to a document store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upgraded {
    /// How many nodes were rewritten.
    pub nodes: usize,
    /// How many documents' records were rewritten.
    pub ref_docs: usize,
    /// What could not be read, with the reason; it stays as it is.
    pub unreadable: Vec<(PyString, String)>,
}

/// How many records one batch rewrites.
const BATCH_SIZE: usize = 1000;

impl KvDocumentStore {
    /// Rewrites the nodes and records that are not in the form of LlamaIndex 0.14, so that today's Python reads them.
    /// Hashes stay as they are.
    ///
    /// Batches of 1,000 records; each is atomic where the store beneath can do that, and repeating an upgrade does no
    /// harm.
    ///
    /// # Errors
    /// If the store beneath fails, or another writer changes a record at the same moment.
    pub async fn upgrade(&self) -> Result<Upgraded> {
        let mut upgraded = Upgraded::default();
        let mut pages = self.kv.scan(&self.nodes, BATCH_SIZE);
        while let Some(page) = pages.try_next().await? {
            let mut batch = WriteBatch::new();
            for (id, raw) in page {
                match Node::from_raw(&raw, &id) {
                    Ok(node) if node.to_value() != raw.value() => {
                        upgraded.nodes += 1;
                        batch.put(&self.nodes, &id, node.to_value());
                        batch.require(&self.nodes, &id, Some(raw));
                    }
                    Ok(_) => {}
                    Err(problem) => upgraded.unreadable.push((id, problem.to_string())),
                }
            }
            self.kv.apply(batch).await?;
        }
        let mut pages = self.kv.scan(&self.ref_doc_info, BATCH_SIZE);
        while let Some(page) = pages.try_next().await? {
            let mut batch = WriteBatch::new();
            for (id, raw) in page {
                match RefDocInfo::from_raw(&raw) {
                    Ok(Some(info)) if info.to_value() != raw.value() => {
                        upgraded.ref_docs += 1;
                        batch.put(&self.ref_doc_info, &id, info.to_value());
                        batch.require(&self.ref_doc_info, &id, Some(raw));
                    }
                    Ok(_) => {}
                    Err(problem) => upgraded.unreadable.push((id, problem.to_owned())),
                }
            }
            self.kv.apply(batch).await?;
        }
        Ok(upgraded)
    }
}
