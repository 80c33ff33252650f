//! Restriction by metadata, for every operator and every kind of value.

use std::sync::Arc;

use raw_json::{PyString, RawJson, Value};
use schema::Node;

use super::{NORTH, all, found, four, id, ids, node};
use crate::{
    Error, FilterOperator, FilterValue, MetadataFilter, MetadataFilters, Mismatch, NodeSelection, VectorStore,
    VectorStoreQuery, field,
};

/// What each filter does with each kind of metadata: `yes` for a match, `-` for none, and `error` where the filter
/// cannot be applied. These are LlamaIndex's answers.
pub const TRUTH_TABLE: &str = include_str!("truth_table.md");

/// The key that the table's filters are about.
const KEY: &str = "k";

struct Table {
    /// The metadata of each column; `None` where it is missing.
    columns: Vec<Option<Value>>,
    rows: Vec<(MetadataFilter, Vec<&'static str>)>,
}

impl Table {
    fn read() -> Self {
        let cells = |line: &'static str| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`'));
        let mut lines = TRUTH_TABLE.lines();
        let json = |text: &str| text.parse::<RawJson>().unwrap().value();
        let columns = cells(lines.next().unwrap()).skip(1).map(|text| (text != "missing").then(|| json(text)));
        let columns: Vec<_> = columns.collect();
        let row = |line| {
            let mut cells = cells(line);
            let (operator, value) =
                cells.next().map(|filter| filter.split_once(' ').unwrap_or((filter, "null"))).unwrap();
            let operator = FilterOperator::ALL.into_iter().find(|known| known.name() == operator).unwrap();
            let filter = MetadataFilter { key: KEY.into(), value: FilterValue::new(json(value)).unwrap(), operator };
            let answers: Vec<_> = cells.collect();
            assert_eq!(answers.len(), columns.len());
            (filter, answers)
        };
        let rows: Vec<_> = lines.skip(1).map(row).collect();
        assert!(FilterOperator::ALL.iter().all(|operator| rows.iter().any(|(filter, _)| filter.operator == *operator)));
        Self { columns, rows }
    }

    fn nodes(&self) -> Vec<Node> {
        let node = |(n, value): (usize, &Option<Value>)| match value {
            None => node(n as u32, NORTH),
            Some(value) => node(n as u32, NORTH).with_metadata(KEY, value.clone()),
        };
        self.columns.iter().enumerate().map(node).collect()
    }
}

/// Every cell of [`TRUTH_TABLE`], alone and in its row: what matches is found, and what a filter cannot be applied to is
/// an error, which names the node and the filter, or no match.
pub async fn filters_do_what_the_table_says(store: Arc<dyn VectorStore>) {
    let table = Table::read();
    store.add(&table.nodes()).await.unwrap();
    let everything = VectorStoreQuery::new(NORTH).with_top_k(0);
    for (filter, answers) in &table.rows {
        let query = everything.clone().with_filters(MetadataFilters::all([filter.clone().into()]));
        for (n, answer) in answers.iter().enumerate() {
            let one = query.clone().with_node_ids([id(n as u32)]);
            let told = match store.query(&one).await {
                Ok(found) if found.ids.is_empty() => "-",
                Ok(_) => "yes",
                Err(Error::FilterMismatch { id: named, filter: told, .. }) => {
                    assert_eq!((named, told), (id(n as u32), filter.to_string()));
                    "error"
                }
                Err(other) => panic!("{other}"),
            };
            assert_eq!(told, *answer, "`{filter}` of {:?}", table.columns[n]);
        }
        let is =
            |answer: &str| (0..answers.len() as u32).filter(|&n| answers[n as usize] == answer).collect::<Vec<_>>();
        let is_refused = match store.query(&query).await {
            Ok(_) => false,
            Err(Error::FilterMismatch { .. }) => true,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(is_refused, !is("error").is_empty(), "`{filter}`");
        assert_same(found(&*store, query.with_mismatch(Mismatch::NoMatch)).await, &is("yes"), filter);
    }
}

/// The same nodes in any order; all are equally similar.
fn assert_same(mut found: Vec<PyString>, expected: &[u32], filter: &MetadataFilter) {
    found.sort();
    assert_eq!(found, ids(expected), "`{filter}`");
}

/// Groups in groups of every condition; an empty group restricts nothing.
pub async fn groups_of_filters_combine(store: Arc<dyn VectorStore>) {
    let years = [(1, 1990, "en"), (2, 1990, "de"), (3, 2020, "en")];
    let mut nodes: Vec<Node> = years
        .iter()
        .map(|&(n, year, lang)| node(n, NORTH).with_metadata("year", year).with_metadata("lang", lang))
        .collect();
    nodes.push(node(4, NORTH));
    store.add(&nodes).await.unwrap();
    let old = || field("year").lt(2000);
    let german = || field("lang").eq("de");
    let nothing = || MetadataFilters::default().into();
    let cases = [
        (old() & german(), &[2][..]),
        (old() | german(), &[1, 2]),
        (!old(), &[3, 4]),
        (!(old() | german()), &[3, 4]),
        (old() & !german(), &[1]),
        (!(old() & german()) & !field("lang").is_empty(), &[1, 3]),
        ((old() & german()) | field("year").ge(2020), &[2, 3]),
        (!!german(), &[2]),
        (nothing(), &[1, 2, 3, 4]),
        (german() & nothing(), &[2]),
        (nothing() | german(), &[2]),
        (!nothing(), &[1, 2, 3, 4]),
    ];
    for (filter, expected) in cases {
        let filters = MetadataFilters::from(filter);
        let query = VectorStoreQuery::new(NORTH).with_top_k(0).with_filters(filters.clone());
        let mut found = found(&*store, query).await;
        found.sort();
        assert_eq!(found, ids(expected), "{filters}");
    }
}

/// The class and the document, which stores record with the metadata, can be filtered by; and all restrictions hold
/// together.
pub async fn filters_join_other_restrictions(store: Arc<dyn VectorStore>) {
    store.add(&four()).await.unwrap();
    let query = || VectorStoreQuery::new(NORTH).with_top_k(0);
    assert_eq!(found(&*store, query().with_filters(field("_node_type").eq("TextNode"))).await.len(), 4);
    let of_101 = || field("ref_doc_id").eq(id(101));
    assert_eq!(found(&*store, query().with_filters(of_101())).await, ids(&[1, 2]));
    assert_eq!(found(&*store, query().with_filters(of_101()).with_node_ids(ids(&[2, 3]))).await, ids(&[2]));
    assert_eq!(found(&*store, query().with_filters(!of_101()).with_doc_ids(ids(&[101, 102]))).await, ids(&[3]));
    assert!(found(&*store, query().with_filters(of_101()).with_node_ids(ids(&[]))).await.is_empty());
    assert_eq!(found(&*store, query().with_filters(!of_101()).with_top_k(1)).await, ids(&[3]));
}

/// What is deleted is what a query with the same selection finds; a mismatch deletes nothing.
pub async fn filters_choose_what_is_deleted(store: Arc<dyn VectorStore>) {
    let mut nodes = four();
    for (n, node) in nodes.iter_mut().enumerate() {
        node.metadata.insert("n".into(), (n + 1).into());
    }
    nodes[3].metadata.insert("n".into(), "four".into());
    store.add(&nodes).await.unwrap();
    let selection = NodeSelection::default;
    let small = || field("n").le(2);
    assert!(matches!(
        store.delete_nodes(&selection().with_filters(small())).await,
        Err(Error::FilterMismatch { id: named, .. }) if named == id(4)
    ));
    assert_eq!(all(&*store).await.len(), 4);
    let none = selection().with_filters(small()).with_node_ids(ids(&[3]));
    assert_eq!(store.delete_nodes(&none).await.unwrap(), 0);
    assert_eq!(store.delete_nodes(&selection().with_filters(small()).with_doc_ids(ids(&[101]))).await.unwrap(), 2);
    assert_eq!(all(&*store).await, ids(&[3, 4]));
    let rest = selection().with_filters(!small()).with_mismatch(Mismatch::NoMatch);
    assert_eq!(store.delete_nodes(&rest).await.unwrap(), 2);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_written_table_is_the_one_that_runs() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/filters.md");
        let page = std::fs::read_to_string(page).unwrap().replace("\r\n", "\n");
        assert!(page.contains(super::TRUTH_TABLE), "copy src/behavior/truth_table.md into docs/filters.md");
    }
}
