//! The agreed deviations: where an answer may differ, and why. Each is explained in `docs/compatibility.md` under its
//! id, and applies by the nature of the input, never by the name of a case.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// An agreed deviation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Its id in `docs/compatibility.md`.
    pub(super) id: &'static str,
    /// What we do instead, in a line.
    pub(super) title: &'static str,
}

macro_rules! rules {
    ($($name:ident = $id:literal, $title:literal;)*) => {
        $(pub(super) const $name: &Rule = &Rule { id: $id, title: $title };)*

        const ALL: &[&Rule] = &[$($name),*];
    };
}

rules! {
    NAMESPACES = "D01", "every namespace of a directory is opened, also with '__' in its name";
    DAMAGED_FILE = "D02", "a damaged vector store file is an error that names it, never dropped in silence";
    UNCHANGED_FILES = "D03", "files of stores that did not change are persisted byte for byte";
    FILES_BESIDE = "D04", "LlamaIndex's files that belong to no store of the context come along";
    OLD_DOCUMENTS = "D05", "documents of 0.6 to 0.8 are read";
    OLD_NODE_FIELDS = "D06", "old nodes keep embedding, character range and children";
    UNKNOWN_FIELDS = "D07", "unknown fields and sections are kept and written back";
    MEDIA_DATA = "D08", "the data of images in old image documents is kept and written back";
    OBJ_OF_INDEX_NODE = "D09", "what an index node points to stays the value that it was";
    UNKNOWN_STRUCTS = "D10", "index structs of unknown kinds are listed and loaded as what they are";
    LOADABLE_INDEXES = "D11", "indexes load that LlamaIndex cannot load, and never keep others from loading";
    OLD_VECTOR_KEYS = "D12", "the documents of vectors of 0.6.0 to 0.6.1x are read";
    NEVER_WINS = "D13", "vectors without a finite similarity come last";
    DOC_IDS = "D14", "doc_ids restrict a query";
    BATCHES = "D15", "batches of any size are accepted";
    KEPT_RECORDS = "D16", "setting a hash keeps the rest of the record";
    ASYNC_DELETE = "D17", "there is one way to delete a node, and it leaves nothing behind";
    KNOWN_BY_HASH = "D18", "a node stored without text counts as known when it is deleted";
    EMPTY_COLLECTIONS = "D19", "reading creates no collections";
    STRUCTS_AS_READ = "D20", "loading an index does not rewrite its struct";
    GRAPH_DELETE = "D21", "deleting a triplet deletes it";
    PREPARED_ADDS = "D22", "vectors are added all or none, and not without an embedding";
    EMPTY_REQUEST = "D23", "an empty request deletes nothing";
    RENAMED_VECTOR_FILE = "D24", "directories of 0.6 to 0.8 open as they are";
    COPIES = "D25", "what a store returns is a copy, which later changes do not touch";
    GRAPH_VALUES = "D26", "values in a graph's lists that are no strings stay what they are";
    EXACT_DELETES = "D27", "deleting from a property graph takes what was asked, and no neighbours";
    EMPTY_GRAPH_REQUEST = "D28", "a deletion that finds nothing in a property graph deletes nothing";
    DANGLING = "D29", "triplets with an end that is no node are passed over";
    RELATIONS_BY_LABEL = "D30", "relations that 0.10.37 to 0.10.42 kept by label are those of their triplets";
    NESTED_FILTERS = "D31", "groups of filters may hold groups";
    FOREIGN_STORES = "D32", "a store of another kind has no content to tell";
    REMEMBERED_MODEL = "D33", "the model that an index was embedded with is remembered";
    FORGOTTEN_NODES = "D34", "an index forgets the nodes that are deleted from it";
    REPEATED_DELETES = "D35", "deleting what is gone is no error";
    REFUSED_INSERTS = "D36", "an insertion that is refused changes nothing";
    DOCUMENTS_OF_GRAPHS = "D37", "every index tells its documents";
    REFUSED_DELETES = "D38", "nodes are deleted from kinds of index that LlamaIndex cannot delete from";
}

/// Fails if a rule is not explained in `docs/compatibility.md`.
pub(super) fn check_documented(root: &Path) -> Result<()> {
    let path = root.join("docs/compatibility.md");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    for rule in ALL {
        if !text.lines().any(|line| line.starts_with(&format!("| {} |", rule.id))) {
            bail!("rule {} ({}) has no row in docs/compatibility.md", rule.id, rule.title);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct_and_documented() {
        let mut ids: Vec<_> = ALL.iter().map(|rule| rule.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
        check_documented(&support::root()).unwrap();
        assert!(check_documented(Path::new("nowhere")).is_err());
    }
}
