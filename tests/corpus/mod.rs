//! The files of events that several tests read.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The JSON files of a folder, in the order of their names.
#[expect(clippy::panic, reason = "a test without its files has failed")]
pub(crate) fn read_folder(folder: &Path) -> Vec<(PathBuf, Value)> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), read_json(&path))).collect()
}

#[expect(clippy::panic, reason = "a test without its files has failed")]
pub(crate) fn read_json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
