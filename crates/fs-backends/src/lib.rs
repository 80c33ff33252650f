#![doc = include_str!("../README.md")]

mod blocking;
mod error;
mod local;
mod place;

pub use error::{Error, Result};
pub use local::LocalFs;
pub use place::{IntoPlace, Place};
