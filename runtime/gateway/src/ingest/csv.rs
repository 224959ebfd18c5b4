//! CSV with a header (RFC 4180): each row becomes an object whose values are texts, or null.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::answer::Problem;

/// The rows as JSON objects. A value of no characters is null, unless it is quoted: as the other sources of CSV read it.
pub(super) fn rows(body: &Bytes) -> Result<Vec<Bytes>, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let line = body[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        Problem::bad_request(format!("line {line}: the body is not UTF-8"))
    })?;
    let mut scanner = Scanner { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    let Some(header) = scanner.row()? else { return Ok(Vec::new()) };
    let names: Vec<String> = header.into_iter().map(Option::unwrap_or_default).collect();
    check_names(&names)?;
    let mut all = Vec::new();
    loop {
        let line = scanner.line;
        let Some(row) = scanner.row()? else { return Ok(all) };
        if row.len() != names.len() {
            let (values, wanted) = (row.len(), names.len());
            return Err(Problem::bad_request(format!("line {line}: the row has {values} values, and the header {wanted}")));
        }
        let object: Map<String, Value> = names.iter().cloned().zip(row.into_iter().map(Value::from)).collect();
        all.push(Value::Object(object).to_string().into());
    }
}

fn check_names(names: &[String]) -> Result<(), Problem> {
    for (at, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(Problem::bad_request(format!("line 1: column {} of the header has no name", at + 1)));
        }
        if names[..at].contains(name) {
            return Err(Problem::bad_request(format!("line 1: the header has the column {name:?} twice")));
        }
    }
    Ok(())
}

/// What is left of a text.
struct Scanner<'a> {
    rest: &'a str,
    line: usize,
}

impl Scanner<'_> {
    /// The values of the next row. Empty lines are no rows.
    fn row(&mut self) -> Result<Option<Vec<Option<String>>>, Problem> {
        while let Some(rest) = line_end(self.rest) {
            (self.rest, self.line) = (rest, self.line + 1);
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut row = Vec::new();
        loop {
            row.push(self.value()?);
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
                continue;
            }
            if let Some(rest) = line_end(self.rest) {
                (self.rest, self.line) = (rest, self.line + 1);
            }
            return Ok(Some(row));
        }
    }

    fn value(&mut self) -> Result<Option<String>, Problem> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            // A carriage return ends a value only before a line feed.
            let ends = |(at, char): (usize, char)| (char == ',' || line_end(&self.rest[at..]).is_some()).then_some(at);
            let end = self.rest.char_indices().find_map(ends).unwrap_or(self.rest.len());
            let (value, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Ok((!value.is_empty()).then(|| value.to_owned()));
        };
        let opened = self.line;
        let (mut value, mut rest) = (String::new(), quoted);
        loop {
            let Some((part, behind)) = rest.split_once('"') else {
                return Err(Problem::bad_request(format!("line {opened}: a quote is not closed")));
            };
            value.push_str(part);
            rest = behind;
            let Some(behind) = rest.strip_prefix('"') else { break };
            value.push('"');
            rest = behind;
        }
        self.line += value.bytes().filter(|byte| *byte == b'\n').count();
        self.rest = rest;
        if !rest.is_empty() && !rest.starts_with(',') && line_end(rest).is_none() {
            return Err(Problem::bad_request(format!("line {}: there is something behind a closing quote", self.line)));
        }
        Ok(Some(value))
    }
}

/// What is behind the end of a line, if the text begins with one.
fn line_end(text: &str) -> Option<&str> {
    text.strip_prefix('\n').or_else(|| text.strip_prefix("\r\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Result<Vec<String>, String> {
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let read = rows(&Bytes::from(body.to_owned()));
        read.map(|all| all.into_iter().map(text).collect()).map_err(|problem| problem.message)
    }

    #[test]
    fn rows_become_objects() {
        let expected = [r#"{"index":"1","title":"a, \"b\"\nc"}"#, r#"{"index":null,"title":"é"}"#, r#"{"index":"","title":"x\"y"}"#];
        assert_eq!(read("\u{feff}index,title\r\n1,\"a, \"\"b\"\"\nc\"\r\n\r\n,é\r\n\"\",x\"y").unwrap(), expected);
        assert_eq!(read("a,b\n").unwrap(), [""; 0]);
        assert_eq!(read("").unwrap(), [""; 0]);
    }

    #[test]
    fn mistakes_have_their_line() {
        assert_eq!(read("a,b\n1,2\n3\n").unwrap_err(), "line 3: the row has 1 values, and the header 2");
        assert_eq!(read("a,a\n").unwrap_err(), "line 1: the header has the column \"a\" twice");
        assert_eq!(read("a,\n").unwrap_err(), "line 1: column 2 of the header has no name");
        assert_eq!(read("a\n\"x\ny").unwrap_err(), "line 2: a quote is not closed");
        assert_eq!(read("a\n\"x\ny\"z").unwrap_err(), "line 3: there is something behind a closing quote");
        assert_eq!(rows(&Bytes::from_static(b"a,b\n1,\xff\n")).unwrap_err().message, "line 2: the body is not UTF-8");
    }

    proptest! {
        #[test]
        fn any_bytes_are_rows_or_a_problem(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = rows(&Bytes::from(body));
        }

        #[test]
        fn any_text_is_rows_or_a_problem(body in "[a\",\r\né]{0,60}") {
            let _ = rows(&Bytes::from(body));
        }

        #[test]
        fn what_another_program_writes_is_read(table in proptest::collection::vec(["[a\",\n\ré ]{1,9}", ".{1,9}"], 1..10)) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            writer.write_record(["a", "b"]).unwrap();
            table.iter().for_each(|row| writer.write_record(row).unwrap());
            let read = rows(&writer.into_inner().unwrap().into()).unwrap();
            prop_assert_eq!(read.len(), table.len());
            for (row, [a, b]) in read.iter().zip(&table) {
                let value: Value = serde_json::from_slice(row).unwrap();
                prop_assert_eq!((value["a"].as_str(), value["b"].as_str()), (Some(a.as_str()), Some(b.as_str())));
            }
        }
    }
}
