//! A model check of the commit protocol.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod check;
mod explore;
mod mechanisms;
mod place;
mod process;
mod scenarios;
mod table;
