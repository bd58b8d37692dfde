//! JSON from outside, read as far as it can be: payloads, the messages inside them, files of the command line.
//!
//! Text that nobody judges must not stop an event. A user agent that was cut inside a character ends in half of one, and
//! strict readers refuse the whole payload for that, as they do for a byte order mark. What cannot be read becomes U+FFFD,
//! which is no part of any id, name or address.

use std::borrow::Cow;

use serde_json::Value;

use super::EventError;

/// How an escape of half a character begins: all halves lie between `\ud800` and `\udfff`.
const HALVES: [&str; 2] = ["\\ud", "\\uD"];

/// How text is written in bytes.
#[derive(Clone, Copy, Debug)]
pub enum Encoding {
    /// As it should be.
    Utf8,
    /// As Windows saves it, by how a unit is made of two bytes.
    Utf16(fn([u8; 2]) -> u16),
    /// As hardly anybody saves it, by how a character is made of four bytes.
    Utf32(fn([u8; 4]) -> u32),
}

/// The encoding of a JSON text that begins so, and the length of its byte order mark.
pub fn encoding(begin: &[u8]) -> (Encoding, usize) {
    match begin {
        // Before UTF-16, of which the first two are the mark and a character that JSON does not begin with.
        [0xff, 0xfe, 0, 0, ..] => (Encoding::Utf32(u32::from_le_bytes), 4),
        [0, 0, 0xfe, 0xff, ..] => (Encoding::Utf32(u32::from_be_bytes), 4),
        [1..=0xff, 0, 0, 0, ..] => (Encoding::Utf32(u32::from_le_bytes), 0),
        [0, 0, 0, 1..=0xff, ..] => (Encoding::Utf32(u32::from_be_bytes), 0),
        [0xff, 0xfe, ..] => (Encoding::Utf16(u16::from_le_bytes), 2),
        [0xfe, 0xff, ..] => (Encoding::Utf16(u16::from_be_bytes), 2),
        // JSON begins with an ASCII character. In UTF-16 one of its two bytes is NUL, which UTF-8 never has there.
        [1..=0xff, 0, ..] => (Encoding::Utf16(u16::from_le_bytes), 0),
        [0, 1..=0xff, ..] => (Encoding::Utf16(u16::from_be_bytes), 0),
        [0xef, 0xbb, 0xbf, ..] => (Encoding::Utf8, 3),
        _ => (Encoding::Utf8, 0),
    }
}

/// The text of these bytes: UTF-8, UTF-16 as Windows saves it, or UTF-32, with or without a byte order mark.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    let (encoding, mark) = encoding(bytes);
    let rest = bytes.get(mark..).unwrap_or_default();
    match encoding {
        Encoding::Utf8 => String::from_utf8_lossy(rest),
        Encoding::Utf16(unit) => utf_16(rest, unit),
        Encoding::Utf32(unit) => utf_32(rest, unit).collect(),
    }
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'_, str> {
    let units = bytes.as_chunks().0.iter().map(|pair| unit(*pair));
    char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// The characters of whole units of UTF-32; what is left over is none.
pub fn utf_32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> impl Iterator<Item = char> {
    let units = bytes.as_chunks().0.iter();
    units.map(move |four| char::from_u32(unit(*four)).unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// The value of a JSON text. Reading stops at a depth of 128, whatever is behind.
///
/// # Errors
/// A text that is no JSON: what is wrong, and at which line and column.
pub fn read(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(&whole(text))
}

/// The text as a strict reader takes it: without a byte order mark, and with no escape of half a character.
pub fn whole(text: &str) -> Cow<'_, str> {
    without_halves(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The same for a text that stands at `path` of a payload.
///
/// # Errors
/// As [`read`], with the path.
pub fn read_at(path: &str, text: &str) -> Result<Value, EventError> {
    read(text).map_err(|why| EventError {
        at: path.to_owned(),
        what: match text.len() {
            0 => "an empty text".to_owned(),
            length => format!("text of {length} bytes that is not JSON ({why})"),
        },
        expected: "JSON".to_owned(),
    })
}

/// The text with `\ufffd` for each escape of half a character whose other half is missing. It is as long as before, so that
/// positions in errors stay true.
fn without_halves(text: &str) -> Cow<'_, str> {
    if !HALVES.iter().any(|half| text.contains(half)) {
        return Cow::Borrowed(text);
    }
    let is_text = |units: &[u16]| String::from_utf16(units).is_ok();
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        let first = unit(escape);
        let second = first.and_then(|(_, after)| unit(after.strip_prefix('\\')?));
        let (is_half, after) = match (first, second) {
            (Some((first, after)), _) if is_text(&[first]) => (false, after),
            (Some((first, _)), Some((second, after))) if is_text(&[first, second]) => (false, after),
            (Some((_, after)), _) => (true, after),
            // Another escape. The character behind its backslash may be a backslash too, which then begins none.
            (None, _) => (false, escape.strip_prefix(|_: char| true).unwrap_or_default()),
        };
        let same = escape.get(..escape.len() - after.len()).unwrap_or_default();
        whole.extend([before, "\\", if is_half { "ufffd" } else { same }]);
        rest = after;
    }
    whole.push_str(rest);
    Cow::Owned(whole)
}

/// The UTF-16 unit of an escape whose backslash is gone, and what stands behind it.
fn unit(escape: &str) -> Option<(u16, &str)> {
    let (digits, after) = escape.strip_prefix('u')?.split_at_checked(4)?;
    let is_unit = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_unit.then(|| u16::from_str_radix(digits, 16).ok()).flatten().map(|unit| (unit, after))
}

/// The bytes of a JSON text in each encoding that [`encoding`] tells apart.
#[cfg(any(test, feature = "for-tests"))]
pub fn in_every_encoding(text: &str) -> [Vec<u8>; 10] {
    let units = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let (little, big) = (units(u16::to_le_bytes), units(u16::to_be_bytes));
    let fours = |unit: fn(u32) -> [u8; 4]| text.chars().map(u32::from).flat_map(unit).collect::<Vec<u8>>();
    let (wide, wide_big) = (fours(u32::to_le_bytes), fours(u32::to_be_bytes));
    [
        text.as_bytes().to_vec(),
        [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(),
        [&[0xff, 0xfe], &little[..]].concat(),
        [&[0xfe, 0xff], &big[..]].concat(),
        little,
        big,
        [&[0xff, 0xfe, 0, 0], &wide[..]].concat(),
        [&[0, 0, 0xfe, 0xff], &wide_big[..]].concat(),
        wide,
        wide_big,
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn half_a_character_is_replaced_and_everything_else_stays() {
        for (inside, expected) in [
            (r"a\ud83d", "a\u{fffd}"),
            (r"\ude00b", "\u{fffd}b"),
            (r"\uD83D\uDE00", "😀"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\ud83d\n\ude00", "\u{fffd}\n\u{fffd}"),
            (r"\ud83dA", "\u{fffd}A"),
            (r"\ud83d\\ude00", "\u{fffd}\\ude00"),
            (r"\\ud83d", "\\ud83d"),
            (r"\\\ud83d", "\\\u{fffd}"),
            (r"\\\\ud83d\ud83d", "\\\\ud83d\u{fffd}"),
            (r#"\"\ud83d\""#, "\"\u{fffd}\""),
            (r"\ud7ff\ue000\ud800", "\u{d7ff}\u{e000}\u{fffd}"),
            (r"\u0000\udfff", "\0\u{fffd}"),
            (r"é\ud83dé", "é\u{fffd}é"),
        ] {
            assert_eq!(read(&format!("\"{inside}\"")).unwrap(), json!(expected), "{inside}");
            assert_eq!(read(&format!("{{\"{inside}\": 1}}")).unwrap(), json!({ expected: 1 }), "{inside}");
        }
    }

    #[test]
    fn json_in_json_is_read_at_each_of_its_levels() {
        let inner = r#"{"a": "\ud83d"}"#;
        let outer = json!({ "body": inner }).to_string();
        let body = read(&outer).unwrap();
        assert_eq!(body, json!({ "body": inner }), "half a character of the inner text is none of the outer one");
        assert_eq!(read(body["body"].as_str().unwrap()).unwrap(), json!({"a": "\u{fffd}"}));
    }

    #[test]
    fn every_encoding_of_a_text_is_that_text() {
        const TEXT: &str = "{\"a\": \"é 日 😀\"}";
        for bytes in in_every_encoding(TEXT) {
            assert_eq!(text(&bytes), TEXT, "{bytes:?}");
        }
        assert_eq!(read(&format!("\u{feff}{TEXT}")).unwrap(), read(TEXT).unwrap());
    }

    #[test]
    fn bytes_that_are_no_character_are_replaced() {
        for (bytes, expected) in [
            (&b"caf\xe9"[..], "caf\u{fffd}"),
            (b"\xf0\x9f\x98.", "\u{fffd}."),
            (b"a\xc0\xaf", "a\u{fffd}\u{fffd}"),
            (b"a\xed\xa0\x80", "a\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xff\xfe\x00\xd8", "\u{fffd}"),
            (b"", ""),
            (b"\0", "\0"),
            (b"\0\0", "\0\0"),
        ] {
            assert_eq!(text(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_json_is_said_with_its_position() {
        for (text, what) in [
            ("", "an empty text"),
            ("{\"a\": ", "text of 6 bytes that is not JSON (EOF while parsing a value at line 1 column 6)"),
            ("{\"a\": \"\\ud83d", "text of 13 bytes that is not JSON (EOF while parsing a string at line 1 column 13)"),
            ("\"\\ud83", "text of 6 bytes that is not JSON (EOF while parsing a string at line 1 column 6)"),
            (
                "[\"\\ud83d\",\n\"\\ud83d\", x]",
                "text of 23 bytes that is not JSON (expected value at line 2 column 11)",
            ),
            ("{}\n{}", "text of 5 bytes that is not JSON (trailing characters at line 2 column 1)"),
        ] {
            let error = read_at("$.body", text).unwrap_err();
            assert_eq!((error.at.as_str(), error.what.as_str()), ("$.body", what));
            assert_eq!(error.expected, "JSON");
        }
    }

    /// The largest payload of an invocation, where reading it twice over for each half would take hours.
    #[test]
    fn six_megabytes_of_halves_are_read_in_one_pass() {
        let text = format!("\"{}\"", "\\ud83d".repeat(1 << 20));
        assert_eq!(read(&text).unwrap().as_str().unwrap().chars().count(), 1 << 20);
    }

    proptest! {
        /// Whatever a strict reader takes, this one takes for the same; and what it changes is as long as before.
        #[test]
        fn nothing_else_is_read_in_another_way(text in r#"["\\ud83eDE0a]{0,40}"#) {
            if let Ok(strict) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(read(&text).unwrap(), strict);
            }
            let string = format!("\"{text}\"");
            if let Ok(strict) = serde_json::from_str::<Value>(&string) {
                prop_assert_eq!(read(&string).unwrap(), strict);
            }
            prop_assert_eq!(without_halves(&text).len(), text.len());
        }

        #[test]
        fn any_bytes_are_some_text(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&text(&bytes));
        }
    }
}
