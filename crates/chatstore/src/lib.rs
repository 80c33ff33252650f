#![doc = include_str!("../README.md")]

mod error;
mod message;
mod simple;
mod store;
mod stored;

#[cfg(feature = "behavior")]
pub mod behavior;

pub use error::{Error, Result};
pub use message::{ChatMessage, ContentBlock};
pub use simple::SimpleChatStore;
pub use store::ChatStore;
