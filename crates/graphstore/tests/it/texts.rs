use graphstore::{
    LabelledNode, NodeFilter, RelMapOptions, Relation, SimpleGraphStore, SimplePropertyGraphStore, TripletFilter,
};
use proptest::prelude::*;
use raw_json::{Object, PyString, Text, Value};

use crate::{any_string, any_value, parse, written};

/// Mostly a property graph: in each place usually what belongs there.
fn near_graph() -> impl Strategy<Value = Value> {
    let id = || proptest::sample::select(&["a", "b", "a_b", "q\"", "q "][..]).prop_map(Value::from);
    let kept = proptest::collection::vec((any_string(), prop_oneof![any_value(), kept_node()]), 0..3)
        .prop_map(|entries| Value::Object(entries.into_iter().collect()));
    let node = proptest::collection::vec((any_string(), prop_oneof![4 => id(), 1 => kept, 1 => any_value()]), 0..4);
    let relation = (id(), id(), id(), any_value()).prop_map(|(label, source, target, properties)| {
        let fields = [("label", label), ("source_id", source), ("target_id", target), ("properties", properties)];
        fields.into_iter().collect::<Value>()
    });
    let part = |value: BoxedStrategy<Value>| {
        proptest::collection::vec((any_string(), prop_oneof![6 => value, 1 => any_value()]), 0..4)
            .prop_map(|entries| Value::Object(entries.into_iter().collect()))
    };
    let nodes = part(node.prop_map(|fields| Value::Object(fields.into_iter().collect())).boxed());
    let relations = part(relation.boxed());
    let triplets = proptest::collection::vec(proptest::collection::vec(id(), 3), 0..4).prop_map(Value::from);
    (nodes, relations, triplets).prop_map(|(nodes, relations, triplets)| {
        [("nodes", nodes), ("relations", relations), ("triplets", triplets)].into_iter().collect()
    })
}

/// Mostly what a node is rebuilt from.
fn kept_node() -> impl Strategy<Value = Value> {
    let field = proptest::sample::select(&["id_", "text", "metadata", "relationships", "class_name", "index_id"][..]);
    let value = prop_oneof![Just(Value::from("Document")), any_value()];
    proptest::collection::vec((field, value), 0..4)
        .prop_map(|fields| fields.into_iter().collect::<Value>().to_string().into())
}

fn use_graph(text: &str) {
    let Ok(store) = SimpleGraphStore::from_text(&Text::from(text)) else { return };
    assert_eq!(written(store.store_file().content), text);
    let _ = store.get_rel_map(None, 5, 50);
    store.get_schema().to_string();
    let triplets: Vec<_> = store.triplets().collect();
    store.upsert_triplet("a", "r", "o");
    for triplet in triplets {
        store.delete(&triplet.subject, &triplet.relation, &triplet.object);
        assert!(!store.get(&triplet.subject).contains(&(triplet.relation, triplet.object)));
    }
    assert!(store.triplet_count() <= 1);
    assert_eq!(parse(&written(store.store_file().content)), store.to_dict());
}

fn use_property_graph(text: &str) {
    let Ok(store) = SimplePropertyGraphStore::from_text(&Text::from(text)) else { return };
    assert_eq!(written(store.store_file().content), text);
    for part in ["nodes", "relations"] {
        assert_eq!(store.to_dict().get(part), Some(parse(text).get(part).unwrap_or(&Value::Object(Object::new()))));
    }
    let ids: Vec<PyString> = store.get(&NodeFilter::default()).iter().map(|node| node.id().clone()).collect();
    store.get(&NodeFilter::default().with_property("a", Value::Null));
    store.get_triplets(&TripletFilter::default().with_property("a", 1));
    store.get_rel_map(&ids, &RelMapOptions::default().with_depth(9));
    store.python_problem().map(|problem| problem.to_string());
    store.get_schema().to_string();
    let found = store.get_llama_nodes(&ids);
    assert_eq!(found.nodes.len() + found.skipped.len(), ids.len());
    found.skipped.iter().for_each(|node| drop(node.reason.to_string()));
    let dangling = store.dangling_triplets();
    // Some cannot be kept for what the file has in them.
    let relabelled = store.get(&NodeFilter::default()).into_iter().map(|node| node.with_label("x"));
    let _ = store.upsert_nodes(relabelled);
    store.upsert_nodes([LabelledNode::entity("a")]).unwrap();
    store.upsert_relations([Relation::new("a", "a", "q\"")]).unwrap();
    assert!(store.dangling_triplets().iter().all(|triplet| dangling.contains(triplet)));
    let before = store.to_dict();
    let reloaded = SimplePropertyGraphStore::from_text(&Text::from(written(store.store_file().content))).unwrap();
    assert_eq!(reloaded.to_dict(), before);
    store.upgrade();
    assert!(!store.upgrade());
    store.delete_llama_nodes(&["a".into()], &["b".into()]);
    assert!(store.dangling_triplets().iter().all(|triplet| dangling.contains(triplet)));
    for id in ids {
        store.delete(&TripletFilter::default().with_ids([id]));
    }
    assert_eq!(parse(&written(store.store_file().content)), store.to_dict());
}

proptest! {
    #[test]
    fn no_text_panics(value in any_value()) {
        let text = value.to_string();
        use_graph(&text);
        use_property_graph(&text);
        for (i, _) in text.char_indices() {
            use_graph(&text[..i]);
            use_property_graph(&text[..i]);
        }
    }

    #[test]
    fn what_is_nearly_a_graph_store_does_not_panic(value in any_value()) {
        use_graph(&[("graph_dict", value)].into_iter().collect::<Value>().to_string());
    }

    #[test]
    fn what_is_nearly_a_property_graph_does_not_panic(value in near_graph()) {
        use_property_graph(&value.to_string());
    }
}
