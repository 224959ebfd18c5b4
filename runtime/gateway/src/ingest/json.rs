//! JSON documents: an object, an array of objects, or objects one after the other; and JSON lines.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::answer::Problem;

/// The objects of a document, each as it was written.
pub(super) fn documents(body: &Bytes) -> Result<Vec<Bytes>, Problem> {
    let start = body.trim_ascii_start();
    if start.first() == Some(&b'[') {
        let all: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| Problem::malformed(&error))?;
        return all.into_iter().enumerate().map(|(at, value)| object(body, value, at)).collect();
    }
    let values = serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>();
    values.enumerate().map(|(at, value)| object(body, value.map_err(|error| Problem::malformed(&error))?, at)).collect()
}

/// The objects of lines, one each; blank lines are left out.
pub(super) fn lines(body: &Bytes) -> Result<Vec<Bytes>, Problem> {
    let mut all = Vec::new();
    for (at, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let value: &RawValue = serde_json::from_slice(line).map_err(|error| {
            // serde counts the lines of this line.
            Problem::bad_request(format!("line {}, column {}: not the JSON of one object: {}", at + 1, error.column(), what(&error)))
        })?;
        if value.get().as_bytes().first() != Some(&b'{') {
            return Err(Problem::bad_request(format!(
                "line {}, column 1: a record must be an object, and this is {}",
                at + 1,
                kind(value)
            )));
        }
        all.push(body.slice_ref(value.get().as_bytes()));
    }
    Ok(all)
}

fn object(body: &Bytes, value: &RawValue, at: usize) -> Result<Bytes, Problem> {
    let bytes = value.get().as_bytes();
    if bytes.first() == Some(&b'{') {
        return Ok(body.slice_ref(bytes));
    }
    let offset = bytes.as_ptr().addr() - body.as_ptr().addr();
    let before = &body[..offset];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = offset - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) + 1;
    let message = format!("record {}, line {line}, column {column}: a record must be an object, and this is {}", at + 1, kind(value));
    Err(Problem::bad_request(message))
}

fn kind(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'[') => "an array",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// What serde says, without its own place.
fn what(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(read: Result<Vec<Bytes>, Problem>) -> Result<Vec<String>, String> {
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        read.map(|all| all.into_iter().map(text).collect()).map_err(|problem| problem.message)
    }

    fn read(body: &str) -> Result<Vec<String>, String> {
        texts(documents(&Bytes::from(body.to_owned())))
    }

    fn read_lines(body: &str) -> Result<Vec<String>, String> {
        texts(lines(&Bytes::from(body.to_owned())))
    }

    #[test]
    fn documents_are_objects_in_any_arrangement() {
        assert_eq!(read(" {\"a\": 1}\n").unwrap(), ["{\"a\": 1}"]);
        assert_eq!(read("[{\"a\":1}, {}]").unwrap(), ["{\"a\":1}", "{}"]);
        assert_eq!(read("{}\n{\n}{} ").unwrap(), ["{}", "{\n}", "{}"]);
        assert_eq!(read("").unwrap(), [""; 0]);
        assert_eq!(read("[]").unwrap(), [""; 0]);
        assert_eq!(read_lines("{\"a\":1}\r\n\n {} \n").unwrap(), ["{\"a\":1}", "{}"]);
    }

    #[test]
    fn what_is_malformed_has_its_place() {
        assert!(read("{\"a\":1}\n{\"a\":,}").unwrap_err().contains("line 2 column 6"));
        assert!(read("[{},\n {\"a\" 1}]").unwrap_err().contains("line 2 column 7"));
        assert_eq!(read("[{},\n  [1]]").unwrap_err(), "record 2, line 2, column 3: a record must be an object, and this is an array");
        assert_eq!(read_lines("{}\n{}\n{\"a\":x}").unwrap_err(), "line 3, column 6: not the JSON of one object: expected value");
        assert_eq!(read_lines("{} {}").unwrap_err(), "line 1, column 4: not the JSON of one object: trailing characters");
        assert_eq!(read_lines("\n7").unwrap_err(), "line 2, column 1: a record must be an object, and this is a number");
        assert!(texts(documents(&Bytes::from_static(b"{\"a\":\"\xff\"}"))).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_objects_or_a_problem(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let body = Bytes::from(body);
            for read in [documents(&body), lines(&body)] {
                for value in read.unwrap_or_default() {
                    prop_assert!(serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&value).is_ok());
                }
            }
        }
    }
}
