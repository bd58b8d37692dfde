//! Reads what the arguments name: files, policies, today. Errors say what to do next.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use jiff::civil::Date;
use jiff::{Timestamp, tz::Offset};
use serde_json::Value;

use crate::audit::source;
use crate::event::json;
use crate::model::text::plain;
use crate::policy::model::Policy;
use crate::policy::{builtin, file};

/// The policy file that is meant where none is named.
pub(super) const POLICY_FILE: &str = "policy.yaml";

/// Most of a file that is read, unpacked.
const MAX_LEN: u64 = 256 << 20;

/// A path as it may be shown: nothing in it reaches the terminal raw.
pub(super) fn shown(path: &Path) -> String {
    plain(&path.display().to_string())
}

/// Today in UTC, as expiries count.
pub(super) fn day(now: Timestamp) -> Date {
    Offset::UTC.to_datetime(now).date()
}

/// The text of a file. `what` it should be: `policy file`, `event`.
pub(super) fn text(path: &Path, what: &str) -> anyhow::Result<String> {
    String::from_utf8(bytes(path, what)?)
        .map_err(|_| anyhow!("{what} `{}` is not UTF-8 text; save it as UTF-8", shown(path)))
}

/// A JSON file, read as the function reads its payload.
pub(super) fn json(path: &Path, what: &str) -> anyhow::Result<Value> {
    let text = json_text(path, what)?;
    json::read(&text).map_err(|error| not_json(&error, what, &shown(path)))
}

/// What is wrong with a JSON file, and what to do where its end is missing.
pub(super) fn not_json(error: &serde_json::Error, what: &str, name: &str) -> anyhow::Error {
    let cut = if error.is_eof() { "; it breaks off, so it was cut: save it again" } else { "" };
    anyhow!("{what} `{name}` is not JSON: {error}{cut}")
}

/// The text of a JSON file, in any encoding, as a strict reader takes it.
pub(super) fn json_text(path: &Path, what: &str) -> anyhow::Result<String> {
    as_json(&bytes(path, what)?, what, &shown(path))
}

/// The same of standard input.
pub(super) fn json_text_of_stdin(what: &str) -> anyhow::Result<String> {
    as_json(&read(Ok(io::stdin()), what, "-")?, what, "-")
}

fn as_json(bytes: &[u8], what: &str, name: &str) -> anyhow::Result<String> {
    let text = json::whole(&json::text(bytes)).into_owned();
    if text.trim().is_empty() {
        bail!("{what} `{name}` is empty; expected JSON");
    }
    Ok(text)
}

fn bytes(path: &Path, what: &str) -> anyhow::Result<Vec<u8>> {
    let name = shown(path);
    if path.is_dir() {
        bail!("{what} `{name}` is a directory; name a file in it");
    }
    read(File::open(path), what, &name)
}

fn read(from: io::Result<impl Read + 'static>, what: &str, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = from.and_then(source::unpacked).and_then(|from| from.take(MAX_LEN + 1).read_to_end(&mut bytes));
    read.with_context(|| format!("{what} `{name}` cannot be read"))?;
    if bytes.len() as u64 > MAX_LEN {
        bail!("{what} `{name}` is larger than {} MiB; name a smaller one", MAX_LEN >> 20);
    }
    Ok(bytes)
}

/// A built-in policy by name, or a policy file. A file with errors is a `Rejected`.
pub(super) fn policy(name: &str, now: Timestamp) -> anyhow::Result<Policy> {
    if builtin::NAMES.contains(&name) {
        return Ok(builtin::policy(name)?.clone());
    }
    let path = Path::new(name);
    if !path.exists() {
        bail!(
            "there is no policy file `{}`, and no built-in policy of that name; expected a file, or one of {}",
            shown(path),
            builtin::NAMES.map(|name| format!("`{name}`")).join(", ")
        );
    }
    let text = text(path, "policy file")?;
    Ok(file::load(&shown(path), &text, day(now))?.policy)
}

/// The files below a directory with one of these extensions, in order; the file itself where one is named. Links to
/// directories are not followed.
pub(super) fn files(path: &Path, extensions: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(directory) = open.pop() {
        let cannot = || format!("directory `{}` cannot be read", shown(&directory));
        for entry in fs::read_dir(&directory).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            let path = entry.path();
            if entry.file_type().with_context(cannot)?.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| extensions.iter().any(|known| end == *known)) {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        bail!("directory `{}` holds no file that ends in `.{}`", shown(path), extensions.join("` or `."));
    }
    found.sort();
    Ok(found)
}
