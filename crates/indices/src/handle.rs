use docstore::RefDocInfo;
use graphstore::NodeFilter;
use indexmap::{IndexMap, IndexSet};
use indexstore::{IndexStruct, IndexStructData};
use raw_json::PyString;
use schema::Node;
use storage_context::StorageContext;

use crate::{Error, Result};

/// What all kinds of index have in common: a struct, and the context whose stores have the nodes.
#[derive(Debug, Clone)]
pub struct IndexHandle {
    ctx: StorageContext,
    index_struct: IndexStruct,
}

impl IndexHandle {
    pub(crate) fn new(ctx: StorageContext, index_struct: IndexStruct) -> Self {
        Self { ctx, index_struct }
    }

    /// The context the index lives in.
    pub fn storage_context(&self) -> &StorageContext {
        &self.ctx
    }

    /// The index's id.
    pub fn index_id(&self) -> &PyString {
        &self.index_struct.index_id
    }

    /// What the index is about, if someone said so.
    pub fn summary(&self) -> Option<&PyString> {
        self.index_struct.summary.as_ref()
    }

    /// Which nodes the index has and how they hang together.
    pub fn index_struct(&self) -> &IndexStruct {
        &self.index_struct
    }

    /// The ids of the index's nodes, each once, in its order.
    ///
    /// # Errors
    /// [`Error::UnknownNodes`] for a kind that is unknown or a struct that is damaged.
    pub async fn node_ids(&self) -> Result<IndexSet<PyString>> {
        if let IndexStructData::Other { type_name, problem, .. } = &self.index_struct.data {
            let (id, kind) = (self.index_id().clone(), type_name.clone());
            return Err(Error::UnknownNodes { id, kind, problem: problem.clone() });
        }
        match (&self.index_struct.data, self.ctx.property_graph_store()) {
            // Its struct names no nodes: they are the text chunks of the graph.
            (IndexStructData::PropertyGraph, Some(graph)) => {
                let nodes = graph.get(&NodeFilter::default()).await?;
                Ok(nodes.into_iter().filter(|node| node.text().is_some()).map(|node| node.id().clone()).collect())
            }
            _ => Ok(self.index_struct.node_ids().unwrap_or_default()),
        }
    }

    /// The index's nodes, each once, in its order.
    ///
    /// # Errors
    /// [`Error::MissingNodes`] if the document store lacks some, and those of [`node_ids`](Self::node_ids).
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        let ids: Vec<PyString> = self.node_ids().await?.into_iter().collect();
        let found = self.ctx.docstore().get_nodes(&ids).await?;
        let missing: Vec<PyString> =
            ids.iter().zip(&found).filter(|(_, node)| node.is_none()).map(|(id, _)| id.clone()).collect();
        if !missing.is_empty() {
            return Err(Error::MissingNodes { id: self.index_id().clone(), missing });
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The documents that the index's nodes come from.
    ///
    /// # Errors
    /// As [`nodes`](Self::nodes).
    pub async fn ref_doc_info(&self) -> Result<IndexMap<PyString, RefDocInfo>> {
        let mut documents = IndexSet::new();
        for node in self.nodes().await? {
            let source = node.ref_doc_id().map_err(|source| docstore::Error::Node {
                collection: self.ctx.docstore().nodes_collection().to_owned(),
                source,
            })?;
            documents.extend(source.cloned());
        }
        let mut infos = IndexMap::new();
        for id in documents {
            if let Some(info) = self.ctx.docstore().get_ref_doc_info(&id).await? {
                infos.insert(id, info);
            }
        }
        Ok(infos)
    }

    /// Gives the index another id, here and in the index store, where it moves to the end of the order.
    ///
    /// # Errors
    /// [`indexstore::Error::AlreadyExists`] if another index has it; nothing has changed then.
    pub async fn set_index_id(&mut self, index_id: impl Into<PyString>) -> Result<()> {
        let id = index_id.into();
        self.ctx.index_store().rename_index_struct(self.index_id(), &id).await?;
        self.index_struct.index_id = id;
        Ok(())
    }

    /// Says what the index is about, here and in the index store.
    ///
    /// # Errors
    /// If the index store fails.
    pub async fn set_summary(&mut self, summary: impl Into<PyString>) -> Result<()> {
        let changed = IndexStruct { summary: Some(summary.into()), ..self.index_struct.clone() };
        self.ctx.index_store().add_index_struct(&changed).await?;
        self.index_struct = changed;
        Ok(())
    }
}
