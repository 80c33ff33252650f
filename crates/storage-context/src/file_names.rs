use crate::origin::Role;

/// Where LlamaIndex persists when no place is named.
pub const DEFAULT_PERSIST_DIR: &str = "./storage";

/// The namespace of the vector store that indexes use.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The namespace of the vector store for images.
pub const IMAGE_NAMESPACE: &str = "image";

/// What 0.6.0 to 0.8.5x called the file of the only vector store.
pub(crate) const LEGACY_VECTOR_STORE: &str = "vector_store.json";

/// Stands between a namespace and the rest of a vector store's file name.
const SEPARATOR: &str = "__";

/// The names of a context's files. LlamaIndex opens only the default ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNames {
    /// The document store's. Default `docstore.json`.
    pub docstore: String,
    /// The index store's. Default `index_store.json`.
    pub index_store: String,
    /// What follows `{namespace}__` in the vector stores'. Default `vector_store.json`.
    pub vector_store: String,
    /// The graph store's. Default `graph_store.json`.
    pub graph_store: String,
    /// The property graph store's. Default `property_graph_store.json`.
    pub property_graph_store: String,
}

impl Default for FileNames {
    fn default() -> Self {
        Self {
            docstore: "docstore.json".to_owned(),
            index_store: "index_store.json".to_owned(),
            vector_store: "vector_store.json".to_owned(),
            graph_store: "graph_store.json".to_owned(),
            property_graph_store: "property_graph_store.json".to_owned(),
        }
    }
}

impl FileNames {
    /// The file of a vector store.
    pub fn vector_store(&self, namespace: &str) -> String {
        format!("{namespace}{SEPARATOR}{}", self.vector_store)
    }

    /// The namespace that a vector store's file is of: its name up to the *last* separator, so that namespaces may
    /// contain one.
    pub fn namespace<'a>(&self, file: &'a str) -> Option<&'a str> {
        file.strip_suffix(&self.vector_store)?.strip_suffix(SEPARATOR)
    }

    /// The file of a store.
    pub(crate) fn of(&self, role: &Role) -> String {
        match role {
            Role::Docstore => self.docstore.clone(),
            Role::IndexStore => self.index_store.clone(),
            Role::GraphStore => self.graph_store.clone(),
            Role::PropertyGraphStore => self.property_graph_store.clone(),
            Role::VectorStore(namespace) => self.vector_store(namespace),
        }
    }

    /// The store that a file of this name is of, if it is of one.
    pub(crate) fn role(&self, file: &str) -> Option<Role> {
        match file {
            _ if file == self.docstore => Some(Role::Docstore),
            _ if file == self.index_store => Some(Role::IndexStore),
            _ if file == self.graph_store => Some(Role::GraphStore),
            _ if file == self.property_graph_store => Some(Role::PropertyGraphStore),
            LEGACY_VECTOR_STORE => Some(Role::VectorStore(DEFAULT_NAMESPACE.to_owned())),
            _ => self.namespace(file).map(|namespace| Role::VectorStore(namespace.to_owned())),
        }
    }

    /// Whether a file of this name is of a store.
    pub(crate) fn is_store(&self, file: &str) -> bool {
        self.role(file).is_some()
    }

    /// Whether LlamaIndex, which takes the name up to the *first* separator, finds this namespace's file.
    pub(crate) fn python_finds(&self, namespace: &str) -> bool {
        self.vector_store(namespace).split_once(SEPARATOR).is_some_and(|(found, _)| found == namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_round_trip() {
        let names = FileNames::default();
        for (namespace, python_finds) in
            [("default", true), ("", true), ("béta", true), ("team__a", false), ("a_", false), ("_", false)]
        {
            let file = names.vector_store(namespace);
            assert_eq!(names.namespace(&file), Some(namespace));
            assert_eq!(names.python_finds(namespace), python_finds, "{namespace:?}");
        }
        for file in ["vector_store.json", "foovector_store.json", "x__vector_store.json.bak", "docstore.json"] {
            assert_eq!(names.namespace(file), None, "{file}");
        }
    }
}
