use std::fs;
use std::time::Instant;

use anyhow::{Result, ensure};
use colca::prelude::*;
use colca::storage_context::Action;
use pollster::block_on;
use serde_json::json;

use crate::Bench;
use crate::limits::write_files;
use crate::row::{Line, Row};
use crate::timing::{in_turn, timed};

pub(super) const ROW: Row = Row {
    name: "persist",
    work: "Persists a context again, durably, after one document has changed; LlamaIndex writes all files, without fsync.",
    full_s: 170,
    quick_s: 8,
    measure,
};

fn measure(bench: &mut Bench) -> Result<Vec<Line>> {
    bench.llama_index.have_open(&bench.data.context)?;
    let ctx = block_on(StorageContext::open(bench.data.context.as_path()))?;
    let [to_ours, to_theirs, plain] = ["ours", "theirs", "plain"].map(|name| bench.data.scratch(name));
    let (to_ours, to_theirs, plain) = (to_ours?, to_theirs?, plain?);
    block_on(ctx.persist(to_ours.as_path()))?;
    let changed = to_ours.join("docstore.json");
    let files = vec![("docstore.json".to_owned(), fs::read(changed)?.into())];
    let mut round = 0;
    let [ours, theirs, limit] = in_turn([
        Box::new(|| {
            round += 1;
            let node = Node::text(format!("Text {round}.")).with_id("node-7").with_source("doc-0");
            block_on(ctx.docstore().add_documents(&[node]))?;
            let start = Instant::now();
            let report = block_on(ctx.persist(to_ours.as_path()))?;
            let time = start.elapsed();
            let written = report.files.iter().filter(|file| file.action == Action::Written).count();
            ensure!(written == 1, "{written} files were written:\n{report}");
            Ok(time)
        }),
        Box::new(|| {
            let node = json!({"id": "node-7", "text": "A text.", "document": "doc-0"});
            let mut request = json!({"do": "persist_one_changed", "dir": to_theirs});
            for (name, value) in node.as_object().into_iter().flatten() {
                request[name] = value.clone();
            }
            bench.llama_index.ask(request)
        }),
        Box::new(timed(|| write_files(&plain, &files))),
    ])?;
    for folder in [to_ours, to_theirs, plain] {
        fs::remove_dir_all(folder)?;
    }
    let limit = Some(("writing the changed file with fsync", limit));
    Ok(vec![Line { work: "persist one changed document".to_owned(), ours, theirs: Some(theirs), limit }])
}
