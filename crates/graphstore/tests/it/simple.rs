use graphstore::{SimpleGraphStore, Triplet};
use proptest::prelude::*;
use raw_json::{Dialect, Object, PyString, RawJson, Text, Value, to_json};

use crate::{any_value, parse, written};

/// Subjects in order, each with its pairs in order.
type Model = Vec<(u8, Vec<(u8, u8)>)>;

#[derive(Debug, Clone)]
enum Op {
    Upsert(u8, u8, u8),
    Delete(u8, u8, u8),
    RelMap { subjs: Option<Vec<u8>>, depth: usize, limit: usize },
    Reload,
}

fn op() -> impl Strategy<Value = Op> {
    let triplet = || (0..5_u8, 0..2_u8, 0..5_u8);
    prop_oneof![
        5 => triplet().prop_map(|(s, r, o)| Op::Upsert(s, r, o)),
        2 => triplet().prop_map(|(s, r, o)| Op::Delete(s, r, o)),
        2 => (proptest::option::of(proptest::collection::vec(0..6_u8, 0..4)), 0..5_usize, 0..40_usize)
            .prop_map(|(subjs, depth, limit)| Op::RelMap { subjs, depth, limit }),
        1 => Just(Op::Reload),
    ]
}

fn name(n: u8) -> PyString {
    format!("n{n}").into()
}

/// The spec's recursion, word for word.
fn expand(model: &Model, subj: u8, depth: usize, limit: usize, out: &mut Vec<Triplet>) {
    if depth == 0 {
        return;
    }
    let pairs = model.iter().find(|(s, _)| *s == subj).map(|(_, pairs)| &pairs[..]).unwrap_or_default();
    for (rel, obj) in pairs.iter().take(limit) {
        out.push(Triplet::new(name(subj), name(*rel), name(*obj)));
        expand(model, *obj, depth - 1, 30, out);
    }
}

fn rel_map(model: &Model, subjs: Option<&[u8]>, depth: usize, limit: usize) -> Vec<(PyString, Vec<Triplet>)> {
    let all: Vec<u8> = model.iter().map(|(s, _)| *s).collect();
    let mut found: Vec<(PyString, Vec<Triplet>)> = Vec::new();
    let mut count = 0;
    for &subj in subjs.unwrap_or(&all) {
        if found.iter().any(|(s, _)| *s == name(subj)) {
            continue;
        }
        let mut list = Vec::new();
        expand(model, subj, depth, limit, &mut list);
        if count + list.len() > limit {
            list.truncate(limit - count);
            found.push((name(subj), list));
            break;
        }
        count += list.len();
        found.push((name(subj), list));
    }
    found
}

fn dict(model: &Model) -> Value {
    let pairs = |pairs: &[(u8, u8)]| Value::Array(pairs.iter().map(|(r, o)| vec![name(*r), name(*o)].into()).collect());
    let subjects: Object = model.iter().map(|(s, list)| (name(*s), pairs(list))).collect();
    [("graph_dict", subjects)].into_iter().collect()
}

/// Triplets as versions up to 0.12 wrote them: with duplicates.
fn start() -> impl Strategy<Value = Model> {
    let pairs = proptest::collection::vec((0..2_u8, 0..5_u8), 1..5);
    let subjects = proptest::collection::btree_map(0..5_u8, pairs, 0..4);
    subjects.prop_map(|subjects| subjects.into_iter().rev().collect())
}

fn reloaded(store: &SimpleGraphStore) -> SimpleGraphStore {
    SimpleGraphStore::from_text(&Text::from(written(store.store_file().content))).unwrap()
}

fn check(store: &SimpleGraphStore, model: &Model) {
    assert_eq!(store.to_dict().to_string(), dict(model).to_string());
    for subj in 0..5 {
        let pairs = model.iter().find(|(s, _)| *s == subj).map(|(_, pairs)| &pairs[..]).unwrap_or_default();
        assert_eq!(store.get(name(subj)), pairs.iter().map(|(r, o)| (name(*r), name(*o))).collect::<Vec<_>>());
    }
    let mut relations: Vec<(PyString, usize)> = Vec::new();
    for (rel, _) in model.iter().flat_map(|(_, pairs)| pairs) {
        match relations.iter_mut().find(|(label, _)| *label == name(*rel)) {
            Some((_, count)) => *count += 1,
            None => relations.push((name(*rel), 1)),
        }
    }
    assert_eq!(store.triplet_count(), relations.iter().map(|(_, count)| count).sum::<usize>());
    assert_eq!(store.get_schema().relations.into_iter().collect::<Vec<_>>(), relations);
}

proptest! {
    #[test]
    fn the_store_does_what_a_plain_list_does(start in start(), ops in proptest::collection::vec(op(), 0..60)) {
        let mut store = SimpleGraphStore::from_text(&Text::from(dict(&start).to_string())).unwrap();
        let mut model = start;
        for op in ops {
            match op {
                Op::Upsert(s, r, o) => {
                    store.upsert_triplet(name(s), name(r), name(o));
                    if !model.iter().any(|(subject, _)| *subject == s) {
                        model.push((s, Vec::new()));
                    }
                    let (_, pairs) = model.iter_mut().find(|(subject, _)| *subject == s).unwrap();
                    if !pairs.contains(&(r, o)) {
                        pairs.push((r, o));
                    }
                }
                Op::Delete(s, r, o) => {
                    let was = model.iter().any(|(subject, pairs)| *subject == s && pairs.contains(&(r, o)));
                    prop_assert_eq!(store.delete(name(s), name(r), name(o)), was);
                    for (subject, pairs) in &mut model {
                        pairs.retain(|pair| *subject != s || *pair != (r, o));
                    }
                    model.retain(|(_, pairs)| !pairs.is_empty());
                }
                Op::RelMap { subjs, depth, limit } => {
                    let names = subjs.as_ref().map(|subjs| subjs.iter().map(|s| name(*s)).collect::<Vec<_>>());
                    let found = store.get_rel_map(names.as_deref(), depth, limit).unwrap();
                    let found: Vec<_> = found.into_iter().collect();
                    prop_assert_eq!(found, rel_map(&model, subjs.as_deref(), depth, limit));
                }
                Op::Reload => store = reloaded(&store),
            }
            check(&store, &model);
            check(&reloaded(&store), &model);
        }
    }

    #[test]
    fn one_change_leaves_all_else_as_it_was(
        subjects in proptest::collection::vec(
            (any_value(), proptest::collection::vec(proptest::collection::vec(any_value(), 0..4), 0..4)), 0..5),
        other in any_value(),
        dialect in proptest::sample::select(&[Dialect::Ascii, Dialect::Unicode][..]),
    ) {
        let lists = |lists: &[Vec<Value>]| Value::Array(lists.iter().cloned().map(Value::Array).collect());
        let subjects: Object = subjects.iter().map(|(key, list)| (key.to_string().into(), lists(list))).collect();
        let mut file: Object = [("other".into(), other), ("graph_dict".into(), subjects.into())].into_iter().collect();
        let text = String::from_utf8(to_json(&file.clone().into(), dialect)).unwrap();
        let store = SimpleGraphStore::from_text(&Text::from(text.as_str())).unwrap();
        prop_assert_eq!(written(store.store_file().content), text);
        prop_assert_eq!(store.to_dict().to_string(), Value::from(file.clone()).to_string());

        store.upsert_triplet("a new subject", "r", "o");
        let new: Value = "[[\"r\", \"o\"]]".parse::<RawJson>().unwrap().value();
        if let Some(Value::Object(subjects)) = file.get_mut(b"graph_dict".as_slice()) {
            subjects.insert("a new subject".into(), new);
        }
        prop_assert_eq!(parse(&written(store.store_file().content)).to_string(), Value::from(file).to_string());
    }
}
