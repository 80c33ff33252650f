use std::collections::HashSet;

use docstore::KvDocumentStore;
use indexmap::IndexSet;
use raw_json::PyString;
use schema::Node;

use super::DocstoreStrategy;
use crate::Result;

/// What a run has to do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) todo: Vec<Todo>,
    /// How many inputs are as they were.
    pub(super) unchanged: usize,
    /// Documents that are no more.
    pub(super) gone: Vec<PyString>,
}

/// An input that has to be worked on.
#[derive(Debug)]
pub(super) struct Todo {
    pub(super) input: Node,
    /// Whether there is an old version of it.
    pub(super) is_update: bool,
}

/// Compares the inputs with what the document store knows of them. An input is known by its id, never by its text.
pub(super) async fn plan(
    inputs: Vec<Node>,
    docstore: Option<&KvDocumentStore>,
    strategy: DocstoreStrategy,
) -> Result<Plan> {
    let Some(store) = docstore else {
        let todo = inputs.into_iter().map(|input| Todo { input, is_update: false }).collect();
        return Ok(Plan { todo, ..Plan::default() });
    };
    match strategy {
        DocstoreStrategy::DuplicatesOnly => without_duplicates(inputs, store).await,
        DocstoreStrategy::Upserts => upserts(inputs, store).await,
        DocstoreStrategy::UpsertsAndDelete => {
            let given: HashSet<PyString> = inputs.iter().map(|input| input.id.clone()).collect();
            let mut sources = HashSet::new();
            for input in &inputs {
                sources.extend(input.ref_doc_id()?.cloned());
            }
            let mut plan = upserts(inputs, store).await?;
            plan.gone = gone(store, &given, &sources).await?;
            Ok(plan)
        }
    }
}

async fn upserts(inputs: Vec<Node>, store: &KvDocumentStore) -> Result<Plan> {
    let ids: Vec<PyString> = inputs.iter().map(|input| input.id.clone()).collect();
    let stored = store.get_document_hashes(&ids).await?;
    let mut plan = Plan::default();
    for (input, stored) in inputs.into_iter().zip(stored) {
        match stored {
            Some(stored) if stored == *input.hash()? => plan.unchanged += 1,
            stored => plan.todo.push(Todo { input, is_update: stored.is_some() }),
        }
    }
    Ok(plan)
}

async fn without_duplicates(inputs: Vec<Node>, store: &KvDocumentStore) -> Result<Plan> {
    let mut seen: HashSet<PyString> = store.get_all_document_hashes().await?.into_values().collect();
    let mut plan = Plan::default();
    for input in inputs {
        if seen.insert(input.hash()?.into()) {
            plan.todo.push(Todo { input, is_update: false });
        } else {
            plan.unchanged += 1;
        }
    }
    Ok(plan)
}

/// The documents that the store knows and the run does not. Nodes go with their documents.
async fn gone(
    store: &KvDocumentStore,
    given: &HashSet<PyString>,
    sources: &HashSet<PyString>,
) -> Result<Vec<PyString>> {
    let known: IndexSet<PyString> = store.get_all_document_hashes().await?.into_keys().collect();
    let infos = store.get_all_ref_doc_info().await?;
    let mut of_document: HashSet<&PyString> = HashSet::new();
    for (document, info) in &infos {
        of_document.extend(info.node_ids.iter().filter(|_| !given.contains(document)));
    }
    let is_gone = |id: &&PyString| !given.contains(*id) && !sources.contains(*id) && !of_document.contains(*id);
    Ok(known.iter().chain(infos.keys()).filter(is_gone).cloned().collect::<IndexSet<_>>().into_iter().collect())
}
