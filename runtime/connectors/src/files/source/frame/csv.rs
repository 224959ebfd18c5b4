//! Records of CSV, whose quoted fields may hold line feeds.

use memchr::{memchr, memchr2};

use super::{Frame, Framer};

/// A quote opens a field only at its start; a doubled quote inside stands for one. Empty lines are no records.
pub struct Csv {
    delimiter: u8,
    quote: u8,
    looked_at: usize,
    quoted: bool,
}

impl Csv {
    /// A framer for the given delimiter and quote.
    pub fn new(delimiter: u8, quote: u8) -> Self {
        Self { delimiter, quote, looked_at: 0, quoted: false }
    }

    /// The index of the line feed that ends the record, if it is there.
    fn end(&mut self, bytes: &[u8], at_end: bool) -> Option<usize> {
        let mut at = self.looked_at;
        loop {
            if self.quoted {
                let Some(index) = memchr(self.quote, &bytes[at..]) else { break };
                at += index;
                match bytes.get(at + 1) {
                    Some(&next) if next == self.quote => at += 2,
                    // The next byte decides whether the quote is doubled.
                    None if !at_end => {
                        self.looked_at = at;
                        return None;
                    }
                    _ => {
                        self.quoted = false;
                        at += 1;
                    }
                }
                continue;
            }
            let Some(index) = memchr2(b'\n', self.quote, &bytes[at..]) else { break };
            at += index;
            if bytes[at] == b'\n' && self.quote != b'\n' {
                return Some(at);
            }
            self.quoted = at == 0 || bytes[at - 1] == self.delimiter;
            at += 1;
        }
        // The last byte is kept in sight, for it may be a delimiter before a quote.
        self.looked_at = bytes.len();
        None
    }
}

impl Framer for Csv {
    fn frame(&mut self, bytes: &[u8], at_end: bool) -> Frame {
        let (line, next) = match self.end(bytes, at_end) {
            Some(end) => (&bytes[..end], end + 1),
            None if at_end => (bytes, bytes.len()),
            None => return Frame::More,
        };
        (self.looked_at, self.quoted) = (0, false);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match (line.is_empty(), next) {
            (true, 0) => Frame::End,
            (true, _) => Frame::Nothing { next },
            (false, _) => Frame::Record { length: line.len(), next },
        }
    }

    fn forget(&mut self, count: usize) {
        self.looked_at -= count;
    }

    fn looked_at(&self) -> usize {
        // One byte less, so that the byte before a quote is still there.
        self.looked_at.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::records;
    use super::*;

    #[test]
    fn records_end_at_line_feeds_outside_of_quotes() {
        let text = "a,\"b\nc\"\"\n\",d\r\n\n\"\"\"\n\",5\" pipe\n\"x\"y\nlast,\"";
        let expected = ["a,\"b\nc\"\"\n\",d", "\"\"\"\n\",5\" pipe", "\"x\"y", "last,\""];
        for step in 1..=text.len() {
            let (found, broken) = records(Csv::new(b',', b'"'), text, step);
            assert_eq!((found.as_slice(), broken), (expected.map(str::to_owned).as_slice(), None), "step {step}");
        }
    }
}
