use std::collections::HashSet;

use crate::{Digest, Error, PersistFiles, PersistFs, Result, check_name};

/// A file that a commit has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its content.
    pub digest: Digest,
}

/// Replaces the given files and deletes those named in `remove`, as one step as far as the place allows.
///
/// All contents are serialised and staged durably before the first published file changes, so content that cannot be
/// written, a full disk or a crash until then leaves the place as it was. Each file is replaced as a whole.
///
/// # Errors
/// [`Error::InvalidName`] and [`Error::DuplicateName`] before anything is written; otherwise what the place reports.
pub async fn commit(fs: &dyn PersistFs, files: PersistFiles, remove: &[String]) -> Result<Vec<Written>> {
    let mut names = HashSet::new();
    for name in files.iter().map(|file| &file.name).chain(remove) {
        check_name(name)?;
        if !names.insert(name) {
            return Err(Error::DuplicateName { name: name.clone() });
        }
    }
    let mut staged = Vec::with_capacity(files.len());
    for file in files {
        match fs.stage(&file.name, file.content).await {
            Ok(one) => staged.push(one),
            Err(e) => {
                fs.discard(staged).await;
                return Err(e);
            }
        }
    }
    let written = staged.iter().map(|s| Written { name: s.name.clone(), size: s.size, digest: s.digest }).collect();
    fs.publish(staged, remove).await?;
    Ok(written)
}
