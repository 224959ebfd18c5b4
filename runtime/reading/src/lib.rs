//! The records of files, wherever their bytes lie: shared by the sources of files, objects and
//! tables.
//!
//! A connector finds and names a file. Here its bytes are read by ranges, unpacked, cut into
//! records and decoded into batches. Damage is an error with its place. Independent of any
//! connector.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod codes;
mod content;
pub mod damage;
mod folders;
mod frame;
mod gunzip;
mod identity;
mod infer;
mod input;
pub mod kind;
mod late;
pub mod naming;
mod odd_text;
mod options;
mod part;
mod reader;
mod survey;
mod window;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_schema::{DataType, Field, SchemaRef};
use wasmill_connect::codes::{RESERVED_COLUMN, SOURCE_TYPE};
use wasmill_engine::{Error, Mode, Result};
use wasmill_formats::{TypeName, plain_schema};

pub use content::{Content, ReadAt};
pub use identity::{HEAD_BYTES, Identity, Position, changed};
pub use infer::infer_from;
pub use input::SKIP_TIME;
pub use late::Late;
pub use options::{CsvConfig, OnBadFile, Paths, ReadOptions};
pub use part::{PIECE_BYTES, Part, SPLIT_BYTES};
pub use reader::batch::Assembler;
pub use reader::parquet::row_groups;
pub use reader::{RemoteStart, open_local, open_remote};
pub use survey::survey_of;

/// The reserved column that holds the path of a record's file.
pub const PATH_COLUMN: &str = "_source.path";
/// The reserved column that holds a record's position in its file.
pub const POSITION_COLUMN: &str = "_source.position";

/// What readers need to know.
pub struct ReadContext {
    /// The name of the source.
    pub name: Arc<str>,
    /// How files are read.
    pub options: ReadOptions,
    /// Whether files may still grow.
    pub mode: Mode,
    /// Every column of the batches.
    pub schema: SchemaRef,
    /// Columns that occur and were not requested.
    pub late: Late,
    /// How many damaged files were set aside.
    set_aside: AtomicU64,
}

impl ReadContext {
    /// The shared state for readers of a source with the columns of `schema` and no others.
    pub fn new(source: &str, options: ReadOptions, schema: SchemaRef, mode: Mode) -> Self {
        Self { name: source.into(), options, mode, schema, late: Late::default(), set_aside: AtomicU64::new(0) }
    }

    /// Notes for the reader at the end of a run.
    pub fn notes(&self) -> Vec<String> {
        let set_aside = match self.set_aside.load(Ordering::Relaxed) {
            0 => None,
            1 => Some("1 damaged file was set aside: it is in the dead letters, with code `bad-file`".to_owned()),
            count => Some(format!("{count} damaged files were set aside: they are in the dead letters, with code `bad-file`")),
        };
        set_aside.into_iter().chain(self.late.notes()).collect()
    }
}

/// The columns that a source of files adds itself on request.
pub fn reserved_columns() -> Vec<Field> {
    vec![Field::new(PATH_COLUMN, DataType::Utf8, true), Field::new(POSITION_COLUMN, DataType::Int64, true)]
}

/// What files can provide: reserved columns of their own types, and plain types.
///
/// # Errors
/// Configuration: a requested column or type that files can't give.
pub fn check_requested(requested: &SchemaRef) -> Result<()> {
    for field in requested.fields() {
        let expected = match field.name().as_str() {
            PATH_COLUMN => DataType::Utf8,
            POSITION_COLUMN => DataType::Int64,
            other if other.starts_with("_source.") => {
                return Err(Error::configuration(format!("files have no column {other}"))
                    .code(RESERVED_COLUMN)
                    .hint(format!("they have {PATH_COLUMN} and {POSITION_COLUMN}")));
            }
            _ => continue,
        };
        if *field.data_type() != expected {
            return Err(Error::configuration(format!(
                "the column {} is of type {}, not {}",
                field.name(),
                TypeName(&expected),
                TypeName(field.data_type())
            ))
            .code(RESERVED_COLUMN));
        }
    }
    if plain_schema(requested)?.fields() != requested.fields() {
        return Err(Error::configuration("the requested schema has types that files do not give")
            .code(SOURCE_TYPE)
            .hint("use plain types: text instead of views and dictionaries, list instead of LargeList"));
    }
    Ok(())
}
