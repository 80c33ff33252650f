use super::*;
use crate::{Error, NodeKind};

fn load(text: &str) -> SimplePropertyGraphStore {
    SimplePropertyGraphStore::from_text(&Text::from(text)).unwrap()
}

fn dump(store: &SimplePropertyGraphStore) -> String {
    let mut out = Vec::new();
    store.store_file().content.write_to(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A file with these entities and relations, each `subject label object`.
fn graph(names: &[&str], relations: &[(&str, &str, &str)]) -> SimplePropertyGraphStore {
    let store = SimplePropertyGraphStore::new();
    store.upsert_nodes(names.iter().map(|name| LabelledNode::entity(*name))).unwrap();
    store.upsert_relations(relations.iter().map(|(s, r, o)| Relation::new(*r, *s, *o))).unwrap();
    load(&dump(&store))
}

fn ids(store: &SimplePropertyGraphStore) -> String {
    let nodes = store.get(&NodeFilter::default());
    nodes.iter().map(|node| node.id().to_string()).collect::<Vec<_>>().join(" ")
}

fn texts(triplets: &[LabelledTriplet]) -> String {
    triplets.iter().map(|t| t.triplet().to_string().replace(" -> ", "-")).collect::<Vec<_>>().join(" ")
}

fn all() -> TripletFilter {
    TripletFilter::default()
}

const SMALL: &str = r#"{"nodes":{"Al x":{"label":"PERSON","embedding":null,"properties":{"age":3},"name":"Al\"x"},"c1":{"label":"text_chunk","embedding":[1.0],"properties":{"ref_doc_id":"d1"},"text":"chunk","id_":"c1"},"B":{"name":"B"}},"relations":{"Al x_KNOWS_B":{"label":"KNOWS","source_id":"Al x","target_id":"B","properties":{"w":1}}},"triplets":[["Al x","KNOWS","B"]]}"#;

/// Version 0.10.42: one relation for each label.
const BY_LABEL: &str = r#"{"nodes": {"a": {"name": "a"}, "b": {"name": "b"}, "c": {"name": "c"}}, "relations": {"r": {"label": "r", "source_id": "b", "target_id": "c", "properties": {"n": 2, "x": NaN}}, "s": {"label": "s", "source_id": "c", "target_id": "a", "properties": {}}}, "triplets": [["a", "r", "b"], ["b", "r", "c"], ["c", "s", "a"]]}"#;

#[test]
fn nodes_of_both_kinds_are_read() {
    let store = load(SMALL);
    let nodes = store.get(&NodeFilter::default());
    let expected = [
        LabelledNode::entity("Al\"x").with_label("PERSON").with_property("age", 3),
        LabelledNode::chunk("c1", "chunk").with_embedding([1.0]).with_property("ref_doc_id", "d1"),
        LabelledNode::entity("B"),
    ];
    assert_eq!(nodes, expected);
    assert_eq!(
        (nodes[0].id(), nodes[0].name(), nodes[1].text()),
        (&"Al x".into(), Some(&"Al\"x".into()), Some(&"chunk".into()))
    );
    let triplets = store.get_triplets(&all().with_ids(["Al x"]));
    assert_eq!(triplets[0].relation, Relation::new("KNOWS", "Al x", "B").with_property("w", 1));
    assert_eq!(store.python_problem(), None);
}

#[test]
fn an_unchanged_file_is_written_as_it_was_read() {
    let text = SMALL.replace("\"nodes\"", " \"x\" : 1.50,\n\"nodes\"");
    let store = load(&text);
    store.upsert_nodes(store.get(&NodeFilter::default())).unwrap();
    let relations = store.get_triplets(&all().with_ids(["B"])).into_iter().map(|triplet| triplet.relation);
    store.upsert_relations(relations).unwrap();
    store.upsert_relations([Relation::new("KNOWS", "Al\"x", "B").with_property("w", 1)]).unwrap();
    assert_eq!(store.delete(&all()), Deleted::default());
    assert_eq!(store.delete(&all().with_ids(["absent"]).with_property("x", 1)), Deleted::default());
    assert!(!store.upgrade());
    assert_eq!(dump(&store), text);
}

#[test]
fn a_changed_file_keeps_everything_else_as_it_was_read() {
    let text = r#"{ "v": 1.50, "nodes": {"a": {"name": "a", "properties": {"x": NaN}, "new": 1E5}, "b": {"name":"b"}, "?": {"what": 1}},
        "relations": {"odd": { "label": "r", "source_id": "x", "target_id": "y" }}}"#;
    let store = load(text);
    store.upsert_nodes([LabelledNode::entity("b").with_label("é")]).unwrap();
    let expected = concat!(
        r#"{"v":1.50,"nodes":{"a":{"name": "a", "properties": {"x": NaN}, "new": 1E5},"#,
        r#""b":{"label":"é","embedding":null,"properties":{},"name":"b"},"?":{"what": 1}},"#,
        r#""relations":{"odd":{ "label": "r", "source_id": "x", "target_id": "y" }},"triplets":[]}"#
    );
    assert_eq!(dump(&store), expected);
}

#[test]
fn unknown_fields_of_a_changed_node_survive() {
    let store = load(
        r#"{"nodes":{"a":{"new":[1.50],"name":"a","text":"ignored"}},"relations":{"a_r_a":{"label":"r","source_id":"a","target_id":"a","new":{}}},"triplets":[["a","r","a"]]}"#,
    );
    let mut node = store.get(&NodeFilter::default()).remove(0);
    node.properties.insert("k".into(), Value::Null);
    store.upsert_nodes([node]).unwrap();
    let relation = store.get_triplets(&all().with_ids(["a"])).remove(0).relation.with_property("k", 1);
    store.upsert_relations([relation]).unwrap();
    let expected = concat!(
        r#"{"nodes":{"a":{"label":"entity","embedding":null,"properties":{"k":null},"name":"a","new":[1.5],"text":"ignored"}},"#,
        r#""relations":{"a_r_a":{"label":"r","source_id":"a","target_id":"a","properties":{"k":1},"new":{}}},"triplets":[["a","r","a"]]}"#
    );
    assert_eq!(dump(&store), expected);
}

#[test]
fn nodes_are_found_by_id_and_property() {
    let store = load(SMALL);
    let check = |filter: NodeFilter, expected: &[&str]| {
        let found: Vec<String> = store.get(&filter).iter().map(|node| node.id().to_string()).collect();
        assert_eq!(found, expected, "{filter:?}");
    };
    let filter = NodeFilter::default;
    check(filter(), &["Al x", "c1", "B"]);
    check(filter().with_ids(["B", "nobody", "Al x", "B"]), &["Al x", "B"]);
    check(filter().with_ids(["nobody"]), &[]);
    check(filter().with_property("age", 3.0), &["Al x"]);
    check(filter().with_property("age", 4).with_property("ref_doc_id", "d1"), &["c1"]);
    check(filter().with_property("age", Value::Null), &["c1", "B"]);
    check(filter().with_property("age", 3).with_ids(["B"]), &[]);
}

#[test]
fn triplets_are_found_by_everything() {
    let store = graph(&["a", "b", "c"], &[("a", "r", "b"), ("b", "s", "c"), ("c", "r", "a"), ("b", "r", "b")]);
    store.upsert_relations([Relation::new("s", "b", "c").with_property("w", 1)]).unwrap();
    store.upsert_nodes([LabelledNode::entity("a").with_property("p", 1)]).unwrap();
    let check = |filter: TripletFilter, expected: &str| {
        assert_eq!(texts(&store.get_triplets(&filter)), expected, "{filter:?}");
    };
    check(all(), "");
    check(all().with_ids(["b"]), "a-r-b b-s-c b-r-b");
    check(all().with_ids(["b", "a", "nobody"]), "a-r-b b-s-c c-r-a b-r-b");
    check(all().with_entity_names(["c"]), "b-s-c c-r-a");
    check(all().with_ids(["a"]).with_entity_names(["c"]), "c-r-a");
    check(all().with_relation_names(["r"]), "a-r-b c-r-a b-r-b");
    check(all().with_relation_names(["r"]).with_ids(["c"]), "c-r-a");
    check(all().with_property("w", true), "b-s-c");
    check(all().with_property("p", 1), "a-r-b c-r-a");
    check(all().with_property("p", 1).with_ids(["b"]), "a-r-b");
}

#[test]
fn rel_maps_go_level_by_level_and_repeat_the_first() {
    let store = graph(&[], &[("a", "r", "b"), ("b", "s", "c"), ("c", "r", "d"), ("x", "r", "y")]);
    let check = |ids: &[&str], options: RelMapOptions, expected: &str| {
        let ids: Vec<PyString> = ids.iter().map(|id| PyString::from(*id)).collect();
        assert_eq!(texts(&store.get_rel_map(&ids, &options)), expected, "{options:?}");
    };
    let options = RelMapOptions::default;
    check(&["a"], options().with_depth(0), "");
    check(&["a"], options().with_depth(1), "a-r-b");
    check(&["a"], options(), "a-r-b a-r-b b-s-c");
    check(&["a"], options().with_depth(3), "a-r-b a-r-b b-s-c c-r-d");
    check(&["a"], options().with_depth(usize::MAX), "a-r-b a-r-b b-s-c c-r-d");
    check(&["a"], options().with_depth(3).with_limit(2), "a-r-b a-r-b");
    check(&["a"], options().with_depth(3).with_ignore_rels(["r"]), "b-s-c");
    check(&["a", "x"], options().with_depth(1), "a-r-b x-r-y");
    check(&["a"], options().with_limit(0), "");
    check(&[], options(), "");
    check(&["nobody"], options(), "");
}

#[test]
fn deleting_takes_what_matches_and_nothing_else() {
    let check = |filter: TripletFilter, nodes: &str, triplets: &str, counts: (usize, usize, usize)| {
        let store = graph(&["a", "b", "c", "d"], &[("a", "r", "b"), ("b", "s", "c"), ("c", "r", "a"), ("a", "s", "a")]);
        store.upsert_relations([Relation::new("s", "b", "c").with_property("w", 1)]).unwrap();
        store.upsert_nodes([LabelledNode::entity("a").with_property("p", 1)]).unwrap();
        let deleted = store.delete(&filter);
        assert_eq!((deleted.nodes, deleted.triplets, deleted.relations), counts, "{filter:?}");
        let left: Vec<String> = store.triplets().iter().map(|t| t.to_string().replace(" -> ", "-")).collect();
        assert_eq!((ids(&store).as_str(), left.join(" ").as_str()), (nodes, triplets), "{filter:?}");
        assert_eq!((store.relation_count(), store.dangling_triplets()), (left.len(), vec![]), "{filter:?}");
        assert_eq!(load(&dump(&store)).python_problem(), None, "{filter:?}");
    };
    check(all(), "a b c d", "a-r-b b-s-c c-r-a a-s-a", (0, 0, 0));
    check(all().with_ids(["nobody"]), "a b c d", "a-r-b b-s-c c-r-a a-s-a", (0, 0, 0));
    check(all().with_ids(["a"]), "b c d", "b-s-c", (1, 3, 3));
    check(all().with_ids(["d"]), "a b c", "a-r-b b-s-c c-r-a a-s-a", (1, 0, 0));
    check(all().with_entity_names(["b", "c"]), "a d", "a-s-a", (2, 3, 3));
    check(all().with_relation_names(["r"]), "a b c d", "b-s-c a-s-a", (0, 2, 2));
    check(all().with_relation_names(["r"]).with_ids(["b"]), "a b c d", "b-s-c c-r-a a-s-a", (0, 1, 1));
    check(all().with_property("p", 1), "b c d", "b-s-c", (1, 3, 3));
    check(all().with_property("w", 1), "a b c d", "a-r-b c-r-a a-s-a", (0, 1, 1));
    check(all().with_property("p", 1).with_ids(["d"]), "a b c d", "a-r-b b-s-c c-r-a a-s-a", (0, 0, 0));
    check(all().with_ids(["a"]).with_entity_names(["b"]), "a b c d", "b-s-c c-r-a a-s-a", (0, 1, 1));
    check(all().with_ids(["a", "d"]).with_entity_names(["d"]), "a b c", "a-r-b b-s-c c-r-a a-s-a", (1, 0, 0));
}

#[test]
fn an_existing_relation_is_really_updated() {
    let store = load(SMALL);
    store.upsert_relations([Relation::new("KNOWS", "Al x", "B").with_property("w", 2)]).unwrap();
    store
        .upsert_relations([
            Relation::new("KNOWS", "B", "new"),
            Relation::new("KNOWS", "B", "new").with_property("n", 1),
        ])
        .unwrap();
    let found = store.get_triplets(&all().with_ids(["B"]));
    assert_eq!(texts(&found), "Al x-KNOWS-B B-KNOWS-new");
    assert_eq!((found[0].relation.property("w"), found[1].relation.property("n")), (Some(&2.into()), Some(&1.into())));
    assert_eq!(store.relation_count(), 2);
    assert_eq!(found[1].object.kind(), &NodeKind::Entity { name: "new".into() });
}

#[test]
fn ids_with_a_quote_make_one_node() {
    let store = SimplePropertyGraphStore::new();
    store.upsert_nodes([LabelledNode::chunk("c\"1", "text")]).unwrap();
    store.upsert_relations([Relation::new("k", "Al\"x", "c\"1"), Relation::new("k", "Al x", "B\"")]).unwrap();
    assert_eq!(ids(&store), "c\"1 Al x B ");
    assert_eq!(texts(&store.get_triplets(&all().with_ids(["Al x"]))), "Al x-k-c\"1 Al x-k-B ");
    assert_eq!(store.get(&NodeFilter::default().with_ids(["Al x"]))[0].name(), Some(&"Al\"x".into()));
    assert_eq!(load(&dump(&store)).python_problem(), None);
}

#[test]
fn relations_that_python_lost_for_a_quote_are_found() {
    let text = r#"{"nodes":{"Al\"x":{"name":"Al\"x"},"B":{"name":"B"},"Al x":{"name":"Al\"x"}},"relations":{"Al\"x_KNOWS_B":{"label":"KNOWS","source_id":"Al\"x","target_id":"B","properties":{"w":1}}},"triplets":[["Al x","KNOWS","B"]]}"#;
    let store = load(text);
    assert_eq!(store.python_problem(), Some(PythonProblem::RelationKey(Triplet::new("Al x", "KNOWS", "B"))));
    let relation = &store.get_triplets(&all().with_ids(["B"]))[0].relation;
    assert_eq!(relation, &Relation::new("KNOWS", "Al x", "B").with_property("w", 1));
    assert!(store.upgrade());
    assert_eq!((store.python_problem(), store.relation_count(), store.upgrade()), (None, 1, false));
    assert!(
        dump(&store)
            .contains(r#""Al x_KNOWS_B":{"label":"KNOWS","source_id":"Al x","target_id":"B","properties":{"w":1}}"#)
    );
}

/// Found by random operations: the relation between `b` and the chunk `q"` was taken for that between `b` and the entity
/// `q `, which is the shared one.
#[test]
fn a_relation_with_a_quote_belongs_to_the_triplet_with_a_quote() {
    let file = r#"{"nodes": {
        "b": {"label": "entity", "properties": {}, "name": "b"},
        "q ": {"label": "entity", "properties": {}, "name": "q "},
        "q\"": {"label": "text_chunk", "properties": {}, "text": "t", "id_": "q\""}},
        "relations": {
        "r": {"label": "r", "source_id": "q ", "target_id": "b", "properties": {"n": 1}},
        "b_r_q\"": {"label": "r", "source_id": "b", "target_id": "q\"", "properties": {"n": 2}}},
        "triplets": [["b", "r", "q "], ["q ", "r", "b"], ["b", "r", "q\""]]}"#;
    let found = load(file).get_triplets(&all().with_ids(["b"]));
    let numbers: Vec<_> = found.iter().map(|found| found.relation.property("n").cloned()).collect();
    assert_eq!(numbers, [Some(1.into()), Some(1.into()), Some(2.into())]);
}

#[test]
fn relations_by_label_are_read_and_upgraded() {
    let store = load(BY_LABEL);
    let properties = |store: &SimplePropertyGraphStore| {
        let found = store.get_triplets(&all().with_ids(["a", "b", "c"]));
        found
            .iter()
            .map(|t| format!("{} {}", t.triplet(), Value::from(t.relation.properties.clone())))
            .collect::<Vec<_>>()
    };
    let expected = [r#"a -> r -> b {"n": 2, "x": NaN}"#, r#"b -> r -> c {"n": 2, "x": NaN}"#, "c -> s -> a {}"];
    assert_eq!(properties(&store), expected);
    let problem = store.python_problem().unwrap();
    assert_eq!(problem.to_string(), "the relation of the triplet 'a -> r -> b' is not under the key 'a_r_b'");
    assert!(problem.is_upgradable() && store.upgrade());
    assert_eq!(
        (properties(&store).as_slice(), store.python_problem(), store.upgrade()),
        (&expected.map(str::to_owned)[..], None, false)
    );
    let again = load(&dump(&store));
    assert_eq!(
        (properties(&again).as_slice(), again.python_problem(), again.relation_count()),
        (&expected.map(str::to_owned)[..], None, 3)
    );
}

#[test]
fn a_shared_relation_goes_with_its_last_triplet() {
    let store = load(BY_LABEL);
    let delete = |id: &str| store.delete(&all().with_ids([id])).relations;
    assert_eq!((delete("a"), store.relation_count()), (1, 1));
    assert_eq!((delete("b"), store.relation_count()), (1, 0));
    let store = load(BY_LABEL);
    store.upsert_relations([Relation::new("r", "a", "b")]).unwrap();
    assert_eq!(store.relation_count(), 3);
    store.upsert_relations([Relation::new("r", "b", "c").with_property("m", 1)]).unwrap();
    assert_eq!(store.relation_count(), 3);
    assert!(dump(&store).contains(r#""b_r_c":{"label":"r","source_id":"b","target_id":"c","properties":{"m":1}}"#));
}

#[test]
fn relations_whose_ids_spell_the_same_key_are_kept_apart() {
    let store = SimplePropertyGraphStore::new();
    let (one, two) = (Triplet::new("a_b", "c", "d"), Triplet::new("a", "b_c", "d"));
    let relation = |triplet: &Triplet, n: i32| Relation::of(triplet).with_property("n", n);
    store.upsert_relations([relation(&one, 1), relation(&two, 2)]).unwrap();
    store.upsert_relations([relation(&two, 3)]).unwrap();
    let check = |store: &SimplePropertyGraphStore| {
        let found = store.get_triplets(&all().with_ids(["d"]));
        let numbers: Vec<_> = found.iter().map(|t| t.relation.property("n").cloned()).collect();
        assert_eq!(numbers, [Some(1.into()), Some(3.into())]);
        assert_eq!(store.python_problem(), Some(PythonProblem::AmbiguousKey(two.clone())));
        assert!(!store.upgrade());
    };
    check(&store);
    let again = load(&dump(&store));
    check(&again);
    assert_eq!(again.delete(&all().with_ids(["a_b"])).relations, 1);
    assert_eq!(again.get_triplets(&all().with_ids(["a"]))[0].relation.property("n"), Some(&3.into()));
    assert_eq!(again.python_problem(), None);

    // The same with a relation that no triplet names.
    let unnamed = dump(&store).replace(r#"["a_b","c","d"],"#, "");
    let store = load(&unnamed);
    assert_eq!(store.python_problem(), Some(PythonProblem::AmbiguousKey(two.clone())));
    assert_eq!(store.delete(&all().with_ids(["a_b"])), Deleted { nodes: 1, triplets: 0, relations: 1 });
    assert_eq!((store.python_problem(), store.relation_count()), (None, 1));
}

#[test]
fn dangling_triplets_are_kept_listed_and_cleaned_up() {
    let text = r#"{"nodes":{"a":{"name":"a"},"b":{"name":"b"}},"relations":{"a_r_b":{"label":"r","source_id":"a","target_id":"b"},"x_r_y":{"label":"r","source_id":"x","target_id":"y"}},"triplets":[["a","r","b"],["a","r","gone"],["a","r","b"]]}"#;
    let store = load(text);
    let gone = Triplet::new("a", "r", "gone");
    assert_eq!((store.dangling_triplets(), store.triplet_count()), (vec![gone.clone()], 2));
    assert_eq!(store.python_problem(), Some(PythonProblem::Dangling(gone)));
    assert_eq!(texts(&store.get_triplets(&all().with_relation_names(["r"]))), "a-r-b");
    assert_eq!(texts(&store.get_rel_map(&["a".into()], &RelMapOptions::default())), "a-r-b a-r-b");
    assert_eq!(store.delete(&all().with_ids(["gone"])), Deleted { nodes: 0, triplets: 1, relations: 0 });
    assert_eq!((store.python_problem(), store.relation_count()), (None, 2));
    assert_eq!(store.delete(&all().with_ids(["a"])), Deleted { nodes: 1, triplets: 1, relations: 1 });
    assert!(dump(&store).contains("x_r_y"));
    store.upsert_nodes([LabelledNode::entity("x")]).unwrap();
    assert_eq!(store.delete(&all().with_ids(["x"])), Deleted { nodes: 1, triplets: 0, relations: 1 });
}

#[test]
fn chunks_without_an_id_have_that_of_their_key() {
    let store = load(r#"{"nodes":{"-123":{"text":"t","id_":null},"-4":{"text":"u"}},"triplets":[["-123","r","-4"]]}"#);
    assert_eq!(ids(&store), "-123 -4");
    assert_eq!(store.get_triplets(&all().with_ids(["-4"]))[0].relation, Relation::new("r", "-123", "-4"));
}

#[test]
fn numbers_of_a_file_are_kept_and_new_ones_must_be_finite() {
    let text = r#"{"nodes":{"a":{"name":"a","embedding":[0.10,null,-0.0,1,1E400,12345678901234567890],"properties":{"n":NaN}}}}"#;
    let store = load(text);
    let mut node = store.get(&NodeFilter::default()).remove(0);
    let embedding = node.embedding.clone().unwrap();
    assert!(embedding[1].is_nan());
    assert_eq!([0, 2, 3, 4, 5].map(|i| embedding[i]), [0.1, -0.0, 1.0, f64::INFINITY, 12345678901234567890.0]);
    assert_eq!(store.python_problem(), Some(PythonProblem::EmbeddingGaps("a".into())));

    let refused = |node: &LabelledNode, message: &str| {
        let err = store.upsert_nodes([LabelledNode::entity("new"), node.clone()]).unwrap_err();
        assert!(matches!(err, Error::NotFinite { .. }));
        assert!(err.to_string().starts_with(message), "{err}");
    };
    refused(&node, "node 'a': the embedding holds NaN or an infinity");
    node.embedding = None;
    refused(&node, "node 'a': property 'n' holds NaN or an infinity");
    let deep = vec![Value::from(vec![f64::INFINITY])];
    let err = store.upsert_relations([Relation::new("r", "a", "b").with_property("k", deep)]).unwrap_err();
    assert!(err.to_string().starts_with("relation 'a -> r -> b': property 'k' holds NaN"), "{err}");
    assert_eq!(dump(&store), text);
    node.properties.insert("n".into(), Value::from(1e-7));
    store.upsert_nodes([node]).unwrap();
    assert_eq!(
        dump(&store),
        r#"{"nodes":{"a":{"label":"entity","embedding":null,"properties":{"n":1e-7},"name":"a"}},"relations":{},"triplets":[]}"#
    );
}

#[test]
fn what_could_not_be_read_again_is_refused() {
    let nested = |depth: usize| (1..depth).fold(Value::Array(vec![]), |inner, _| Value::Array(vec![inner]));
    let store = SimplePropertyGraphStore::new();
    let node = |depth| LabelledNode::entity("a").with_property("k", nested(depth));
    let limit = raw_json::MAX_DEPTH - 4;
    store.upsert_nodes([node(limit)]).unwrap();
    assert_eq!(load(&dump(&store)).to_dict(), store.to_dict());
    assert!(matches!(store.upsert_nodes([node(limit + 1)]), Err(Error::TooDeep { .. })));
}

#[test]
fn extra_fields_cannot_stand_for_known_ones() {
    let store = SimplePropertyGraphStore::new();
    let refused = |mut node: LabelledNode, field: &str| {
        node.extra.insert(field.into(), "x".into());
        let err = store.upsert_nodes([node.clone()]).unwrap_err();
        assert_eq!(
            err.to_string(),
            format!("node '{}': '{field}' is no extra field but one that LlamaIndex knows; set it as such", node.id())
        );
    };
    refused(LabelledNode::entity("a"), "label");
    refused(LabelledNode::chunk("c", "text"), "name");
    refused(load(r#"{"nodes":{"b":{}}}"#).get(&NodeFilter::default()).remove(0), "text");
    let mut relation = Relation::new("r", "a", "b");
    relation.extra.insert("label".into(), "s".into());
    assert!(matches!(store.upsert_relations([relation]), Err(Error::ReservedField { .. })));
    assert_eq!(store.node_count(), 0);
}

#[test]
fn what_is_no_property_graph_is_refused_with_its_place() {
    let check = |text: &str, message: &str| {
        let err = SimplePropertyGraphStore::from_text(&Text::from(text)).unwrap_err();
        assert_eq!(err.to_string(), format!("not a property graph{message}"));
    };
    check("", ": expected a value at line 1 column 1 (byte 0)");
    check("[]", ": expected an object, found a list at line 1 column 1 (byte 0)");
    check(r#"{"graph_dict": {}}"#, ": there is no key 'nodes'; is it another store's file?");
    check(r#"{"nodes": []}"#, ": expected an object, found a list at line 1 column 11 (byte 10)");
    check("{\"nodes\": {\"é\":\n5}}", " (node 'é'): expected an object, found a number at line 2 column 1 (byte 17)");
    let node = |fields: &str, message: &str| {
        check(&format!("{{\"nodes\": {{\"a\": {{}}, \"b\": {fields}}}}}"), &format!(" (node 'b'): expected {message}"));
    };
    node(r#"{"name": 5}"#, "a string, found a number at line 1 column 35 (byte 34)");
    node(r#"{"name": "x", "label": null}"#, "a string, found null at line 1 column 49 (byte 48)");
    node(r#"{"name": "x", "properties": []}"#, "an object, found a list at line 1 column 54 (byte 53)");
    node(
        r#"{"name": "x", "embedding": {}}"#,
        "a list of numbers or null, found an object at line 1 column 53 (byte 52)",
    );
    node(
        r#"{"text": "x", "embedding": [1, "2"]}"#,
        "a list of numbers or null, found a string at line 1 column 57 (byte 56)",
    );
    node(r#"{"text": "x", "id_": 5}"#, "a string or null, found a number at line 1 column 47 (byte 46)");
    let rest = |rest: &str, message: &str| check(&format!("{{\"nodes\": {{}}, {rest}}}"), message);
    rest(
        r#""relations": {"k": {"label": "r", "source_id": "a"}}"#,
        " (relation 'k'): expected a field 'target_id' at line 1 column 66 (byte 65)",
    );
    rest(
        r#""relations": {"k": {"label": 5}}"#,
        " (relation 'k'): expected a string, found a number at line 1 column 44 (byte 43)",
    );
    rest(r#""relations": null"#, ": expected an object, found null at line 1 column 28 (byte 27)");
    rest(
        r#""triplets": [["a", "r", "b"], ["a", "r"]]"#,
        " (triplet 2): expected three strings before this at line 1 column 55 (byte 54)",
    );
    rest(
        r#""triplets": [["a", 5, "b"]]"#,
        " (triplet 1): expected a string, found a number at line 1 column 34 (byte 33)",
    );
    rest(r#""triplets": ["arb"]"#, " (triplet 1): expected a list, found a string at line 1 column 28 (byte 27)");
}

#[test]
fn an_entity_whose_text_is_no_text_is_read_as_python_does() {
    let store = load(r#"{"nodes": {"a": {"text": 5, "id_": [], "name": "a"}, "b": {"embedding": "x"}}}"#);
    let nodes = store.get(&NodeFilter::default());
    assert_eq!((nodes[0].kind(), nodes[1].kind()), (&NodeKind::Entity { name: "a".into() }, &NodeKind::Other));
    assert_eq!(store.python_problem(), Some(PythonProblem::UnknownNode("b".into())));
    assert_eq!(store.get(&NodeFilter::default().with_property("k", Value::Null)).len(), 1);
}

#[test]
fn dicts_round_trip() {
    let store = load(BY_LABEL);
    let again = SimplePropertyGraphStore::from_dict(&store.to_dict()).unwrap();
    assert_eq!(again.to_dict(), store.to_dict());
    let store = load(SMALL);
    assert_eq!(dump(&SimplePropertyGraphStore::from_dict(&store.to_dict()).unwrap()), SMALL);
    assert_eq!(dump(&SimplePropertyGraphStore::new()), r#"{"nodes":{},"relations":{},"triplets":[]}"#);
    let none = SimplePropertyGraphStore::from_dict(&Value::Null);
    assert!(matches!(none, Err(Error::DamagedPropertyGraph { .. })), "{none:?}");
}

#[test]
fn another_encoding_is_a_problem_until_written_anew() {
    let bom = [b"\xEF\xBB\xBF", SMALL.as_bytes()].concat();
    let store = SimplePropertyGraphStore::from_text(&Text::decode(bom).unwrap()).unwrap();
    assert_eq!(store.python_problem().unwrap().to_string(), "the file is in Utf8Bom and not plain UTF-8");
    assert!(store.upgrade());
    assert_eq!((store.python_problem(), dump(&store).as_str()), (None, SMALL));
}

#[test]
fn the_traits_are_the_same_stores() {
    use crate::{GraphStore, SimpleGraphStore};
    let (simple, property) = (SimpleGraphStore::new(), SimplePropertyGraphStore::new());
    let store: Arc<dyn GraphStore> = Arc::new(simple.clone());
    let graph: Arc<dyn PropertyGraphStore> = Arc::new(property.clone());
    let [a, r, b] = ["a", "r", "b"].map(PyString::from);
    pollster::block_on(async {
        store.upsert_triplet(&a, &r, &b).await.unwrap();
        assert_eq!(store.get(&a).await.unwrap(), [(r.clone(), b.clone())]);
        assert_eq!(store.get_rel_map(None, 2, 30).await.unwrap()[0].len(), 1);
        assert!(store.delete(&a, &r, &b).await.unwrap());

        graph.upsert_nodes(vec![LabelledNode::chunk("c", "text")]).await.unwrap();
        graph.upsert_relations(vec![Relation::new("r", "a", "c")]).await.unwrap();
        assert_eq!(graph.get(&NodeFilter::default()).await.unwrap().len(), 2);
        assert_eq!(graph.get_triplets(&all().with_ids(["a"])).await.unwrap().len(), 1);
        assert_eq!(graph.get_rel_map(&[a], &RelMapOptions::default()).await.unwrap().len(), 2);
        assert_eq!(graph.delete(&all().with_ids(["c"])).await.unwrap().nodes, 1);
        assert!(!graph.upgrade().await.unwrap());
    });
    assert_eq!((store.to_dict(), graph.to_dict()), (Some(simple.to_dict()), Some(property.to_dict())));
    assert!(store.to_file().is_some() && graph.to_file().is_some() && graph.python_problem().is_none());
}
