//! JSON objects one after the other, on one line or on several each, with white space between them.

use super::nesting::Nesting;
use super::{Frame, Framer};

/// Text between objects ends at its line feed, and is a record that no decoder accepts: so it
/// affects only itself.
pub struct Objects {
    inside: Inside,
    nesting: Nesting,
    /// How much of a line that is no object has been scanned.
    line: usize,
}

/// What the next bytes belong to.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Nothing,
    Object,
    Line,
}

impl Objects {
    /// `indent` is the column of the file's first object.
    pub fn new(indent: usize) -> Self {
        Self { inside: Inside::Nothing, nesting: Nesting::new(indent), line: 0 }
    }

    fn line(&mut self, bytes: &[u8], at_end: bool) -> Frame {
        match memchr::memchr(b'\n', &bytes[self.line..]).map(|index| self.line + index) {
            Some(end) => Frame::Record { length: end, next: end + 1 },
            None if at_end => Frame::Record { length: bytes.len(), next: bytes.len() },
            None => {
                self.line = bytes.len();
                Frame::More
            }
        }
    }

    /// The state once the frame has ended.
    fn ended(&mut self, frame: Frame) -> Frame {
        if matches!(frame, Frame::Record { .. } | Frame::Malformed { .. }) {
            (self.inside, self.line) = (Inside::Nothing, 0);
            self.nesting.begin_again();
        }
        frame
    }
}

impl Framer for Objects {
    fn frame(&mut self, bytes: &[u8], at_end: bool) -> Frame {
        if self.inside == Inside::Nothing {
            let white = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if white > 0 {
                return Frame::Nothing { next: white };
            }
            self.inside = match bytes.first() {
                None if at_end => return Frame::End,
                None => return Frame::More,
                Some(b'{') => Inside::Object,
                Some(_) => Inside::Line,
            };
        }
        let frame = match self.inside {
            Inside::Line => self.line(bytes, at_end),
            _ => self.nesting.frame(bytes, at_end),
        };
        self.ended(frame)
    }

    fn forget(&mut self, count: usize) {
        match self.inside {
            Inside::Line => self.line -= count,
            _ => self.nesting.forget(count),
        }
    }

    fn scanned(&self) -> usize {
        self.nesting.scanned.max(self.line)
    }

    fn resume(&mut self, bytes: &[u8]) -> Frame {
        if self.inside == Inside::Line {
            return Frame::More;
        }
        let frame = self.nesting.resume(bytes);
        self.ended(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::super::records;
    use super::*;

    fn objects(text: &str, step: usize) -> (Vec<String>, Option<String>) {
        records(Objects::new(0), text, step)
    }

    #[test]
    fn objects_are_found_however_they_are_laid_out() {
        let text = " {\n \"a\": \"}\\\"\",\n \"b\": [{}]\n}\n{\"c\":1}{\"d\":2}\n nonsense }\n{\"e\":3}";
        let expected = ["{\n \"a\": \"}\\\"\",\n \"b\": [{}]\n}", "{\"c\":1}", "{\"d\":2}", "nonsense }", "{\"e\":3}"];
        for step in 1..=text.len() {
            assert_eq!(objects(text, step), (expected.map(str::to_owned).to_vec(), None), "step {step}");
        }
        assert_eq!(objects(" \n", 1), (vec![], None));
        let (found, why) = objects("{\"a\":1} {\"b\":", 3);
        assert_eq!(found, ["{\"a\":1}"]);
        assert!(why.unwrap().contains("cut short"));
    }

    #[test]
    fn an_object_that_never_ends_costs_its_own_lines_only() {
        let text = "{\"a\":1}\n{\"a\":\"x}\n{\"a\":2}\n{\"a\":{\n{\"a\":3}\n";
        let expected = [
            "{\"a\":1}",
            "a string holds a line feed or is never closed, or brackets do not match: {\"a\":\"x}",
            "{\"a\":2}",
            "the record never ends: {\"a\":{",
            "{\"a\":3}",
        ];
        for step in 1..=text.len() {
            assert_eq!(objects(text, step), (expected.map(str::to_owned).to_vec(), None), "step {step}");
        }
        // A slash escapes no line feed.
        let text = "{\"a\":\"x\\\n{\"a\":2}\n";
        let expected = ["a string holds a line feed or is never closed, or brackets do not match: {\"a\":\"x\\", "{\"a\":2}"];
        for step in 1..=text.len() {
            assert_eq!(objects(text, step), (expected.map(str::to_owned).to_vec(), None), "step {step}");
        }
    }
}
