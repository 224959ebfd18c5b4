//! The documents of a YAML file, with the line of every value, and with bounds.

use std::iter::Peekable;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Number, Value};

use crate::node::{Content, Entry, Mistake, Node};

/// The deepest nesting.
const MAX_DEPTH: usize = 64;

/// One event of the parser, with the line that it is in.
type Step<'a> = Result<(Event<'a>, usize), Mistake>;

/// Reads all documents of a text; empty ones are left out.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, Mistake> {
    let steps = Parser::new_from_str(text).map(|event| match event {
        Ok((event, span)) => Ok((event, line(&span))),
        Err(error) => Err(Mistake::new(error.marker().line(), format!("not YAML: {}", error.info()))),
    });
    let mut steps = steps.peekable();
    let mut documents = Vec::new();
    while let Some(step) = steps.next() {
        if let (Event::DocumentStart(_), _) = step? {
            let document = node(&mut steps, MAX_DEPTH)?;
            if !matches!(document.content, Content::Scalar(Value::Null)) {
                documents.push(document);
            }
        }
    }
    Ok(documents)
}

fn line(span: &Span) -> usize {
    span.start.line().max(1)
}

fn node<'a>(steps: &mut Peekable<impl Iterator<Item = Step<'a>>>, depth: usize) -> Result<Node, Mistake> {
    let (event, line) = steps.next().unwrap_or_else(|| Err(Mistake::new(1, "the file ends too early")))?;
    let depth = depth.checked_sub(1).ok_or_else(|| Mistake::new(line, format!("nested more than {MAX_DEPTH} levels deep")))?;
    let content = match event {
        Event::Scalar(text, style, anchor, tag) => {
            refuse(anchor, tag.as_deref(), line)?;
            Content::Scalar(if style == ScalarStyle::Plain { plain(&text, line)? } else { Value::String(text.into_owned()) })
        }
        Event::SequenceStart(anchor, tag) => {
            refuse(anchor, tag.as_deref(), line)?;
            let mut items = Vec::new();
            while !ends(steps, &Event::SequenceEnd) {
                items.push(node(steps, depth)?);
            }
            Content::List(items)
        }
        Event::MappingStart(anchor, tag) => {
            refuse(anchor, tag.as_deref(), line)?;
            map(steps, depth)?
        }
        Event::Alias(_) => return Err(Mistake::new(line, "aliases (`*name`) have no place in a case: write the value")),
        _ => return Err(Mistake::new(line, "a value is missing")),
    };
    Ok(Node { line, content })
}

/// Takes the closing event if it is next.
fn ends<'a>(steps: &mut Peekable<impl Iterator<Item = Step<'a>>>, end: &Event<'_>) -> bool {
    steps.next_if(|step| step.as_ref().is_ok_and(|(event, _)| event == end)).is_some()
}

fn map<'a>(steps: &mut Peekable<impl Iterator<Item = Step<'a>>>, depth: usize) -> Result<Content, Mistake> {
    let mut entries: Vec<Entry> = Vec::new();
    while !ends(steps, &Event::MappingEnd) {
        let (event, line) = steps.next().unwrap_or_else(|| Err(Mistake::new(1, "the file ends too early")))?;
        let Event::Scalar(key, ..) = event else { return Err(Mistake::new(line, "a key has to be a text")) };
        if let Some(first) = entries.iter().find(|entry| entry.key == *key) {
            return Err(Mistake::new(line, format!("`{key}` is given twice, first in line {}", first.line)));
        }
        entries.push(Entry { key: key.into_owned(), line, node: node(steps, depth)? });
    }
    Ok(Content::Map(entries))
}

fn refuse(anchor: usize, tag: Option<&Tag>, line: usize) -> Result<(), Mistake> {
    match tag {
        Some(tag) => Err(Mistake::new(line, format!("the tag `{tag}` has no place in a case: put texts into quotes"))),
        None if anchor > 0 => Err(Mistake::new(line, "anchors (`&name`) have no place in a case")),
        None => Ok(()),
    }
}

/// What a scalar without quotes means by the core schema of YAML 1.2.
fn plain(text: &str, line: usize) -> Result<Value, Mistake> {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::from("Infinity"),
        "-.inf" | "-.Inf" | "-.INF" => Value::from("-Infinity"),
        ".nan" | ".NaN" | ".NAN" => Value::from("NaN"),
        _ => return number(text, line),
    };
    Ok(value)
}

fn number(text: &str, line: usize) -> Result<Value, Mistake> {
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'));
    let based = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(digits), _) => radix(digits, 16),
        (_, Some(digits)) => radix(digits, 8),
        _ => None,
    };
    if let Some(integer) = based.or_else(|| text.parse().ok()) {
        return Ok(Value::from(integer));
    }
    if let Ok(integer) = text.parse::<i64>() {
        return Ok(Value::from(integer));
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() {
        return Err(Mistake::new(line, format!("{text} has more than 64 bits: put it into quotes to keep all digits")));
    }
    let numeric = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    match text.parse::<f64>() {
        Ok(float) if numeric => match Number::from_f64(float) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(Mistake::new(line, format!("{text} is larger than a double holds"))),
        },
        _ => Ok(Value::from(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(text: &str) -> Value {
        documents(text).unwrap().remove(0).to_json()
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        let text = "[12, -3, 0x1F, 1e3, yes, 12k, ~, True, .nan, '12', 18446744073709551615, -9223372036854775808, 2022-07-07]";
        let expected = json!([12, -3, 31, 1000.0, "yes", "12k", null, true, "NaN", "12", u64::MAX, i64::MIN, "2022-07-07"]);
        assert_eq!(one(text), expected);
    }

    #[test]
    fn mistakes_know_their_line() {
        let mistake = |text: &str| {
            let mistake = documents(text).unwrap_err();
            format!("{}: {}", mistake.line, mistake.message)
        };
        assert_eq!(mistake("a: 1\nb: 2\na: 3\n"), "3: `a` is given twice, first in line 1");
        assert_eq!(
            mistake("a: 99999999999999999999\n"),
            "1: 99999999999999999999 has more than 64 bits: put it into quotes to keep all digits"
        );
        assert!(mistake("a: &x 1\nb: *x\n").starts_with("1: anchors"));
        assert!(mistake("a: !!str 1").starts_with("1: the tag"));
        assert!(mistake("name: x\ninput: [1, 2\nrest: y\n").contains("not YAML"));
        assert!(mistake(&"[".repeat(100)).contains("nested more than 64"));
    }

    #[test]
    fn documents_keep_their_lines_and_empty_ones_are_left_out() {
        let found = documents("---\nname: a\n---\n---\n# nothing\nname: b\n").unwrap();
        assert_eq!(found.iter().map(|node| node.line).collect::<Vec<_>>(), [2, 6]);
    }
}
