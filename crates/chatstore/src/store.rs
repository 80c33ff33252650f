use std::fmt::Debug;

use async_trait::async_trait;
use persist::StoreFile;
use raw_json::{PyString, Value};

use crate::{ChatMessage, Result};

/// Conversations: lists of messages by key.
///
/// Handles are shared (`Arc<dyn ChatStore>`), and every method may be called from several tasks at once.
#[async_trait]
pub trait ChatStore: Debug + Send + Sync + 'static {
    /// Replaces all messages of a conversation.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite) and the like for a message that cannot be kept, and if the store
    /// beneath fails.
    async fn set_messages(&self, key: &PyString, messages: Vec<ChatMessage>) -> Result<()>;

    /// The messages of a conversation, in order; none if there is no such conversation.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get_messages(&self, key: &PyString) -> Result<Vec<ChatMessage>>;

    /// Inserts a message before the one at `index`, or at the end for `None`. As in Python's `list.insert`, a negative
    /// index counts from the end, an index beyond the end means the end, and one before the start the start. A
    /// conversation that is not there is begun.
    ///
    /// # Errors
    /// As [`set_messages`](Self::set_messages).
    async fn add_message(&self, key: &PyString, message: ChatMessage, index: Option<isize>) -> Result<()>;

    /// Removes a conversation and returns its messages; `None` if there is no such conversation.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn delete_messages(&self, key: &PyString) -> Result<Option<Vec<ChatMessage>>>;

    /// Removes one message and returns it; `None` if there is no such message. A negative index counts from the end.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn delete_message(&self, key: &PyString, index: isize) -> Result<Option<ChatMessage>>;

    /// Removes the last message and returns it; `None` if there is none.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn delete_last_message(&self, key: &PyString) -> Result<Option<ChatMessage>> {
        self.delete_message(key, -1).await
    }

    /// The keys of all conversations, empty ones too.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get_keys(&self) -> Result<Vec<PyString>>;

    /// For a store in memory: its state as a file. `None` if the store keeps itself.
    fn to_file(&self) -> Option<StoreFile> {
        None
    }

    /// For a store in memory: its content, as LlamaIndex's `to_dict`.
    fn to_dict(&self) -> Option<Value> {
        None
    }
}
