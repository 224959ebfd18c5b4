//! Reads JSON tokens from the text of one record, and skips values that no column needs.

use super::scan::plain_end;
use crate::columns::{BadRecord, Step};
use crate::number::number_length;

/// Values nested deeper are rejected.
pub const MAX_DEPTH: usize = 128;

/// A position in the text of a record.
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// A string of a record, without its quotes.
pub enum JsonText<'a> {
    /// As written in the record.
    Plain(&'a str),
    /// With escapes, to be read by [`Cursor::unescape`] at once: the cursor is at the first one.
    Escaped(&'a str),
}

impl<'a> Cursor<'a> {
    /// The beginning of a record.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The rest of the record.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Steps over bytes that were examined; they must be ASCII or whole characters.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        self.at += count;
    }

    /// The next byte that is not white space, which stays where it is.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if byte > b' ' || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Steps over white space and the given byte.
    #[inline]
    pub fn expect(&mut self, wanted: u8, what: &str) -> Step {
        if self.peek() == Some(wanted) {
            self.at += 1;
            return Ok(());
        }
        Err(self.malformed(what))
    }

    /// Nothing but white space may follow.
    pub fn expect_end(&mut self) -> Step {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.malformed("the end of the record")),
        }
    }

    /// An error at this position.
    #[cold]
    pub fn malformed(&self, wanted: &str) -> Box<BadRecord> {
        let found = match self.text.get(self.at..).map(|rest| rest.chars().next()) {
            Some(Some(found)) => format!("{found:?}"),
            _ => "the end".to_owned(),
        };
        BadRecord::new("malformed-json", format!("malformed JSON at byte {}: {wanted} is needed, not {found}", self.at))
    }

    #[cold]
    fn wrong_at(&self, what: &str) -> Box<BadRecord> {
        BadRecord::new("malformed-json", format!("malformed JSON at byte {}: {what}", self.at))
    }

    /// Reads a string whose first quote is next.
    #[inline]
    pub fn string(&mut self) -> Step<JsonText<'a>> {
        let start = self.at + 1;
        let end = plain_end(self.text.as_bytes(), start);
        let plain = self.text.get(start..end).unwrap_or_default();
        self.at = end;
        match self.text.as_bytes().get(end) {
            Some(b'"') => {
                self.at += 1;
                Ok(JsonText::Plain(plain))
            }
            Some(b'\\') => Ok(JsonText::Escaped(plain)),
            _ => Err(self.unended()),
        }
    }

    #[cold]
    fn unended(&self) -> Box<BadRecord> {
        match self.text.as_bytes().get(self.at) {
            Some(byte) => self.wrong_at(&format!("the control character {byte:#04x} must be written as an escape in a string")),
            None => self.wrong_at("the record ends within a string"),
        }
    }

    /// Appends a string with escapes, from its `plain` beginning to its end.
    pub fn unescape(&mut self, plain: &str, text: &mut String) -> Step {
        text.push_str(plain);
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    let character = self.escape()?;
                    text.push(character.ok_or_else(|| self.wrong_at("half of a surrogate pair without its other half"))?);
                }
                _ => return Err(self.unended()),
            }
            let end = plain_end(self.text.as_bytes(), self.at);
            text.push_str(self.text.get(self.at..end).unwrap_or_default());
            self.at = end;
        }
    }

    /// Reads one escape; `None` for half of a surrogate pair without the other.
    fn escape(&mut self) -> Step<Option<char>> {
        let character = match self.text.as_bytes().get(self.at + 1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.wrong_at("an unknown escape in a string")),
        };
        self.at += 2;
        Ok(Some(character))
    }

    fn unicode_escape(&mut self) -> Step<Option<char>> {
        let first = self.hex(self.at + 2)?;
        self.at += 6;
        if !(0xd800..0xdc00).contains(&first) || !self.rest().starts_with(b"\\u") {
            return Ok(char::from_u32(first));
        }
        let second = self.hex(self.at + 2)?;
        if !(0xdc00..0xe000).contains(&second) {
            return Ok(None);
        }
        self.at += 6;
        Ok(char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)))
    }

    fn hex(&self, at: usize) -> Step<u32> {
        let digits = self.text.get(at..at + 4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        value.ok_or_else(|| self.wrong_at("\\u needs four hexadecimal digits"))
    }

    /// Reads a number.
    #[inline]
    pub fn number(&mut self) -> Step<&'a str> {
        let Some(length) = number_length(self.rest()) else { return Err(self.malformed("a number")) };
        let number = self.text.get(self.at..self.at + length).unwrap_or_default();
        self.at += length;
        match self.rest().first() {
            None | Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r') => Ok(number),
            _ => Err(self.malformed("the end of a number")),
        }
    }

    /// Reads `null`, `true` or `false`.
    #[inline]
    pub fn literal(&mut self, literal: &str) -> Step {
        if self.rest().starts_with(literal.as_bytes()) {
            self.at += literal.len();
            return Ok(());
        }
        Err(self.malformed("a value"))
    }

    /// Steps over a value; its grammar is checked all the same, for a broken record must not pass.
    pub fn skip(&mut self, depth: usize) -> Step {
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| ()),
            Some(b'n') => self.literal("null"),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'[') => self.skip_items(depth, b']', |cursor| cursor.skip(depth + 1)),
            Some(b'{') => self.skip_items(depth, b'}', |cursor| {
                if cursor.peek() != Some(b'"') {
                    return Err(cursor.malformed("a key in quotes"));
                }
                cursor.skip_string()?;
                cursor.expect(b':', "a colon")?;
                cursor.skip(depth + 1)
            }),
            _ => Err(self.malformed("a value")),
        }
    }

    /// Steps over a value and returns its text, checked as by [`skip`](Self::skip).
    pub fn raw(&mut self, depth: usize) -> Step<&'a str> {
        self.peek();
        let start = self.at;
        self.skip(depth)?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn skip_string(&mut self) -> Step {
        self.at += 1;
        loop {
            self.at = plain_end(self.text.as_bytes(), self.at);
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => drop(self.escape()?),
                _ => return Err(self.unended()),
            }
        }
    }

    fn skip_items(&mut self, depth: usize, end: u8, item: impl Fn(&mut Self) -> Step) -> Step {
        self.enter(depth)?;
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            if !self.has_next(end)? {
                return Ok(());
            }
        }
    }

    /// Steps into an array or an object.
    #[inline]
    pub fn enter(&mut self, depth: usize) -> Step {
        if depth >= MAX_DEPTH {
            return Err(BadRecord::new("too-deep", format!("values are nested more than {MAX_DEPTH} deep")));
        }
        self.at += 1;
        Ok(())
    }

    /// After an item: whether a comma announces another one, or `end` closes the list.
    #[inline]
    pub fn has_next(&mut self, end: u8) -> Step<bool> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.malformed(if end == b'}' { "a comma or }" } else { "a comma or ]" })),
        }
    }
}
