//! What is wrong with the text itself, wherever it stands: a placeholder that nobody filled in, a character that looks like
//! another one, a rest that YAML took for a comment.
//!
//! One mistake is told once: a value that is reported here gets no second problem for what it is not. Must not: know keys,
//! but for which of them hold text for people.

use crate::model::text::{is_harmless, quoted};
use crate::policy::diagnostic::{At, Diagnostic};
use crate::policy::file::problems::Problems;
use crate::policy::fill_in;
use crate::policy::tree::{Node, Value};

/// How templates begin and end what they fill in.
const PLACEHOLDERS: [(&str, &str); 8] =
    [("{{", "}}"), ("${", "}"), ("$(", ")"), ("#{", "}"), ("%{", "}"), ("<%", "%>"), ("{%", "%}"), ("<<", ">>")];
/// Longer texts are nobody's word.
const MAX_WORD_LEN: usize = 200;

/// Characters that look like ASCII, after what they look like. Letters first of Cyrillic, then Greek; then other scripts'
/// dashes, quotes, spaces and what is not seen at all.
const LOOK_ALIKES: [(&str, &str); 44] = [
    ("a", "аα"),
    ("b", "Ьƅ"),
    ("c", "сϲ"),
    ("d", "ԁ"),
    ("e", "еҽ"),
    ("g", "ɡ"),
    ("h", "һ"),
    ("i", "іιı"),
    ("j", "јϳ"),
    ("k", "κк"),
    ("l", "ӏⅼ"),
    ("m", "ⅿ"),
    ("n", "ո"),
    ("o", "оοօ"),
    ("p", "рρ"),
    ("q", "ԛ"),
    ("r", "гᴦ"),
    ("s", "ѕ"),
    ("t", "τт"),
    ("u", "υս"),
    ("v", "ѵν"),
    ("w", "ԝω"),
    ("x", "хχ"),
    ("y", "уγ"),
    ("z", "ᴢ"),
    ("A", "АΑ"),
    ("B", "ВΒ"),
    ("C", "СϹ"),
    ("E", "ЕΕ"),
    ("H", "НΗ"),
    ("I", "ІΙ"),
    ("K", "КΚ"),
    ("M", "МΜ"),
    ("O", "ОΟ"),
    ("P", "РΡ"),
    ("S", "Ѕ"),
    ("T", "ТΤ"),
    ("X", "ХΧ"),
    ("-", "‐‑‒–—―−﹣－"),
    ("\"", "“”„‟″"),
    ("'", "‘’‚‛′"),
    (":", "：꞉∶"),
    ("/", "∕⁄／"),
    (" ", "\u{a0}\u{2007}\u{2009}\u{202f}\u{3000}"),
];

/// Reports what is strange in the tree. `prose`: the keys that hold text for people, which may have any letter.
pub(super) fn report(root: &Node, text: &str, prose: &[&str], problems: &mut Problems) {
    look(root, "", text, prose, problems);
}

fn look(node: &Node, key: &str, text: &str, prose: &[&str], problems: &mut Problems) {
    match &node.value {
        Value::Null => {}
        Value::Scalar(word) => {
            if let Some(problem) = scalar(word, node.at, prose.contains(&key)) {
                problems.instead(node.at, problem);
            } else if prose.contains(&key) {
                problems.found_if(cut(word, node.at, key, text));
            }
        }
        Value::List(items) => items.iter().for_each(|item| look(item, key, text, prose, problems)),
        Value::Map(entries) => {
            if let [(inner, Node { value: Value::Null, .. })] = entries.as_slice()
                && matches!(inner.value, Value::Map(_))
            {
                let name = text.get(inner.at.start..).and_then(|rest| rest.split('}').next()).unwrap_or_default();
                let written = format!("{{{name}}}}}");
                problems.instead(inner.at, placeholder(&written, inner.at));
                problems.instead_too(node.at);
                return;
            }
            for (name, value) in entries {
                look(name, "", text, prose, problems);
                let key = if let Value::Scalar(key) = &name.value { key } else { "" };
                look(value, key, text, prose, problems);
            }
        }
    }
}

fn scalar(word: &str, at: At, is_prose: bool) -> Option<Diagnostic> {
    if let Some(instead) = fill_in::instead_of(word) {
        return Some(placeholder(word, at).help(instead));
    }
    let is_open = |(start, end): &(&str, &str)| word.split_once(start).is_some_and(|(_, rest)| rest.contains(end));
    if PLACEHOLDERS.iter().any(is_open) || is_slot(word) {
        return Some(placeholder(word, at));
    }
    if is_prose || word.is_ascii() || word.len() > MAX_WORD_LEN {
        return None;
    }
    let plain: Option<String> =
        word.chars().map(|c| if c.is_ascii() { Some(c.to_string()) } else { look_alike(c) }).collect();
    let (plain, first) = (plain?, word.chars().find(|c| !c.is_ascii())?);
    let looks = look_alike(first).unwrap_or_default();
    let what = if looks.is_empty() {
        format!("U+{:04X}, which nobody sees", u32::from(first))
    } else {
        let shown = if is_harmless(first) && !first.is_whitespace() {
            format!("`{first}` (U+{:04X})", u32::from(first))
        } else {
            format!("U+{:04X}", u32::from(first))
        };
        format!("{shown}, which looks like `{looks}` and is another character")
    };
    let problem = Diagnostic::error("look-alike", at, format!("{} has {what}", quoted(word)));
    Some(problem.help(format!("type it anew: {}", quoted(plain.trim()))))
}

/// `<YOUR-OFFICE>`, `__OFFICE__`, `@OFFICE@`, `$OFFICE`: a whole value that is a slot.
fn is_slot(word: &str) -> bool {
    let name = |inner: &str| {
        inner.starts_with(|c: char| c.is_ascii_alphabetic())
            && inner.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.'))
    };
    let shout = |inner: &str| name(inner) && !inner.contains(|c: char| c.is_ascii_lowercase());
    let between = |start: &str, end: &str| word.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
    between("<", ">").is_some_and(name)
        || ["__", "@", "%"].iter().any(|mark| between(mark, mark).is_some_and(shout))
        || word.strip_prefix('$').is_some_and(shout)
}

fn placeholder(written: &str, at: At) -> Diagnostic {
    Diagnostic::error("placeholder", at, format!("{} is a placeholder that nobody filled in", quoted(written)))
        .help("write the value itself: a policy is no template; where one makes it, check what comes out of it")
}

/// What an ASCII character the character could be taken for; nothing for one that is not seen.
fn look_alike(c: char) -> Option<String> {
    // Full-width forms of all of ASCII stand in one block, in its order.
    if let '\u{ff01}'..='\u{ff5e}' = c {
        return char::from_u32(u32::from(c) - 0xfee0).map(String::from);
    }
    if let Some((plain, _)) = LOOK_ALIKES.iter().find(|(_, all)| all.contains(c)) {
        return Some((*plain).to_owned());
    }
    (!is_harmless(c) && !c.is_control()).then(String::new)
}

/// A text for people that goes on after ` #`, where YAML ends it.
fn cut(word: &str, at: At, key: &str, text: &str) -> Option<Diagnostic> {
    let is_quoted = text.get(at.start..)?.starts_with(['"', '\'', '|', '>', '*', '&']);
    let rest = text.get(at.end..)?.lines().next()?;
    let comment = rest.trim_start();
    if is_quoted || comment.len() == rest.len() || !comment.starts_with('#') {
        return None;
    }
    // A note beside an owner is one; a reason is a sentence, and `#12` is a ticket.
    let is_note = comment.starts_with("# ") && key != "reason";
    let whole = format!("{word} {comment}");
    let message = format!("YAML takes {} for a comment: people will only read {}", quoted(comment), quoted(word));
    let quote = if whole.contains('"') { '\'' } else { '"' };
    let help = format!("write `{key}: {quote}{whole}{quote}`, or put the comment on a line of its own");
    (!is_note).then(|| Diagnostic::warning("cut-text", at, message).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tree::TOP;

    #[test]
    fn a_short_word_that_is_no_prose_has_no_letters_that_look_alike() {
        let message = |word: &str, is_prose| scalar(word, TOP, is_prose).map(|problem| problem.message);
        let looks = |word: &str| message(word, false).is_some_and(|message| message.contains("which looks like"));
        assert!(looks("\u{430}") && looks(&"\u{430}".repeat(MAX_WORD_LEN / 2)));
        assert_eq!(message(&format!("{}a", "\u{430}".repeat(MAX_WORD_LEN / 2)), false), None);
        assert_eq!(message("\u{430}", true), None);
        assert!(message("\u{430}", false).unwrap().contains("has `\u{430}` (U+0430), which"));
        for space in ['\u{a0}', '\u{3000}'] {
            let shown = format!("has U+{:04X}, which looks like ` `", u32::from(space));
            assert!(message(&format!("a{space}b"), false).unwrap().contains(&shown), "{shown}");
        }
    }

    #[test]
    fn a_slot_has_a_name() {
        for word in ["<your-office>", "__OFFICE__", "@OFFICE@", "$OFFICE"] {
            assert!(is_slot(word), "{word}");
        }
        for word in ["<1.0>", "<a/b>", "@office@", "$office", "$1"] {
            assert!(!is_slot(word), "{word}");
        }
    }
}
