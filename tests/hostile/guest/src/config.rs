//! What a test tells the guest to answer. Schemas and tables come ready-made: as text, or as bytes in hexadecimal.

use serde::Deserialize;

use crate::wasmill::plugin::types::{self, Extra, MadeColumn, MadeColumns, Refusal};

/// The whole configuration; all that is left out is empty.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Config {
    /// The columns that `prepare` answers with.
    pub needs: Bytes,
    /// The same in the encoding `columns`.
    pub fields: Vec<Field>,
    pub crosses: Vec<Crosses>,
    pub ports: Vec<Port>,
    /// What to do in each call before answering.
    pub prepare: Option<String>,
    pub open: Option<String>,
    pub process: Option<String>,
    /// `process` misbehaves only if its batch holds these bytes.
    pub when: Option<String>,
    /// `process` takes some ten to a hundred milliseconds if its batch holds these bytes.
    pub slow: Option<String>,
    /// `process` panics if its batch holds these bytes more than once.
    pub alone: Option<String>,
    /// The answer of `process`; without it, the input is echoed.
    pub outputs: Option<Vec<Output>>,
    pub rejects: Vec<Reject>,
    /// Row 0 is rejected with the order of a map as the message: of the standard library's (`std`), or of the SDK's (`sdk`).
    pub order: Option<String>,
    /// How many times all outputs are repeated.
    pub repeat: Option<usize>,
    /// What it keeps and returns as an aggregate.
    pub aggregate: Aggregate,
    /// A name beside one of the contract's records: `["answer", "!new"]`.
    pub extra: Option<(String, String)>,
}

/// An aggregate. By itself it counts the rows of a group and adds up their first column.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Aggregate {
    /// The schemas of the state and the output in Arrow, and in the encoding `columns`.
    pub state: Bytes,
    pub state_fields: Vec<Field>,
    pub output: Bytes,
    pub output_fields: Vec<Field>,
    pub state_version: u32,
    /// An instance that was not asked for its needs opens with another state version (`version`), state (`state`) or output (`output`).
    pub fickle: Option<String>,
    /// What to do in each call before answering. `update` does so only if its batch holds the text `when`; `refuse:` and `panic:` with a
    /// message are among them.
    pub update: Option<String>,
    pub merge: Option<String>,
    pub take_state: Option<String>,
    pub finish: Option<String>,
    pub when: Option<String>,
    /// `take_state` or `finish` does so only for this group's sum.
    pub at_sum: Option<i64>,
    /// How many bytes each row adds to its group.
    pub hoard: usize,
    /// The next rows of a group are counted this many times as much as those before: no merge gives the same.
    pub grows: bool,
    /// Rows that `update` rejects, whether or not it misbehaves.
    pub rejects: Vec<Reject>,
    /// It rejects them only in this call of an instance, from 1.
    pub rejects_at_call: Option<u32>,
    /// What `take_state` and `finish` answer instead.
    pub taken: Option<Answer>,
    pub finished: Option<Answer>,
}

/// Rows of groups, ready-made.
#[derive(Deserialize)]
pub struct Answer {
    #[serde(default)]
    pub columns: Option<Bytes>,
    #[serde(default)]
    pub made: Option<Made>,
    #[serde(default)]
    pub groups: Option<Vec<u32>>,
    /// That many rows of group 0.
    #[serde(default)]
    pub many_groups: Option<usize>,
}

/// How much of a column crosses.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Crosses {
    Whole(bool),
    BeginningWith(Vec<String>),
}

/// `{"text": "…"}`, `{"hex": "…"}` or `{"zeros": 5}`; or `{"before": "[1", "text": ",1", "times": 1000, "after": "]"}`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Bytes {
    text: Option<String>,
    times: Option<usize>,
    before: String,
    after: String,
    hex: String,
    zeros: usize,
}

impl Bytes {
    pub fn string(&self) -> String {
        String::from_utf8(self.bytes()).expect("the tests send UTF-8")
    }

    pub fn bytes(&self) -> Vec<u8> {
        if let Some(text) = &self.text {
            return [self.before.as_str(), &text.repeat(self.times.unwrap_or(1)), &self.after].concat().into_bytes();
        }
        let digit = |byte: u8| (byte as char).to_digit(16).expect("a hexadecimal digit") as u8;
        let mut bytes: Vec<u8> = self.hex.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
        bytes.resize(bytes.len() + self.zeros, 0);
        bytes
    }
}

/// A column of a schema in the encoding `columns`.
#[derive(Deserialize)]
pub struct Field {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: String,
    #[serde(default)]
    pub nullable: Option<bool>,
}

#[derive(Deserialize)]
pub struct Port {
    pub name: String,
    #[serde(default)]
    pub schema: Bytes,
    /// The schema in the encoding `columns`.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// `computed`, `input 3`, `nulled 3` or `except 3 one|another`.
    pub columns: Vec<String>,
}

#[derive(Deserialize)]
pub struct Output {
    #[serde(default)]
    pub port: u32,
    #[serde(default)]
    pub columns: Option<Bytes>,
    /// The same in the encoding `columns`.
    #[serde(default)]
    pub made: Option<Made>,
    #[serde(default)]
    pub origins: Option<Vec<u32>>,
    /// That many rows, all from row 0.
    #[serde(default)]
    pub many_origins: Option<usize>,
}

/// A table in the encoding `columns`.
#[derive(Deserialize)]
pub struct Made {
    #[serde(default)]
    separator: String,
    columns: Vec<MadeCells>,
}

/// A column: the form of its cells, and the cells; `valid` beside it.
#[derive(Deserialize)]
struct MadeCells {
    text: Option<Bytes>,
    texts: Option<Vec<String>>,
    json: Option<Bytes>,
    mask: Option<Bytes>,
    spread: Option<(u32, Bytes)>,
    #[serde(default)]
    valid: Bytes,
}

impl Made {
    pub fn table(&self) -> MadeColumns {
        MadeColumns { separator: self.separator.clone(), columns: self.columns.iter().map(MadeCells::column).collect() }
    }
}

impl MadeCells {
    fn column(&self) -> MadeColumn {
        let cells = match self {
            Self { text: Some(text), .. } => types::MadeCells::Text(text.string()),
            Self { texts: Some(texts), .. } => types::MadeCells::Texts(texts.clone()),
            Self { json: Some(text), .. } => types::MadeCells::Json(text.string()),
            Self { mask: Some(text), .. } => types::MadeCells::Mask(text.string()),
            Self { spread: Some((column, text)), .. } => types::MadeCells::Spread(types::Spread { column: *column, values: text.string() }),
            _ => panic!("a column has cells"),
        };
        MadeColumn { cells, valid: self.valid.string() }
    }
}

#[derive(Deserialize)]
pub struct Reject {
    pub row: u32,
    pub code: String,
    #[serde(default)]
    pub message: String,
}

impl Config {
    /// What stands beside a record of the contract.
    pub fn extra(&self, record: &str) -> Extra {
        let due = self.extra.iter().filter(|(where_to, _)| where_to == record);
        due.map(|(_, name)| (name.clone(), "value".to_owned())).collect()
    }

    pub fn read(text: &str) -> Result<Self, Refusal> {
        let config: serde_json::Value = serde_json::from_str(text).expect("the host sends JSON");
        if let Some(message) = config.get("refuse").and_then(|value| value.as_str()) {
            return Err(Refusal { message: message.to_owned(), config_path: Some("/refuse".to_owned()), column: None, extra: Vec::new() });
        }
        Ok(serde_json::from_value(config).expect("the tests send what this guest understands"))
    }
}
