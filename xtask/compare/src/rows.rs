//! The rows. A new one is a file, and a line here.

mod commit;
mod get_nodes;
mod open;
mod persist;
mod query;
mod s3;

use crate::row::Row;

/// All rows, in the order in which they are measured: who opens comes before who works on what is open.
pub(crate) const ROWS: &[Row] = &[commit::ROW, open::ROW, query::ROW, get_nodes::ROW, persist::ROW, s3::ROW];
