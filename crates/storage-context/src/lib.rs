#![doc = include_str!("../README.md")]

mod builder;
mod context;
mod error;
mod file_names;
mod open_report;
mod options;
mod reopening;
mod report;

mod dict;
mod open;
mod origin;
mod persisting;
mod python;
mod single_file;
mod upgrade;

pub use builder::StorageContextBuilder;
pub use context::StorageContext;
pub use error::{Error, Result};
pub use file_names::{DEFAULT_NAMESPACE, DEFAULT_PERSIST_DIR, FileNames, IMAGE_NAMESPACE};
pub use open_report::{AbsentNodes, OpenReport};
pub use options::{OpenOptions, PersistOptions};
pub use reopening::{ReopenOptions, Reopened};
pub use report::{Action, FileReport, PersistReport, PythonProblem};
pub use upgrade::Upgraded;
