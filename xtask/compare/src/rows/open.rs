use anyhow::Result;
use colca::prelude::*;
use pollster::block_on;

use crate::Bench;
use crate::limits::read_files;
use crate::row::{Line, Row};
use crate::timing::{in_turn, timed};

pub(super) const ROW: Row =
    Row { name: "open", work: "Opens a persisted context, ready to be queried.", full_s: 330, quick_s: 12, measure };

fn measure(bench: &mut Bench) -> Result<Vec<Line>> {
    let folder = bench.data.context.as_path();
    let [ours, theirs, limit] = in_turn([
        Box::new(timed(|| Ok(block_on(StorageContext::open(folder))?))),
        Box::new(|| bench.llama_index.open(folder)),
        Box::new(timed(|| read_files(folder))),
    ])?;
    Ok(vec![Line { work: "open".to_owned(), ours, theirs: Some(theirs), limit: Some(("read()", limit)) }])
}
