//! Reads one split: windows of bytes, cut into records, decoded into batches.

pub mod batch;
mod guard;
pub(super) mod header;
pub mod parquet;
mod text;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::Field;
use wasmill_engine::{Error, Mode, Result, SplitReader};

use self::batch::Assembler;
use super::ReadContext;
use super::content::Content;
use super::frame::{Array, Framer, Lines, Objects};
use super::identity::{Identity, Position, changed};
use super::infer;
use super::input::Input;
use super::kind;
use super::late::fail_with;
use super::naming;
use super::options::ReadOptions;
use super::part::Part;
use crate::codes::UNREADABLE;
use wasmill_connect::LateColumns;
use wasmill_formats::csv::CsvDecoder;
use wasmill_formats::json::JsonDecoder;
use wasmill_formats::{Format, RecordDecoder};

/// Opens a part of a local file at its position.
///
/// # Errors
/// Environment: the file can't be read, is damaged, or is not the one that the position is of.
pub fn open_local(context: &Arc<ReadContext>, path: &Path, part: Part, position: Position) -> Result<Box<dyn SplitReader>> {
    let file = File::open(path).map_err(|error| Error::io(format_args!("read {}", path.display()), error).or_code(UNREADABLE))?;
    if !position.file.is_start_of(&file, path)? {
        return Err(changed(path, "it is shorter, or its beginning differs"));
    }
    guard::guarded(context, path, position, |position| open_part(context, path, Content::File(file), part, position))
}

fn open_part(context: &Arc<ReadContext>, path: &Path, content: Content, part: Part, position: Position) -> Result<Box<dyn SplitReader>> {
    if let Part::RowGroup(group) = part {
        return Ok(Box::new(parquet::GroupReader::open(context, path, content, group, position)?));
    }
    let Some(mut lines) = part.lines() else { return open_whole(context, path, content, position) };
    // What a batch reads is what was there when the file was listed.
    if context.mode == Mode::Batch {
        lines.end = lines.end.min(position.file.size);
    }
    Ok(Box::new(text::TextReader::open(context, path.to_owned(), content, position, Some(lines))?))
}

/// Where the reading of something in a store begins.
#[derive(Debug, Clone, Copy)]
pub struct RemoteStart {
    /// The next record's place: a byte after decompression, or a row of Parquet.
    pub offset: u64,
    /// Whether nothing can follow, whatever the offset: a JSON array has ended, or broke.
    pub ended: bool,
}

/// Opens all of an object in a store, from an offset on: a byte after decompression, or a row of
/// Parquet. Its identity is up to the caller.
///
/// # Errors
/// As [`open_local`].
pub fn open_remote(context: &Arc<ReadContext>, path: PathBuf, content: Content, start: RemoteStart) -> Result<Box<dyn SplitReader>> {
    let file = Identity { size: parquet::length(&content), head: String::new(), head_bytes: 0 };
    let position = Position { offset: start.offset, file, ended: start.ended };
    guard::guarded(context, &path, position, |position| open_whole(context, &path, content, position))
}

fn open_whole(context: &Arc<ReadContext>, path: &Path, content: Content, position: Position) -> Result<Box<dyn SplitReader>> {
    if kind::format_of(&context.options, path, &content)? == Format::Parquet {
        return Ok(Box::new(parquet::whole::WholeReader::open(context, path.to_owned(), content, position)?));
    }
    if position.offset == 0 {
        kind::check(&context.options, path, &content)?;
        kind::check_inside(&context.options, path, &content)?;
    }
    Ok(Box::new(text::TextReader::open(context, path.to_owned(), content, position, None)?))
}

/// Cuts a file of JSON into records: the elements of one array, or objects one after the other. Its
/// first byte decides.
pub(super) fn json_framer(options: &ReadOptions, path: &Path, content: &Content, resumed: bool) -> Result<Box<dyn Framer>> {
    let copy = content.try_clone().map_err(|error| Error::io(format_args!("read {}", path.display()), error).or_code(UNREADABLE))?;
    let mut input = Input::open(copy, path, options.compression_of(path), 0)?;
    let (mut bytes, mut wanted) = (Vec::new(), 4 << 10);
    loop {
        let missing = wanted - bytes.len();
        let at_end = input.append(&mut bytes, missing)?;
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let first = text.iter().position(|byte| !byte.is_ascii_whitespace());
        // Of an array, where its first element begins counts too.
        let value = first.map(|first| (first, text[first..].iter().position(|byte| !byte.is_ascii_whitespace() && *byte != b'[')));
        match value {
            Some((first, _)) if text[first] == b'{' => return Ok(Box::new(Objects::new(column(text, first)))),
            None | Some((_, None)) if !at_end && wanted < options.max_record_bytes() => wanted *= 2,
            Some((first, Some(behind))) => return Ok(Box::new(Array::new(resumed, column(text, first + behind)))),
            _ => return Ok(Box::new(Array::new(resumed, 0))),
        }
    }
}

/// How many bytes precede a place on its line.
fn column(text: &[u8], at: usize) -> usize {
    at - memchr::memrchr(b'\n', &text[..at]).map_or(0, |feed| feed + 1)
}

/// What reads the records of a format.
struct OpenedFormat {
    framer: Box<dyn Framer>,
    decoder: Box<dyn RecordDecoder>,
    assembler: Assembler,
    /// Where the first record may begin: after a header.
    first_record: u64,
    /// Columns of the header that were not requested.
    late: Vec<String>,
}

fn open_format(context: &ReadContext, path: &Path, content: &Content, offset: u64) -> Result<OpenedFormat> {
    let options = &context.options;
    let assembler = Assembler::new(Arc::clone(&context.name), naming::name_of(path).into(), Arc::clone(&context.schema));
    let framer: Box<dyn Framer> = match options.format_of(path)? {
        Format::Jsonl => Box::new(Lines::of_json()),
        Format::Json => json_framer(options, path, content, offset > 0)?,
        Format::Csv => return open_csv(context, path, content, assembler),
        Format::Parquet => return Err(Error::bug("parquet is not read as text")),
    };
    let assembler = assembler.with_folders(path, None)?;
    let mut decoder = Box::new(JsonDecoder::new(assembler.decoded_schema())?);
    if context.late.mode != LateColumns::Ignore {
        decoder.watch();
    }
    let late = late_folders(context, path, &|_| false)?;
    Ok(OpenedFormat { framer, decoder, assembler, first_record: 0, late })
}

/// The columns that only the names of a file's folders have, and that were not requested, if they
/// are counted.
///
/// # Errors
/// Configuration, caused by [`NewColumns`](super::NewColumns), where that is wanted.
fn late_folders(context: &ReadContext, path: &Path, has: &dyn Fn(&str) -> bool) -> Result<Vec<String>> {
    if context.late.mode == LateColumns::Ignore {
        return Ok(Vec::new());
    }
    let is_late = |field: &Field| context.late.is_late(&context.schema, field.name()) && !has(field.name());
    let fields: Vec<Field> = infer::folder_fields(&context.options, path).into_iter().filter(is_late).collect();
    let names = fields.iter().map(|field| field.name().clone()).collect();
    match context.late.mode {
        LateColumns::Fail => fail_with(&context.name, path, fields).map(|()| names),
        LateColumns::Report | LateColumns::Ignore => Ok(names),
    }
}

fn open_csv(context: &ReadContext, path: &Path, content: &Content, assembler: Assembler) -> Result<OpenedFormat> {
    let options = &context.options;
    let header = header::read(options, path, content)?;
    let assembler = assembler.with_folders(path, Some(&|name: &str| header.names.iter().any(|column| column == name)))?;
    let columns = assembler.decoded_schema();
    let mut late = context.late.of(&context.schema, header.names.iter().map(String::as_str));
    if context.late.mode == LateColumns::Fail && !late.is_empty() {
        let copy = content.try_clone().map_err(|error| Error::io(format_args!("read {}", path.display()), error).or_code(UNREADABLE))?;
        fail_with(&context.name, path, infer::fields_of(options, path, copy, &late)?)?;
    }
    late.extend(late_folders(context, path, &|name| header.names.iter().any(|column| column == name))?);
    // A file without any record has no columns to miss.
    let names = match header.names.is_empty() {
        true => columns.fields().iter().map(|field| field.name().clone()).collect(),
        false => header.names,
    };
    let decoder = CsvDecoder::new(columns, &names, options.csv.options());
    let decoder = Box::new(decoder.map_err(|error| error.at(path.display().to_string()))?);
    let framer = options.csv_framer(header.ends, names.len());
    Ok(OpenedFormat { framer, decoder, assembler, first_record: header.length, late })
}
