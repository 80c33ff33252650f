//! Searches against plain arithmetic and Python's heap.

use super::*;
use proptest::prelude::*;
use raw_json::shortest_f32;
use vectorstore::{Error, MetadataFilters, Mismatch, field};

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

/// Python's `heapq`, over all scores.
fn heap_order(scored: &[(PyString, f64)], top_k: usize) -> Vec<(PyString, f64)> {
    let less = |a: &(PyString, f64), b: &(PyString, f64)| (a.1, &a.0) < (b.1, &b.0);
    let mut heap: Vec<(PyString, f64)> = Vec::new();
    for item in scored {
        heap.push(item.clone());
        let mut at = heap.len() - 1;
        while at > 0 && less(&heap[at], &heap[(at - 1) / 2]) {
            heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        if heap.len() > top_k {
            heap.swap_remove(0);
            at = 0;
            while 2 * at + 1 < heap.len() {
                let right = 2 * at + 2;
                let child = if right < heap.len() && !less(&heap[right - 1], &heap[right]) { right } else { right - 1 };
                heap.swap(at, child);
                at = child;
            }
            while at > 0 && less(&heap[at], &heap[(at - 1) / 2]) {
                heap.swap(at, (at - 1) / 2);
                at = (at - 1) / 2;
            }
        }
    }
    heap.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap());
    heap
}

/// A few directions, each many times, with differences that singles do not show or barely show.
fn any_rows() -> impl Strategy<Value = Vec<Vec<f64>>> {
    (1..40_usize, 0..3_u8).prop_flat_map(|(dim, kind)| {
        let convert = move |x: f64| match kind {
            0 => f64::from(x as f32),
            1 => shortest_f32(x as f32),
            _ => x,
        };
        let base = prop::collection::vec(0.01..1.0_f64, dim);
        let row = (0..4_usize, 0..dim, prop::sample::select(vec![0.0, 1e-9, 6e-8, 1.2e-7, -6e-8, 1e-3]));
        (prop::collection::vec(base, 4), prop::collection::vec(row, 1..100)).prop_map(move |(bases, rows)| {
            let row = |(base, at, change): (usize, usize, f64)| {
                let mut row: Vec<f64> = bases[base].clone();
                row[at] *= 1.0 + change;
                row.into_iter().map(convert).collect()
            };
            rows.into_iter().map(row).collect()
        })
    })
}

proptest! {
    #[test]
    fn results_are_exact_and_in_pythons_order(
        rows in any_rows(),
        like in any::<prop::sample::Index>(),
        top_k in 1..12_usize,
        id_factor in prop::sample::select(vec![1_usize, 7919, 104_729]),
    ) {
        let ids: Vec<PyString> = (0..rows.len()).map(|i| format!("n{}", i * id_factor % 10_007).into()).collect();
        let embeddings = ids.iter().cloned().zip(rows.iter().map(|row| Value::from(row.clone()))).collect();
        let dict = Object::from_iter([("embedding_dict".into(), Value::Object(embeddings))]);
        let store = SimpleVectorStore::from_dict(&dict).unwrap();
        let mut embedding = like.get(&rows).clone();
        embedding[0] += 0.25;

        // Node by node no candidate is passed over; these are the exact scores.
        let query = VectorStoreQuery::new(embedding.clone());
        let scored: Vec<_> =
            ids.iter().map(|id| search(&store, &query.clone().with_node_ids([id])).remove(0)).collect();
        for ((_, score), row) in scored.iter().zip(&rows) {
            prop_assert!((score - cosine(row, &embedding)).abs() < 1e-13);
        }
        prop_assert_eq!(search(&store, &query.clone().with_top_k(top_k as i64)), heap_order(&scored, top_k));
        prop_assert_eq!(search(&store, &query.with_top_k(None)), heap_order(&scored, usize::MAX));
    }

    /// Each restriction may be absent, empty, or let some through; so may all together.
    #[test]
    fn restrictions_leave_what_plain_filtering_leaves(
        rows in any_rows(),
        kinds in prop::collection::vec((0..4_i64, 0..3_u8), 100),
        node_ids in prop::option::of(prop::collection::vec(0..110_usize, 0..60)),
        doc_ids in prop::option::of(prop::collection::vec(0..4_u8, 0..3)),
        least in prop::option::of(0..5_i64),
        top_k in 1..12_usize,
    ) {
        let store = SimpleVectorStore::new();
        let document = |doc: u8| PyString::from(if doc == 0 { "None".to_owned() } else { format!("d{doc}") });
        let nodes = rows.iter().zip(&kinds).enumerate().map(|(i, (row, (kind, doc)))| {
            let node = node(&i.to_string(), row).with_metadata("kind", *kind);
            if *doc == 0 { node } else { node.with_source(document(*doc)) }
        });
        block_on(store.add(&nodes.collect::<Vec<_>>())).unwrap();
        let embedding = rows[0].clone();
        let mut query = VectorStoreQuery::new(embedding.clone());
        if let Some(ids) = &node_ids {
            query = query.with_node_ids(ids.iter().map(ToString::to_string));
        }
        if let Some(ids) = &doc_ids {
            query = query.with_doc_ids(ids.iter().map(|doc| document(*doc)));
        }
        if let Some(least) = least {
            query = query.with_filters(field("kind").ge(least));
        }
        let everything = search(&store, &VectorStoreQuery::new(embedding).with_top_k(None));
        let score = |i: usize| everything.iter().find(|(id, _)| *id == *i.to_string()).unwrap().1;
        let left = (0..rows.len()).filter(|i| {
            node_ids.as_ref().is_none_or(|ids| ids.contains(i))
                && doc_ids.as_ref().is_none_or(|ids| ids.contains(&kinds[*i].1))
                && least.is_none_or(|least| kinds[*i].0 >= least)
        });
        let scored: Vec<_> = left.map(|i| (PyString::from(i.to_string()), score(i))).collect();
        let selection = query.selection.clone();
        prop_assert_eq!(search(&store, &query.with_top_k(top_k as i64)), heap_order(&scored, top_k));
        let expected = if selection.is_unrestricted() { 0 } else { scored.len() };
        prop_assert_eq!(block_on(store.delete_nodes(&selection)).unwrap(), expected);
        prop_assert_eq!(block_on(store.count()).unwrap(), Some(rows.len() - expected));
    }
}

#[test]
fn the_same_numbers_score_the_same_however_they_are_kept() {
    let rows: Vec<Vec<f64>> =
        (0..50).map(|i| (0..40).map(|j| shortest_f32(((i * 40 + j) as f32).sin())).collect()).collect();
    let query = VectorStoreQuery::new((0..40).map(|j| f64::from(j).cos()).collect::<Vec<_>>()).with_top_k(7);
    let singles = SimpleVectorStore::from_dict(&dict_of(&rows)).unwrap();
    let doubles = singles.clone();
    let before = search(&singles, &query);
    block_on(doubles.add(&[node("true doubles", &[1.0 / 3.0; 40])])).unwrap();
    block_on(doubles.delete_nodes(&these(&["true doubles".into()]))).unwrap();
    assert_eq!(search(&doubles, &query), before);
}

#[test]
fn what_has_no_direction_comes_last() {
    let store =
        load(r#"{"embedding_dict": {"zero": [0.0, 0.0], "nan": [NaN, 1.0], "a": [-1.0, 0.0], "b": [1.0, 0.0]}}"#);
    let found = |top_k: i64| {
        let hits = search(&store, &VectorStoreQuery::new([1.0, 0.0]).with_top_k(top_k));
        hits.iter().map(|(id, score)| format!("{id} {score}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(found(1), "b 1");
    assert_eq!(found(3), "b 1, a -1, zero NaN");
    assert_eq!(found(0), "b 1, a -1, zero NaN, nan NaN");
}

#[test]
fn what_has_no_metadata_cannot_be_filtered() {
    let file = |metadata: &str| {
        load(&format!(r#"{{"embedding_dict": {{"a": [1.0], "b": [2.0]}}, "metadata_dict": {metadata}}}"#))
    };
    let query = VectorStoreQuery::new([1.0]).with_top_k(0).with_filters(!field("k").eq(1));
    for metadata in ["{}", "null"] {
        let store = file(metadata);
        for query in [query.clone(), query.clone().with_filters(MetadataFilters::default())] {
            let failed = block_on(store.query(&query.with_mismatch(Mismatch::NoMatch)));
            assert!(matches!(failed, Err(Error::NoMetadata)));
        }
        assert!(matches!(block_on(store.delete_nodes(&query.selection)), Err(Error::NoMetadata)));
        assert_eq!(search(&store, &VectorStoreQuery::new([1.0]).with_top_k(0)).len(), 2);
    }
    for metadata in [r#"{"a": {}}"#, r#"{"a": {}, "b": null}"#, r#"{"a": {}, "b": []}"#] {
        let store = file(metadata);
        let names_b = |failed| matches!(failed, Error::NodeWithoutMetadata { id } if id == "b");
        assert!(names_b(block_on(store.query(&query)).unwrap_err()));
        assert!(names_b(block_on(store.delete_nodes(&query.selection)).unwrap_err()));
        let lenient = query.clone().with_mismatch(Mismatch::NoMatch);
        assert_eq!(search(&store, &lenient).len(), 1);
        assert_eq!(search(&store, &query.clone().with_node_ids(["a"])).len(), 1);
        assert_eq!(block_on(store.delete_nodes(&lenient.selection)).unwrap(), 1);
        assert_eq!(block_on(store.count()).unwrap(), Some(1));
    }
}
