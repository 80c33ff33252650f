use anyhow::{Result, ensure};
use colca::prelude::*;
use pollster::block_on;
use serde_json::json;

use crate::Bench;
use crate::row::{Line, Row};
use crate::timing::{in_turn, timed};

pub(super) const ROW: Row =
    Row { name: "get-nodes", work: "Gets nodes by their ids, with all their fields.", full_s: 2, quick_s: 1, measure };

const NODES: usize = 1_000;

fn measure(bench: &mut Bench) -> Result<Vec<Line>> {
    bench.llama_index.have_open(&bench.data.context)?;
    let ctx = block_on(StorageContext::open(bench.data.context.as_path()))?;
    let ids: Vec<String> = (0..NODES).map(|at| format!("node-{}", at * bench.data.size.nodes / NODES)).collect();
    let keys: Vec<PyString> = ids.iter().map(|id| id.as_str().into()).collect();
    let request = json!({"do": "get_nodes", "ids": ids});
    let docstore = ctx.docstore();
    let [ours, theirs] = in_turn([
        Box::new(timed(|| {
            let nodes = block_on(docstore.get_nodes(&keys))?;
            ensure!(nodes.len() == NODES, "there are {} nodes", nodes.len());
            Ok(nodes)
        })),
        Box::new(|| bench.llama_index.ask(request.clone())),
    ])?;
    Ok(vec![Line { work: "get 1,000 nodes".to_owned(), ours, theirs: Some(theirs), limit: None }])
}
