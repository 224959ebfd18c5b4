//! Columns that occur in files after their columns were inferred from a sample. They are counted,
//! or stop the reading so that they can be added.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use parking_lot::Mutex;
use wasmill_engine::{Error, Mode, Result};

use super::naming::name_of;
use crate::codes::NEW_COLUMNS;
use wasmill_connect::{LateColumns, NewColumns, Sampling};
use wasmill_formats::BadRecord;

/// This many columns are counted by name.
const MAX_COLUMNS: usize = 1_000;

/// What came up in the files of one source.
#[derive(Debug, Default)]
pub struct Late {
    pub(crate) mode: LateColumns,
    /// The columns whose types were inferred from a sample.
    sampled: Vec<String>,
    /// Whether to log a column when it comes up: a stream has no end at which it would be reported.
    logs: bool,
    /// Known columns that are left out on purpose.
    pub(crate) left_out: BTreeSet<String>,
    seen: Mutex<BTreeMap<String, Seen>>,
}

#[derive(Debug)]
struct Seen {
    records: u64,
    file: String,
    /// It is a field within a column.
    is_nested: bool,
}

impl Late {
    /// The late columns of a run in this mode, with the result of a sample.
    pub fn new(sampling: Sampling, run: Mode) -> Self {
        let Sampling { columns, late, left_out } = sampling;
        let left_out = left_out.into_iter().collect();
        Self { mode: late, sampled: columns, logs: run == Mode::Stream, left_out, seen: Mutex::default() }
    }

    /// Whether a column of this name was neither requested nor left out on purpose.
    pub(crate) fn is_late(&self, asked: &Schema, name: &str) -> bool {
        asked.index_of(name).is_err() && !self.left_out.contains(name)
    }

    /// The columns of a file that were not requested, if they are counted.
    pub(crate) fn of<'a>(&self, asked: &Schema, there: impl Iterator<Item = &'a str>) -> Vec<String> {
        match self.mode {
            LateColumns::Ignore => Vec::new(),
            _ => there.filter(|name| self.is_late(asked, name)).map(str::to_owned).collect(),
        }
    }

    /// Fields within a file's columns that were not requested, if they are counted: `place.zone`.
    /// Lists and maps have no part in a name.
    pub(crate) fn fields_of(&self, asked: &Schema, there: &Schema) -> Vec<String> {
        let mut found = Vec::new();
        if self.mode != LateColumns::Ignore {
            for field in there.fields() {
                if let Ok(asked) = asked.field_with_name(field.name()) {
                    add_fields(field.name(), asked.data_type(), field.data_type(), &mut found);
                }
            }
        }
        found
    }

    /// Adds to the message on a value that does not fit its column where the column's type comes
    /// from, if it was inferred from a sample.
    pub(crate) fn explained(&self, mut bad: BadRecord) -> BadRecord {
        let sampled_of = |place: &String| self.sampled.iter().find(|name| is_within(place, name));
        if matches!(bad.code, "bad-value" | "wrong-type" | "out-of-range")
            && let Some(column) = bad.column.as_ref().and_then(sampled_of)
        {
            bad.message = format!("{}; the type comes from a sample: name another one in `schema: {{ {column}: … }}`", bad.message);
        }
        bad
    }

    /// Counts records that have a column, or a field within one, which is left out.
    pub(crate) fn count(&self, path: &Path, name: &str, is_nested: bool, records: u64) {
        if records == 0 {
            return;
        }
        let mut seen = self.seen.lock();
        let is_full = seen.len() >= MAX_COLUMNS;
        match seen.get_mut(name) {
            Some(known) => known.records += records,
            None if is_full => {}
            None => {
                let file = name_of(path);
                if self.logs {
                    tracing::warn!(column = name, file, "a column that the sample did not have is not read");
                }
                seen.insert(name.to_owned(), Seen { records, file, is_nested });
            }
        }
    }

    /// The error of new columns.
    pub(crate) fn error(source: &Arc<str>, path: &Path, fields: Vec<Field>) -> Error {
        let new = NewColumns { source: Arc::clone(source), file: name_of(path), fields };
        Error::configuration(new.to_string()).code(NEW_COLUMNS).hint("list the columns of the source in `schema`").caused_by(new)
    }

    /// One sentence per column that was left out.
    pub(crate) fn notes(&self) -> Vec<String> {
        let seen = self.seen.lock();
        let note = |(name, Seen { records, file, is_nested }): (&String, &Seen)| {
            // A table grows columns, and no fields within them.
            let other = if *is_nested { "" } else { ", or set `schema_evolution: add_columns` on the Delta sink" };
            let ending = if *records == 1 { "" } else { "s" };
            format!(
                "the column `{name}` of {records} record{ending} was not read: it occurred in {file}, and the sample did not \
                    have it; list it in `schema`{other}"
            )
        };
        seen.iter().map(note).collect()
    }
}

/// Whether a place such as `orders[].price` lies in a column.
fn is_within(place: &str, column: &str) -> bool {
    place.strip_prefix(column).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Adds the fields of structs, within lists and maps too, that were not requested.
fn add_fields(name: &str, asked: &DataType, there: &DataType, found: &mut Vec<String>) {
    match (asked, there) {
        (DataType::Struct(asked), DataType::Struct(there)) => {
            for field in there {
                let name = format!("{name}.{}", field.name());
                match asked.find(field.name()) {
                    Some((_, asked)) => add_fields(&name, asked.data_type(), field.data_type(), found),
                    None => found.push(name),
                }
            }
        }
        _ => {
            if let (Some(asked), Some(there)) = (item_of(asked), item_of(there)) {
                add_fields(name, asked, there, found);
            }
        }
    }
}

/// The type of a list's items or of a map's values.
fn item_of(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            Some(item.data_type())
        }
        DataType::FixedSizeList(item, _) => Some(item.data_type()),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.get(1).map(|values| values.data_type()),
            _ => None,
        },
        _ => None,
    }
}

/// Fails with these columns if there are any.
pub(crate) fn fail_with(source: &Arc<str>, path: &Path, fields: Vec<Field>) -> Result<()> {
    if fields.is_empty() { Ok(()) } else { Err(Late::error(source, path, fields)) }
}
