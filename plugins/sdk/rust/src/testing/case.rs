//! One case: rows in; rows and rejects, or a refusal, out. The plugin guide documents the format.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A case as its file says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    #[serde(default = "no_config")]
    pub(super) config: Value,
    /// Types of columns, as arrow-rs prints them, that the plugin does not ask for.
    #[serde(default)]
    pub(super) schema: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) input: Vec<Value>,
    pub(super) output: Option<Rows>,
    /// Only these columns are compared.
    pub(super) columns: Option<Vec<String>>,
    #[serde(default)]
    pub(super) rejects: Vec<ExpectedReject>,
    pub(super) refusal: Option<ExpectedRefusal>,
}

/// Expected rows: of the one port, or by port.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Rows {
    One(Vec<Value>),
    ByPort(BTreeMap<String, Vec<Value>>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedReject {
    pub(super) row: u32,
    pub(super) code: String,
    pub(super) column: Option<String>,
    pub(super) message: Option<String>,
    pub(super) message_contains: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedRefusal {
    pub(super) message_contains: Option<String>,
    pub(super) config_path: Option<String>,
    pub(super) column: Option<String>,
}

fn no_config() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Case {
    /// Checks that the case says one thing.
    pub(super) fn check(&self) -> Result<(), String> {
        match (&self.output, &self.refusal) {
            (Some(_), Some(_)) => Err("a case expects an output or a refusal, not both".to_owned()),
            (None, None) if self.rejects.is_empty() => Err("a case expects an output, rejects or a refusal".to_owned()),
            (None, Some(_)) if !self.rejects.is_empty() => Err("a refused case has no rejects".to_owned()),
            _ => Ok(()),
        }
    }
}
