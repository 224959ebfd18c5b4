//! The host's part in a native test: prepare, open, send what crosses, check the answer, assemble
//! it.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_ipc::convert::try_schema_from_ipc_buffer;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Schema, SchemaRef};
use serde_json::Value;

use super::{assemble, rows};
use crate::bindings::wasmill::plugin::types::{self, Crossing};
use crate::{Instance, Plugin, Refusal};

/// A plugin's result for a batch.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its ports, each with its full rows, in the order of the plan; one that nothing left by has no rows.
    pub ports: Vec<PortRows>,
    /// The rejected rows, in increasing order.
    pub rejects: Vec<RowReject>,
}

/// What left by one port.
#[derive(Debug, Clone)]
pub struct PortRows {
    /// The port's name.
    pub name: String,
    /// The full rows, with the columns that never crossed.
    pub records: RecordBatch,
    /// For each row, the input row that it comes from.
    pub origins: Vec<u32>,
}

/// A rejected input row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowReject {
    /// Its index in the input.
    pub row: u32,
    /// The reason for programs.
    pub code: String,
    /// The column to blame.
    pub column: Option<String>,
    /// The reason, for readers.
    pub message: String,
}

impl Outcome {
    /// The rows that left by the first port, as JSON objects with every null spelled out.
    pub fn rows(&self) -> Vec<Value> {
        self.ports.first().map(PortRows::rows).unwrap_or_default()
    }

    /// The port of this name.
    pub fn port(&self, name: &str) -> Option<&PortRows> {
        self.ports.iter().find(|port| port.name == name)
    }

    /// The codes of the rejects, with their rows.
    pub fn reject_codes(&self) -> Vec<(u32, &str)> {
        self.rejects.iter().map(|reject| (reject.row, reject.code.as_str())).collect()
    }
}

impl PortRows {
    /// The rows as JSON objects with every null spelled out.
    ///
    /// # Panics
    /// If a column has no JSON form; the types that cross the boundary all have one.
    pub fn rows(&self) -> Vec<Value> {
        rows::to_json(&self.records).unwrap_or_else(|error| fault(&error))
    }
}

/// A plugin's description, with its configuration's JSON Schema parsed: `name`, `version`,
/// `documentation`, `config_schema`.
pub fn describe<T: Plugin>() -> Value {
    let description = Instance::<T>::describe();
    let schema: Value = serde_json::from_str(&description.config_schema).unwrap_or_else(|error| fault(&error.to_string()));
    serde_json::json!({
        "name": description.name,
        "version": description.version,
        "documentation": description.documentation,
        "config_schema": schema,
    })
}

/// The columns that a plugin needs under a configuration.
pub fn input_schema<T: Plugin>(config: &Value) -> Result<Schema, Refusal> {
    Ok(read_schema(&prepare::<T>(config)?.columns).unwrap_or_else(|error| fault(&error)))
}

/// The columns whose values cross to a plugin under a configuration, in the order of its plan; those that it only peeks at are left out.
pub fn crossing_columns<T: Plugin>(config: &Value) -> Result<Vec<String>, Refusal> {
    let types::Needs { columns, crosses, .. } = prepare::<T>(config)?;
    let schema = read_schema(&columns).unwrap_or_else(|error| fault(&error));
    Ok(schema
        .fields()
        .iter()
        .zip(crosses)
        .filter(|(_, crosses)| matches!(crosses, Crossing::Values))
        .map(|(field, _)| field.name().clone())
        .collect())
}

/// Runs a plugin over rows. They have the columns that it needs; a key that is missing is null.
///
/// # Errors
/// The plugin's refusal.
///
/// # Panics
/// If the rows don't fit the columns that the plugin needs, or if it breaks the contract.
pub fn transform<T: Plugin>(config: Value, input: &[Value]) -> Result<Outcome, Refusal> {
    let schema = Arc::new(input_schema::<T>(&config)?);
    let batch = rows::to_batch(input, &schema).unwrap_or_else(|error| fault(&error));
    transform_batch::<T>(&config, &batch, batch.num_rows().max(1))
}

/// Runs a plugin over a batch, in pieces of at most `rows_per_call` rows.
///
/// # Errors
/// The plugin's refusal.
///
/// # Panics
/// If the plugin breaks the contract.
pub fn transform_batch<T: Plugin>(config: &Value, input: &RecordBatch, rows_per_call: usize) -> Result<Outcome, Refusal> {
    let needs = prepare::<T>(config)?;
    let crossing = crossing_of(&needs, input.schema_ref());
    let mut instance = Instance::<T>::default();
    let schema = types::Schema::ArrowIpc(schema_message(input.schema_ref()));
    let opened = instance.open(&types::Opening { config: config.to_string(), input: schema, extra: Vec::new() })?;
    let mut assembly = assemble::Assembly::new(&opened.ports, input);
    for start in (0..input.num_rows()).step_by(rows_per_call) {
        let piece = input.slice(start, rows_per_call.min(input.num_rows() - start));
        let crossed = crossed(&piece, &crossing).unwrap_or_else(|error| fault(&error));
        let table = types::Table::ArrowIpc(batch_message(&crossed));
        let answer = instance.process(types::Batch { table, extra: Vec::new() })?;
        assembly.add(&piece, start as u32, answer).unwrap_or_else(|error| fault(&error));
    }
    Ok(assembly.finish())
}

/// The columns of an input that cross, and how much of each does.
pub(super) fn crossing_of<'a>(needs: &'a types::Needs, input: &SchemaRef) -> Vec<(usize, &'a Crossing)> {
    let needed = read_schema(&needs.columns).unwrap_or_else(|error| fault(&error));
    let index = |name: &str| input.index_of(name).unwrap_or_else(|error| fault(&error.to_string()));
    let asked = needed.fields().iter().zip(&needs.crosses).filter(|(_, crosses)| !matches!(crosses, Crossing::Nothing));
    asked.map(|(field, crosses)| (index(field.name()), crosses)).collect()
}

/// What crosses of some rows.
pub(super) fn crossed(rows: &RecordBatch, crossing: &[(usize, &Crossing)]) -> Result<RecordBatch, String> {
    let indices: Vec<usize> = crossing.iter().map(|(index, _)| *index).collect();
    let columns = rows.project(&indices).map_err(|error| error.to_string())?;
    let abridged = crossing.iter().zip(columns.columns()).map(|((_, crossing), column)| match crossing {
        Crossing::BeginningWith(beginnings) => {
            let texts = column.as_any().downcast_ref::<StringArray>().ok_or("a column that is peeked at is not of texts")?;
            let begins = |text: &str| beginnings.iter().any(|beginning| text.starts_with(beginning.as_str()));
            let abridged = texts.iter().map(|text| text.map(|text| if begins(text) { text } else { "" }));
            Ok(Arc::new(abridged.collect::<StringArray>()) as ArrayRef)
        }
        Crossing::Nothing | Crossing::Values => Ok(Arc::clone(column)),
    });
    batch_of(columns.schema(), abridged.collect::<Result<_, String>>()?, rows.num_rows())
}

fn prepare<T: Plugin>(config: &Value) -> Result<types::Needs, Refusal> {
    Ok(Instance::<T>::prepare(&config.to_string(), &Vec::new())?)
}

/// Reads a schema that a plugin returned, with Arrow's own reader.
pub(super) fn read_schema(schema: &types::Schema) -> Result<Schema, String> {
    match schema {
        types::Schema::ArrowIpc(bytes) => try_schema_from_ipc_buffer(bytes).map_err(|error| error.to_string()),
        types::Schema::Columns(_) => Err("a schema is not in Arrow".to_owned()),
    }
}

/// What a fault of the plugin means to a test: it fails, and says why.
#[expect(clippy::panic, reason = "a test that runs a plugin that breaks the contract has to fail")]
pub(super) fn fault(error: &str) -> ! {
    panic!("the plugin breaks the contract, or the test its rows: {error}")
}

/// A schema as the host sends it, written by Arrow's own writer and not by the SDK's.
pub(super) fn schema_message(schema: &SchemaRef) -> Vec<u8> {
    let mut bytes = stream(schema, None);
    bytes.truncate(message_length(&bytes));
    bytes
}

/// A table as the host sends it: the batch message of a stream, without the schema before it and the end after it.
pub(super) fn batch_message(batch: &RecordBatch) -> Vec<u8> {
    let schema = batch.schema();
    let start = stream(&schema, None).len();
    stream(&schema, Some(batch)).split_off(start)
}

fn stream(schema: &SchemaRef, batch: Option<&RecordBatch>) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema).unwrap_or_else(|error| fault(&error.to_string()));
    if let Some(batch) = batch {
        writer.write(batch).unwrap_or_else(|error| fault(&error.to_string()));
    }
    writer.get_ref().clone()
}

fn message_length(bytes: &[u8]) -> usize {
    let length = bytes.get(4..8).and_then(|length| length.try_into().ok()).map_or(0, u32::from_le_bytes);
    8 + length as usize
}

/// Reads a table that a plugin answered, with Arrow's own reader and full validation.
pub(super) fn read_table(table: &types::MadeTable, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let types::MadeTable::ArrowIpc(bytes) = table else { return Err("a table is not in Arrow".to_owned()) };
    let mut stream = stream(schema, None);
    stream.extend_from_slice(bytes);
    let mut reader = StreamReader::try_new(stream.as_slice(), None).map_err(|error| error.to_string())?;
    let batch = reader.next().ok_or("the answer has no table")?.map_err(|error| error.to_string())?;
    let expected = 8 + bytes.get(4..8).and_then(|length| length.try_into().ok()).map_or(0, u32::from_le_bytes) as usize;
    if expected > bytes.len() {
        return Err("the answer is shorter than it declares".to_owned());
    }
    Ok(batch)
}

/// A batch without columns still has rows.
pub(super) fn batch_of(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, String> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(|error| error.to_string())
}

impl From<types::Refusal> for Refusal {
    fn from(refusal: types::Refusal) -> Self {
        let mut made = Self::new(refusal.message);
        if let Some(path) = refusal.config_path {
            made = made.at_config(path);
        }
        if let Some(column) = refusal.column {
            made = made.at_column(column);
        }
        made
    }
}
