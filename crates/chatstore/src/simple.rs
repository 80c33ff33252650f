use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use persist::{Revision, StoreFile};
use raw_json::{Dialect, Error as JsonError, JsonWriter, Kind, PyString, RawJson, Scanner, Text, Value};

use crate::stored::{check, decode, encode, is_same};
use crate::{ChatMessage, ChatStore, Error, Result};

const STORE: &str = "store";

/// LlamaIndex's chat store in memory, the content of `chat_store.json`.
///
/// A clone is another handle on the same data. Reading takes a snapshot: it waits at most for the change that is being
/// made, and no change waits for it. Every change is seen as a whole or not at all. Keys and messages keep their order.
#[derive(Debug, Clone, Default)]
pub struct SimpleChatStore {
    state: Arc<RwLock<Arc<State>>>,
}

#[derive(Debug, Clone)]
struct State {
    chats: IndexMap<PyString, Vec<RawJson>>,
    /// The top level of the file, with `None` in the place of the chats.
    top: IndexMap<PyString, Option<RawJson>>,
    /// The file it was loaded from, while nothing has changed.
    original: Option<Bytes>,
    revision: Revision,
}

impl Default for State {
    fn default() -> Self {
        let class_name = RawJson::compact(&"SimpleChatStore".into());
        let top = [(STORE.into(), None), ("class_name".into(), Some(class_name))];
        Self { chats: IndexMap::new(), top: top.into(), original: None, revision: Revision::next() }
    }
}

impl SimpleChatStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a dumped chat store of any version: an object, or (0.10) a string that holds the text of one. Without the
    /// key `store` it is empty; other keys are kept. Takes time in proportion to the text.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the text is not JSON or a part has the wrong type.
    pub fn from_text(text: &Text) -> Result<Self> {
        let mut state = State::load(text)?;
        state.original = Some(text.bytes().clone());
        Ok(state.into())
    }

    /// A store with this content, LlamaIndex's `from_dict`.
    ///
    /// # Errors
    /// As [`from_text`](Self::from_text); places are those in the text that the value becomes.
    pub fn from_dict(dict: &Value) -> Result<Self> {
        // What the compact dialect cannot hold is written as Python reads it.
        let raw = RawJson::compact(dict);
        Ok(State::load(&raw.text())?.into())
    }

    /// The whole content, LlamaIndex's `to_dict`, with everything a loaded file had.
    pub fn to_dict(&self) -> Value {
        let state = self.snapshot();
        let top = state.top.iter().map(|(key, raw)| {
            let chats = || {
                let messages = |list: &[RawJson]| Value::Array(list.iter().map(RawJson::value).collect());
                Value::Object(state.chats.iter().map(|(key, list)| (key.clone(), messages(list))).collect())
            };
            (key.clone(), raw.as_ref().map_or_else(chats, RawJson::value))
        });
        Value::Object(top.collect())
    }

    /// The state as a file: the one that was loaded, byte for byte, while nothing has changed. A changed store is
    /// written in [`Dialect::Compact`]; the messages that did not change are the texts that were read.
    pub fn store_file(&self) -> StoreFile {
        let state = self.snapshot();
        StoreFile::new(state.original.clone(), state.revision, move |out| {
            let mut json = JsonWriter::new(out, Dialect::Compact);
            state.write(&mut json)?;
            json.finish().map(drop)
        })
    }

    /// Replaces all messages of a conversation. Those that are equal to the ones in their places stay the texts they
    /// were.
    ///
    /// # Errors
    /// [`Error::NotFinite`], [`Error::TooDeep`], [`Error::ReservedField`] or [`Error::NotABlock`] for a
    /// message that the file cannot hold. Nothing has changed then.
    pub fn set_messages(
        &self,
        key: impl Into<PyString>,
        messages: impl IntoIterator<Item = ChatMessage>,
    ) -> Result<()> {
        let key = key.into();
        let mut new = messages.into_iter().map(|message| encode(&key, message)).collect::<Result<Vec<_>>>()?;
        let mut guard = self.write();
        let old = guard.chats.get(&key);
        for (new, old) in new.iter_mut().zip(old.into_iter().flatten()) {
            if is_same(old, new) {
                new.clone_from(old);
            }
        }
        if old != Some(&new) {
            changing(&mut guard).chats.insert(key, new);
        }
        Ok(())
    }

    /// The messages of a conversation, in order; none if there is no such conversation.
    pub fn get_messages(&self, key: impl Into<PyString>) -> Vec<ChatMessage> {
        self.snapshot().chats.get(&key.into()).into_iter().flatten().map(decode).collect()
    }

    /// Inserts a message before the one at `index`, or at the end for `None`. As in Python's `list.insert`, a negative
    /// index counts from the end, an index beyond the end means the end, and one before the start the start. A
    /// conversation that is not there is begun.
    ///
    /// # Errors
    /// As [`set_messages`](Self::set_messages).
    pub fn add_message(&self, key: impl Into<PyString>, message: ChatMessage, index: Option<isize>) -> Result<()> {
        let key = key.into();
        let new = encode(&key, message)?;
        let mut guard = self.write();
        let messages = changing(&mut guard).chats.entry(key).or_default();
        let len = messages.len();
        let index = match index {
            None => len,
            Some(index) if index < 0 => len.saturating_sub(index.unsigned_abs()),
            Some(index) => index.unsigned_abs().min(len),
        };
        messages.insert(index, new);
        Ok(())
    }

    /// Removes a conversation and returns its messages; `None` if there is no such conversation. Takes time in
    /// proportion to the number of conversations.
    pub fn delete_messages(&self, key: impl Into<PyString>) -> Option<Vec<ChatMessage>> {
        let key = key.into();
        let mut guard = self.write();
        if !guard.chats.contains_key(&key) {
            return None;
        }
        let removed = changing(&mut guard).chats.shift_remove(&key)?;
        Some(removed.iter().map(decode).collect())
    }

    /// Removes one message and returns it; `None` if there is no such message. A negative index counts from the end.
    ///
    /// Python fails if a negative index is too far from the end.
    pub fn delete_message(&self, key: impl Into<PyString>, index: isize) -> Option<ChatMessage> {
        let key = key.into();
        let mut guard = self.write();
        let len = guard.chats.get(&key)?.len();
        let index = if index < 0 { len.checked_sub(index.unsigned_abs())? } else { index.unsigned_abs() };
        if index >= len {
            return None;
        }
        let removed = changing(&mut guard).chats.get_mut(&key)?.remove(index);
        Some(decode(&removed))
    }

    /// Removes the last message and returns it; `None` if there is none.
    ///
    /// Python fails if the conversation is empty.
    pub fn delete_last_message(&self, key: impl Into<PyString>) -> Option<ChatMessage> {
        self.delete_message(key, -1)
    }

    /// The keys of all conversations, in order.
    pub fn get_keys(&self) -> Vec<PyString> {
        self.snapshot().chats.keys().cloned().collect()
    }

    fn snapshot(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> RwLockWriteGuard<'_, Arc<State>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state to be changed, which no longer is what its file says.
fn changing(state: &mut Arc<State>) -> &mut State {
    let state = Arc::make_mut(state);
    state.original = None;
    state.revision = Revision::next();
    state
}

impl From<State> for SimpleChatStore {
    fn from(state: State) -> Self {
        Self { state: Arc::new(RwLock::new(Arc::new(state))) }
    }
}

impl State {
    fn load(text: &Text) -> Result<Self> {
        let mut part = None;
        let inner = unwrap_string(text).map_err(|source| Error::Damaged { part: part.clone(), source })?;
        let mut state =
            Self { chats: IndexMap::new(), top: IndexMap::new(), original: None, revision: Revision::next() };
        state.read(inner.as_ref().unwrap_or(text), &mut part).map_err(|source| Error::Damaged { part, source })?;
        state.top.entry(STORE.into()).or_insert(None);
        Ok(state)
    }

    /// Reads a file into an empty state. `at` tells what was being read when it fails.
    fn read(&mut self, text: &Text, at: &mut Option<String>) -> Result<(), JsonError> {
        let mut scanner = Scanner::new(text);
        scanner.object(|key, scanner| {
            if key != STORE {
                self.top.insert(key, Some(scanner.raw()?));
                return Ok(());
            }
            self.top.insert(key, None);
            self.chats.clear();
            scanner.object(|key, scanner| {
                let mut messages = Vec::new();
                let list = scanner.array(|scanner| {
                    let raw = scanner.raw()?;
                    check(&raw).map_err(|e| text.locate(&raw, e))?;
                    messages.push(raw);
                    Ok::<_, JsonError>(())
                });
                list.inspect_err(|_| *at = Some(format!("message {} of '{key}'", messages.len() + 1)))?;
                self.chats.insert(key, messages);
                Ok::<_, JsonError>(())
            })
        })?;
        scanner.finish()
    }

    fn write(&self, json: &mut JsonWriter<&mut dyn std::io::Write>) -> std::io::Result<()> {
        json.begin_object()?;
        for (key, raw) in &self.top {
            json.key(key)?;
            if let Some(raw) = raw {
                json.raw(raw)?;
                continue;
            }
            json.begin_object()?;
            for (key, messages) in &self.chats {
                json.key(key)?;
                json.begin_array()?;
                messages.iter().try_for_each(|message| json.raw(message))?;
                json.end_array()?;
            }
            json.end_object()?;
        }
        json.end_object()
    }
}

/// The text in a text that is one string.
fn unwrap_string(text: &Text) -> Result<Option<Text>, JsonError> {
    let mut scanner = Scanner::new(text);
    if scanner.kind()? != Kind::String {
        return Ok(None);
    }
    let string = scanner.string()?;
    scanner.finish()?;
    Text::decode(string.as_bytes().to_vec()).map(Some)
}

#[async_trait]
impl ChatStore for SimpleChatStore {
    async fn set_messages(&self, key: &PyString, messages: Vec<ChatMessage>) -> Result<()> {
        self.set_messages(key, messages)
    }

    async fn get_messages(&self, key: &PyString) -> Result<Vec<ChatMessage>> {
        Ok(self.get_messages(key))
    }

    async fn add_message(&self, key: &PyString, message: ChatMessage, index: Option<isize>) -> Result<()> {
        self.add_message(key, message, index)
    }

    async fn delete_messages(&self, key: &PyString) -> Result<Option<Vec<ChatMessage>>> {
        Ok(self.delete_messages(key))
    }

    async fn delete_message(&self, key: &PyString, index: isize) -> Result<Option<ChatMessage>> {
        Ok(self.delete_message(key, index))
    }

    async fn get_keys(&self) -> Result<Vec<PyString>> {
        Ok(self.get_keys())
    }

    fn to_file(&self) -> Option<StoreFile> {
        Some(self.store_file())
    }

    fn to_dict(&self) -> Option<Value> {
        Some(self.to_dict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContentBlock;
    use raw_json::Object;

    fn load(text: &str) -> SimpleChatStore {
        SimpleChatStore::from_text(&Text::from(text)).unwrap()
    }

    fn dump(store: &SimpleChatStore) -> String {
        let mut out = Vec::new();
        store.store_file().content.write_to(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn contents(store: &SimpleChatStore, key: &str) -> String {
        let content = |message: &ChatMessage| message.content().map_or_else(|| "-".to_owned(), |text| text.to_string());
        store.get_messages(key).iter().map(content).collect::<Vec<_>>().join(" ")
    }

    /// Three messages, `a b c`, under the key `k`.
    fn abc() -> SimpleChatStore {
        let store = SimpleChatStore::new();
        store.set_messages("k", ["a", "b", "c"].map(ChatMessage::user)).unwrap();
        store
    }

    const BLOCKS: &str = r#"{"store":{"u":[{"role":"user","additional_kwargs":{},"blocks":[{"block_type":"text","text":"hé"}]}],"empty":[]},"class_name":"SimpleChatStore"}"#;
    const CONTENT: &str = r#"{"store": {"u": [{"role": "user", "content": "h\u00e9", "additional_kwargs": {}}], "empty": []}, "class_name": "SimpleChatStore"}"#;
    const TWICE: &str = r#""{\"store\": {\"u\": [{\"role\": \"user\", \"content\": \"h\\u00e9\", \"additional_kwargs\": {}}], \"empty\": []}, \"class_name\": \"SimpleChatStore\"}""#;

    #[test]
    fn the_forms_of_all_versions_say_the_same() {
        for text in [BLOCKS, CONTENT, TWICE] {
            let store = load(text);
            assert_eq!(store.get_messages("u"), [ChatMessage::user("hé")]);
            assert_eq!(store.get_keys(), [PyString::from("u"), "empty".into()]);
            assert_eq!(dump(&store), text);
        }
    }

    #[test]
    fn what_changes_nothing_leaves_the_file_as_it_was() {
        for text in [BLOCKS, CONTENT, TWICE] {
            let store = load(text);
            store.set_messages("u", store.get_messages("u")).unwrap();
            store.set_messages("empty", []).unwrap();
            assert_eq!(store.delete_messages("absent"), None);
            assert_eq!(store.delete_last_message("empty"), None);
            assert_eq!(store.delete_message("u", 1), None);
            assert_eq!(store.delete_message("u", -2), None);
            assert_eq!(dump(&store), text);
        }
    }

    #[test]
    fn a_changed_file_keeps_everything_else_as_it_was_read() {
        let change = |text: &str, expected: &str| {
            let store = load(text);
            store.add_message("u", ChatMessage::assistant("né"), None).unwrap();
            assert_eq!(dump(&store), expected);
        };
        let new = r#"{"role":"assistant","additional_kwargs":{},"blocks":[{"block_type":"text","text":"né"}]}"#;
        change(BLOCKS, &BLOCKS.replace("}],\"empty\"", &format!("}},{new}],\"empty\"")));
        let old = r#"{"role": "user", "content": "h\u00e9", "additional_kwargs": {}}"#;
        let expected = format!(r#"{{"store":{{"u":[{old},{new}],"empty":[]}},"class_name":"SimpleChatStore"}}"#);
        change(CONTENT, &expected);
        change(TWICE, &expected);
        let odd = r#"{ "v": 1.50, "store": {"x": [{"role": "weird", "new": NaN, "content": 5}]} }"#;
        let expected =
            format!(r#"{{"v":1.50,"store":{{"x":[{{"role": "weird", "new": NaN, "content": 5}}],"u":[{new}]}}}}"#);
        change(odd, &expected);
    }

    #[test]
    fn content_counts_before_blocks_if_it_is_text_or_blocks() {
        let check = |fields: &str, content: Option<&str>, extra: &str| {
            let store = load(&format!(r#"{{"store": {{"k": [{{{fields}}}]}}}}"#));
            let message = store.get_messages("k").remove(0);
            assert_eq!(message.content(), content.map(PyString::from), "{fields}");
            assert_eq!(
                (Value::from(message.extra).to_string().as_str(), message.role == "user"),
                (extra, true),
                "{fields}"
            );
        };
        check("", None, "{}");
        check(r#""content": null"#, None, "{}");
        check(r#""content": "x""#, Some("x"), "{}");
        check(r#""content": 5"#, None, r#"{"content": 5}"#);
        check(r#""content": [{"block_type": "text", "text": "a"}]"#, Some("a"), "{}");
        check(r#""blocks": [{"block_type": "text", "text": "b"}], "content": "x""#, Some("x"), "{}");
        check(r#""blocks": [{"block_type": "text", "text": "b"}], "content": null"#, Some("b"), "{}");
        check(r#""blocks": [{"block_type": "image", "url": "u"}, {"block_type": "weird"}]"#, None, "{}");
    }

    #[test]
    fn blocks_of_other_kinds_and_unknown_fields_survive_a_change() {
        let blocks = r#"[{"block_type":"image","path":null,"n":1.5},{"block_type":"text","text":"t","more":1}]"#;
        let message = format!(r#"{{"role":"tool","additional_kwargs":{{"id":[1]}},"blocks":{blocks},"new":{{}}}}"#);
        let store = load(&format!(r#"{{"store":{{"k":[{message}]}}}}"#));
        let changed = store.get_messages("k").remove(0).with_kwarg("id", 2);
        store.set_messages("k", [changed]).unwrap();
        assert_eq!(dump(&store), format!(r#"{{"store":{{"k":[{}]}}}}"#, message.replace("[1]", "2")));
    }

    #[test]
    fn messages_are_inserted_where_they_should_be() {
        let check = |index: Option<isize>, expected: &str| {
            let store = abc();
            store.add_message("k", ChatMessage::system("x"), index).unwrap();
            assert_eq!(contents(&store, "k"), expected);
        };
        check(None, "a b c x");
        check(Some(0), "x a b c");
        check(Some(2), "a b x c");
        check(Some(3), "a b c x");
        check(Some(isize::MAX), "a b c x");
        check(Some(-1), "a b x c");
        check(Some(-3), "x a b c");
        check(Some(-4), "x a b c");
        check(Some(isize::MIN), "x a b c");
        let store = SimpleChatStore::new();
        store.add_message("new", ChatMessage::new("user"), Some(7)).unwrap();
        store.add_message("old", ChatMessage::new("user"), Some(-7)).unwrap();
        let found = ["new", "old", "absent"].map(|key| contents(&store, key));
        assert_eq!(found, ["-", "-", ""]);
    }

    #[test]
    fn messages_are_deleted_from_both_ends() {
        let check = |index: isize, removed: Option<&str>, left: &str| {
            let store = abc();
            let found = store.delete_message("k", index).and_then(|message| message.content());
            assert_eq!((found, contents(&store, "k").as_str()), (removed.map(PyString::from), left), "{index}");
        };
        check(0, Some("a"), "b c");
        check(2, Some("c"), "a b");
        check(3, None, "a b c");
        check(isize::MAX, None, "a b c");
        check(-1, Some("c"), "a b");
        check(-3, Some("a"), "b c");
        check(-4, None, "a b c");
        check(isize::MIN, None, "a b c");
        let store = abc();
        assert_eq!((1..5).filter(|_| store.delete_last_message("k").is_some()).count(), 3);
        assert_eq!(store.delete_messages("k"), Some(vec![]));
        assert_eq!((store.delete_messages("k"), store.delete_message("k", 0), store.get_keys()), (None, None, vec![]));
    }

    #[test]
    fn what_the_file_cannot_hold_is_refused() {
        let store = abc();
        let before = dump(&store);
        let check = |message: ChatMessage, expected: &str| {
            let messages = [ChatMessage::user("fine"), message.clone()];
            assert_eq!(store.set_messages("k", messages).unwrap_err().to_string(), expected);
            assert_eq!(store.add_message("k", message, None).unwrap_err().to_string(), expected);
            assert_eq!(dump(&store), before);
        };
        check(
            ChatMessage::user("x").with_kwarg("n", vec![f64::NAN]),
            "a message for 'k': 'additional_kwargs' holds NaN or an infinity, which would be lost in the file; leave it out or store a string",
        );
        let extra = |field: &str| {
            let mut message = ChatMessage::user("x");
            message.extra.insert(field.into(), "y".into());
            message
        };
        for field in ["role", "blocks", "content"] {
            let expected =
                format!("a message for 'k': '{field}' is no extra field but one that LlamaIndex knows; set it as such");
            check(extra(field), &expected);
        }
        let block = |text: Value| {
            let fields = [("block_type", "text".into()), ("text", text)];
            ContentBlock::from(fields.into_iter().map(|(key, value)| (key.into(), value)).collect::<Object>())
        };
        check(
            ChatMessage::new("user").with_block(block(5.into())),
            "a message for 'k' has a block that is none: expected a string, found a number at line 1 column 77 (byte 76)",
        );
        let nested = |depth: usize| (1..depth).fold(Value::Array(vec![]), |inner, _| Value::Array(vec![inner]));
        let limit = raw_json::MAX_DEPTH - 5;
        assert!(matches!(
            store.add_message("k", ChatMessage::user("x").with_kwarg("k", nested(limit + 1)), None),
            Err(Error::TooDeep { .. })
        ));
        store.add_message("k", ChatMessage::user("x").with_kwarg("k", nested(limit)), None).unwrap();
        assert_eq!(load(&dump(&store)).to_dict(), store.to_dict());
    }

    #[test]
    fn what_is_no_chat_store_is_refused_with_its_place() {
        let check = |text: &str, message: &str| {
            let err = SimpleChatStore::from_text(&Text::from(text)).unwrap_err();
            assert_eq!(err.to_string(), format!("not a chat store{message}"));
        };
        check("", ": expected a value at line 1 column 1 (byte 0)");
        check("[]", ": expected an object, found a list at line 1 column 1 (byte 0)");
        check("{} x", ": unexpected data after the value at line 1 column 4 (byte 3)");
        check(r#"{"store": null}"#, ": expected an object, found null at line 1 column 11 (byte 10)");
        check(r#""x""#, ": expected a value at line 1 column 1 (byte 0)");
        check(r#""\"{}\"""#, ": expected an object, found a string at line 1 column 1 (byte 0)");
        check(r#""{}" x"#, ": unexpected data after the value at line 1 column 6 (byte 5)");
        check(
            r#"{"store": {"k": {}}}"#,
            " (message 1 of 'k'): expected a list, found an object at line 1 column 17 (byte 16)",
        );
        let second = |message: &str, expected: &str| {
            let text = format!("{{\"store\": {{\"k\": [{{}},\n{message}]}}}}");
            check(&text, &format!(" (message 2 of 'k'): expected {expected}"));
        };
        second("5", "an object, found a number at line 2 column 1 (byte 21)");
        second(r#"{"role": null}"#, "a string, found null at line 2 column 10 (byte 30)");
        second(r#"{"additional_kwargs": []}"#, "an object, found a list at line 2 column 23 (byte 43)");
        second(r#"{"blocks": {}}"#, "a list, found an object at line 2 column 12 (byte 32)");
        second(r#"{"blocks": [5]}"#, "an object, found a number at line 2 column 13 (byte 33)");
        second(r#"{"content": ["a"]}"#, "an object, found a string at line 2 column 14 (byte 34)");
        second(r#"{"blocks": [{"block_type": 5}]}"#, "a string, found a number at line 2 column 28 (byte 48)");
        second(r#"{"blocks": [{"block_type": "text"}]}"#, "a field 'text' before this at line 2 column 35 (byte 55)");
        second(
            r#"{"blocks": [{"text": [], "block_type": "text"}]}"#,
            "a string, found a list at line 2 column 22 (byte 42)",
        );
    }

    #[test]
    fn dicts_round_trip() {
        let store = load(CONTENT);
        let again = SimpleChatStore::from_dict(&store.to_dict()).unwrap();
        assert_eq!(again.to_dict(), store.to_dict());
        let store = load(r#"{"x": 1, "store": {"k": [{"additional_kwargs": {"n": [NaN]}}]}}"#);
        assert_eq!(SimpleChatStore::from_dict(&store.to_dict()).unwrap().to_dict(), store.to_dict());
        assert_eq!(dump(&SimpleChatStore::from_dict(&load(BLOCKS).to_dict()).unwrap()), BLOCKS);
        assert_eq!(dump(&SimpleChatStore::new()), r#"{"store":{},"class_name":"SimpleChatStore"}"#);
        let none = SimpleChatStore::from_dict(&Value::Null);
        assert!(matches!(none, Err(Error::Damaged { .. })), "{none:?}");
    }

    #[test]
    fn the_trait_is_the_same_store() {
        let simple = abc();
        let store: Arc<dyn ChatStore> = Arc::new(simple.clone());
        pollster::block_on(async {
            let key = PyString::from("k");
            store.add_message(&key, ChatMessage::user("d"), None).await.unwrap();
            assert_eq!(store.delete_last_message(&key).await.unwrap(), Some(ChatMessage::user("d")));
            assert_eq!(store.get_messages(&key).await.unwrap().len(), 3);
            store.set_messages(&key, vec![]).await.unwrap();
            assert_eq!(store.delete_messages(&key).await.unwrap(), Some(vec![]));
            assert!(store.get_keys().await.unwrap().is_empty());
        });
        assert_eq!(store.to_dict(), Some(simple.to_dict()));
        assert!(store.to_file().is_some());
    }
}
