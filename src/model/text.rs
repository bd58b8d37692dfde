//! Text from outside, made harmless for people: a terminal, a log, a message.
//!
//! Owns: which characters are shown as they are. Must not: know what the text is about.

/// Longest piece of text from outside, in characters.
const MAX_TEXT_LEN: usize = 200;

/// Whether the character is seen and does nothing else: no control, nothing invisible, nothing that changes the direction.
pub(crate) fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line, cut visibly.
pub fn plain(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_TEXT_LEN).map(shown).collect();
    if text.chars().nth(MAX_TEXT_LEN).is_some() {
        short.push_str("… (cut)");
    }
    short
}

/// Lines and tabs stay, and the escape character where the text has colours.
pub(crate) fn lines(text: &str, colours: bool) -> String {
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
}
