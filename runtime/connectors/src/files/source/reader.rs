//! Reads one split: windows of bytes, cut into records, decoded into batches.

mod batch;
pub(super) mod header;
pub(super) mod parquet;
mod text;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use wasmill_engine::{Error, Mode, Result, Split, SplitReader};

use super::Shared;
use super::frame::{Array, Framer, Lines};
use super::identity::{Position, changed};
use super::splits::{self, Part, SPLIT_BYTES};
use crate::formats::csv::CsvDecoder;
use crate::formats::json::JsonDecoder;
use crate::formats::{Format, RecordDecoder};

/// Opens a split where it stands.
pub fn open(shared: &Arc<Shared>, split: &Split) -> Result<Box<dyn SplitReader>> {
    let (path, part) = splits::parse_name(&split.id)?;
    let position = Position::from_value(&split.position)?;
    let file = File::open(&path).map_err(|error| Error::io(format_args!("read {}", path.display()), error))?;
    if !position.file.is_start_of(&file, &path)? {
        return Err(changed(&path, "it is shorter, or its beginning is another"));
    }
    if let Part::RowGroup(group) = part {
        return Ok(Box::new(parquet::GroupReader::open(shared, &path, file, group, position)?));
    }
    // What a batch reads is what was there when it looked.
    let end = match (part, shared.mode) {
        (Part::From(start), Mode::Stream) => Some(start + SPLIT_BYTES),
        (Part::From(start), Mode::Batch) => Some(position.file.size.min(start + SPLIT_BYTES)),
        _ => None,
    };
    Ok(Box::new(text::TextReader::open(shared, path, file, part, position, end)?))
}

/// What reads the records of a format.
struct OpenedFormat {
    framer: Box<dyn Framer>,
    decoder: Box<dyn RecordDecoder>,
    /// Where the first record may begin: behind a header.
    first_record: u64,
}

fn open_format(shared: &Shared, path: &Path, file: &File, columns: &SchemaRef, offset: u64) -> Result<OpenedFormat> {
    let config = &shared.config;
    let json = |framer: Box<dyn Framer>| -> Result<OpenedFormat> {
        Ok(OpenedFormat { framer, decoder: Box::new(JsonDecoder::new(columns.clone())?), first_record: 0 })
    };
    match config.format_of(path)? {
        Format::Jsonl => json(Box::new(Lines::of_json())),
        Format::Json => json(Box::new(Array::new(offset > 0))),
        Format::Csv => {
            let header = header::read(config, path, file)?;
            let decoder = CsvDecoder::new(columns.clone(), &header.names, config.csv.options());
            let decoder = decoder.map_err(|error| error.at(path.display().to_string()))?;
            Ok(OpenedFormat { framer: config.csv_framer(), decoder: Box::new(decoder), first_record: header.length })
        }
        Format::Parquet => Err(Error::bug("parquet is not read as text")),
    }
}
