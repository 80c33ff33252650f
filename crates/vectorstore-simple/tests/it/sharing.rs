//! Readers and a writer at the same time.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Each document has three nodes, added at once and deleted at once; whoever looks sees all or none of them.
#[test]
fn a_reader_sees_every_change_as_a_whole() {
    let store = SimpleVectorStore::new();
    let done = AtomicBool::new(false);
    let document = |doc: usize| -> Vec<Node> {
        let node = |part: usize| node(&format!("{doc}-{part}"), &[doc as f64, part as f64, 1.0]);
        (0..3).map(|part| node(part).with_source(format!("d{doc}"))).collect()
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let hits = search(&store, &VectorStoreQuery::new([1.0, 1.0, 1.0]).with_top_k(0));
                    assert_eq!(hits.len() % 3, 0);
                    let file = load(&dump(&store));
                    assert_eq!(block_on(file.count()).unwrap().unwrap() % 3, 0);
                }
            });
        }
        for doc in 0..300 {
            block_on(store.add(&document(doc))).unwrap();
            if doc % 3 == 2 {
                assert_eq!(block_on(store.delete(&format!("d{}", doc - 1).into())).unwrap(), 3);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(block_on(store.count()).unwrap(), Some(600));
}

/// Several writers lose nothing to each other.
#[test]
fn writers_take_turns() {
    let store = SimpleVectorStore::new();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for i in 0..100 {
                    block_on(store.add(&[node(&format!("{writer}-{i}"), &[f64::from(i), 1.0])])).unwrap();
                }
            });
        }
    });
    assert_eq!(block_on(store.count()).unwrap(), Some(400));
}
