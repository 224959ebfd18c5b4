//! The elements of the JSON array that is a whole file.

use super::nesting::{Nesting, broken};
use super::{Frame, Framer};

/// Elements are separated by brackets and strings alone, so one that is malformed inside affects
/// only itself. A missing or doubled comma is tolerated, and so is a second array after the first.
pub struct Array {
    state: State,
    inside: bool,
    nesting: Nesting,
    /// How many bytes lie between here and the bracket that closed the array, that bracket included.
    behind_bracket: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Before the opening bracket.
    Start,
    /// Between elements.
    Between,
    /// After the closing bracket.
    Done,
}

impl Array {
    /// A framer at the start of the file, or between two elements. `indent` is the column of the first element.
    pub fn new(resumed: bool, indent: usize) -> Self {
        let state = if resumed { State::Between } else { State::Start };
        Self { state, inside: false, nesting: Nesting::new(indent), behind_bracket: 0 }
    }

    /// Classifies bytes that begin no element.
    fn between(&mut self, bytes: &[u8], at_end: bool) -> Option<Frame> {
        let white = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        if white > 0 {
            return Some(self.nothing(white));
        }
        let Some(&byte) = bytes.first() else { return Some(if at_end { self.at_end() } else { Frame::More }) };
        match (self.state, byte) {
            (State::Start | State::Done, b'[') => {
                self.state = State::Between;
                self.behind_bracket = 0;
                Some(Frame::Nothing { next: 1 })
            }
            (State::Start, _) => Some(broken(
                "the file is not a JSON array: [ is missing at its start; if it holds one object per line, set `format: jsonl`",
            )),
            (State::Between, b']') => {
                self.state = State::Done;
                Some(self.nothing(1))
            }
            (State::Between, b',') => Some(Frame::Nothing { next: 1 }),
            // What follows the array does not belong to it, but may be records all the same.
            (State::Done, b'{' | b',') => {
                self.state = State::Between;
                self.behind_bracket = 0;
                (byte == b',').then_some(Frame::Nothing { next: 1 })
            }
            (State::Done, _) => Some(broken("what follows the end of the JSON array is not JSON")),
            (State::Between, _) => None,
        }
    }

    fn nothing(&mut self, next: usize) -> Frame {
        if self.state == State::Done {
            self.behind_bracket += next;
        }
        Frame::Nothing { next }
    }

    fn at_end(&self) -> Frame {
        match self.state {
            State::Start | State::Done => Frame::End,
            State::Between => broken("the file ends before the ] of its JSON array: it has been cut short"),
        }
    }
}

impl Framer for Array {
    fn frame(&mut self, bytes: &[u8], at_end: bool) -> Frame {
        if !self.inside
            && let Some(frame) = self.between(bytes, at_end)
        {
            return frame;
        }
        self.inside = true;
        let frame = self.nesting.frame(bytes, at_end);
        if matches!(frame, Frame::Record { .. } | Frame::Malformed { .. }) {
            self.inside = false;
            self.nesting.begin_again();
        }
        frame
    }

    fn forget(&mut self, count: usize) {
        self.nesting.forget(count);
    }

    fn scanned(&self) -> usize {
        self.nesting.scanned
    }

    fn resume(&mut self, bytes: &[u8]) -> Frame {
        let frame = self.nesting.resume(bytes);
        if matches!(frame, Frame::Malformed { .. }) {
            self.inside = false;
            self.nesting.begin_again();
        }
        frame
    }

    fn step_back(&self) -> usize {
        self.behind_bracket
    }
}

#[cfg(test)]
mod tests {
    use super::super::records;
    use super::*;

    fn elements(text: &str, step: usize) -> (Vec<String>, Option<String>) {
        records(Array::new(false, 1), text, step)
    }

    #[test]
    fn elements_are_found_however_the_text_arrives() {
        let text = r#" [ {"a": "]}\"\\", "b": [1, {}]} , 12,"x\\",[],null ] "#;
        let expected = [r#"{"a": "]}\"\\", "b": [1, {}]}"#, "12", r#""x\\""#, "[]", "null"];
        for step in 1..text.len() {
            assert_eq!(elements(text, step), (expected.map(str::to_owned).to_vec(), None), "step {step}");
        }
        assert_eq!(elements("[]", 1), (vec![], None));
        assert_eq!(elements(" \n", 1), (vec![], None));
    }

    #[test]
    fn what_lies_between_elements_costs_none_of_them() {
        for (text, expected) in [
            ("[{} {}\n{}]", &["{}", "{}", "{}"][..]),
            ("[,{},,{},]", &["{}", "{}"]),
            ("[{\"a\":1},{\"a\":2}]\n[{\"a\":3}]\n", &["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"]),
            ("[{}] {}, {}]", &["{}", "{}", "{}"]),
            ("[}]", &["}"]),
            ("[{} x, {}]", &["{}", "x", "{}"]),
        ] {
            for step in 1..=text.len() {
                assert_eq!(elements(text, step), (expected.iter().map(|&text| text.to_owned()).collect(), None), "{text}, step {step}");
            }
        }
    }

    #[test]
    fn an_element_that_never_ends_costs_its_own_lines_only() {
        for (text, expected) in [
            // A string that is never closed.
            (
                "[\n{\"a\":\"x},\n{\"a\":\"y\"},\n{\"a\":\"z\"}\n]",
                &["a string holds a line feed or is never closed, or brackets do not match: {\"a\":\"x}", "{\"a\":\"y\"}", "{\"a\":\"z\"}"]
                    [..],
            ),
            // A brace that is missing.
            (
                "[{\"a\":{\"b\":1},\n {\"a\":2},\n {\"a\":3}]",
                &["a string holds a line feed or is never closed, or brackets do not match: {\"a\":{\"b\":1}", "{\"a\":2}", "{\"a\":3}"],
            ),
            (
                "[{\"a\":{\"b\":1}\n,{\"a\":2}\n,{\"a\":3}]",
                &["a string holds a line feed or is never closed, or brackets do not match: {\"a\":{\"b\":1}", "{\"a\":2}", "{\"a\":3}"],
            ),
            // Objects inside are indented further, and are no records.
            (
                "[\n {\n  \"a\": \"x,\n  \"b\": [\n   {\"c\": 1}\n  ]\n },\n {\n  \"a\": 1\n }\n]",
                &[
                    "a string holds a line feed or is never closed, or brackets do not match: {\n  \"a\": \"x,\n  \"b\": [\n   {\"c\": 1}\n  ]\n }",
                    "{\n  \"a\": 1\n }",
                ],
            ),
            // A line feed in a closed string affects its record only.
            ("[{\"a\":\"x\ny\"},{\"a\":\"z\"}]", &["{\"a\":\"x\ny\"}", "{\"a\":\"z\"}"]),
        ] {
            for step in 1..=text.len() {
                assert_eq!(elements(text, step), (expected.iter().map(|&text| text.to_owned()).collect(), None), "{text}, step {step}");
            }
        }
    }

    #[test]
    fn where_no_next_element_can_be_found_the_file_is_broken() {
        for (text, count, why) in [
            ("{\"a\":1}", 0, "[ is missing"),
            ("[{},{\"a\":", 1, "ends within a record"),
            ("[{\"a\":\"x},{\"a\":\"y\"},{\"a\":\"z\"}]", 0, "ends within a record"),
            ("[{},{}", 2, "ends before the ]"),
            ("[{}]]", 1, "what follows the end"),
            ("[{\"a\":{\"b\":1},{\"a\":2}]", 1, "ends before the ]"),
        ] {
            for step in 1..=text.len() {
                let (found, message) = elements(text, step);
                assert_eq!(found.len(), count, "{text}");
                assert!(message.is_some_and(|message| message.contains(why)), "{text}");
            }
        }
        let mut long = Array::new(true, 0);
        assert_eq!(long.frame(b"{\"a\":\"x},{id:", false), Frame::More);
        assert!(matches!(long.resume(b"{\"a\":\"x},{id:"), Frame::More), "a string may hold anything");
        let text = b"{\"a\":\"x},{\"id\":2},{\"id\":3},";
        assert_eq!(Array::new(true, 0).frame(text, false), Frame::More);
        let mut long = Array::new(true, 0);
        let _ = long.frame(text, false);
        assert!(matches!(long.resume(text), Frame::Broken { .. }), "letters outside of strings");
    }

    #[test]
    fn a_framer_that_begins_where_the_last_one_may_stop_finds_the_same() {
        let text = "[{\"a\":1}] \n [{\"a\":2}]";
        let mut framer = Array::new(false, 1);
        let (mut start, mut found) = (0, 0);
        loop {
            let bytes = &text.as_bytes()[start..];
            match framer.frame(bytes, true) {
                Frame::Record { next, .. } => (start, found) = (start + next, found + 1),
                Frame::Nothing { next } => start += next,
                _ => break,
            }
            if start > 0 {
                let rest = records(Array::new(true, 1), &text[start - framer.step_back()..], 3);
                assert_eq!((rest.0.len(), rest.1), (2 - found, None), "from byte {start}");
            }
        }
        assert_eq!(found, 2);
    }
}
