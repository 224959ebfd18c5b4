//! Between the host's tables and schemas and those of the contract, in the encoding of one plugin.

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use wasmill_boundary::budget::Budget;
use wasmill_boundary::columns::{self, Cells, MadeCells, Places, Spreading, TextForm};
use wasmill_boundary::{DecodeError, Encoding, ipc};

use crate::contract;

/// A schema as the plugin is given it.
pub(crate) fn write_schema(encoding: Encoding, schema: &Schema) -> contract::Schema {
    match encoding {
        Encoding::ArrowIpc => contract::Schema::ArrowIpc(ipc::encode_schema(schema)),
        Encoding::Columns => {
            let field = |field: columns::FieldText| contract::Field {
                name: field.name,
                data_type: field.data_type,
                nullable: field.nullable,
                metadata: field.metadata,
            };
            contract::Schema::Columns(columns::write_schema(schema).into_iter().map(field).collect())
        }
    }
}

/// The schema that a plugin wrote.
pub(crate) fn read_schema(encoding: Encoding, schema: &contract::Schema) -> Result<Schema, DecodeError> {
    match (encoding, schema) {
        (Encoding::ArrowIpc, contract::Schema::ArrowIpc(bytes)) => ipc::decode_schema(bytes),
        (Encoding::Columns, contract::Schema::Columns(fields)) => {
            let field = |field: &contract::Field| columns::FieldText {
                name: field.name.clone(),
                data_type: field.data_type.clone(),
                nullable: field.nullable,
                metadata: field.metadata.clone(),
            };
            columns::read_schema(&fields.iter().map(field).collect::<Vec<_>>())
        }
        _ => Err(other_encoding()),
    }
}

/// How the tables of one plugin are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Writing {
    pub encoding: Encoding,
    pub texts: TextForm,
}

impl Writing {
    /// A table as the plugin is given it. The memory of an earlier one is used again.
    pub fn table(self, table: &RecordBatch, mut memory: Vec<u8>) -> Result<contract::Table, String> {
        match self.encoding {
            Encoding::ArrowIpc => {
                ipc::encode_table(table, &mut memory)?;
                Ok(contract::Table::ArrowIpc(memory))
            }
            Encoding::Columns => columns::encode(table, self.texts).map(|table| contract::Table::Columns(of_columns(table))),
        }
    }
}

fn of_columns(table: columns::Table) -> contract::ColumnTable {
    let columns = table.columns.into_iter().map(|column| {
        let cells = match column.cells {
            Cells::Text(text) => contract::Cells::Text(text),
            Cells::Texts(texts) => contract::Cells::Texts(texts),
            Cells::Dictionary(count, texts, places) => contract::Cells::Dictionary(contract::Dictionary { count, texts, places }),
            Cells::Distinct(texts, places) => contract::Cells::Distinct(contract::Distinct { texts, places }),
            Cells::Fixed(bytes) => contract::Cells::Fixed(bytes),
            Cells::Json(text) => contract::Cells::Json(text),
        };
        contract::Column { cells, valid: column.valid }
    });
    contract::ColumnTable { rows: table.rows, separator: table.separator, columns: columns.collect() }
}

/// The memory of a table that has crossed, to be used again; no more than `most` bytes are kept.
pub(crate) fn memory_of(table: contract::Table, most: usize) -> Vec<u8> {
    match table {
        contract::Table::ArrowIpc(bytes) if bytes.capacity() <= most => bytes,
        contract::Table::ArrowIpc(_) | contract::Table::Columns(_) => Vec::new(),
    }
}

/// What a plugin's values can be about.
pub(crate) struct About<'a> {
    /// The batch as it crossed.
    pub sent: &'a contract::Table,
    /// For each row that is returned, the row of the batch that it comes from.
    pub rows: &'a dyn Fn() -> Vec<u32>,
}

/// The table that a plugin wrote: exactly `rows` rows of `schema`. What it takes beyond what was handed over is charged to `budget`.
pub(crate) fn read_table(
    encoding: Encoding,
    table: contract::MadeTable,
    schema: &SchemaRef,
    rows: usize,
    about: Option<&About<'_>>,
    budget: &Budget,
) -> Result<RecordBatch, DecodeError> {
    match (encoding, table) {
        (Encoding::ArrowIpc, contract::MadeTable::ArrowIpc(bytes)) => ipc::decode_table(bytes, schema, rows),
        (Encoding::Columns, contract::MadeTable::Columns(table)) => {
            let table = to_columns(table);
            let places = |column| about.and_then(|about| places(about.sent, column));
            let spreading = about.map(|about| Spreading { places: &places, rows: about.rows });
            columns::decode(&table, schema, rows, spreading.as_ref(), budget)
        }
        _ => Err(other_encoding()),
    }
}

fn to_columns(table: contract::MadeColumns) -> columns::MadeTable {
    let columns = table.columns.into_iter().map(|column| {
        let cells = match column.cells {
            contract::MadeCells::Text(text) => MadeCells::Text(text),
            contract::MadeCells::Texts(texts) => MadeCells::Texts(texts),
            contract::MadeCells::Json(text) => MadeCells::Json(text),
            contract::MadeCells::Mask(digits) => MadeCells::Mask(digits),
            contract::MadeCells::Spread(spread) => MadeCells::Spread(spread.column, spread.values),
        };
        columns::MadeColumn { cells, valid: column.valid }
    });
    columns::MadeTable { separator: table.separator, columns: columns.collect() }
}

/// The places of a column of the batch, if it crossed as a dictionary.
fn places(sent: &contract::Table, column: u32) -> Option<Places<'_>> {
    let contract::Table::Columns(table) = sent else { return None };
    let column = table.columns.get(column as usize)?;
    let (bytes, texts) = match &column.cells {
        contract::Cells::Dictionary(dictionary) => (&dictionary.places, dictionary.count as usize),
        contract::Cells::Distinct(distinct) => (&distinct.places, distinct.texts.len()),
        _ => return None,
    };
    Some(Places { bytes, count: texts + usize::from(!column.valid.is_empty()) })
}

fn other_encoding() -> DecodeError {
    DecodeError::new("it is in another encoding than the plugin declares")
}

/// The bytes that the host was handed of a table.
pub(crate) fn bytes_of(table: &contract::MadeTable) -> usize {
    match table {
        contract::MadeTable::ArrowIpc(bytes) => bytes.len(),
        contract::MadeTable::Columns(table) => {
            let cells = |cells: &contract::MadeCells| match cells {
                contract::MadeCells::Text(text) | contract::MadeCells::Json(text) | contract::MadeCells::Mask(text) => text.len(),
                contract::MadeCells::Texts(texts) => texts.iter().map(|text| text.len() + size_of::<String>()).sum(),
                contract::MadeCells::Spread(spread) => spread.values.len(),
            };
            table.columns.iter().map(|column| cells(&column.cells) + column.valid.len()).sum()
        }
    }
}
