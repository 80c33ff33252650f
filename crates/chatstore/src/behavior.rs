//! What every [`ChatStore`] does, as functions to run against one.
//!
//! ```
//! # mod tests {
//! chatstore::chat_store_behavior!(pollster::block_on, async { chatstore::SimpleChatStore::new() });
//! # }
//! ```
//!
//! The store must be empty. The order of its keys is its own.
#![allow(clippy::unwrap_used, reason = "a test suite fails by panicking")]

use std::sync::Arc;

use raw_json::{Object, PyString, Value};

use crate::{ChatMessage, ChatStore, ContentBlock, Error};

/// Makes one test of each behaviour: `chat_store_behavior!(block_on, future that makes an empty store)`.
#[macro_export]
macro_rules! chat_store_behavior {
    ($block_on:path, $make:expr) => {
        $crate::chat_store_behavior!(@ $block_on, $make;
            messages_come_back_as_they_were
            setting_replaces_all_messages
            messages_are_added_at_the_end
            messages_are_inserted_as_into_a_list
            messages_are_deleted_by_their_place
            the_last_message_is_deleted
            conversations_are_deleted_whole
            conversations_are_apart
            empty_conversations_are_conversations
            what_cannot_be_kept_changes_nothing);
    };
    (@ $block_on:path, $make:expr; $($case:ident)*) => {
        $(#[test]
        fn $case() {
            $block_on(async {
                let store: std::sync::Arc<dyn $crate::ChatStore> = std::sync::Arc::new($make.await);
                $crate::behavior::$case(store).await;
            });
        })*
    };
}

async fn set(store: &dyn ChatStore, key: &str, texts: &[&str]) {
    let messages = texts.iter().map(|text| ChatMessage::user(*text)).collect();
    store.set_messages(&key.into(), messages).await.unwrap();
}

async fn texts(store: &dyn ChatStore, key: &str) -> String {
    let messages = store.get_messages(&key.into()).await.unwrap();
    messages.iter().map(|message| message.content().unwrap().to_string()).collect::<Vec<_>>().join(" ")
}

async fn keys(store: &dyn ChatStore) -> Vec<String> {
    let mut keys: Vec<String> = store.get_keys().await.unwrap().iter().map(ToString::to_string).collect();
    keys.sort();
    keys
}

/// Roles, blocks of every kind, what a model takes and gives, and fields that LlamaIndex does not know.
pub async fn messages_come_back_as_they_were(store: Arc<dyn ChatStore>) {
    let image = [("block_type", Value::from("image")), ("url", "http://e.org".into()), ("detail", Value::Null)];
    let image: Object = image.into_iter().map(|(key, value)| (key.into(), value)).collect();
    let mut whole = ChatMessage::new("tool")
        .with_block(ContentBlock::text("one"))
        .with_block(image.into())
        .with_block(ContentBlock::text("two\nlines, é😀"))
        .with_kwarg("tool_call_id", "call")
        .with_kwarg("nested", vec![1.5, 2.0]);
    whole.extra.insert("unknown".into(), 1.into());
    let messages = [ChatMessage::system("be brief"), ChatMessage::user(""), ChatMessage::new("assistant"), whole];
    for key in ["k", "", "a \"key\"\n/é"] {
        store.set_messages(&key.into(), messages.to_vec()).await.unwrap();
        assert_eq!(store.get_messages(&key.into()).await.unwrap(), messages);
    }
    assert_eq!(store.get_messages(&"nobody".into()).await.unwrap(), []);
}

/// Nothing of what was there is left.
pub async fn setting_replaces_all_messages(store: Arc<dyn ChatStore>) {
    set(&*store, "k", &["a", "b", "c"]).await;
    set(&*store, "k", &["b"]).await;
    assert_eq!(texts(&*store, "k").await, "b");
}

/// A conversation that is not there is begun.
pub async fn messages_are_added_at_the_end(store: Arc<dyn ChatStore>) {
    for text in ["a", "b", "a"] {
        store.add_message(&"k".into(), ChatMessage::user(text), None).await.unwrap();
    }
    assert_eq!(texts(&*store, "k").await, "a b a");
}

/// As Python's `list.insert` has it.
pub async fn messages_are_inserted_as_into_a_list(store: Arc<dyn ChatStore>) {
    let cases = [
        (0, "x a b c"),
        (2, "a b x c"),
        (3, "a b c x"),
        (9, "a b c x"),
        (isize::MAX, "a b c x"),
        (-1, "a b x c"),
        (-3, "x a b c"),
        (-4, "x a b c"),
        (isize::MIN, "x a b c"),
    ];
    for (index, expected) in cases {
        set(&*store, "k", &["a", "b", "c"]).await;
        store.add_message(&"k".into(), ChatMessage::user("x"), Some(index)).await.unwrap();
        assert_eq!(texts(&*store, "k").await, expected, "{index}");
    }
    store.add_message(&"new".into(), ChatMessage::user("x"), Some(-2)).await.unwrap();
    assert_eq!(texts(&*store, "new").await, "x");
}

/// A negative index counts from the end; where there is no message, none is deleted.
pub async fn messages_are_deleted_by_their_place(store: Arc<dyn ChatStore>) {
    let cases = [
        (0, Some("a"), "b c"),
        (2, Some("c"), "a b"),
        (3, None, "a b c"),
        (-1, Some("c"), "a b"),
        (-3, Some("a"), "b c"),
        (-4, None, "a b c"),
        (isize::MIN, None, "a b c"),
    ];
    for (index, deleted, left) in cases {
        set(&*store, "k", &["a", "b", "c"]).await;
        let found = store.delete_message(&"k".into(), index).await.unwrap();
        assert_eq!((found, texts(&*store, "k").await.as_str()), (deleted.map(ChatMessage::user), left), "{index}");
    }
    assert_eq!(store.delete_message(&"nobody".into(), 0).await.unwrap(), None);
}

/// Until none is left.
pub async fn the_last_message_is_deleted(store: Arc<dyn ChatStore>) {
    set(&*store, "k", &["a", "b"]).await;
    let key = PyString::from("k");
    for expected in [Some("b"), Some("a"), None] {
        assert_eq!(store.delete_last_message(&key).await.unwrap(), expected.map(ChatMessage::user));
    }
    assert_eq!(store.delete_last_message(&"nobody".into()).await.unwrap(), None);
}

/// Its messages are returned, and its key goes.
pub async fn conversations_are_deleted_whole(store: Arc<dyn ChatStore>) {
    set(&*store, "k", &["a", "b"]).await;
    let expected = ["a", "b"].map(ChatMessage::user);
    assert_eq!(store.delete_messages(&"k".into()).await.unwrap().as_deref(), Some(&expected[..]));
    assert_eq!(store.delete_messages(&"k".into()).await.unwrap(), None);
    assert_eq!((texts(&*store, "k").await.as_str(), keys(&*store).await), ("", vec![]));
}

/// What is done to one conversation does not show in another.
pub async fn conversations_are_apart(store: Arc<dyn ChatStore>) {
    set(&*store, "k", &["a", "b"]).await;
    set(&*store, "l", &["a", "c"]).await;
    store.delete_message(&"k".into(), 0).await.unwrap();
    store.add_message(&"l".into(), ChatMessage::user("d"), Some(0)).await.unwrap();
    assert_eq!((texts(&*store, "k").await.as_str(), texts(&*store, "l").await.as_str()), ("b", "d a c"));
    assert_eq!(keys(&*store).await, ["k", "l"]);
}

/// A conversation stays when its last message goes, and may be set to nothing.
pub async fn empty_conversations_are_conversations(store: Arc<dyn ChatStore>) {
    set(&*store, "k", &["a"]).await;
    store.delete_last_message(&"k".into()).await.unwrap();
    set(&*store, "l", &[]).await;
    assert_eq!(keys(&*store).await, ["k", "l"]);
    assert_eq!(store.delete_messages(&"l".into()).await.unwrap(), Some(vec![]));
}

/// A call with one bad message is refused as a whole.
pub async fn what_cannot_be_kept_changes_nothing(store: Arc<dyn ChatStore>) {
    set(&*store, "k", &["a"]).await;
    let bad = ChatMessage::user("b").with_kwarg("n", f64::NAN);
    let key = PyString::from("k");
    let failed = store.set_messages(&key, vec![ChatMessage::user("c"), bad.clone()]).await.unwrap_err();
    assert!(matches!(failed, Error::NotFinite { .. }), "{failed}");
    let failed = store.add_message(&"new".into(), bad, None).await.unwrap_err();
    assert!(matches!(failed, Error::NotFinite { .. }), "{failed}");
    assert_eq!((texts(&*store, "k").await.as_str(), keys(&*store).await), ("a", vec!["k".to_owned()]));
}
