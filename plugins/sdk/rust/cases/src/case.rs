//! One case: rows in; rows and rejects, or a refusal, out.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use serde_json::{Map, Value};

use crate::groups::key_field;
use crate::node::{Entry, Mistake, Node};
use crate::rows::{self, Row};

/// A case, as in its file.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it demonstrates.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// The line where it begins, from 1.
    pub line: usize,
    /// The configuration that the plugin gets.
    pub config: Value,
    /// Columns of the input with types that the plugin's needs don't fix.
    pub(crate) schema: Vec<(String, DataType)>,
    /// The columns whose values make the groups of an aggregate.
    pub(crate) key: Vec<String>,
    pub(crate) input: Vec<Row>,
    pub(crate) expected: Expected,
}

#[derive(Debug, Clone)]
pub(crate) enum Expected {
    Rows { output: ExpectedOutput, columns: Option<Vec<String>>, rejects: Vec<ExpectedReject> },
    Refusal(ExpectedRefusal),
}

/// The rows that leave.
#[derive(Debug, Clone)]
pub(crate) enum ExpectedOutput {
    /// None by any port.
    Nothing,
    /// Of a plugin with one port.
    OnePort(Vec<Row>),
    /// By port; the others send nothing.
    Ports(Vec<(String, Vec<Row>)>),
}

/// A rejected row. What is `None` is not compared.
#[derive(Debug, Clone)]
pub(crate) struct ExpectedReject {
    /// Its index in the input, from 0.
    pub row: usize,
    pub code: String,
    pub column: Option<String>,
    pub message: Option<String>,
    pub message_contains: Option<String>,
}

/// A refusal. What is `None` is not compared.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExpectedRefusal {
    pub message_contains: Option<String>,
    pub config_path: Option<String>,
    pub column: Option<String>,
}

const CASE_KEYS: [&str; 9] = ["name", "config", "key", "input", "schema", "output", "columns", "rejects", "refusal"];
const REJECT_KEYS: [&str; 5] = ["row", "code", "column", "message", "message_contains"];
const REFUSAL_KEYS: [&str; 3] = ["message_contains", "config_path", "column"];

impl Case {
    pub(crate) fn read(file: PathBuf, node: &Node) -> Result<Self, Mistake> {
        let parts = Parts::of(node, "a case", &CASE_KEYS)?;
        let input = parts.get("input").map_or(Ok(Vec::new()), |node| node.rows("`input`"))?;
        Ok(Self {
            name: parts.required("name")?.text("`name`")?,
            file,
            line: node.line,
            config: parts.get("config").map_or_else(|| Value::Object(Map::new()), Node::to_json),
            schema: parts.get("schema").map_or(Ok(Vec::new()), schema)?,
            key: parts.get("key").map_or(Ok(Vec::new()), key)?,
            expected: Expected::read(&parts, input.len())?,
            input,
        })
    }

    /// The columns of the input: those that the plugin needs, with the case's types where it has
    /// some, and others of the case.
    pub fn input_schema(&self, needs: &Schema) -> SchemaRef {
        let mut fields: Vec<FieldRef> = needs.fields().iter().cloned().collect();
        for (name, data_type) in &self.schema {
            let field = Arc::new(Field::new(name, data_type.clone(), true));
            match fields.iter_mut().find(|field| field.name() == name) {
                Some(known) => *known = field,
                None => fields.push(field),
            }
        }
        for name in self.key.iter().filter(|name| !fields.iter().any(|field| field.name() == *name)).collect::<Vec<_>>() {
            fields.push(key_field(name, &self.input));
        }
        Arc::new(Schema::new(fields))
    }

    /// Whether the case is one of an aggregate: it has key columns. An aggregate's case without any has one group.
    pub fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// How many rows the input has.
    pub fn rows(&self) -> usize {
        self.input.len()
    }

    /// The input, with these columns.
    ///
    /// # Errors
    /// A row does not fit them.
    pub fn input(&self, schema: &SchemaRef) -> Result<RecordBatch, String> {
        rows::to_batch(&self.input, schema)
    }

    /// `cases/nulls.yaml:12`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }
}

fn key(node: &Node) -> Result<Vec<String>, Mistake> {
    match node.list("`key`") {
        Ok(columns) => columns.iter().map(|column| column.text("a column of `key`")).collect(),
        Err(_) => Ok(vec![node.text("`key`")?]),
    }
}

fn schema(node: &Node) -> Result<Vec<(String, DataType)>, Mistake> {
    let column = |entry: &Entry| {
        let text = entry.node.text(&format!("the type of `{}`", entry.key))?;
        let data_type = text.parse().map_err(|_| {
            let message = format!("`{text}` is no type of a column, such as Int64, Utf8, Timestamp(µs, \"UTC\") or List(Utf8)");
            Mistake::new(entry.line, message)
        })?;
        Ok((entry.key.clone(), data_type))
    };
    node.map("`schema`")?.iter().map(column).collect()
}

impl Expected {
    fn read(parts: &Parts<'_>, input_rows: usize) -> Result<Self, Mistake> {
        let rejects = parts.get("rejects").map_or(Ok(Vec::new()), |node| rejects(node, input_rows))?;
        let columns = parts.get("columns").map(|node| node.list("`columns`")?.iter().map(|name| name.text("a column")).collect());
        let columns: Option<Vec<String>> = columns.transpose()?;
        let output = match (parts.get("output"), parts.get("refusal")) {
            (None, Some(node)) if rejects.is_empty() && columns.is_none() => return Ok(Self::Refusal(refusal(node)?)),
            (_, Some(node)) => {
                return Err(Mistake::new(node.line, "a case that expects a `refusal` has no `output`, `columns` or `rejects`"));
            }
            (None, None) if rejects.is_empty() => {
                return Err(Mistake::new(parts.line, "the case expects nothing: give `output`, `rejects` or `refusal`"));
            }
            (None, None) => ExpectedOutput::Nothing,
            (Some(node), None) => output(node)?,
        };
        Ok(Self::Rows { output, columns, rejects })
    }
}

fn output(node: &Node) -> Result<ExpectedOutput, Mistake> {
    let Ok(ports) = node.map("`output`") else { return Ok(ExpectedOutput::OnePort(node.rows("`output`")?)) };
    let port = |entry: &Entry| Ok((entry.key.clone(), entry.node.rows(&format!("the port `{}`", entry.key))?));
    Ok(ExpectedOutput::Ports(ports.iter().map(port).collect::<Result<_, _>>()?))
}

fn rejects(node: &Node, input_rows: usize) -> Result<Vec<ExpectedReject>, Mistake> {
    let mut rejects: Vec<ExpectedReject> = Vec::new();
    for node in node.list("`rejects`")? {
        let parts = Parts::of(node, "a reject", &REJECT_KEYS)?;
        let row = parts.required("row")?.to_json();
        let row = row.as_u64().and_then(|row| usize::try_from(row).ok()).filter(|&row| row < input_rows);
        let row = row.ok_or_else(|| {
            let message = format!("`row` has to be the index of an input row, from 0: there are {input_rows}");
            Mistake::new(node.line, message)
        })?;
        if rejects.iter().any(|other| other.row == row) {
            return Err(Mistake::new(node.line, format!("row {row} is listed twice")));
        }
        let code = parts.required("code")?.text("`code`")?;
        let (message, message_contains) = (parts.text("message")?, parts.text("message_contains")?);
        rejects.push(ExpectedReject { row, code, column: parts.text("column")?, message, message_contains });
    }
    rejects.sort_by_key(|reject| reject.row);
    Ok(rejects)
}

fn refusal(node: &Node) -> Result<ExpectedRefusal, Mistake> {
    let parts = Parts::of(node, "a refusal", &REFUSAL_KEYS)?;
    Ok(ExpectedRefusal {
        message_contains: parts.text("message_contains")?,
        config_path: parts.text("config_path")?,
        column: parts.text("column")?,
    })
}

/// The members of a map of which only some keys are allowed.
struct Parts<'a> {
    what: &'a str,
    line: usize,
    entries: &'a [Entry],
}

impl<'a> Parts<'a> {
    fn of(node: &'a Node, what: &'a str, keys: &[&str]) -> Result<Self, Mistake> {
        let entries = node.map(what)?;
        if let Some(unknown) = entries.iter().find(|entry| !keys.contains(&entry.key.as_str())) {
            let message = format!("{what} has no key `{}`: there are {}", unknown.key, keys.join(", "));
            return Err(Mistake::new(unknown.line, message));
        }
        Ok(Self { what, line: node.line, entries })
    }

    fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    fn required(&self, key: &str) -> Result<&'a Node, Mistake> {
        self.get(key).ok_or_else(|| Mistake::new(self.line, format!("{} needs `{key}`", self.what)))
    }

    fn text(&self, key: &str) -> Result<Option<String>, Mistake> {
        self.get(key).map(|node| node.text(&format!("`{key}`"))).transpose()
    }
}
