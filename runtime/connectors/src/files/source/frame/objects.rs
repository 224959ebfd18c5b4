//! JSON objects one after the other, on one line or on several each, with white space between them.

use super::array::Nesting;
use super::{Frame, Framer};

/// What stands between objects and is none ends at its line feed, and is a record that no decoder takes: so it costs only itself.
#[derive(Default)]
pub struct Objects {
    nesting: Nesting,
}

impl Framer for Objects {
    fn frame(&mut self, bytes: &[u8], at_end: bool) -> Frame {
        if self.nesting.looked_at == 0 {
            let white = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if white > 0 {
                return Frame::Nothing { next: white };
            }
            match bytes.first() {
                None if at_end => return Frame::End,
                None => return Frame::More,
                Some(b'{') => {}
                Some(_) => return line(bytes, at_end),
            }
        }
        match self.nesting.end(bytes) {
            Some(length) => {
                self.nesting = Nesting::default();
                Frame::Record { length, next: length }
            }
            None if at_end => Frame::Broken { message: "the file ends within a JSON object: it has been cut short".to_owned() },
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

fn line(bytes: &[u8], at_end: bool) -> Frame {
    match memchr::memchr(b'\n', bytes) {
        Some(end) => Frame::Record { length: end, next: end + 1 },
        None if at_end => Frame::Record { length: bytes.len(), next: bytes.len() },
        None => Frame::More,
    }
}

#[cfg(test)]
mod tests {
    use super::super::records;
    use super::*;

    fn objects(text: &str, step: usize) -> (Vec<String>, Option<String>) {
        records(Objects::default(), text, step)
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
}
