//! Random operations against plain lists, and random texts.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::ops::Range;

use chatstore::{ChatMessage, ContentBlock, SimpleChatStore};
use persist::Content;
use proptest::prelude::*;
use raw_json::{Dialect, Object, PyString, RawJson, Text, Value, to_json};

fn written(content: Content) -> String {
    let mut out = Vec::new();
    content.write_to(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn parse(text: &str) -> Value {
    text.parse::<RawJson>().unwrap().value()
}

/// Any JSON value, with the store's own keys among its keys.
fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_string().prop_map(Value::from),
    ];
    scalar.prop_recursive(6, 60, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((any_string(), inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Object>())),
        ]
    })
}

fn any_string() -> impl Strategy<Value = PyString> {
    const KEYS: [&str; 9] =
        ["store", "class_name", "role", "content", "blocks", "block_type", "text", "additional_kwargs", "k"];
    prop_oneof![
        proptest::sample::select(&KEYS[..]).prop_map(PyString::from),
        "\\PC{0,4}".prop_map(PyString::from),
        Just(PyString::from_code_points([0xD83D])),
    ]
}

/// Mostly a message: in each place usually what belongs there.
fn near_message() -> impl Strategy<Value = Value> {
    let block = prop_oneof![
        3 => any_string().prop_map(|text| Value::Object(ContentBlock::text(text).into_fields())),
        1 => any_value(),
    ];
    let mostly = |value: BoxedStrategy<Value>| prop_oneof![6 => value, 1 => any_value()];
    let field = prop_oneof![
        mostly(any_string().prop_map(Value::from).boxed()).prop_map(|v| ("role".into(), v)),
        mostly(any_string().prop_map(Value::from).boxed()).prop_map(|v| ("content".into(), v)),
        mostly(proptest::collection::vec(block, 0..3).prop_map(Value::Array).boxed())
            .prop_map(|v| ("blocks".into(), v)),
        mostly(Just(Value::Object(Object::new())).boxed()).prop_map(|v| ("additional_kwargs".into(), v)),
        (any_string(), any_value()),
    ];
    proptest::collection::vec(field, 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

fn use_store(text: &str) {
    let Ok(store) = SimpleChatStore::from_text(&Text::from(text)) else { return };
    assert_eq!(written(store.store_file().content), text);
    for key in store.get_keys() {
        let messages = store.get_messages(&key);
        messages.iter().for_each(|message| drop(message.content()));
        // What was read is taken as the same again, unless it cannot be written.
        if store.set_messages(&key, messages).is_ok() {
            assert_eq!(written(store.store_file().content), text);
        }
    }
    store.add_message("k", ChatMessage::user("x"), Some(1)).unwrap();
    let again = SimpleChatStore::from_text(&Text::from(written(store.store_file().content))).unwrap();
    assert_eq!(again.to_dict(), store.to_dict());
    for key in store.get_keys() {
        store.delete_message(&key, -1);
        store.delete_messages(&key);
    }
    assert_eq!(parse(&written(store.store_file().content)), store.to_dict());
}

#[derive(Debug, Clone)]
enum Op {
    Set(u8, Vec<u8>),
    Add(u8, u8, Option<isize>),
    Delete(u8),
    DeleteMessage(u8, isize),
    DeleteLast(u8),
    Reload,
}

fn op() -> impl Strategy<Value = Op> {
    const KEYS: Range<u8> = 0..4;
    prop_oneof![
        2 => (KEYS, proptest::collection::vec(any::<u8>(), 0..4)).prop_map(|(key, messages)| Op::Set(key, messages)),
        6 => (KEYS, any::<u8>(), proptest::option::of(-6..6_isize)).prop_map(|(key, n, at)| Op::Add(key, n, at)),
        1 => KEYS.prop_map(Op::Delete),
        3 => (KEYS, -6..6_isize).prop_map(|(key, at)| Op::DeleteMessage(key, at)),
        1 => KEYS.prop_map(Op::DeleteLast),
        1 => Just(Op::Reload),
    ]
}

fn message(n: u8) -> ChatMessage {
    ChatMessage::user(n.to_string())
}

/// A file as versions from 0.10 on wrote it, with these messages under the keys `k0`, `k1`, …
fn file(layout: &str, chats: &[Vec<u8>]) -> String {
    let message = |n: &u8| match layout {
        "blocks" => {
            format!(r#"{{"role":"user","additional_kwargs":{{}},"blocks":[{{"block_type":"text","text":"{n}"}}]}}"#)
        }
        _ => format!(r#"{{"role": "user", "content": "{n}", "additional_kwargs": {{}}}}"#),
    };
    let list = |list: &Vec<u8>| list.iter().map(message).collect::<Vec<_>>().join(",");
    let chats: Vec<String> = chats.iter().enumerate().map(|(i, chat)| format!(r#""k{i}":[{}]"#, list(chat))).collect();
    let text = format!(r#"{{"store":{{{}}},"class_name":"SimpleChatStore"}}"#, chats.join(","));
    if layout == "twice" { Value::from(text.as_str()).to_string() } else { text }
}

chatstore::chat_store_behavior!(pollster::block_on, async { SimpleChatStore::new() });

proptest! {
    #[test]
    fn the_store_does_what_plain_lists_do(
        layout in proptest::sample::select(&["blocks", "content", "twice"][..]),
        start in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..4),
        ops in proptest::collection::vec(op(), 0..60),
    ) {
        let mut store = SimpleChatStore::from_text(&Text::from(file(layout, &start))).unwrap();
        let mut model: Vec<(u8, Vec<u8>)> = (0..).zip(start).collect();
        let name = |key: u8| PyString::from(format!("k{key}"));
        for op in ops {
            let at = |model: &[(u8, Vec<u8>)], key: u8| model.iter().position(|(found, _)| *found == key);
            let begin = |model: &mut Vec<(u8, Vec<u8>)>, key: u8| at(model, key).unwrap_or_else(|| {
                model.push((key, Vec::new()));
                model.len() - 1
            });
            let remove = |model: &mut Vec<(u8, Vec<u8>)>, key: u8, index: isize| {
                let i = at(model, key)?;
                let messages = &mut model[i].1;
                let len = messages.len() as isize;
                let index = if index < 0 { index + len } else { index };
                (0..len).contains(&index).then(|| message(messages.remove(index as usize)))
            };
            match op {
                Op::Set(key, messages) => {
                    store.set_messages(name(key), messages.iter().copied().map(message)).unwrap();
                    let i = begin(&mut model, key);
                    model[i].1 = messages;
                }
                Op::Add(key, n, index) => {
                    store.add_message(name(key), message(n), index).unwrap();
                    let i = begin(&mut model, key);
                    let len = model[i].1.len() as isize;
                    let at = match index.unwrap_or(len) {
                        at if at < 0 => (at + len).max(0),
                        at => at.min(len),
                    };
                    model[i].1.insert(at as usize, n);
                }
                Op::Delete(key) => {
                    let expected = at(&model, key).map(|i| model.remove(i).1.into_iter().map(message).collect::<Vec<_>>());
                    prop_assert_eq!(store.delete_messages(name(key)), expected);
                }
                Op::DeleteMessage(key, index) => {
                    prop_assert_eq!(store.delete_message(name(key), index), remove(&mut model, key, index));
                }
                Op::DeleteLast(key) => {
                    prop_assert_eq!(store.delete_last_message(name(key)), remove(&mut model, key, -1));
                }
                Op::Reload => store = SimpleChatStore::from_text(&Text::from(written(store.store_file().content))).unwrap(),
            }
            prop_assert_eq!(store.get_keys(), model.iter().map(|(key, _)| name(*key)).collect::<Vec<_>>());
            for (key, messages) in &model {
                let expected: Vec<ChatMessage> = messages.iter().copied().map(message).collect();
                prop_assert_eq!(store.get_messages(name(*key)), expected);
            }
        }
    }

    #[test]
    fn one_change_leaves_all_else_as_it_was(
        other in any_value(),
        extra in proptest::collection::vec(any_value(), 0..4),
        dialect in proptest::sample::select(&[Dialect::Ascii, Dialect::Unicode][..]),
        twice in any::<bool>(),
    ) {
        let text = |value: &Value| String::from_utf8(to_json(value, dialect)).unwrap();
        let old: Object = extra.into_iter().enumerate().map(|(i, v)| (format!("k{i}").into(), v)).collect();
        let file = |messages: Vec<Value>| -> Value {
            let chats: Value = [("k", Value::Array(messages))].into_iter().collect();
            [("other", other.clone()), ("store", chats)].into_iter().collect()
        };
        let plain = text(&file(vec![old.clone().into()]));
        let before = if twice { text(&plain.into()) } else { plain };
        let store = SimpleChatStore::from_text(&Text::from(before.as_str())).unwrap();
        prop_assert_eq!(written(store.store_file().content), before);

        store.add_message("k", ChatMessage::user("new"), Some(0)).unwrap();
        let new = parse(r#"{"role": "user", "additional_kwargs": {}, "blocks": [{"block_type": "text", "text": "new"}]}"#);
        let after = file(vec![new, old.into()]);
        prop_assert_eq!(parse(&written(store.store_file().content)).to_string(), after.to_string());
    }

    #[test]
    fn no_text_panics(value in any_value()) {
        let text = value.to_string();
        use_store(&text);
        use_store(&Value::from(text.as_str()).to_string());
        text.char_indices().for_each(|(i, _)| use_store(&text[..i]));
    }

    #[test]
    fn what_is_nearly_a_chat_store_does_not_panic(messages in proptest::collection::vec(near_message(), 0..4)) {
        let chats: Value = [("k", Value::Array(messages))].into_iter().collect();
        use_store(&[("store", chats)].into_iter().collect::<Value>().to_string());
    }
}
