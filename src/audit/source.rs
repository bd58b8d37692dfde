//! What people name to be read: standard input, files, every file of a folder; plain or packed with gzip, UTF-8 or UTF-16,
//! as one text or as a stream of it.
//!
//! Must not: know what the text says.

mod decoded;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use self::decoded::Decoded;
use crate::event::json;
use crate::model::text::quoted;

/// Most of one file that is read, unpacked. What the AWS CLI prints of the largest accounts is half of it.
const MAX_LEN: u64 = 1 << 30;
/// Most files of one folder.
const MAX_FILES: usize = 100_000;
/// How a file begins that is packed with gzip.
const GZIP: &[u8] = &[0x1f, 0x8b];
/// How others begin, which are not unpacked here.
const PACKED: [(&[u8], &str); 5] = [
    (b"PK\x03\x04", "a zip archive"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "packed with zstd"),
    (b"BZh", "packed with bzip2"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "packed with xz"),
    (b"PAR1", "a Parquet file"),
];
/// Bytes that say what a file is.
const MAGIC_LEN: usize = 5;

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `None`: standard input.
    path: Option<PathBuf>,
    /// Somebody named this very file. One that is only in a folder may be anything.
    is_named: bool,
}

impl Source {
    /// Its name for people, harmless on a terminal.
    pub fn name(&self) -> String {
        self.path.as_deref().map_or_else(|| "standard input".to_owned(), |path| quoted(&path.display().to_string()))
    }

    /// Whether somebody named this very file.
    pub fn is_named(&self) -> bool {
        self.is_named
    }

    /// Its path with `/`, relative where it was named so: what a report says of where something stands.
    pub fn path(&self) -> String {
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

impl Source {
    /// What to say of an error on the way.
    pub fn broke_off(&self, error: &io::Error) -> String {
        let name = self.name();
        match error.kind() {
            // The unpacker's own, and what it says of an end that is missing.
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                format!("{name} begins like gzip and cannot be unpacked to its end ({error}); save it again")
            }
            _ => format!("{name} cannot be read to its end: {error}"),
        }
    }

    /// Its text as a stream, unpacked, in UTF-8. What is no character becomes U+FFFD.
    ///
    /// # Errors
    /// A sentence that says what was read.
    pub fn open(&self) -> Result<Box<dyn BufRead>, String> {
        let cannot = |error: io::Error| match error.kind() {
            io::ErrorKind::Unsupported => format!("{} is {error}", self.name()),
            _ => format!("{} cannot be read: {error}", self.name()),
        };
        let from: Box<dyn Read> = match &self.path {
            None => Box::new(io::stdin().lock()),
            Some(path) if path.is_dir() => return Err(format!("{} is a folder", self.name())),
            Some(path) => Box::new(File::open(path).map_err(cannot)?),
        };
        Ok(Box::new(BufReader::new(Decoded::new(unpacked(from).map_err(cannot)?))))
    }
}

/// The bytes of it, unpacked where they are gzip.
///
/// # Errors
/// `Unsupported`, with what it is, where it is packed otherwise.
pub fn unpacked(mut from: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let mut magic = Vec::with_capacity(MAGIC_LEN);
    from.by_ref().take(MAGIC_LEN as u64).read_to_end(&mut magic)?;
    if let Some((_, what)) = PACKED.iter().find(|(begin, _)| magic.starts_with(begin)) {
        return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{what}; unpack it first")));
    }
    let is_gzip = magic.starts_with(GZIP);
    let whole = Cursor::new(magic).chain(from);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(BufReader::new(whole))) } else { Box::new(whole) })
}

/// The text of a source.
///
/// # Errors
/// A sentence that says what was read.
pub(super) fn text(source: &Source) -> Result<String, String> {
    let name = source.name();
    let mut text = String::new();
    let read = source.open()?.take(MAX_LEN + 1).read_to_string(&mut text);
    read.map_err(|error| source.broke_off(&error))?;
    if text.len() as u64 > MAX_LEN {
        return Err(format!("{name} is larger than 1 GiB; save one VPC at a time, with `--filters`"));
    }
    let text = json::whole(&text).into_owned();
    if text.trim().is_empty() {
        return Err(format!("{name} is empty; expected what a command of the AWS CLI prints, as JSON"));
    }
    Ok(text)
}
