//! A stream of JSON cut into its pieces: documents one after the other, and the items of those lists that events stand in.
//!
//! It checks no more of JSON than is needed to find where a piece ends, and goes on behind what is broken: one bad line of
//! thousands costs that line. Holds one piece at a time. Must not: know what a piece says.

use std::collections::VecDeque;
use std::io::{self, BufRead};

/// Largest piece that is kept, in bytes: more than Lambda hands to a function.
const MAX_LEN: usize = 8 << 20;
/// Deeper than any event, and than a reader of JSON goes.
const MAX_DEPTH: usize = 1_000;
/// Keys of a document that are remembered, and how long they may be.
const MAX_KEYS: usize = 50;
const MAX_KEY_LEN: usize = 100;
/// What of a text that is no JSON is shown.
const MAX_SHOWN: usize = 200;
/// How a record begins: where reading goes on, in a line that is broken before.
const RECORD: &[u8] = b"{\"eventVersion\"";

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// An item of a list of events, by its key; of a bare list; or a document. Balanced, which is not yet JSON.
    Item { text: String, line: usize, list: Option<&'static str> },
    /// The end of a document that had a list of events: its other keys with their values.
    End { rest: String },
    /// A piece that is too large; of a document the first keys.
    TooLarge { line: usize, keys: Vec<String> },
    /// Something that is no JSON, or where it stops to be.
    Broken { line: usize, shown: String },
    /// The text ends inside of a piece.
    Cut { line: usize },
}

/// Why a value is not whole.
enum Stop {
    Cut,
    Broken,
    TooLarge,
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Where the reader stands.
#[derive(Clone, Copy)]
enum At {
    /// Between documents.
    Top,
    /// In a list: of a document, by its key, or a bare one.
    List(Option<&'static str>),
}

/// Reads pieces.
pub(super) struct Pieces<R> {
    from: R,
    /// Keys whose lists hold events.
    lists: &'static [&'static str],
    at: At,
    line: usize,
    /// Nothing but white space stands before, in this line.
    is_line_start: bool,
    /// The document around a list of events: its line, and what else it has.
    document: Document,
    /// What was found in lines that a broken document had taken in.
    found: VecDeque<Piece>,
    /// Something was broken, so what is left of it may stand between documents.
    is_behind_break: bool,
}

#[derive(Default)]
struct Document {
    line: usize,
    text: Vec<u8>,
    keys: Vec<String>,
    has_list: bool,
    is_too_large: bool,
}

impl<R: BufRead> Pieces<R> {
    pub(super) fn new(from: R, lists: &'static [&'static str]) -> Self {
        Self {
            from,
            lists,
            at: At::Top,
            line: 1,
            is_line_start: true,
            document: Document::default(),
            found: VecDeque::new(),
            is_behind_break: false,
        }
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.found.pop_front() {
                return Ok(Some(piece));
            }
            let Some(byte) = self.peek()? else {
                let is_cut = matches!(self.at, At::List(_));
                self.at = At::Top;
                return Ok(is_cut.then_some(Piece::Cut { line: self.line }));
            };
            let found = match self.at {
                At::Top => self.top(byte)?,
                At::List(list) => self.item(byte, list)?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    fn top(&mut self, byte: u8) -> io::Result<Option<Piece>> {
        match byte {
            b'{' => {
                self.document = Document { line: self.line, ..Document::default() };
                self.take(byte);
                self.document.text.push(byte);
                let read = self.members();
                return self.document_of(read);
            }
            b'[' => {
                self.take(byte);
                self.document = Document { line: self.line, has_list: true, ..Document::default() };
                self.at = At::List(None);
            }
            b'"' => return self.whole(None),
            b' ' | b'\t' | b'\r' | b'\n' | 0 => self.take(byte),
            b',' | b']' | b'}' if self.is_behind_break => self.take(byte),
            _ => return self.no_json().map(Some),
        }
        Ok(None)
    }

    fn item(&mut self, byte: u8, list: Option<&'static str>) -> io::Result<Option<Piece>> {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => self.take(byte),
            b']' => {
                self.take(byte);
                self.at = At::Top;
                if list.is_some() {
                    self.document.text.extend(b"[]");
                    let read = self.members();
                    return self.document_of(read);
                }
            }
            _ => return self.whole(list),
        }
        Ok(None)
    }

    /// A value that is a piece by itself.
    fn whole(&mut self, list: Option<&'static str>) -> io::Result<Option<Piece>> {
        let line = self.line;
        let mut text = Vec::new();
        Ok(Some(match self.value(&mut text) {
            Ok(()) => Piece::Item { text: text_of(text), line, list },
            Err(Stop::TooLarge) => Piece::TooLarge { line, keys: Vec::new() },
            Err(stop) => return self.stopped(stop, line, &text),
        }))
    }

    /// What follows from reading the members of a document.
    fn document_of(&mut self, read: Result<Option<&'static str>, Stop>) -> io::Result<Option<Piece>> {
        match read {
            Ok(Some(list)) => {
                self.at = At::List(Some(list));
                self.document.has_list = true;
                Ok(None)
            }
            Ok(None) => {
                let Document { line, text, keys, has_list, is_too_large } = std::mem::take(&mut self.document);
                self.is_behind_break = false;
                Ok(Some(match (has_list, is_too_large) {
                    (_, true) => Piece::TooLarge { line, keys },
                    (true, false) => Piece::End { rest: text_of(text) },
                    (false, false) => Piece::Item { text: text_of(text), line, list: None },
                }))
            }
            Err(stop) => {
                let document = std::mem::take(&mut self.document);
                self.stopped(stop, document.line, &document.text)
            }
        }
    }

    /// Reads members of a document up to its end, or to a list of events, whose key it gives.
    fn members(&mut self) -> Result<Option<&'static str>, Stop> {
        loop {
            let byte = self.significant()?;
            match byte {
                b',' => self.keep(byte),
                b'}' => {
                    self.keep(byte);
                    return Ok(None);
                }
                b'"' => {
                    let from = self.document.text.len();
                    let mut text = std::mem::take(&mut self.document.text);
                    let read = self.string(&mut text);
                    self.document.text = text;
                    read?;
                    let key = self.document.text.get(from + 1..self.document.text.len() - 1).unwrap_or_default();
                    let list = self.lists.iter().copied().find(|list| list.as_bytes() == key);
                    if self.document.keys.len() < MAX_KEYS && key.len() <= MAX_KEY_LEN {
                        self.document.keys.push(String::from_utf8_lossy(key).into_owned());
                    }
                    let colon = self.significant()?;
                    if colon != b':' {
                        return Err(Stop::Broken);
                    }
                    self.keep(colon);
                    let begin = self.significant()?;
                    if let Some(list) = list.filter(|_| begin == b'[') {
                        self.take(begin);
                        return Ok(Some(list));
                    }
                    let mut text = std::mem::take(&mut self.document.text);
                    let read = self.value(&mut text);
                    self.document.text = text;
                    match read {
                        // It goes on without what it is too large for.
                        Err(Stop::TooLarge) => self.document.is_too_large = true,
                        other => other?,
                    }
                }
                _ => return Err(Stop::Broken),
            }
        }
    }

    /// One value, with all that is in it. A value that is too large is read to its end.
    fn value(&mut self, text: &mut Vec<u8>) -> Result<(), Stop> {
        let mut open: Vec<u8> = Vec::new();
        // What the last byte but white space ended or began.
        let mut last = b',';
        let mut is_too_large = false;
        loop {
            let Some(byte) = self.peek()? else { return Err(Stop::Cut) };
            let is_key_next = last == b'{' || last == b',' && open.last() == Some(&b'{');
            let is_value_next = matches!(last, b',' | b':' | b'[') && !is_key_next;
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.take(byte);
                    text.push(byte);
                    continue;
                }
                b'"' if is_value_next || is_key_next => self.string(text)?,
                b'{' | b'[' if is_value_next => {
                    open.push(byte);
                    self.take(byte);
                    text.push(byte);
                }
                b'}' | b']' if !is_value_next || last == b'[' || last == b'{' => {
                    if open.pop() != Some(if byte == b'}' { b'{' } else { b'[' }) {
                        return Err(Stop::Broken);
                    }
                    self.take(byte);
                    text.push(byte);
                }
                b':' | b',' if !is_value_next && !open.is_empty() => {
                    self.take(byte);
                    text.push(byte);
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'+' | b'.' => {
                    self.take(byte);
                    text.push(byte);
                    if open.is_empty() && !self.peek()?.is_some_and(is_of_a_word) {
                        return Ok(());
                    }
                }
                _ => return Err(Stop::Broken),
            }
            last = byte;
            if text.len() > MAX_LEN {
                is_too_large = true;
                text.clear();
            }
            if open.len() > MAX_DEPTH {
                return Err(Stop::Broken);
            }
            if open.is_empty() && matches!(byte, b'"' | b'}' | b']') {
                return if is_too_large { Err(Stop::TooLarge) } else { Ok(()) };
            }
        }
    }

    /// A string with its quotes. One that a line ends in is broken.
    fn string(&mut self, text: &mut Vec<u8>) -> Result<(), Stop> {
        let mut is_escaped = false;
        let mut is_first = true;
        loop {
            let Some(byte) = self.peek()? else { return Err(Stop::Cut) };
            if byte == b'\n' {
                return Err(Stop::Broken);
            }
            self.take(byte);
            if text.len() <= MAX_LEN {
                text.push(byte);
            }
            if byte == b'"' && !is_escaped && !is_first {
                return Ok(());
            }
            is_escaped = byte == b'\\' && !is_escaped;
            is_first = false;
        }
    }

    /// Goes on behind what is broken, or says that the text is cut.
    fn stopped(&mut self, stop: Stop, line: usize, text: &[u8]) -> io::Result<Option<Piece>> {
        if let Stop::Io(error) = stop {
            return Err(error);
        }
        let is_cut = matches!(stop, Stop::Cut);
        self.lines_of(text, line);
        if is_cut {
            self.at = At::Top;
            return Ok(Some(Piece::Cut { line }));
        }
        self.is_behind_break = true;
        let behind = if self.is_line_start { Vec::new() } else { self.buffered()?.to_vec() };
        let shown = shown(text, &behind);
        if self.peek()? != Some(b'{') {
            self.skip()?;
        }
        if self.peek()? == Some(b'{') && !self.is_line_start {
            return Ok(Some(Piece::Broken { line, shown }));
        }
        self.at = At::Top;
        Ok(Some(Piece::Broken { line, shown }))
    }

    /// A text that begins like no JSON, to the end of its line.
    fn no_json(&mut self) -> io::Result<Piece> {
        let line = self.line;
        let shown = shown(&[], self.buffered()?);
        self.skip()?;
        Ok(Piece::Broken { line, shown })
    }

    /// Skips to where a record begins in this line, or else to the next line.
    fn skip(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.from.fill_buf()?;
            let (Some(byte), is_record) = (buffer.first().copied(), buffer.starts_with(RECORD)) else { return Ok(()) };
            if is_record {
                return Ok(());
            }
            self.take(byte);
            if byte == b'\n' {
                return Ok(());
            }
        }
    }

    /// Whole lines in a text that was broken, which may be documents of their own.
    fn lines_of(&mut self, text: &[u8], first: usize) {
        for (n, line) in text.split(|byte| *byte == b'\n').enumerate().skip(1) {
            let is_document = line.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
            if is_document {
                self.found.push_back(Piece::Item { text: text_of(line.to_vec()), line: first + n, list: None });
            }
        }
    }

    /// The next byte that is no white space, not taken yet.
    fn significant(&mut self) -> Result<u8, Stop> {
        loop {
            match self.peek()? {
                None => return Err(Stop::Cut),
                Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) => self.keep(byte),
                Some(byte) => return Ok(byte),
            }
        }
    }

    fn keep(&mut self, byte: u8) {
        self.take(byte);
        self.document.text.push(byte);
    }

    fn buffered(&mut self) -> io::Result<&[u8]> {
        let buffer = self.from.fill_buf()?;
        Ok(buffer.get(..buffer.len().min(MAX_SHOWN)).unwrap_or_default())
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.from.fill_buf()?.first().copied())
    }

    fn take(&mut self, byte: u8) {
        self.from.consume(1);
        if byte == b'\n' {
            self.line += 1;
            self.is_line_start = true;
        } else if !byte.is_ascii_whitespace() {
            self.is_line_start = false;
        }
    }
}

fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// How what broke begins.
fn shown(before: &[u8], behind: &[u8]) -> String {
    let whole = [before.get(..before.len().min(MAX_SHOWN)).unwrap_or_default(), behind].concat();
    let first = whole.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(first.get(..first.len().min(MAX_SHOWN)).unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests;
