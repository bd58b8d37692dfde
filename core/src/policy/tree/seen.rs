//! Mistakes in the text that a person sees at once, where a YAML parser only says that it can't go on.
//!
//! Must not: know the policy language; a key is a word before a colon.

use crate::model::text::plain;
use crate::policy::diagnostic::At;

/// How far above the place where the parser stops a mistake is looked for.
const LINES_LOOKED_AT: usize = 3;

/// What a person sees at once in the lines where the parser stopped: the position of the mistake and what to write.
pub(super) fn near(text: &str, at: At) -> Option<(At, String)> {
    // The parser stops after the mistake: look at its line, then at those above.
    let lines: Vec<(usize, &str)> = text.lines().enumerate().take(at.line).collect();
    lines.iter().rev().take(LINES_LOOKED_AT).find_map(|(row, line)| {
        let (offset, help) = mistake(line)?;
        let start = text.split_inclusive('\n').take(*row).map(str::len).sum::<usize>() + offset;
        let shown = line.get(offset..).unwrap_or_default().trim_end();
        let column = line.get(..offset).unwrap_or_default().chars().count() + 1;
        Some((At { start, end: start + shown.len(), line: row + 1, column }, help))
    })
}

/// The byte of a line where a well-known mistake begins, and what to write.
pub(super) fn mistake(line: &str) -> Option<(usize, String)> {
    let bare = line.trim_start().trim_start_matches("- ").trim_start();
    let indent = line.len() - bare.len();
    if bare.starts_with('#') {
        return None;
    }
    if let Some(found) = ["{{", "${", "<%", "{%"].iter().find_map(|mark| line.find(mark)) {
        return Some((found, "fill in the placeholder: a policy is no template".to_owned()));
    }
    if let Some(found) = in_braces(line) {
        return Some(found);
    }
    let key_len = bare.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(0);
    let (key, rest) = bare.split_at_checked(key_len)?;
    let value = rest.strip_prefix(':').filter(|_| !key.is_empty())?;
    if let Some(first) = value.chars().next().filter(|first| !first.is_whitespace()) {
        let is_space = !first.is_ascii() && first.is_alphanumeric() || first.is_ascii_graphic() && first != ':';
        let value = value.trim();
        return is_space.then(|| (indent, format!("write `{key}: {}`, with a space after the colon", plain(value))));
    }
    let value = value.trim();
    let is_quoted = value.starts_with(['"', '\'', '|', '>', '[', '{']);
    let start = indent + key.len() + 1 + (rest.len() - 1 - rest.trim_start_matches(':').trim_start().len());
    if value.contains(": ") && !is_quoted {
        return Some((start, in_quotes(key, value)));
    }
    if value.starts_with(['*', '&', '@', '`', '%']) {
        return Some((start, in_quotes(key, value)));
    }
    None
}

fn in_quotes(key: &str, value: &str) -> String {
    format!("put the text in quotes: `{}: \"{}\"`", plain(key), plain(value))
}

/// The same between braces, where a text ends at a comma and ` #` takes the closing brace away.
fn in_braces(line: &str) -> Option<(usize, String)> {
    let opened = line.find(['{', '['])?;
    if let Some(hash) = line.find(" #").filter(|hash| line.get(*hash..).is_some_and(|rest| rest.contains(['}', ']'])))
        && opened < hash
        && !line.get(..hash).unwrap_or_default().contains(['"', '\''])
    {
        return Some((hash + 1, "put the text in quotes: ` #` begins a comment, to the end of the line".to_owned()));
    }
    let mut offset = opened + 1;
    for piece in line.get(offset..)?.split([',', '{', '}']) {
        let (key, value) = piece.split_once(": ").unwrap_or((piece, ""));
        let value = value.trim();
        if value.contains(": ") && !value.starts_with(['"', '\'', '[']) {
            let start = offset + key.len() + 2;
            return Some((start, in_quotes(key.trim(), value)));
        }
        offset += piece.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_shown_where_it_begins() {
        let in_quotes = "put the text in quotes: `note: \"c: d\"`";
        for (line, expected) in [
            ("from: {note: c: d}", Some((13, in_quotes))),
            ("from: {a: b, note: c: d}", Some((19, in_quotes))),
            ("from: [note: c: d, e]", Some((13, in_quotes))),
            ("from: {note: 'c: d'}", None),
            ("  note:\u{e9}", Some((2, "write `note: \u{e9}`, with a space after the colon"))),
            ("note:x", Some((0, "write `note: x`, with a space after the colon"))),
            ("note::x", None),
            ("note:\u{2013}x", None),
            ("note:\u{1}x", None),
        ] {
            let expected = expected.map(|(at, help)| (at, help.to_owned()));
            assert_eq!(mistake(line), expected, "{line}");
        }
        let text = "a: b\n\u{e9}: {note: c: d}\n";
        let at = At { start: 0, end: 0, line: 2, column: 1 };
        let (found, _) = near(text, at).unwrap();
        assert_eq!((found.start, found.line, found.column), (16, 2, 11));
    }
}
