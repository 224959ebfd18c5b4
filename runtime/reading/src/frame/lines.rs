//! One record a line.

use memchr::memchr;

use super::{Frame, Framer};

/// Lines, ended by a line feed, perhaps with a carriage return before it. Blank lines are no records.
pub struct Lines {
    /// Whether a line of white space is blank, too.
    white_is_blank: bool,
    looked_at: usize,
}

impl Lines {
    /// Lines of JSON.
    pub fn of_json() -> Self {
        Self { white_is_blank: true, looked_at: 0 }
    }

    /// Lines of CSV: tabs and spaces may be fields.
    pub fn of_csv() -> Self {
        Self { white_is_blank: false, looked_at: 0 }
    }
}

impl Framer for Lines {
    #[inline]
    fn frame(&mut self, bytes: &[u8], at_end: bool) -> Frame {
        let (line, next) = match memchr(b'\n', &bytes[self.looked_at..]) {
            Some(index) => (&bytes[..self.looked_at + index], self.looked_at + index + 1),
            None if at_end => (bytes, bytes.len()),
            None => {
                self.looked_at = bytes.len();
                return Frame::More;
            }
        };
        self.looked_at = 0;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || (self.white_is_blank && line.iter().all(u8::is_ascii_whitespace)) {
            return if next == 0 { Frame::End } else { Frame::Nothing { next } };
        }
        Frame::Record { length: line.len(), next }
    }

    fn forget(&mut self, count: usize) {
        self.looked_at -= count;
    }

    fn looked_at(&self) -> usize {
        self.looked_at
    }
}
