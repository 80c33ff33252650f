//! Every number comes back to the bit, whatever kinds of numbers a store has.

use super::*;
use proptest::prelude::*;
use raw_json::shortest_f32;

fn bits(row: &[f64]) -> Vec<u64> {
    row.iter().map(|x| x.to_bits()).collect()
}

fn finite_f32() -> impl Strategy<Value = f32> {
    prop_oneof![any::<u32>().prop_map(f32::from_bits), -1.0_f32..1.0].prop_filter("finite", |x| x.is_finite())
}

fn finite_f64() -> impl Strategy<Value = f64> {
    let special = vec![0.0, -0.0, 5e-324, 1e-46, 1e-45, f64::MAX, 3.4028235677973366e38, 3.4028235e38, 1.0 / 3.0];
    prop_oneof![any::<u64>().prop_map(f64::from_bits), -1.0_f64..1.0, prop::sample::select(special)]
        .prop_filter("finite", |x| x.is_finite())
}

/// Rows of one length, mostly of one kind of number, with a handful of others in some.
fn any_rows() -> impl Strategy<Value = Vec<Vec<f64>>> {
    let dim = prop::sample::select(vec![1_usize, 3, 15, 16, 17, 33, 48]);
    (dim, 0..3_u8, 0..3_u8).prop_flat_map(|(dim, kind, other)| {
        let number = |kind: u8| match kind {
            0 => finite_f32().prop_map(f64::from).boxed(),
            1 => finite_f32().prop_map(shortest_f32).boxed(),
            _ => finite_f64().boxed(),
        };
        let mixed = prop_oneof![40 => number(kind), 1 => number(other), 1 => finite_f64()];
        let row = prop_oneof![
            4 => prop::collection::vec(number(kind), dim),
            3 => prop::collection::vec(mixed, dim),
            1 => prop::collection::vec(number(other), dim),
        ];
        prop::collection::vec(row, 1..12)
    })
}

fn check(store: &SimpleVectorStore, expected: &[(usize, Vec<f64>)]) -> Result<(), TestCaseError> {
    let written = load(&dump(store));
    for (id, row) in expected {
        for store in [store, &written] {
            let stored = get(store, &id.to_string()).unwrap();
            prop_assert_eq!(bits(&stored), bits(row));
        }
    }
    let dict = store.to_dict();
    let rows = expected.iter().map(|(id, row)| (PyString::from(id.to_string()), Value::from(row.clone())));
    prop_assert_eq!(dict.get("embedding_dict"), Some(&Value::Object(rows.collect())));
    Ok(())
}

proptest! {
    #[test]
    fn loading_changing_and_writing_lose_no_bit(
        rows in any_rows(),
        deleted in prop::collection::vec(any::<bool>(), 12),
    ) {
        let store = SimpleVectorStore::from_dict(&dict_of(&rows)).unwrap();
        let mut expected: Vec<(usize, Vec<f64>)> = rows.iter().cloned().enumerate().collect();
        check(&store, &expected)?;
        // The last becomes what the first was, and each that is drawn goes.
        let (first, last) = (rows[0].clone(), rows.len() - 1);
        block_on(store.add(&[node(&last.to_string(), &first)])).unwrap();
        expected[last].1 = first;
        check(&store, &expected)?;
        let gone: Vec<PyString> = (0..rows.len()).filter(|i| deleted[*i]).map(|i| i.to_string().into()).collect();
        prop_assert_eq!(block_on(store.delete_nodes(&these(&gone))).unwrap(), gone.len());
        expected.retain(|(id, _)| !deleted[*id]);
        check(&store, &expected)?;
        // They come back one by one, each to the end.
        for (id, row) in rows.iter().enumerate().filter(|(id, _)| deleted[*id]) {
            block_on(store.add(&[node(&id.to_string(), row)])).unwrap();
            expected.push((id, row.clone()));
        }
        check(&store, &expected)?;
    }
}

#[test]
fn many_blocks_lose_no_row() {
    let rows: Vec<Vec<f64>> = (0..900).map(|i| (0..768).map(|j| f64::from(i * 768 + j) / 1024.0).collect()).collect();
    let store = SimpleVectorStore::from_dict(&dict_of(&rows)).unwrap();
    let third: Vec<PyString> = (0..900).filter(|i| i % 3 == 1).map(|i| i.to_string().into()).collect();
    block_on(store.delete_nodes(&these(&third))).unwrap();
    block_on(store.add(&[node("899", &rows[1]), node("1", &[1.0 / 3.0; 768])])).unwrap();
    assert_eq!(block_on(store.count()).unwrap(), Some(601));
    for i in (0..899).filter(|i| i % 3 != 1) {
        assert_eq!(get(&store, &i.to_string()).as_ref(), Some(&rows[i]), "{i}");
    }
    assert_eq!(get(&store, "899").as_ref(), Some(&rows[1]));
    assert_eq!(get(&store, "1"), Some(vec![1.0 / 3.0; 768]));
}
