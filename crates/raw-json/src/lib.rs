#![doc = include_str!("../README.md")]

mod error;
mod string;

mod decode;
mod scan;

mod number;
mod raw;
mod value;

mod compare;
mod printable;
mod repr;
mod walk;
mod write;

pub use compare::{NoOrder, py_cmp, py_eq};
pub use decode::{Encoding, Text};
pub use error::{Error, ErrorKind, Result};
pub use number::{BigInt, shortest_f32, write_f64};
pub use raw::RawJson;
pub use repr::{is_space, py_repr, py_str, strip};
pub use scan::{Kind, MAX_DEPTH, MAX_INT_DIGITS, Scanner};
pub use string::PyString;
pub use value::{Object, Value};
pub use write::{Dialect, JsonWriter, to_json, write_string};
