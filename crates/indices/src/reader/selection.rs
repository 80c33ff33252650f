use std::path::Path;

use fs_backends::FileStat;

use super::ReadError;
use super::glob::Pattern;
use super::paths;

/// Which files of a folder are read.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    pub(super) exclude: Vec<String>,
    pub(super) exclude_hidden: bool,
    pub(super) exclude_empty: bool,
    pub(super) recursive: bool,
    pub(super) required_exts: Option<Vec<String>>,
    pub(super) num_files_limit: Option<usize>,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            exclude: Vec::new(),
            exclude_hidden: true,
            exclude_empty: false,
            recursive: false,
            required_exts: None,
            num_files_limit: None,
        }
    }
}

impl Selection {
    /// The files that are read, in the order of the parts of their paths.
    pub(super) fn of(&self, folder: &Path, mut files: Vec<FileStat>) -> Result<Vec<FileStat>, ReadError> {
        let patterns = self.exclude.iter().map(|pattern| Pattern::new(pattern, self.recursive));
        let patterns: Vec<Pattern> = patterns.collect::<Result<_, _>>()?;
        files.retain(|file| {
            let is_hidden = self.exclude_hidden && is_hidden(&file.name);
            let is_empty = self.exclude_empty && file.size == 0;
            let is_wanted = self.required_exts.as_ref().is_none_or(|suffixes| has_one(suffixes, &file.name));
            let is_excluded = || patterns.iter().any(|pattern| pattern.matches(folder, &file.name));
            is_wanted && !is_hidden && !is_empty && !is_excluded()
        });
        files.sort_by(|a, b| a.name.cmp(&b.name));
        files.truncate(self.num_files_limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX));
        Ok(files)
    }
}

fn is_hidden(name: &Path) -> bool {
    name.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."))
}

/// Whether a file has one of these suffixes, which have their dots.
fn has_one(suffixes: &[String], name: &Path) -> bool {
    let suffix = paths::suffix(name);
    suffixes.iter().any(|wanted| match wanted.strip_prefix('.') {
        Some(wanted) => !wanted.is_empty() && *wanted == suffix,
        None => wanted.is_empty() && suffix.is_empty(),
    })
}
