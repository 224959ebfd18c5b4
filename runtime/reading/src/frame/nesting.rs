//! Finds the end of a JSON value, and the next value behind one that is broken.

use memchr::{memchr, memchr3};

use super::Frame;
use wasmill_formats::BadRecord;

/// Where the search for the end of a JSON value is.
///
/// A value is cut by brackets and strings alone; errors inside are for its decoder. One that never
/// ends would take the rest of the file with it. It is certainly broken if a string of it holds a
/// line feed, if its brackets do not match, or if the file ends in it. The next value is then the
/// next line that begins with a brace no further to the right than the first value of the file.
/// What lies inside of a value is indented further, or does not begin a line.
pub(super) struct Nesting {
    /// How many bytes of the value have been scanned.
    pub(super) scanned: usize,
    /// The greatest column at which a value begins.
    indent: usize,
    /// The depth of brackets.
    depth: usize,
    /// The innermost brackets: a bit that is set is a brace.
    braces: u128,
    /// Whether a string is open.
    in_string: bool,
    /// Something in it shows that it is broken.
    suspect: bool,
    /// Where to scan for lines that may begin the next value, once it is known to be broken.
    lines_from: Option<usize>,
    /// Its first bytes have been dropped.
    is_cut: bool,
}

impl Nesting {
    pub(super) fn new(indent: usize) -> Self {
        Self { scanned: 0, indent, depth: 0, braces: 0, in_string: false, suspect: false, lines_from: None, is_cut: false }
    }

    /// For the next value.
    pub(super) fn begin_again(&mut self) {
        *self = Self::new(self.indent);
    }

    pub(super) fn forget(&mut self, count: usize) {
        self.scanned -= count;
        self.lines_from = self.lines_from.map(|from| from.saturating_sub(count));
        self.is_cut = true;
    }

    /// The frame of the value that `bytes` begin with.
    pub(super) fn frame(&mut self, bytes: &[u8], at_end: bool) -> Frame {
        let end = self.end(bytes);
        if let Some(from) = self.lines_from.filter(|_| !self.is_cut) {
            match next_line(bytes, from, end.unwrap_or(bytes.len()), self.indent) {
                Ok(next) => return malformed(next, bytes, "a string holds a line feed or is never closed, or brackets do not match"),
                Err(from) => self.lines_from = Some(from),
            }
        }
        match end {
            // A stray closing bracket is a value of its own, or it would never be passed.
            Some(end) => Frame::Record { length: end.max(1), next: end.max(1) },
            None if at_end && !self.is_cut => match next_line(bytes, 0, bytes.len(), self.indent) {
                Ok(next) => malformed(next, bytes, "the record never ends"),
                Err(_) => broken("the file ends within a record: it has been cut short, or the record is broken"),
            },
            None if at_end => broken("the file ends within a record: it has been cut short, or the record is broken"),
            None => Frame::More,
        }
    }

    /// What to do about a value that is longer than it may be.
    pub(super) fn resume(&self, bytes: &[u8]) -> Frame {
        match next_line(bytes, 0, bytes.len(), self.indent) {
            Ok(next) => malformed(next, bytes, "the record never ends"),
            Err(_) if self.suspect => broken("a record is broken, and the next one can't be found"),
            Err(_) => Frame::More,
        }
    }

    /// The length of the value that `bytes` begin with, if it ends in them.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = self.scanned;
        while let Some(&byte) = bytes.get(at) {
            if self.in_string {
                match memchr3(b'"', b'\\', b'\n', &bytes[at..]).map(|index| at + index) {
                    Some(found) if bytes[found] == b'"' => {
                        self.in_string = false;
                        at = found + 1;
                        if self.depth == 0 {
                            return Some(at);
                        }
                    }
                    Some(found) if bytes[found] == b'\n' => {
                        self.suspect = true;
                        self.lines_from.get_or_insert(found);
                        at = found + 1;
                    }
                    // An escape that the window cuts in two is scanned again.
                    Some(slash) if slash + 1 >= bytes.len() => {
                        self.scanned = slash;
                        return None;
                    }
                    // A line feed can't be escaped: after a backslash, too, it shows that the
                    // string is broken.
                    Some(slash) => at = slash + 1 + usize::from(bytes[slash + 1] != b'\n'),
                    None => at = bytes.len(),
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'[' | b'{' => {
                    self.depth += 1;
                    self.braces = self.braces << 1 | u128::from(byte == b'{');
                }
                b']' | b'}' if self.depth == 0 => return Some(at),
                b']' | b'}' => {
                    if self.depth <= 128 && (self.braces & 1 == 1) != (byte == b'}') {
                        self.suspect = true;
                        self.lines_from = Some(0);
                    }
                    self.depth -= 1;
                    self.braces >>= 1;
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                b',' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => return Some(at),
                b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' | b'0'..=b'9' | b'-' | b'+' | b'.' => {}
                _ => self.suspect |= !b"eEtruefalsn".contains(&byte),
            }
            at += 1;
        }
        self.scanned = at;
        None
    }
}

/// The first line after `from` and before `end` that begins with a brace at a column of at most
/// `indent`, optionally after a comma. Or from where to scan again once there are more bytes.
fn next_line(bytes: &[u8], from: usize, end: usize, indent: usize) -> Result<usize, usize> {
    let mut at = from;
    while let Some(feed) = memchr(b'\n', bytes.get(at..end).unwrap_or_default()).map(|index| at + index) {
        let line = &bytes[feed + 1..];
        let is_white = |byte: &&u8| matches!(byte, b' ' | b'\t' | b',');
        let white = line.iter().take_while(is_white).count();
        match line.get(white) {
            Some(b'{') if line[..white].iter().filter(|byte| **byte != b',').count() <= indent && feed + 1 + white < end => {
                return Ok(feed + 1 + white);
            }
            None => return Err(feed),
            Some(_) => at = feed + 1,
        }
    }
    Err(end.max(from))
}

fn malformed(next: usize, bytes: &[u8], message: &str) -> Frame {
    let is_between = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',');
    let between = bytes[..next].iter().rev().take_while(is_between).count();
    Frame::Malformed { length: (next - between).max(1), next, bad: BadRecord::new("malformed-json", message) }
}

pub(super) fn broken(message: &str) -> Frame {
    Frame::Broken { message: message.to_owned() }
}
