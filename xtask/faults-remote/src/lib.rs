//! Faults of places on real servers. `cargo xtask services` starts the servers; `cargo xtask test` and
//! `cargo xtask faults` do so by themselves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

pub mod child;
pub mod proxy;
pub mod rows;
pub mod s3;
pub mod state;
pub mod table;
pub mod without;
