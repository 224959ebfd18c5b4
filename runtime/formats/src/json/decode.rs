//! Decodes JSON objects straight into columns.

use std::borrow::Cow;
use std::collections::HashSet;

use arrow_array::RecordBatch;
use arrow_array::{ArrayRef, RecordBatchOptions};
use arrow_schema::SchemaRef;
use wasmill_error::{Error, Result};

use super::cursor::{Cursor, JsonText};
use super::watch::Watch;
use crate::columns::{BadRecord, Column, Object, Step, Values};
use crate::reading::{AsJson, without_reading};
use crate::{RecordDecoder, Unknown};

/// One record may fill at most this many cells of nested columns: `[{},{},…]` is short as text and long as columns.
const MAX_CELLS_OF_RECORD: usize = 4 << 20;

/// Decodes records that are JSON objects into batches of one schema.
pub struct JsonDecoder {
    schema: SchemaRef,
    root: Object,
    rows: usize,
    state: Scratch,
}

/// What decoding needs besides the columns.
#[derive(Default)]
struct Scratch {
    /// A string without its escapes.
    text: String,
    /// The cells of nested columns so far, in this batch and before this record.
    cells: usize,
    cells_before: usize,
    /// Keys that no column takes, if they are watched.
    watch: Option<Watch>,
}

impl Scratch {
    fn pending(&self) -> usize {
        self.watch.as_ref().map_or(0, Watch::pending)
    }
}

impl JsonDecoder {
    /// A decoder of the schema's columns; other keys are skipped.
    ///
    /// # Errors
    /// Configuration: a column's type can't be read from JSON.
    pub fn new(schema: SchemaRef) -> Result<Self> {
        let root = Object::new(schema.fields())?;
        Ok(Self { schema: without_reading(&schema), root, rows: 0, state: Scratch::default() })
    }
}

impl RecordDecoder for JsonDecoder {
    fn push(&mut self, record: &str) -> Step {
        let mut cursor = Cursor::new(record);
        self.state.cells_before = self.state.cells;
        let decoded = match cursor.peek() {
            Some(b'{') => decode_object(&mut cursor, &mut self.root, self.rows, 0, &mut self.state).and_then(|()| cursor.expect_end()),
            _ => match cursor.skip(0).and_then(|()| cursor.expect_end()) {
                Ok(()) => Err(BadRecord::new("wrong-type", "the record is not a JSON object")),
                Err(bad) => Err(bad),
            },
        };
        if let Some(watch) = &mut self.state.watch {
            watch.end(decoded.is_ok());
        }
        match decoded {
            Ok(()) => self.rows += 1,
            Err(_) => {
                self.root.truncate(self.rows);
                self.state.cells = self.state.cells_before;
            }
        }
        decoded
    }

    fn watch(&mut self) {
        self.state.watch = Some(Watch::default());
    }

    fn unknown(&mut self) -> Vec<Unknown> {
        self.state.watch.as_mut().map_or_else(Vec::new, Watch::take)
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn cells(&self) -> usize {
        self.rows * self.root.leaves() + self.state.cells
    }

    fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        self.state.cells = 0;
        let columns: Vec<ArrayRef> = self.root.finish()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| Error::bug(format!("decoded columns do not fit into a batch: {error}")).caused_by(error))
    }
}

/// Decodes an object, whose brace is next, as row `row` of its columns. The last of equal keys counts; missing ones are null.
fn decode_object(cursor: &mut Cursor<'_>, object: &mut Object, row: usize, depth: usize, state: &mut Scratch) -> Step {
    cursor.enter(depth)?;
    let Object { columns, keys } = object;
    let mut filled = 0;
    if cursor.peek() == Some(b'}') {
        cursor.advance(1);
    } else {
        let mut position = 0;
        loop {
            if cursor.peek() != Some(b'"') {
                return Err(cursor.malformed("a key in quotes"));
            }
            let key_on = cursor.rest();
            let column = match keys.expected(position, cursor.rest()) {
                Some((length, column)) => {
                    cursor.advance(length);
                    column
                }
                None => {
                    let start = cursor.rest();
                    let key = read_text(cursor, &mut state.text)?;
                    keys.look_up(position, &start[..start.len() - cursor.rest().len()], &key)
                }
            };
            position += 1;
            let key = &key_on[..key_on.len() - cursor.rest().len()];
            cursor.expect(b':', "a colon")?;
            match column.and_then(|index| columns.get_mut(index as usize)) {
                None => {
                    let value_on = cursor.rest();
                    cursor.skip(depth + 1)?;
                    if let Some(watch) = &mut state.watch {
                        watch.saw(key, &value_on[..value_on.len() - cursor.rest().len()], depth);
                    }
                }
                Some(column) => {
                    if column.len() > row {
                        column.truncate(row);
                    } else {
                        filled += 1;
                    }
                    let pending = state.pending();
                    decode_value(cursor, column, depth + 1, state).map_err(|bad| bad.within(column.field.name()))?;
                    if let Some(watch) = state.watch.as_mut().filter(|watch| watch.pending() > pending) {
                        watch.within(pending, column.field.name());
                    }
                }
            }
            if !cursor.has_next(b'}')? {
                break;
            }
        }
    }
    if filled < columns.len() {
        for column in columns.iter_mut().filter(|column| column.len() == row) {
            column.append_null().map_err(|mut bad| {
                bad.message = "it is missing, and may not be null".to_owned();
                bad.within(column.field.name())
            })?;
        }
    }
    Ok(())
}

/// Decodes a text that is one JSON value into a column: a field of CSV.
pub fn decode_cell(text: &str, column: &mut Column) -> Step {
    let mut cursor = Cursor::new(text);
    decode_value(&mut cursor, column, 0, &mut Scratch::default())?;
    cursor.expect_end()
}

fn read_text<'a>(cursor: &mut Cursor<'a>, scratch: &'_ mut String) -> Step<Cow<'a, str>> {
    Ok(match cursor.string()? {
        JsonText::Plain(text) => Cow::Borrowed(text),
        JsonText::Escaped(plain) => {
            scratch.clear();
            cursor.unescape(plain, scratch)?;
            Cow::Owned(scratch.clone())
        }
    })
}

/// Decodes the next value into a column.
#[inline]
fn decode_value(cursor: &mut Cursor<'_>, column: &mut Column, depth: usize, state: &mut Scratch) -> Step {
    match cursor.peek() {
        Some(b'"') => decode_text(cursor, column, state),
        Some(b'-' | b'0'..=b'9') => column.append_number(cursor.number()?),
        Some(b'n') => {
            cursor.literal("null")?;
            column.append_null()
        }
        Some(b't') => {
            cursor.literal("true")?;
            column.append_bool(true)
        }
        Some(b'f') => {
            cursor.literal("false")?;
            column.append_bool(false)
        }
        Some(b'[') => decode_array(cursor, column, depth, state),
        Some(b'{') => decode_braces(cursor, column, depth, state),
        _ => Err(cursor.malformed("a value")),
    }
}

#[inline]
fn decode_text(cursor: &mut Cursor<'_>, column: &mut Column, state: &mut Scratch) -> Step {
    if let Values::Text(texts) = &mut column.values {
        if texts.json == AsJson::Value {
            return decode_json(cursor, column, 0);
        }
        match cursor.string()? {
            JsonText::Plain(text) => texts.push(text)?,
            JsonText::Escaped(plain) => {
                cursor.unescape(plain, &mut texts.data)?;
                texts.close()?;
            }
        }
        column.added();
        return Ok(());
    }
    let text = read_text(cursor, &mut state.text)?;
    column.append_text(&text)
}

fn decode_array(cursor: &mut Cursor<'_>, column: &mut Column, depth: usize, state: &mut Scratch) -> Step {
    let Values::List { items, .. } = &mut column.values else { return decode_other(cursor, column, depth, "an array") };
    cursor.enter(depth)?;
    if cursor.peek() == Some(b']') {
        cursor.advance(1);
        return column.close_items();
    }
    let cells = items.leaves();
    loop {
        state.count(cells)?;
        decode_value(cursor, items, depth + 1, state).map_err(|bad| bad.within("[]"))?;
        if !cursor.has_next(b']')? {
            return column.close_items();
        }
    }
}

/// An object as a struct or a map.
fn decode_braces(cursor: &mut Cursor<'_>, column: &mut Column, depth: usize, state: &mut Scratch) -> Step {
    let row = column.len();
    match &mut column.values {
        Values::Struct(object) => {
            decode_object(cursor, object, row, depth, state)?;
            column.added();
            Ok(())
        }
        Values::Map { keys, values, .. } => {
            decode_entries(cursor, keys, values, depth, state)?;
            column.close_items()
        }
        _ => decode_other(cursor, column, depth, "an object"),
    }
}

/// An array or an object that is not a value of the column's type: its JSON text, for a column that
/// takes it.
#[cold]
fn decode_other(cursor: &mut Cursor<'_>, column: &mut Column, depth: usize, what: &str) -> Step {
    if matches!(&column.values, Values::Text(texts) if texts.json != AsJson::No) {
        return decode_json(cursor, column, depth);
    }
    cursor.skip(depth)?;
    Err(column.wrong_type(what))
}

/// The text of the next value, as it is written.
fn decode_json(cursor: &mut Cursor<'_>, column: &mut Column, depth: usize) -> Step {
    column.append_json(cursor.raw(depth)?)
}

fn decode_entries(cursor: &mut Cursor<'_>, keys: &mut Column, values: &mut Column, depth: usize, state: &mut Scratch) -> Step {
    cursor.enter(depth)?;
    if cursor.peek() == Some(b'}') {
        cursor.advance(1);
        return Ok(());
    }
    let mut seen = HashSet::new();
    let cells = 1 + values.leaves();
    loop {
        if cursor.peek() != Some(b'"') {
            return Err(cursor.malformed("a key in quotes"));
        }
        let key = read_text(cursor, &mut state.text)?;
        cursor.expect(b':', "a colon")?;
        state.count(cells)?;
        keys.append_text(&key)?;
        decode_value(cursor, values, depth + 1, state).map_err(|bad| bad.within(&format!("[{key:?}]")))?;
        if let Some(key) = seen.replace(key) {
            return Err(BadRecord::new("duplicate-key", format!("the key {key:?} occurs twice in a map")));
        }
        if !cursor.has_next(b'}')? {
            return Ok(());
        }
    }
}

impl Scratch {
    fn count(&mut self, cells: usize) -> Step {
        self.cells += cells;
        if self.cells - self.cells_before > MAX_CELLS_OF_RECORD {
            return Err(BadRecord::new("too-long", format!("the record has more than {MAX_CELLS_OF_RECORD} nested values")));
        }
        Ok(())
    }
}
