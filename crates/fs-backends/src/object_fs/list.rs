use std::time::SystemTime;

use futures_util::TryStreamExt;
use opendal::options::ListOptions;
use opendal::{EntryMode, ErrorKind, Metadata, Operator};
use persist::{Error, FileInfo, Folder, OWN_FOLDER, PersistFs, Result};

use super::ObjectFs;
use super::publish::version;

/// How many files that a listing tells too little of are looked at at the same time.
const CONCURRENT_STATS: usize = 16;

impl ObjectFs {
    pub(super) async fn list_folder(&self, folder: Folder) -> Result<Vec<FileInfo>> {
        let prefix = match folder {
            Folder::Published => String::new(),
            Folder::Own => format!("{OWN_FOLDER}/"),
        };
        let shown = if prefix.is_empty() { "." } else { OWN_FOLDER };
        let call = self.begin("list", shown)?;
        let mut files = match call.run(list(&call.operator, &prefix)).await {
            Ok(files) => files,
            // A service that is asked by our own client has an empty list of what is absent, so its bucket is.
            Err(e) if e.kind() == ErrorKind::NotFound && !self.notes_sent => Vec::new(),
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                return Err(Error::Forbidden { place: self.location(), source: call.failure(&e).into() });
            }
            Err(e) => return Err(call.failed(e)),
        };
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// Whether the location may be listed.
    pub(super) async fn may_list(&self) -> bool {
        let Ok(call) = self.begin("list", ".") else { return true };
        let first = call.run(async {
            let options = ListOptions { limit: Some(1), ..ListOptions::default() };
            call.operator.lister_options("", options).await?.try_next().await
        });
        !first.await.is_err_and(|e| e.kind() == ErrorKind::PermissionDenied)
    }
}

async fn list(operator: &Operator, prefix: &str) -> opendal::Result<Vec<FileInfo>> {
    let listed = operator.lister_options(prefix, ListOptions::default()).await?;
    let files = listed.try_filter_map(|entry| async move {
        let (path, metadata) = entry.into_parts();
        Ok((!path.ends_with('/') && metadata.mode() != EntryMode::DIR).then_some((path, metadata)))
    });
    let infos = files.map_ok(|(path, metadata)| async move {
        let metadata = match metadata.mode() == EntryMode::FILE && version(operator, &metadata).is_some() {
            true => metadata,
            false => match operator.stat(&path).await {
                // It has vanished since.
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
                stat => stat?,
            },
        };
        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        Ok(Some(FileInfo {
            name,
            size: metadata.content_length(),
            version: version(operator, &metadata),
            modified: modified(&metadata),
        }))
    });
    infos.try_buffer_unordered(CONCURRENT_STATS).try_filter_map(|info| async move { Ok(info) }).try_collect().await
}

fn modified(metadata: &Metadata) -> Option<SystemTime> {
    metadata.last_modified().map(SystemTime::from)
}
