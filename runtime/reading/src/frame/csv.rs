//! Records of CSV, whose quoted fields may hold line feeds.

use memchr::{memchr, memchr2};

use super::{Frame, Framer};
use wasmill_formats::BadRecord;

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineEnds {
    /// A line feed, optionally after a carriage return.
    #[default]
    LineFeed,
    /// A carriage return alone, as older programs of the Macintosh write it.
    CarriageReturn,
}

impl LineEnds {
    fn byte(self) -> u8 {
        match self {
            Self::LineFeed => b'\n',
            Self::CarriageReturn => b'\r',
        }
    }
}

/// How records of CSV look.
#[derive(Debug, Clone, Copy)]
pub struct CsvShape {
    /// The delimiter between fields.
    pub delimiter: u8,
    /// The quote around fields that need it.
    pub quote: u8,
    /// What ends a record.
    pub ends: LineEnds,
    /// How many fields a record has, where that is known.
    pub fields: usize,
}

/// A quote opens a field only at its start; a doubled quote inside is one quote. Empty lines are no
/// records.
///
/// A quote that is never closed affects its line only. Where the file ends in the field, or the
/// record grows too long and the next line has the right number of fields, the next record begins
/// there.
pub struct Csv {
    shape: CsvShape,
    scanned: usize,
    quoted: bool,
    /// Where the field that is open opened.
    opened: usize,
    /// The first bytes of the record have been dropped.
    is_cut: bool,
}

impl Csv {
    /// A framer of records of that shape.
    pub fn new(shape: CsvShape) -> Self {
        Self { shape, scanned: 0, quoted: false, opened: 0, is_cut: false }
    }

    /// The index of the line end that ends the record, if it is there.
    fn end(&mut self, bytes: &[u8], at_end: bool) -> Option<usize> {
        let (quote, line_end) = (self.shape.quote, self.shape.ends.byte());
        let mut at = self.scanned;
        loop {
            if self.quoted {
                let Some(index) = memchr(quote, &bytes[at..]) else { break };
                at += index;
                match bytes.get(at + 1) {
                    Some(&next) if next == quote => at += 2,
                    // The next byte decides whether the quote is doubled.
                    None if !at_end => {
                        self.scanned = at;
                        return None;
                    }
                    _ => {
                        self.quoted = false;
                        at += 1;
                    }
                }
                continue;
            }
            let Some(index) = memchr2(line_end, quote, &bytes[at..]) else { break };
            at += index;
            if bytes[at] == line_end {
                return Some(at);
            }
            self.quoted = at == 0 || bytes[at - 1] == self.shape.delimiter;
            self.opened = at;
            at += 1;
        }
        // The last byte is kept in sight, for it may be a delimiter before a quote.
        self.scanned = bytes.len();
        None
    }

    fn begin_again(&mut self) {
        *self = Self::new(self.shape);
    }

    /// The line in which the open field opened, as a record of its own, if there is a line after
    /// it.
    fn first_line(&self, bytes: &[u8]) -> Option<Frame> {
        let end = self.opened + memchr(self.shape.ends.byte(), bytes.get(self.opened..)?)?;
        let length = end - usize::from(bytes[..end].last() == Some(&b'\r'));
        Some(Frame::Malformed { length, next: end + 1, bad: BadRecord::new("malformed-csv", "a field's quote is never closed") })
    }

    /// Whether the first line of `bytes` has as many fields as a record has.
    fn begins_with_record(&self, bytes: &[u8]) -> bool {
        let Some(end) = memchr(self.shape.ends.byte(), bytes) else { return false };
        let line = std::str::from_utf8(&bytes[..end]).unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let fields = wasmill_formats::csv::fields(line, self.shape.delimiter, self.shape.quote);
        fields.filter(Result::is_ok).count() == self.shape.fields
    }
}

impl Framer for Csv {
    fn frame(&mut self, bytes: &[u8], at_end: bool) -> Frame {
        let (line, next) = match self.end(bytes, at_end) {
            Some(end) => (&bytes[..end], end + 1),
            None if at_end && self.quoted && self.is_cut => {
                let message = "a field's quote is never closed, and the next record can't be found".to_owned();
                return Frame::Broken { message };
            }
            None if at_end && self.quoted => match self.first_line(bytes) {
                Some(frame) => {
                    self.begin_again();
                    return frame;
                }
                None => (bytes, bytes.len()),
            },
            None if at_end => (bytes, bytes.len()),
            None => return Frame::More,
        };
        self.begin_again();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match (line.is_empty(), next) {
            (true, 0) => Frame::End,
            (true, _) => Frame::Nothing { next },
            (false, _) => Frame::Record { length: line.len(), next },
        }
    }

    fn forget(&mut self, count: usize) {
        self.scanned -= count;
        self.opened = self.opened.saturating_sub(count);
        self.is_cut = true;
    }

    fn scanned(&self) -> usize {
        // One byte less, so that the byte before a quote is still there.
        self.scanned.saturating_sub(1)
    }

    fn resume(&mut self, bytes: &[u8]) -> Frame {
        if !self.quoted || self.shape.fields < 2 {
            return Frame::More;
        }
        match self.first_line(bytes) {
            Some(Frame::Malformed { length, next, bad }) if self.begins_with_record(&bytes[next..]) => {
                self.begin_again();
                Frame::Malformed { length, next, bad }
            }
            _ => Frame::More,
        }
    }
}

/// The line ends at the beginning of a file; `None` if lines end in both ways.
pub fn line_ends(bytes: &[u8], delimiter: u8, quote: u8) -> Option<LineEnds> {
    let (mut quoted, mut before, mut first) = (false, delimiter, None);
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            _ if byte == quote && quoted => quoted = false,
            // A doubled quote closes and opens.
            _ if byte == quote => quoted = matches!(before, b'\n' | b'\r') || before == delimiter || before == quote,
            b'\n' if !quoted && first == Some(LineEnds::CarriageReturn) => return None,
            b'\n' if !quoted => return Some(LineEnds::LineFeed),
            b'\r' if !quoted && bytes.get(at + 1).is_some_and(|next| *next != b'\n') => first = Some(LineEnds::CarriageReturn),
            _ => {}
        }
        before = byte;
    }
    Some(first.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::records;
    use super::*;

    fn csv(fields: usize, ends: LineEnds) -> Csv {
        Csv::new(CsvShape { delimiter: b',', quote: b'"', ends, fields })
    }

    #[test]
    fn records_end_at_line_feeds_outside_of_quotes() {
        let text = "a,\"b\nc\"\"\n\",d\r\n\n\"\"\"\n\",5\" pipe\n\"x\"y\nlast,\"";
        let expected = ["a,\"b\nc\"\"\n\",d", "\"\"\"\n\",5\" pipe", "\"x\"y", "last,\""];
        for step in 1..=text.len() {
            let (found, broken) = records(csv(2, LineEnds::LineFeed), text, step);
            assert_eq!((found.as_slice(), broken), (expected.map(str::to_owned).as_slice(), None), "step {step}");
        }
    }

    #[test]
    fn records_may_end_at_carriage_returns() {
        let text = "a,\"b\r\n\"\r\rc,d\r";
        for step in 1..=text.len() {
            let (found, broken) = records(csv(2, LineEnds::CarriageReturn), text, step);
            assert_eq!((found, broken), (vec!["a,\"b\r\n\"".to_owned(), "c,d".to_owned()], None), "step {step}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_its_line() {
        let text = "1,a\n2,\"b\r\n3,c\n4,\"d\"\n5,\"e\n";
        // Line 2 takes line 3 with it, up to the next quote; line 5 is alone.
        let expected = ["1,a", "2,\"b\r\n3,c\n4,\"d\"", "5,\"e\n"];
        for step in 1..=text.len() {
            let (found, broken) = records(csv(2, LineEnds::LineFeed), text, step);
            assert_eq!(found.len(), expected.len(), "step {step}: {found:?}");
            assert_eq!((found[..2].to_vec(), broken), (expected[..2].iter().map(|&text| text.to_owned()).collect(), None), "step {step}");
        }
        let text = "1,a\n2,\"b\r\n3,c\n4,d";
        for step in 1..=text.len() {
            let (found, _) = records(csv(2, LineEnds::LineFeed), text, step);
            assert_eq!(found, ["1,a", "a field's quote is never closed: 2,\"b", "3,c", "4,d"], "step {step}");
        }
    }

    #[test]
    fn a_record_that_is_too_long_ends_at_its_line_only_if_a_record_follows() {
        for (text, fields, next) in [("\"a\nb,c\n", 2, Some(3)), ("\"a\nb\nc\n", 2, None), ("\"a\nb\n", 1, None), ("a", 2, None)] {
            let mut framer = csv(fields, LineEnds::LineFeed);
            assert_eq!(framer.frame(text.as_bytes(), false), Frame::More);
            match (framer.resume(text.as_bytes()), next) {
                (Frame::Malformed { next, .. }, Some(expected)) => assert_eq!(next, expected),
                (frame, None) => assert_eq!(frame, Frame::More, "{text}"),
                (frame, Some(_)) => panic!("{text}: {frame:?}"),
            }
        }
    }

    #[test]
    fn line_ends_are_recognised_by_the_first_lines() {
        let ends = |text: &str| line_ends(text.as_bytes(), b',', b'"');
        assert_eq!(ends("a,b\r\n1,2\r3,4"), Some(LineEnds::LineFeed));
        assert_eq!(ends("a,b\r1,\"x\ny\"\r"), Some(LineEnds::CarriageReturn));
        assert_eq!(ends("\"a\rb\",c\n"), Some(LineEnds::LineFeed));
        assert_eq!(ends("a\rb\nc"), None);
        for text in ["", "a,b", "a,b\r"] {
            assert_eq!(ends(text), Some(LineEnds::LineFeed), "{text:?}");
        }
    }
}
