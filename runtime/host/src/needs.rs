//! What a plugin needs of its input, and how the host's columns are cast to fit.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::{CastOptions, can_cast_types, cast_with_options};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use wasmill_boundary::columns::TextForm;
use wasmill_boundary::text::shown;
use wasmill_boundary::types::{boundary_type, same_layout, widens};
use wasmill_boundary::{Encoding, MAX_COLUMNS};

use crate::crossing::Writing;
use crate::error::{Fault, HostError, Phase};
use crate::texts::Beginnings;
use crate::{contract, crossing, extra};
use wasmill_types::TypeName;

/// The input that a plugin needs under a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    /// The required columns, with the types in which they cross. A source without a schema decodes
    /// exactly these.
    pub schema: SchemaRef,
    /// For each of them, how much of it crosses into the plugin.
    pub crosses: Vec<Crossing>,
    /// How texts cross in the encoding `columns`.
    pub texts: TextForm,
}

/// How much of a column crosses into a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Crossing {
    /// Nothing.
    Nothing,
    /// Its values.
    Values,
    /// Its nulls, and those of its texts that begin with one of these; others cross as the empty text.
    BeginningWith(Vec<String>),
}

/// The most beginnings of one column.
const MAX_BEGINNINGS: usize = 1000;

pub(crate) fn check(raw: &contract::Needs, encoding: Encoding) -> Result<Needs, Fault> {
    let bad = |message: String| Fault::answer(Phase::Prepare, message);
    extra::check(Phase::Prepare, &raw.extra)?;
    let schema = crossing::read_schema(encoding, &raw.columns).map_err(|error| bad(format!("the columns that it needs: {error}")))?;
    if schema.fields().len() != raw.crosses.len() {
        return Err(bad(format!("it needs {} columns and declares of {} whether they cross", schema.fields().len(), raw.crosses.len())));
    }
    let crosses = schema.fields().iter().zip(&raw.crosses).map(|(field, crossing)| check_crossing(field, crossing).map_err(bad));
    let crosses = crosses.collect::<Result<_, _>>()?;
    let texts = match raw.texts {
        contract::TextForm::Joined => TextForm::Joined,
        contract::TextForm::Listed => TextForm::Listed,
    };
    Ok(Needs { schema: Arc::new(schema), crosses, texts })
}

fn check_crossing(field: &Field, raw: &contract::Crossing) -> Result<Crossing, String> {
    Ok(match raw {
        contract::Crossing::Nothing => Crossing::Nothing,
        contract::Crossing::Values => Crossing::Values,
        contract::Crossing::BeginningWith(_) if *field.data_type() != DataType::Utf8 => {
            let (name, found) = (shown(field.name()), TypeName(field.data_type()));
            return Err(format!("column `{name}` is to cross by the beginnings of its texts, and it is {found}"));
        }
        contract::Crossing::BeginningWith(texts) if texts.len() > MAX_BEGINNINGS => {
            let name = shown(field.name());
            return Err(format!("column `{name}` is to cross by {} beginnings; {MAX_BEGINNINGS} are allowed", texts.len()));
        }
        contract::Crossing::BeginningWith(texts) => Crossing::BeginningWith(texts.clone()),
    })
}

/// How a batch of the host's becomes one of the plugin's.
#[derive(Debug)]
pub(crate) struct InputPlan {
    /// The host's schema.
    pub input: SchemaRef,
    /// The schema that the plugin receives: the host's columns in the host's order, with boundary
    /// types and, where needed, the needed types.
    pub described: SchemaRef,
    /// The columns that cross, as indices into the input, in the order of the needs.
    pub crossing: Vec<usize>,
    /// For each of them, which of its texts cross; `None`: all.
    pub beginnings: Vec<Option<Beginnings>>,
    /// The schema of what crosses.
    pub crossing_schema: SchemaRef,
    /// Input columns in which the plugin takes no nulls although the host may have some.
    pub null_free: Vec<usize>,
    /// How what crosses is written.
    pub writing: Writing,
}

impl InputPlan {
    pub fn new(plugin: &str, needs: &Needs, input: SchemaRef, encoding: Encoding) -> Result<Self, HostError> {
        let refuse = |column: &str, message: String| HostError::Refusal {
            plugin: plugin.to_owned(),
            message,
            config_path: None,
            column: Some(column.to_owned()),
        };
        if input.fields().len() > MAX_COLUMNS {
            let message = format!("the input has {} columns; {MAX_COLUMNS} are allowed", input.fields().len());
            return Err(HostError::Refusal { plugin: plugin.to_owned(), message, config_path: None, column: None });
        }
        let mut described = Vec::with_capacity(input.fields().len());
        for field in input.fields() {
            let data_type = boundary_type(field.data_type()).filter(|target| castable(field.data_type(), target));
            let data_type = data_type.ok_or_else(|| {
                refuse(
                    field.name(),
                    format!("column `{}` has the type {}, which can't cross to a plugin", field.name(), TypeName(field.data_type())),
                )
            })?;
            described.push(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(field.metadata().clone()));
        }
        let (mut crossing, mut crossing_fields, mut beginnings, mut null_free) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (field, crosses) in needs.schema.fields().iter().zip(&needs.crosses) {
            let name = field.name();
            let (index, found) = input.fields().find(name).ok_or_else(|| {
                refuse(name, format!("it needs a column `{name}` of type {}, which the input does not have", TypeName(field.data_type())))
            })?;
            let boundary = described[index].data_type();
            if !widens(boundary, field.data_type()) || !castable(found.data_type(), field.data_type()) {
                let (wanted, found) = (TypeName(field.data_type()), TypeName(found.data_type()));
                let message = format!("it needs column `{name}` as {wanted}, and the input has it as {found}");
                return Err(refuse(name, message));
            }
            if found.is_nullable() && !field.is_nullable() {
                null_free.push(index);
            }
            described[index] = Field::new(name, field.data_type().clone(), field.is_nullable()).with_metadata(found.metadata().clone());
            if *crosses != Crossing::Nothing {
                crossing.push(index);
                crossing_fields.push(described[index].clone());
                beginnings.push(match crosses {
                    Crossing::BeginningWith(texts) => Some(Beginnings::new(texts)),
                    Crossing::Nothing | Crossing::Values => None,
                });
            }
        }
        let described = Schema::new(described);
        encoding.check(&described).map_err(|message| HostError::Refusal {
            plugin: plugin.to_owned(),
            message,
            config_path: None,
            column: None,
        })?;
        let crossing_schema = Arc::new(Schema::new(crossing_fields));
        Ok(Self {
            input,
            described: Arc::new(described),
            crossing,
            beginnings,
            crossing_schema,
            null_free,
            writing: Writing { encoding, texts: needs.texts },
        })
    }

    /// The used columns of a batch in the types that were described to the plugin; `None` where a column is not used.
    pub fn convert(&self, records: &RecordBatch, used: &[bool]) -> Result<Vec<Option<ArrayRef>>, HostError> {
        let columns = records.columns().iter().zip(self.described.fields()).zip(used);
        columns.map(|((column, field), &used)| used.then(|| converted(column, field)).transpose()).collect()
    }

    /// What crosses of the given rows.
    pub fn crossing_batch(&self, columns: &[Option<ArrayRef>], offset: usize, rows: usize) -> Result<RecordBatch, HostError> {
        let mut arrays = Vec::with_capacity(self.crossing.len());
        for (&index, beginnings) in self.crossing.iter().zip(&self.beginnings) {
            let Some(array) = columns.get(index).and_then(Option::as_ref) else { continue };
            let array = array.slice(offset, rows);
            arrays.push(match beginnings {
                None => array,
                Some(beginnings) => beginnings.abridge(&array).map_err(|error| {
                    HostError::bug(format!("the texts of column `{}` can't be abridged: {error}", self.input.field(index).name()))
                })?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.crossing_schema), arrays, &options)
            .map_err(|error| HostError::bug(format!("the columns that cross do not fit into a batch: {error}")))
    }
}

fn castable(from: &DataType, to: &DataType) -> bool {
    from == to || can_cast_types(from, to) || (same_layout(from, to))
}

fn converted(column: &ArrayRef, field: &Field) -> Result<ArrayRef, HostError> {
    let failed = |error| HostError::bug(format!("column `{}` can't be cast to {}: {error}", field.name(), TypeName(field.data_type())));
    cast_exactly(column, field.data_type()).map_err(failed)
}

/// Casts, or fails: no value silently becomes null.
pub(crate) fn cast_exactly(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, arrow_schema::ArrowError> {
    if column.data_type() == data_type {
        return Ok(Arc::clone(column));
    }
    cast_with_options(column, data_type, &CastOptions { safe: false, ..CastOptions::default() })
}
