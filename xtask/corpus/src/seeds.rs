//! What fuzzing starts from: the small files of the recordings, the nodes in them, and the splitters' texts.

use std::fs;
use std::path::Path;

use anyhow::Result;
use colca::persist::Digest;
use colca::raw_json::{RawJson, Text, Value};

use crate::{recordings, splitters};

/// Larger files are slow to mutate and show nothing more.
const BYTES_MAX: u64 = 16 << 10;

/// Lays them out: a folder for each file name, such as `docstore.json`, and the folders `nodes` and `texts`.
///
/// # Errors
/// If the recordings cannot be read, or the folder cannot be written.
pub fn lay_out(folder: &Path) -> Result<()> {
    let seed = |kind: &str, bytes: &[u8]| -> Result<()> {
        let kind = folder.join(kind);
        fs::create_dir_all(&kind)?;
        Ok(fs::write(kind.join(Digest::of(bytes).to_string()), bytes)?)
    };
    for text in splitters::texts()?.iter().filter(|text| text.len() as u64 <= BYTES_MAX) {
        seed("texts", text.as_bytes())?;
    }
    for case in recordings::cases(&recordings::unpack(&support::root())?)? {
        for entry in fs::read_dir(case.join("persist"))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if entry.metadata()?.len() > BYTES_MAX || entry.file_type()?.is_dir() {
                continue;
            }
            let file = fs::read(entry.path())?;
            seed(&name, &file)?;
            nodes(file).iter().try_for_each(|node| seed("nodes", node))?;
        }
    }
    Ok(())
}

/// The texts of the nodes in a file, if it is one of a document store.
fn nodes(file: Vec<u8>) -> Vec<Vec<u8>> {
    let Ok(raw) = Text::decode(file).and_then(|text| RawJson::parse(&text)) else { return Vec::new() };
    let value = raw.value();
    let nodes = value.get("docstore/data").and_then(Value::as_object).into_iter().flatten();
    nodes.map(|(_, node)| node.to_string().into_bytes()).collect()
}
