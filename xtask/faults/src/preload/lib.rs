//! A library to be preloaded (`LD_PRELOAD`): it counts the calls of the C library that touch files below one folder,
//! and makes one of them go wrong. Rust's standard library makes all its calls there.
//!
//! | variable | meaning |
//! |---|---|
//! | `FAULTS_UNDER` | The folder, an absolute path without links. Without it nothing happens. |
//! | `FAULTS_KIND` | What happens, see `Kind` in `plan.rs`. |
//! | `FAULTS_AT` | At which call, counting from 1. |
//! | `FAULTS_LOG` | A file that tells all calls, one a line: number, what it does, function, path. |
//! | `FAULTS_KEPT` | A folder where files that are made get a second name, which is their first. |
#![cfg(target_os = "linux")]

mod calls;
mod files;
mod plan;
