//! Pipeline files: any text is a tree or gives a finding; a tree written as JSON (which is YAML) is the same tree again.

use serde_json::{Map, Value, json};
use wasmill_cli::diagnostics::Diagnostics;
use wasmill_cli::document::{SourceFiles, parse};

use crate::campaign::Target;
use crate::json::{integer, text};
use crate::random::Random;

pub struct Yaml;

/// The tree as JSON, or what the findings are.
fn tree(text: &str) -> Result<Value, Vec<String>> {
    let (mut files, mut diagnostics) = (SourceFiles::default(), Diagnostics::default());
    let file = files.add("input.yaml", text);
    let root = parse(&files, file, &mut diagnostics);
    let found: Vec<String> =
        diagnostics.iter().map(|finding| finding.message.chars().filter(|letter| letter.is_alphabetic()).take(40).collect()).collect();
    match root {
        Some(root) if found.is_empty() => Ok(root.to_json()),
        _ => Err(found),
    }
}

impl Target for Yaml {
    const NAME: &'static str = "yaml";
    const DICTIONARY: &'static [&'static str] = &[
        "name: ",
        "sources:\n",
        "- ",
        "? ",
        ": ",
        "&a ",
        "*a",
        "<<: *a\n",
        "!!str ",
        "!!map",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "|\n  ",
        ">-\n  ",
        "'",
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        "#",
        "~",
        "null",
        "yes",
        "0x1F",
        "0o17",
        "1_000",
        ".inf",
        ".nan",
        "1e3",
        "\t",
        "\u{feff}",
        "\u{85}",
        "\\u0041",
        "\\x",
        "  ",
        "\n",
        "\r\n",
        "a: b\n",
        "é",
    ];

    fn check(input: &[u8]) -> Result<String, String> {
        let Ok(text) = std::str::from_utf8(input) else { return Ok("not UTF-8".to_owned()) };
        match tree(text) {
            Ok(value) => {
                let again = tree(&value.to_string());
                let same = again.as_ref() == Ok(&value);
                if !same && value.is_object() {
                    return Err(format!("{value} is read again as {again:?}"));
                }
                Ok(shape(&value, 3))
            }
            Err(found) if found.is_empty() && text.lines().all(is_nothing) => Ok("nothing".to_owned()),
            Err(found) if found.is_empty() => Err("there is no tree, and nothing says why".to_owned()),
            Err(found) => Ok(format!("{found:?}")),
        }
    }

    fn generate(random: &mut Random) -> Result<Vec<u8>, String> {
        let value = json!({ "root": value(random, 4) });
        match tree(&value.to_string()) {
            Ok(found) if found == value => Ok(value.to_string().into_bytes()),
            other => Err(format!("{value} is read as {other:?}")),
        }
    }

    fn memory(bytes: usize) -> usize {
        // A few aliases may stand for a hundred thousand nodes, and no more.
        (256 << 20) + 1_000 * bytes
    }
}

/// Blank, a comment or a mark of a document: the check of a file reports that it is empty.
fn is_nothing(line: &str) -> bool {
    let line = line.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
    line.is_empty() || line.starts_with(['#', '%']) || ["---", "..."].contains(&line)
}

fn shape(value: &Value, depth: usize) -> String {
    match value {
        _ if depth == 0 => "…".to_owned(),
        Value::Object(fields) => format!("{{{}}}", fields.values().take(4).map(|value| shape(value, depth - 1)).collect::<String>()),
        Value::Array(items) => format!("[{}]", items.iter().take(4).map(|value| shape(value, depth - 1)).collect::<String>()),
        Value::String(_) => "s".to_owned(),
        Value::Number(_) => "n".to_owned(),
        _ => "l".to_owned(),
    }
}

fn value(random: &mut Random, depth: u64) -> Value {
    match random.below(if depth == 0 { 4 } else { 6 }) {
        0 => [Value::Null, json!(true), json!(false)][random.below(3) as usize].clone(),
        1 => json!(integer(random)),
        2 | 3 => json!(text(random)),
        4 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect(),
        _ => {
            Value::Object((0..random.below(4)).map(|at| (format!("{}{at}", text(random)), value(random, depth - 1))).collect::<Map<_, _>>())
        }
    }
}
