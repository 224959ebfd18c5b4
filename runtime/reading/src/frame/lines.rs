//! One record per line.

use memchr::memchr;

use super::{Frame, Framer};

/// Lines, ended by a line feed, optionally with a carriage return before it. Blank lines are no
/// records.
pub struct Lines {
    /// Whether a line of white space is blank, too.
    white_is_blank: bool,
    scanned: usize,
}

impl Lines {
    /// Lines of JSON.
    pub fn of_json() -> Self {
        Self { white_is_blank: true, scanned: 0 }
    }

    /// Lines of CSV: tabs and spaces may be fields.
    pub fn of_csv() -> Self {
        Self { white_is_blank: false, scanned: 0 }
    }
}

impl Framer for Lines {
    #[inline]
    fn frame(&mut self, bytes: &[u8], at_end: bool) -> Frame {
        let (line, next) = match memchr(b'\n', &bytes[self.scanned..]) {
            Some(index) => (&bytes[..self.scanned + index], self.scanned + index + 1),
            None if at_end => (bytes, bytes.len()),
            None => {
                self.scanned = bytes.len();
                return Frame::More;
            }
        };
        self.scanned = 0;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || (self.white_is_blank && line.iter().all(u8::is_ascii_whitespace)) {
            return if next == 0 { Frame::End } else { Frame::Nothing { next } };
        }
        Frame::Record { length: line.len(), next }
    }

    fn forget(&mut self, count: usize) {
        self.scanned -= count;
    }

    fn scanned(&self) -> usize {
        self.scanned
    }
}
