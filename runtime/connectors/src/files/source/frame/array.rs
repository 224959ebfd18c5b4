//! The elements of one JSON array that is a whole file.

use memchr::memchr2;

use super::{Frame, Framer};

/// Elements are told apart by brackets and strings alone, so that one that is malformed inside costs only itself. Where the array itself
/// breaks (a comma is missing, the file ends early), the rest of the file can't be told apart any more.
pub struct Array {
    state: State,
    inside: bool,
    nesting: Nesting,
}

/// Where the look for the end of a JSON value stands.
#[derive(Default)]
pub(super) struct Nesting {
    /// How many of its bytes have been looked at.
    pub(super) looked_at: usize,
    /// The depth of brackets.
    depth: usize,
    /// Whether a string is open.
    in_string: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Before the opening bracket.
    Start,
    /// After it: an element or the end.
    First,
    /// After a comma.
    Element,
    /// After an element.
    After,
    /// Somewhere between elements.
    Resumed,
    /// After the closing bracket.
    Done,
}

impl Array {
    /// A framer at the start of the file, or between two elements.
    pub fn new(resumed: bool) -> Self {
        let state = if resumed { State::Resumed } else { State::Start };
        Self { state, inside: false, nesting: Nesting::default() }
    }

    /// What a byte that begins no element means here.
    fn between(&mut self, byte: u8) -> Option<Frame> {
        let next = match (self.state, byte) {
            (State::Start, b'[') => State::First,
            (State::Start, _) => {
                return Some(broken(
                    "the file is not a JSON array: [ is missing at its start; if it holds one object a line, set `format: jsonl`",
                ));
            }
            (State::First | State::After | State::Resumed, b']') => State::Done,
            (State::After | State::Resumed, b',') => State::Element,
            (State::After, _) => return Some(broken("a comma or ] is missing after a record; nothing can be read from here on")),
            (State::First | State::Element, b',' | b']') => {
                return Some(broken("a record is missing before a comma or ]; nothing can be read from here on"));
            }
            (State::Done, _) => return Some(broken("there is more after the end of the JSON array; it has not been read")),
            _ => return None,
        };
        self.state = next;
        Some(Frame::Nothing { next: 1 })
    }

    fn at_end(&self) -> Frame {
        match self.state {
            State::Start | State::Done => Frame::End,
            _ => broken("the file ends before the ] of its JSON array: it has been cut short"),
        }
    }
}

impl Nesting {
    /// The length of the value that `bytes` begin with, if it ends in them.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = self.looked_at;
        while let Some(&byte) = bytes.get(at) {
            if self.in_string {
                match memchr2(b'"', b'\\', &bytes[at..]).map(|index| at + index) {
                    Some(quote) if bytes[quote] == b'"' => {
                        self.in_string = false;
                        at = quote + 1;
                        if self.depth == 0 {
                            return Some(at);
                        }
                    }
                    // An escape that the window cuts in two is looked at again.
                    Some(slash) if slash + 1 >= bytes.len() => {
                        self.looked_at = slash;
                        return None;
                    }
                    Some(slash) => at = slash + 2,
                    None => at = bytes.len(),
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' if self.depth == 0 => return Some(at),
                b']' | b'}' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                b',' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => return Some(at),
                _ => {}
            }
            at += 1;
        }
        self.looked_at = at;
        None
    }
}

fn broken(message: &str) -> Frame {
    Frame::Broken { message: message.to_owned() }
}

impl Framer for Array {
    fn frame(&mut self, bytes: &[u8], at_end: bool) -> Frame {
        if !self.inside {
            let white = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
            if white > 0 {
                return Frame::Nothing { next: white };
            }
            let Some(&byte) = bytes.first() else { return if at_end { self.at_end() } else { Frame::More } };
            if let Some(frame) = self.between(byte) {
                return frame;
            }
        }
        self.inside = true;
        match self.nesting.end(bytes) {
            // A stray closing brace is an element of its own, or it would never be passed.
            Some(length) => {
                *self = Self { state: State::After, ..Self::new(false) };
                let length = length.max(1);
                Frame::Record { length, next: length }
            }
            None if at_end => broken("the file ends within a record of its JSON array: it has been cut short"),
            None => Frame::More,
        }
    }

    fn forget(&mut self, count: usize) {
        self.nesting.looked_at -= count;
    }

    fn looked_at(&self) -> usize {
        self.nesting.looked_at
    }
}

#[cfg(test)]
mod tests {
    use super::super::records;
    use super::*;

    fn elements(text: &str, step: usize) -> (Vec<String>, Option<String>) {
        records(Array::new(false), text, step)
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
    fn a_broken_array_gives_what_came_before() {
        for (text, count, why) in [
            ("{\"a\":1}", 0, "[ is missing"),
            ("[{} {}]", 1, "a comma or ] is missing"),
            ("[{},]", 1, "a record is missing"),
            ("[{},{\"a\":", 1, "ends within a record"),
            ("[{},{}", 2, "ends before the ]"),
            ("[{}]]", 1, "more after the end"),
            ("[}]", 1, ""),
        ] {
            for step in 1..=text.len() {
                let (found, message) = elements(text, step);
                assert_eq!(found.len(), count, "{text}");
                assert!(message.unwrap_or_default().contains(why), "{text}");
            }
        }
    }
}
