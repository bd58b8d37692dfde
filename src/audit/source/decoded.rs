//! Bytes as they come, as UTF-8: out of UTF-8 with bytes that are no character, out of UTF-16 as Windows saves it, or out of
//! UTF-32.
//!
//! Must not: hold more than a piece of the text.

use std::io::{self, Read};

use crate::event::json::{Encoding, encoding, utf_32};

/// Bytes that are read at once.
const PIECE: u64 = 64 * 1024;
/// No character is longer, in any of the encodings.
const LONGEST: usize = 4;

/// A stream of UTF-8.
pub(super) struct Decoded<R> {
    from: R,
    encoding: Option<Encoding>,
    /// Read, and not decoded: the beginning of a character at most.
    raw: Vec<u8>,
    text: Vec<u8>,
    /// How much of the text was taken.
    taken: usize,
    /// What stopped the reading: said once all that came before is taken.
    broke_off: Option<io::Error>,
}

impl<R: Read> Decoded<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, encoding: None, raw: Vec::new(), text: Vec::new(), taken: 0, broke_off: None }
    }

    /// Decodes the next piece; the text stays empty at the end.
    fn next_piece(&mut self) -> io::Result<()> {
        (self.taken, self.text) = (0, Vec::new());
        while self.text.is_empty() {
            let was = self.raw.len();
            if self.broke_off.is_none()
                && let Err(error) = self.from.by_ref().take(PIECE).read_to_end(&mut self.raw)
            {
                self.broke_off = Some(error);
            }
            let is_end = self.raw.len() == was;
            let encoding = match self.encoding {
                Some(known) => known,
                None if self.raw.len() < LONGEST && !is_end => continue,
                None => {
                    let (found, mark) = encoding(&self.raw);
                    self.raw.drain(..mark);
                    *self.encoding.insert(found)
                }
            };
            let left = match encoding {
                Encoding::Utf8 => utf_8(&self.raw, is_end, &mut self.text),
                Encoding::Utf16(unit) => utf_16(&self.raw, is_end, unit, &mut self.text),
                Encoding::Utf32(unit) => {
                    self.text.extend_from_slice(utf_32(&self.raw, unit).collect::<String>().as_bytes());
                    self.raw.len() % LONGEST
                }
            };
            self.raw.drain(..self.raw.len() - left);
            if is_end {
                break;
            }
        }
        match self.broke_off.take_if(|_| self.text.is_empty()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.text.len() {
            self.next_piece()?;
        }
        let mut rest = self.text.get(self.taken..).unwrap_or_default();
        let read = rest.read(into)?;
        self.taken += read;
        Ok(read)
    }
}

/// How many bytes are left: a character that is not whole.
fn utf_8(raw: &[u8], is_end: bool, text: &mut Vec<u8>) -> usize {
    let mut chunks = raw.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        text.extend_from_slice(chunk.valid().as_bytes());
        let invalid = chunk.invalid();
        let is_cut = || std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        if !is_end && chunks.peek().is_none() && is_cut() {
            return invalid.len();
        }
        if !invalid.is_empty() {
            text.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    0
}

fn utf_16(raw: &[u8], is_end: bool, unit: fn([u8; 2]) -> u16, text: &mut Vec<u8>) -> usize {
    let (pairs, rest) = raw.as_chunks();
    let mut units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    let is_first_half = |unit: &u16| (0xd800..0xdc00).contains(unit);
    let is_cut = !is_end && units.last().is_some_and(is_first_half);
    if is_cut {
        units.pop();
    }
    let chars = char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER));
    text.extend_from_slice(chars.collect::<String>().as_bytes());
    rest.len() + if is_cut { 2 } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;
    use crate::event::json;

    /// One byte at a time, as a slow pipe gives them.
    struct Slow<'b>(&'b [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let end = into.len().min(1);
            self.0.read(&mut into[..end])
        }
    }

    fn decoded(from: impl Read) -> String {
        let mut text = String::new();
        BufReader::new(Decoded::new(from)).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_stream_is_the_text_whatever_its_encoding_and_its_pieces() {
        const TEXT: &str = "{\"a\": \"é 日 😀\"}";
        for bytes in json::in_every_encoding(TEXT) {
            assert_eq!(decoded(bytes.as_slice()), TEXT, "{bytes:?}");
            assert_eq!(decoded(Slow(&bytes)), TEXT, "{bytes:?}");
        }
    }

    /// Where a piece ends inside a character.
    #[test]
    fn long_texts_are_whole() {
        for before in 0..4 {
            let text = format!("{}{}", "a".repeat(before), "😀".repeat(100_000));
            assert_eq!(decoded(text.as_bytes()), text);
            let wide: Vec<u8> =
                "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
            assert_eq!(decoded(wide.as_slice()), text);
        }
    }

    proptest! {
        #[test]
        fn it_is_what_reading_at_once_gives(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decoded(bytes.as_slice()), json::text(&bytes).into_owned());
            prop_assert_eq!(decoded(Slow(&bytes)), json::text(&bytes).into_owned());
        }
    }
}
