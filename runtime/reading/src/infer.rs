//! Infers the columns of files without a declared schema from a sample of their records.

use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use wasmill_connect::{Inferred, NothingToSample};
use wasmill_engine::{Error, Result};

use super::content::Content;
use super::damage::damage;
use super::folders;
use super::frame::{Frame, Framer, Lines};
use super::input::Input;
use super::kind;
use super::odd_text::Texts;
use super::options::{OnBadFile, ReadOptions};
use super::reader::{header, json_framer, parquet};
use wasmill_connect::codes::NO_COLUMNS;
use wasmill_formats::codes::TWICE;
use wasmill_formats::csv::fields;
use wasmill_formats::json::MAX_DEPTH;
use wasmill_formats::reading::Reading;
use wasmill_formats::time::TimeForm;
use wasmill_formats::{Format, is_number, plain_schema};

/// At most this many records are sampled.
const SAMPLE_RECORDS: usize = 1_000;
/// At most this many bytes are sampled.
const SAMPLE_BYTES: usize = 1 << 20;

/// What the values of a column were like.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// Only nulls so far.
    Unknown,
    Boolean,
    Integer,
    /// Whole numbers of 64 bits, of which some have more digits than a float holds.
    LargeInteger,
    Float,
    /// Texts that write times in one form.
    Time(TimeForm),
    Text,
    List(Box<Shape>),
    Object(Vec<(String, Shape)>),
}

/// The columns of files, inferred from as few of them as needed.
///
/// Parquet declares its columns, in its first file. Of other formats up to 1,000 records and 1 MiB
/// of the first files are sampled:
///
/// | values seen | type |
/// |---|---|
/// | whole numbers of 64 bits | `Int64` |
/// | other numbers, or both | `Float64`; `Utf8` where a whole number has more digits than a float holds |
/// | `true`, `false` | `Boolean` |
/// | texts of one form: dates; times; times with a zone | `Date32`; `Timestamp` of microseconds; the same in UTC |
/// | other texts; larger whole numbers; several of these kinds | `Utf8` |
/// | arrays, objects | `List`, `Struct`; of an array or object and something else the first one seen |
/// | only nulls; objects without keys | `Utf8`; `Map` of texts |
///
/// Every column may be null. Records that can't be read are left out of the sample. Columns in the names of folders (`category=a/`) come last.
///
/// # Errors
/// Configuration: no file matches, or no record can be read. Environment: a file can't be read.
pub fn infer_from(options: &ReadOptions, files: impl Iterator<Item = Result<(std::path::PathBuf, Content)>>) -> Result<Inferred> {
    let mut sample = Sample::default();
    let mut any = false;
    for file in files {
        any = true;
        let (path, content) = file?;
        let folders = sampled_folders(options, &path);
        let taken = match kind::format_of(options, &path, &content) {
            Err(error) => Err(error),
            Ok(Format::Parquet) if parquet::length(&content) == 0 => Ok(()),
            Ok(Format::Parquet) => match parquet::schema(&content, &path) {
                Ok(schema) => return Ok(with_folders(plain_schema(schema.as_ref())?.as_ref(), folders)?.into()),
                Err(error) => Err(error),
            },
            Ok(format) => sample.take(options, format, &path, content),
        };
        match taken {
            // The run notes it in the dead letters.
            Err(error) if options.on_bad_file == OnBadFile::SetAside && damage(&error).is_some() => {}
            other => other?,
        }
        folders.into_iter().for_each(|(name, shape)| merge_into(&mut sample.folders, &name, shape));
        if sample.is_full() {
            break;
        }
    }
    if sample.root.is_empty() {
        let names = options.path.all().join(", ");
        let what = if any { "no record can be read in" } else { "no file matches" };
        return Err(Error::configuration(format!("the columns can't be inferred: {what} {names}"))
            .code(NO_COLUMNS)
            .hint("name the columns in `schema`, or add stages that declare which columns they need")
            .caused_by(NothingToSample));
    }
    let fields: Vec<Field> = sample.root.into_iter().map(|(name, shape)| shape.field(name)).collect();
    let odd_texts = sample.texts.found(&options.csv.null);
    Ok(Inferred { schema: with_folders(&Schema::new(fields), sample.folders)?, odd_texts })
}

/// That a header names each column once: all of them are read.
fn check_header(path: &Path, names: &[String]) -> Result<()> {
    match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        None => Ok(()),
        Some((_, name)) => Err(Error::configuration(format!("the header of {} names the column {name:?} twice", path.display()))
            .code(TWICE)
            .hint("rename one of them in the file, or name the columns that you need in `columns`, each with its type in `schema`")),
    }
}

/// The columns in the names of a path's folders, but for folders that the configuration names without a wildcard.
fn sampled_folders(options: &ReadOptions, path: &Path) -> Vec<(String, Shape)> {
    let is_named = |name: &str| {
        let mut parts = options.path.all().iter().flat_map(|pattern| pattern.split('/'));
        parts.any(|part| part.split_once('=').is_some_and(|(column, _)| column == name) && !part.contains(['*', '?', '[']))
    };
    let columns = folders::columns_of(path).into_iter().filter(|column| !is_named(&column.name));
    columns.map(|column| (column.name, column.value.as_deref().map_or(Shape::Unknown, Shape::of_text))).collect()
}

/// The columns in the names of a path's folders, with the types of their values.
pub fn folder_fields(options: &ReadOptions, path: &Path) -> Vec<Field> {
    sampled_folders(options, path).into_iter().map(|(name, shape)| shape.field(name)).collect()
}

/// The columns of files, and behind them those of their folders that they lack.
fn with_folders(files: &Schema, folders: Vec<(String, Shape)>) -> Result<SchemaRef> {
    let missing = folders.into_iter().filter(|(name, _)| files.index_of(name).is_err());
    let missing = missing.map(|(name, shape)| Arc::new(shape.field(name)));
    Ok(Arc::new(Schema::new(files.fields().iter().cloned().chain(missing).collect::<Vec<_>>())))
}

/// Some columns of one file of text, with the types of its first records.
pub fn fields_of(options: &ReadOptions, path: &Path, content: Content, names: &[String]) -> Result<Vec<Field>> {
    let mut sample = Sample::default();
    sample.take(options, options.format_of(path)?, path, content)?;
    let wanted = sample.root.into_iter().filter(|(name, _)| names.contains(name));
    Ok(wanted.map(|(name, shape)| shape.field(name)).collect())
}

/// A column that has these values, as JSON.
pub fn field_of(name: String, values: &[String]) -> Field {
    let mut all = Shape::Unknown;
    values.iter().filter_map(|value| serde_json::from_str(value).ok()).for_each(|value: &RawValue| all.merge(Shape::of(value, 1)));
    all.field(name)
}

/// Some records.
#[derive(Default)]
pub struct Sample {
    root: Vec<(String, Shape)>,
    /// What the names of folders hold.
    folders: Vec<(String, Shape)>,
    /// The texts of columns of CSV that hold other values, too.
    texts: Texts,
    records: usize,
    bytes: usize,
}

impl Sample {
    /// How many records it has.
    pub fn records(&self) -> usize {
        self.records
    }

    /// The names of the columns that were seen.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.root.iter().map(|(name, _)| name.as_str())
    }

    /// A column whose values are arrays of objects. Where a file wraps its records into one object,
    /// they are in there.
    pub fn wrapped(&self) -> Option<&str> {
        let holds_objects = |shape: &Shape| matches!(shape, Shape::List(items) if matches!(**items, Shape::Object(_)));
        self.root.iter().find(|(_, shape)| holds_objects(shape)).map(|(name, _)| name.as_str())
    }

    pub fn is_full(&self) -> bool {
        self.records >= SAMPLE_RECORDS || self.bytes >= SAMPLE_BYTES
    }

    /// Adds the first records of a file.
    pub fn take(&mut self, options: &ReadOptions, format: Format, path: &Path, content: Content) -> Result<()> {
        if super::reader::parquet::length(&content) == 0 {
            return Ok(());
        }
        kind::check(options, path, &content)?;
        kind::check_inside(options, path, &content)?;
        let mut names = Vec::new();
        let (mut framer, offset): (Box<dyn Framer>, u64) = match format {
            Format::Csv => {
                let header = header::read(options, path, &content)?;
                let framer = options.csv_framer(header.ends, header.names.len());
                check_header(path, &header.names)?;
                header.names.iter().for_each(|name| merge_into(&mut self.root, name, Shape::Unknown));
                names = header.names;
                (framer, header.length)
            }
            Format::Json => (json_framer(options, path, &content, false)?, 0),
            _ => (Box::new(Lines::of_json()), 0),
        };
        let mut input = Input::open(content, path, options.compression_of(path), offset)?;
        let mut bytes = Vec::new();
        let at_end = input.append(&mut bytes, SAMPLE_BYTES - self.bytes)?;
        let mut start = if offset == 0 && bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        while !self.is_full() {
            match framer.frame(&bytes[start..], at_end) {
                Frame::Record { length, next } => {
                    self.add(options, &names, &bytes[start..start + length]);
                    start += next;
                    self.bytes += next;
                }
                Frame::Malformed { next, .. } | Frame::Nothing { next } => start += next,
                Frame::More | Frame::Broken { .. } | Frame::End => break,
            }
        }
        Ok(())
    }

    fn add(&mut self, options: &ReadOptions, names: &[String], record: &[u8]) {
        if names.is_empty() {
            if let Ok(Entries(entries)) = serde_json::from_slice(record) {
                self.records += 1;
                entries.into_iter().for_each(|(key, value)| merge_into(&mut self.root, &key, Shape::of(value, 1)));
            }
            return;
        }
        let Ok(record) = std::str::from_utf8(record) else { return };
        let csv = options.csv.options();
        let Ok(values) = fields(record, csv.delimiter, csv.quote).collect::<std::result::Result<Vec<_>, _>>() else { return };
        if values.len() != names.len() {
            return;
        }
        self.records += 1;
        for (name, (text, _)) in names.iter().zip(values) {
            if !csv.null.iter().any(|null| *null == text) {
                let shape = Shape::of_text(&text);
                self.texts.add(name, &text, &shape);
                merge_into(&mut self.root, name, shape);
            }
        }
    }
}

fn merge_into(columns: &mut Vec<(String, Shape)>, name: &str, shape: Shape) {
    match columns.iter_mut().find(|(column, _)| column == name) {
        Some((_, old)) => old.merge(shape),
        None => columns.push((name.to_owned(), shape)),
    }
}

/// The entries of an object, in order, their values as they are written: a number keeps its digits.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

impl Shape {
    fn of(value: &RawValue, depth: usize) -> Self {
        let text = value.get();
        match text.as_bytes().first() {
            Some(b't' | b'f') => Self::Boolean,
            Some(b'"') => match text.get(1..text.len() - 1).and_then(TimeForm::of) {
                Some(form) => Self::Time(form),
                None => Self::Text,
            },
            // The decoder rejects deeper nesting.
            Some(b'[' | b'{') if depth >= MAX_DEPTH => Self::Unknown,
            Some(b'[') => {
                let mut all = Self::Unknown;
                let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
                items.into_iter().for_each(|item| all.merge(Self::of(item, depth + 1)));
                Self::List(Box::new(all))
            }
            Some(b'{') => {
                let Entries(entries) = serde_json::from_str(text).unwrap_or(Entries(Vec::new()));
                let mut columns = Vec::new();
                entries.into_iter().for_each(|(key, value)| merge_into(&mut columns, &key, Self::of(value, depth + 1)));
                Self::Object(columns)
            }
            Some(b'-' | b'0'..=b'9') => Self::of_number(text),
            _ => Self::Unknown,
        }
    }

    fn of_number(text: &str) -> Self {
        match text.parse::<i64>() {
            _ if text.contains(['.', 'e', 'E']) => Self::Float,
            Ok(value) if value.unsigned_abs() <= 1 << 53 => Self::Integer,
            Ok(_) => Self::LargeInteger,
            Err(_) => Self::Text,
        }
    }

    fn of_text(text: &str) -> Self {
        match text {
            "true" | "false" => Self::Boolean,
            _ if is_number(text) => Self::of_number(text),
            _ => TimeForm::of(text).map_or(Self::Text, Self::Time),
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (_, Self::Unknown) => {}
            (Self::Unknown, other) => *self = other,
            (Self::List(items), Self::List(others)) => items.merge(*others),
            (Self::Object(columns), Self::Object(others)) => {
                others.into_iter().for_each(|(name, shape)| merge_into(columns, &name, shape));
            }
            // The first one stays: a text column could not hold the other either.
            (Self::List(_) | Self::Object(_), _) | (_, Self::List(_) | Self::Object(_)) => {}
            (Self::Integer, wider @ (Self::Float | Self::LargeInteger)) => *self = wider,
            (Self::Float | Self::LargeInteger, Self::Integer) => {}
            (mine, other) if *mine == other => {}
            _ => *self = Self::Text,
        }
    }

    /// A column of such values.
    fn field(self, name: impl Into<String>) -> Field {
        let exact_form = matches!(self, Self::Time(TimeForm::Local | TimeForm::Zoned));
        Reading { exact_form, ..Reading::default() }.on(Field::new(name, self.data_type(), true))
    }

    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Unknown | Self::Text => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Integer | Self::LargeInteger => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Time(TimeForm::Date) => DataType::Date32,
            Self::Time(TimeForm::Local) => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Time(TimeForm::Zoned) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::List(items) => DataType::List(Arc::new(items.field(Field::LIST_FIELD_DEFAULT_NAME))),
            Self::Object(columns) if columns.is_empty() => {
                let entries = vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Utf8, true)];
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false)
            }
            Self::Object(columns) => DataType::Struct(columns.into_iter().map(|(name, shape)| shape.field(name)).collect()),
        }
    }
}
