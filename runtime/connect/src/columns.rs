//! What is known about a source's columns before and while it is read.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::{DataType, Field, SchemaRef};
use wasmill_engine::Error;

/// What to do about a column that occurs in a file and was not requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LateColumns {
    /// Nothing: the columns to read are declared.
    #[default]
    Ignore,
    /// Leave it out, and report it with the number of its records.
    Report,
    /// Fail with [`NewColumns`], before a record that has it is returned.
    Fail,
}

/// The result of sampling a source's columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sampling {
    /// The columns whose types it found.
    pub columns: Vec<String>,
    /// What to do about columns that the sample did not have.
    pub late: LateColumns,
    /// Existing columns that are left out on purpose: they are no late columns.
    pub left_out: Vec<String>,
}

/// What sampling a source found.
#[derive(Debug, Clone, PartialEq)]
pub struct Inferred {
    /// The columns.
    pub schema: SchemaRef,
    /// Columns of text that have one text besides values of another type, in a sample.
    pub odd_texts: Vec<OddText>,
}

impl From<SchemaRef> for Inferred {
    fn from(schema: SchemaRef) -> Self {
        Self { schema, odd_texts: Vec::new() }
    }
}

/// A column of CSV that is text because of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddText {
    /// The column.
    pub column: String,
    /// The text.
    pub text: String,
    /// In how many records it occurs.
    pub records: usize,
    /// In how many records the column has a value.
    pub values: usize,
    /// The type of the other values.
    pub otherwise: DataType,
    /// The texts that mean null.
    pub null: Vec<String>,
}

impl OddText {
    /// Whether programs write this text for a value that is missing.
    pub fn means_missing(&self) -> bool {
        const MARKERS: [&str; 17] = [
            "na",
            "n/a",
            "#n/a",
            "#na",
            "nan",
            "null",
            "(null)",
            "none",
            "nil",
            "\\n",
            "missing",
            "unknown",
            "-",
            "--",
            "?",
            ".",
            "0000-00-00",
        ];
        MARKERS.contains(&self.text.to_ascii_lowercase().as_str()) || self.text.trim().is_empty()
    }
}

/// The cause of an error: there is no record from which to infer the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NothingToSample;

impl NothingToSample {
    /// Whether an error has this cause.
    pub fn caused(error: &Error) -> bool {
        std::error::Error::source(error).is_some_and(|cause| cause.is::<Self>())
    }
}

impl fmt::Display for NothingToSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no record from which to infer the columns")
    }
}

impl std::error::Error for NothingToSample {}

/// The cause of an error: columns that were not requested from the source have occurred. Nothing
/// that has them was read.
#[derive(Debug)]
pub struct NewColumns {
    /// The source.
    pub source: Arc<str>,
    /// The file in which they came up first.
    pub file: String,
    /// The columns, nullable, with the types of their first values.
    pub fields: Vec<Field>,
}

impl NewColumns {
    /// The cause of an error, if it is this one.
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }
}

impl fmt::Display for NewColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields.iter().map(|field| field.name().as_str()).collect();
        write!(f, "new columns in {}: {}", self.file, names.join(", "))
    }
}

impl std::error::Error for NewColumns {}

/// What a survey of some files found.
#[derive(Debug, Default)]
pub struct Survey {
    /// The names of all columns that were seen, those of folders included.
    pub columns: Vec<String>,
    /// No other column can occur: every file names its columns, and all of them were surveyed.
    pub is_complete: bool,
    /// How many records were sampled in files that do not name their columns.
    pub records: usize,
    /// A column of those records that holds arrays of objects: possibly these are the intended
    /// records.
    pub wrapped: Option<String>,
    /// A file whose header names a column twice, and that column.
    pub doubled: Option<(PathBuf, String)>,
}

impl Survey {
    /// Adds the names of columns that were seen.
    pub fn add(&mut self, names: impl IntoIterator<Item = String>) {
        for name in names {
            if !self.columns.contains(&name) {
                self.columns.push(name);
            }
        }
    }
}
