//! The text of saved files: standard input, a file, every file of a folder; plain or packed with gzip, UTF-8 or UTF-16.
//!
//! Must not: know what the text says.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::event::json;
use crate::model::text::quoted;

/// Most of one file that is read, unpacked. What the AWS CLI prints of the largest accounts is half of it.
const MAX_LEN: u64 = 1 << 30;
/// Most files of one folder.
const MAX_FILES: usize = 100_000;
/// How a file begins that is packed with gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `None`: standard input.
    path: Option<PathBuf>,
    /// Somebody named this very file. One that is only in a folder may be anything.
    pub(super) is_named: bool,
}

impl Source {
    /// Its name for people, harmless on a terminal.
    pub fn name(&self) -> String {
        self.path.as_deref().map_or_else(|| "standard input".to_owned(), |path| quoted(&path.display().to_string()))
    }

    /// Its path with `/`, relative where it was named so: what a report says of where something stands.
    pub(super) fn path(&self) -> String {
        let path = self.path.as_deref().map_or_else(|| "stdin".into(), Path::to_string_lossy);
        path.replace('\\', "/")
    }

    /// The name of the file alone, with all its endings.
    pub(super) fn file_name(&self) -> String {
        let name = self.path.as_deref().and_then(Path::file_name);
        name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// What files, folders and `-` stand for, in order. Links to folders are not followed, and what is hidden is left out.
///
/// # Errors
/// A sentence about a path that is not there or can't be read.
pub fn sources(named: &[PathBuf]) -> Result<Vec<Source>, String> {
    let mut found = Vec::new();
    for path in named {
        if path.as_os_str() == "-" {
            found.push(Source { path: None, is_named: true });
        } else if path.is_dir() {
            let files = files(path)?;
            found.extend(files.into_iter().map(|path| Source { path: Some(path), is_named: false }));
        } else {
            found.push(Source { path: Some(path.clone()), is_named: true });
        }
    }
    Ok(found)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let name = quoted(&folder.display().to_string());
        let cannot = |error: io::Error| format!("the folder {name} cannot be read: {error}");
        for entry in fs::read_dir(&folder).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let kind = entry.file_type().map_err(cannot)?;
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() || path.is_file() {
                found.push(path);
            }
        }
        if found.len() > MAX_FILES {
            return Err(format!(
                "the folder {name} holds more than {MAX_FILES} files; name those of the AWS CLI alone"
            ));
        }
    }
    found.sort();
    Ok(found)
}

/// The text of a source.
///
/// # Errors
/// A sentence that says what was read.
pub(super) fn text(source: &Source) -> Result<String, String> {
    let name = source.name();
    let bytes = match &source.path {
        None => limited(io::stdin().lock()),
        Some(path) => File::open(path).and_then(limited),
    };
    let mut bytes = bytes.map_err(|error| format!("{name} cannot be read: {error}"))?;
    if bytes.starts_with(&GZIP) {
        let packed = std::mem::take(&mut bytes);
        bytes = limited(MultiGzDecoder::new(packed.as_slice()))
            .map_err(|error| format!("{name} begins like gzip and cannot be unpacked ({error}); save it again"))?;
    }
    let text = json::whole(&json::text(&bytes)).into_owned();
    if text.trim().is_empty() {
        return Err(format!("{name} is empty; expected what a command of the AWS CLI prints, as JSON"));
    }
    Ok(text)
}

fn limited(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if from.take(MAX_LEN + 1).read_to_end(&mut bytes)? as u64 > MAX_LEN {
        return Err(io::Error::other("it is larger than 1 GiB; save one VPC at a time, with `--filters`"));
    }
    Ok(bytes)
}
