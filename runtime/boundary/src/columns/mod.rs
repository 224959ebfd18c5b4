//! The encoding `columns`, for plugins that interpreters run: a column in one large value or two, which a language takes apart with its own
//! built-ins. The types are those of the contract in `wit/`, which documents them.

mod decode;
mod encode;
mod json_read;
mod json_values;
mod json_write;
mod schema;
#[cfg(test)]
mod tests;

pub use decode::{Places, Spreading, decode};
pub use encode::encode;
pub use json_write::json_array;
pub(crate) use schema::check_spelling;
pub use schema::{FieldText, read_schema, write_schema};

/// How texts cross that do not repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextForm {
    /// One string for a column.
    Joined,
    /// One string for a text.
    Listed,
}

/// Rows that the host sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// How many rows there are.
    pub rows: u32,
    /// A character that no joined text contains.
    pub separator: String,
    /// The columns.
    pub columns: Vec<Column>,
}

/// A column that the host sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its values.
    pub cells: Cells,
    /// A byte per row, 1 where there is a value; empty: no nulls, or they are in the JSON.
    pub valid: Vec<u8>,
}

/// The values of a column that the host sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cells {
    /// Texts, joined by the separator.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Distinct texts, joined; how many there are; and for each row its place, 4 bytes little-endian.
    Dictionary(u32, String, Vec<u8>),
    /// Distinct texts, and for each row its place.
    Distinct(Vec<String>, Vec<u8>),
    /// Values of a fixed width, little-endian.
    Fixed(Vec<u8>),
    /// A JSON array.
    Json(String),
}

/// Rows that a plugin returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeTable {
    /// A character that no joined text contains.
    pub separator: String,
    /// The columns.
    pub columns: Vec<MadeColumn>,
}

/// A column that a plugin returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeColumn {
    /// Its values.
    pub cells: MadeCells,
    /// A digit per row, `1` where there is a value; empty: no nulls but those of the JSON.
    pub valid: String,
}

/// The values of a column that a plugin returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MadeCells {
    /// Texts, joined by the separator.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// A JSON array.
    Json(String),
    /// A digit per row.
    Mask(String),
    /// For each distinct text of a column of the batch a value, as a JSON array.
    Spread(u32, String),
}
