//! Text for people: made harmless where it comes from outside, cut, quoted, counted and listed.
//!
//! Owns: which characters are shown as they are. Must not: know what the text is about.

/// Longest piece of text from outside, in characters.
const MAX_TEXT_LEN: usize = 200;
/// Longest quotation in a message, in characters.
const MAX_QUOTE_LEN: usize = 80;
/// Stands where the rest was.
pub(crate) const CUT: &str = "… (cut)";

/// Whether the character is seen and does nothing else: no control, nothing invisible, nothing that changes the direction.
pub fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line, cut visibly.
pub fn plain(text: &str) -> String {
    let shown: String = text.chars().take(MAX_TEXT_LEN + 1).map(shown).collect();
    cut(&shown, MAX_TEXT_LEN)
}

/// At most so many characters of it, and a word where there were more.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}{CUT}", text.split_at(end).0),
        None => text.to_owned(),
    }
}

/// The text, or as much of its beginning as `tail` leaves room for in so many bytes.
pub fn fit(text: &str, bytes: usize, tail: &str) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes.saturating_sub(tail.len()));
    format!("{}{tail}", text.split_at(end).0)
}

/// Part of a message: in backticks, on one line, without invisible characters, not too long.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("`");
    let mut characters = text.chars();
    for c in characters.by_ref().take(MAX_QUOTE_LEN) {
        match c {
            '"' | '\'' => out.push(c),
            '`' => out.push('\''),
            _ => out.extend(c.escape_debug()),
        }
    }
    out.push_str(if characters.next().is_some() { "…`" } else { "`" });
    out
}

/// The text as a sentence begins.
pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// `1 rule`, `3 rules`.
pub fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// The first few of these, and, where there are more, how many in words.
pub fn first_few(mut words: Vec<String>, most: usize, more: impl FnOnce(usize) -> String) -> Vec<String> {
    let rest = words.len().saturating_sub(most);
    words.truncate(most);
    words.extend((rest > 0).then(|| more(rest)));
    words
}

/// `a, b and c`.
pub fn and(words: &[impl AsRef<str>]) -> String {
    listed(words, "and")
}

/// `a, b or c`.
pub fn or(words: &[impl AsRef<str>]) -> String {
    listed(words, "or")
}

fn listed(words: &[impl AsRef<str>], before_last: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} {before_last} {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// Lines and tabs stay, and the escape character where the text has colours.
pub fn lines(text: &str, colours: bool) -> String {
    let stays = |c: char| matches!(c, '\n' | '\t') || colours && c == '\u{1b}';
    text.chars().map(|c| if stays(c) { c } else { shown(c) }).collect()
}

fn shown(c: char) -> char {
    if is_harmless(c) { c } else { char::REPLACEMENT_CHARACTER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_or_does_something_is_replaced() {
        for (text, expected) in [
            ("Grüße, 日本 👍🏽\u{fe0f}", "Grüße, 日本 👍🏽\u{fe0f}"),
            ("\u{1b}[31m\u{9b}31m\u{7f}\u{85}", "\u{fffd}[31m\u{fffd}31m\u{fffd}\u{fffd}"),
            ("a\u{202e}b\u{2066}c\u{200b}d\u{feff}", "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}"),
            ("\u{ad}\u{61c}\u{180e}\u{fff9}\u{e0041}", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(plain(text), expected);
            assert_eq!(lines(text, false), expected);
        }
        assert_eq!(plain("a\nb\tc"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(lines("a\n\tb\r\u{1b}", false), "a\n\tb\u{fffd}\u{fffd}");
        assert_eq!(lines("\u{1b}[1mb\u{9b}", true), "\u{1b}[1mb\u{fffd}");
    }

    #[test]
    fn what_is_cut_says_so_and_is_cut_between_characters() {
        assert_eq!((cut("éé", 2), cut("ééé", 2), cut("", 0)), ("éé".into(), "éé… (cut)".into(), String::new()));
        assert_eq!(plain(&"é".repeat(201)), "é".repeat(200) + "… (cut)");
        assert_eq!(
            (fit("ééé", 6, "!"), fit("éééé", 6, "!"), fit("é", 1, "too long")),
            ("ééé".into(), "éé!".into(), "too long".into())
        );
    }

    #[test]
    fn a_quotation_stays_on_one_line_inside_its_backticks() {
        assert_eq!(quoted("a\n`b`\u{202e}\"'"), "`a\\n'b'\\u{202e}\"'`");
        assert_eq!(quoted(&"x".repeat(200)), format!("`{}…`", "x".repeat(80)));
    }

    #[test]
    fn one_is_not_many_and_the_last_has_its_own_word() {
        assert_eq!([0, 1, 3].map(|n| count(n, "rule")), ["0 rules", "1 rule", "3 rules"]);
        assert_eq!(and(&[""; 0]), "");
        assert_eq!(
            (and(&["a"]), and(&["a", "b"]), or(&["a", "b", "c"])),
            ("a".into(), "a and b".into(), "a, b or c".into())
        );
    }
}
