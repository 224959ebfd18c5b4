//! Reads one split: windows of bytes, cut into records, decoded into batches.

pub(super) mod batch;
pub(super) mod convert;
pub(super) mod header;
pub(super) mod parquet;
mod text;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::SchemaRef;
use wasmill_engine::{Error, Mode, Result, Split, SplitReader};

use super::Shared;
use super::config::FilesConfig;
use super::content::Content;
use super::frame::{Array, Framer, Lines, Objects};
use super::identity::{Identity, Position, changed};
use super::input::Input;
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
        return Ok(Box::new(parquet::GroupReader::open(shared, &path, Content::File(file), group, position)?));
    }
    // What a batch reads is what was there when it looked.
    let end = match (part, shared.mode) {
        (Part::From(start), Mode::Stream) => Some(start + SPLIT_BYTES),
        (Part::From(start), Mode::Batch) => Some(position.file.size.min(start + SPLIT_BYTES)),
        _ => None,
    };
    Ok(Box::new(text::TextReader::open(shared, path, Content::File(file), part, position, end)?))
}

/// Opens all of something that lies in a store, from an offset on: a byte after decompression, or a row of Parquet. What it is
/// known by is the caller's matter.
pub fn open_remote(shared: &Arc<Shared>, path: PathBuf, content: Content, (offset, ended): (u64, bool)) -> Result<Box<dyn SplitReader>> {
    let file = Identity { size: parquet::length(&content), head: String::new(), head_bytes: 0 };
    let position = Position { offset, file, ended };
    if shared.config.format_of(&path)? == Format::Parquet {
        return Ok(Box::new(parquet::whole::WholeReader::open(shared, path, content, position)?));
    }
    Ok(Box::new(text::TextReader::open(shared, path, content, Part::Whole, position, None)?))
}

/// Cuts a file of JSON into records: the elements of one array, or objects one after the other. Its first byte tells which.
pub(super) fn json_framer(config: &FilesConfig, path: &Path, content: &Content, resumed: bool) -> Result<Box<dyn Framer>> {
    let copy = content.try_clone().map_err(|error| Error::io(format_args!("read {}", path.display()), error))?;
    let mut input = Input::open(copy, path, config.compression_of(path), 0)?;
    let (mut bytes, mut wanted) = (Vec::new(), 4 << 10);
    loop {
        let missing = wanted - bytes.len();
        let at_end = input.append(&mut bytes, missing)? < missing;
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => return Ok(Box::new(Objects::default())),
            None if !at_end && wanted < config.max_record_bytes() => wanted *= 2,
            _ => return Ok(Box::new(Array::new(resumed))),
        }
    }
}

/// What reads the records of a format.
struct OpenedFormat {
    framer: Box<dyn Framer>,
    decoder: Box<dyn RecordDecoder>,
    /// Where the first record may begin: behind a header.
    first_record: u64,
}

fn open_format(shared: &Shared, path: &Path, content: &Content, columns: &SchemaRef, offset: u64) -> Result<OpenedFormat> {
    let config = &shared.config;
    let json = |framer: Box<dyn Framer>| -> Result<OpenedFormat> {
        Ok(OpenedFormat { framer, decoder: Box::new(JsonDecoder::new(columns.clone())?), first_record: 0 })
    };
    match config.format_of(path)? {
        Format::Jsonl => json(Box::new(Lines::of_json())),
        Format::Json => json(json_framer(config, path, content, offset > 0)?),
        Format::Csv => {
            let header = header::read(config, path, content)?;
            let decoder = CsvDecoder::new(columns.clone(), &header.names, config.csv.options());
            let decoder = decoder.map_err(|error| error.at(path.display().to_string()))?;
            Ok(OpenedFormat { framer: config.csv_framer(), decoder: Box::new(decoder), first_record: header.length })
        }
        Format::Parquet => Err(Error::bug("parquet is not read as text")),
    }
}
