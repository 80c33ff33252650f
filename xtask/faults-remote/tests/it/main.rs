//! Object stores on real servers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cache;
mod canned;
mod children;
mod contexts;
mod credentials;
mod everywhere;
mod network;
mod objects;
mod privileges;
mod secrets;
mod servers;
mod services;
mod wire;
