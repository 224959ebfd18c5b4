//! What transforms and aggregates share of the contract: descriptions, configurations, names that have to be understood.

use arrow_schema::Schema;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::bindings::wasmill::plugin::types;
use crate::{Refusal, Reject, ipc};

pub(crate) fn describe<C: JsonSchema>(name: &str, version: &str, documentation: &str) -> types::Description {
    let schema = schemars::schema_for!(C);
    types::Description {
        name: name.to_owned(),
        version: version.to_owned(),
        documentation: without_heading(documentation).to_owned(),
        encoding: types::Encoding::ArrowIpc,
        config_schema: serde_json::to_string(&schema).unwrap_or_default(),
        extra: Vec::new(),
    }
}

/// A README without the heading that repeats the plugin's name: the first line has to be the summary.
fn without_heading(documentation: &str) -> &str {
    match documentation.split_once('\n') {
        Some((heading, rest)) if heading.starts_with("# ") => rest.trim_start(),
        _ => documentation,
    }
}

/// Refuses what the host says has to be understood: this SDK knows no names.
pub(crate) fn check_extra(extra: &types::Extra) -> Result<(), Refusal> {
    match extra.iter().find(|(name, _)| name.starts_with('!')) {
        None => Ok(()),
        Some((name, _)) => {
            Err(Refusal::new(format!("the host relies on {name}, which this plugin does not know: build it with a newer SDK")))
        }
    }
}

pub(crate) fn parse<C: DeserializeOwned>(config: &str) -> Result<C, Refusal> {
    // A stage without a configuration is one with an empty object.
    let config = if config.trim().is_empty() { "{}" } else { config };
    serde_json::from_str(config).map_err(|error| Refusal::new(format!("the configuration is not valid: {error}")))
}

/// The schema of the input.
pub(crate) fn input(schema: &types::Schema) -> Result<Schema, Refusal> {
    let types::Schema::ArrowIpc(schema) = schema else { return Err(other_encoding()) };
    ipc::decode_schema(schema)
}

/// The bytes of a table of the host's.
pub(crate) fn table(table: types::Table) -> Result<Vec<u8>, Refusal> {
    let types::Table::ArrowIpc(bytes) = table else { return Err(other_encoding()) };
    Ok(bytes)
}

fn other_encoding() -> Refusal {
    Refusal::new("the host sends another encoding than the plugin declares")
}

pub(crate) fn reject(row: u32, reject: Reject) -> types::Reject {
    types::Reject { row, code: reject.code, column: reject.column, message: reject.message, extra: Vec::new() }
}

impl From<Refusal> for types::Refusal {
    fn from(refusal: Refusal) -> Self {
        Self {
            message: refusal.message().to_owned(),
            config_path: refusal.config_path().map(str::to_owned),
            column: refusal.column().map(str::to_owned),
            extra: Vec::new(),
        }
    }
}
