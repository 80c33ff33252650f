//! How to do things, a page for each task.

#[doc = include_str!("indexes.md")]
pub mod indexes {}
