//! How to do things, a page for each task.

#[doc = include_str!("indexes.md")]
pub mod indexes {}

#[doc = include_str!("querying.md")]
pub mod querying {}
