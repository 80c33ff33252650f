//! What today's LlamaIndex will not read.

use crate::{Error, FileNames, PythonProblem, Result, StorageContext};

impl StorageContext {
    /// What today's LlamaIndex will not read in the files of this context.
    pub(crate) async fn python_problems(&self, names: &FileNames) -> Result<Vec<PythonProblem>> {
        let mut problems = Vec::new();
        let mut add = |file: &str, problem: String| problems.push(PythonProblem { file: file.to_owned(), problem });
        let default = FileNames::default();
        for (name, default) in [
            (&names.docstore, &default.docstore),
            (&names.index_store, &default.index_store),
            (&names.graph_store, &default.graph_store),
        ] {
            if name != default {
                add(name, format!("it opens {default} only"));
            }
        }
        let nodes = self.docstore().nodes_collection();
        if self.docstore().kv().to_file().is_some() && nodes != "docstore/data" {
            add(&names.docstore, format!("its nodes are in '{nodes}', and it looks into 'docstore/data' only"));
        }
        if self.index_store().kv().to_file().is_some() {
            match self.index_store().python_problems().await {
                Ok(structs) => {
                    for (id, why) in structs {
                        add(&names.index_store, format!("it cannot list indexes as long as '{id}' is there: {why}"));
                    }
                }
                // Such a file came so, and goes back as it came.
                Err(indexstore::Error::Kv(e @ kv_core::Error::NotACollection { .. })) => {
                    add(&names.index_store, format!("it cannot list indexes: {e}"));
                }
                Err(e) => return Err(Error::store("index store", e)),
            }
        }
        if let Some(graph) = self.property_graph_store() {
            if names.property_graph_store != default.property_graph_store {
                add(&names.property_graph_store, format!("it opens {} only", default.property_graph_store));
            }
            if let Some(problem) = graph.python_problem() {
                add(&names.property_graph_store, problem.to_string());
            }
        }
        for namespace in self.namespaces() {
            let file = names.vector_store(&namespace);
            if names.vector_store != default.vector_store {
                add(&file, format!("it opens {} only", default.vector_store(&namespace)));
            } else if !names.python_finds(&namespace) {
                add(&file, "it takes a namespace to end at the first '__'".to_owned());
            }
            if let Some(problem) = self.vector_store_of(&namespace).and_then(|store| store.python_problem()) {
                add(&file, problem);
            }
        }
        Ok(problems)
    }
}
