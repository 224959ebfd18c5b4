//! The ports that a plugin opened: their schemas, and where each of their columns comes from.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use wasmill_boundary::Encoding;
use wasmill_boundary::text::shown;
use wasmill_boundary::types::same_layout;

use crate::description::is_snake;
use crate::error::{Fault, Phase};
use crate::texts::Except;
use crate::{contract, crossing, extra};
use wasmill_types::TypeName;

/// The most ports that a plugin may have.
const MAX_PORTS: usize = 64;

/// The most texts that mean null in one column.
const MAX_EXCEPTS: usize = 10_000;

/// Where the values of an output column come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ColumnSource {
    /// The plugin computes them.
    Computed,
    /// They are those of this input column, which never leaves the host.
    Input(usize),
    /// The values of this input column where the plugin keeps them, and null elsewhere.
    Nulled(usize),
    /// They are those of this input column, and null where the text is one of these.
    InputExcept(usize, Vec<String>),
}

impl ColumnSource {
    /// The input column that the values are of.
    pub fn input(&self) -> Option<usize> {
        match self {
            Self::Computed => None,
            Self::Input(index) | Self::Nulled(index) | Self::InputExcept(index, _) => Some(*index),
        }
    }

    /// Whether something crosses from the plugin for it: values or a mask.
    pub(crate) fn crosses(&self) -> bool {
        matches!(self, Self::Computed | Self::Nulled(_))
    }
}

/// A named output of a plugin.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Port {
    /// Its name, in snake case.
    pub name: String,
    /// The schema of the rows that leave by it.
    pub schema: SchemaRef,
    /// For each column of the schema, where it comes from.
    pub columns: Vec<ColumnSource>,
    /// The schema of what crosses for it: computed columns and masks.
    pub(crate) crossing: SchemaRef,
    /// For each column of the schema, the texts that mean null.
    pub(crate) excepts: Vec<Option<Except>>,
}

/// Checks what `open` returned against the input schema that the plugin was given.
pub(crate) fn check(opened: contract::OpenedTransform, input: &Schema, encoding: Encoding) -> Result<Vec<Port>, Fault> {
    extra::check(Phase::Open, &opened.extra)?;
    let raw = opened.ports;
    if raw.is_empty() || raw.len() > MAX_PORTS {
        return Err(Fault::answer(Phase::Open, format!("it opened {} ports; 1 to {MAX_PORTS} are allowed", raw.len())));
    }
    let mut names = HashSet::new();
    let mut ports = Vec::with_capacity(raw.len());
    for port in raw {
        if !is_snake(&port.name) {
            return Err(Fault::answer(Phase::Open, format!("the port name `{}` is not in snake case, such as `out`", shown(&port.name))));
        }
        if !names.insert(port.name.clone()) {
            return Err(Fault::answer(Phase::Open, format!("it opened two ports `{}`", port.name)));
        }
        extra::check(Phase::Open, &port.extra)?;
        let name = port.name.clone();
        ports.push(check_port(port, input, encoding).map_err(|message| Fault::answer(Phase::Open, format!("port `{name}`: {message}")))?);
    }
    Ok(ports)
}

fn check_port(raw: contract::Port, input: &Schema, encoding: Encoding) -> Result<Port, String> {
    let schema = crossing::read_schema(encoding, &raw.schema).map_err(|error| error.to_string())?;
    if schema.fields().len() != raw.columns.len() {
        return Err(format!("its schema has {} columns and {} sources", schema.fields().len(), raw.columns.len()));
    }
    let mut columns = Vec::with_capacity(raw.columns.len());
    let mut crossing = Vec::new();
    for (field, source) in schema.fields().iter().zip(&raw.columns) {
        let name = shown(field.name());
        columns.push(match source {
            contract::ColumnSource::Computed => {
                crossing.push(field.as_ref().clone());
                ColumnSource::Computed
            }
            contract::ColumnSource::Input(index) => {
                let passed = passed_on(field, *index, input)?;
                if passed.is_nullable() && !field.is_nullable() {
                    return Err(format!("column `{name}` allows no nulls, and the input column that it comes from does"));
                }
                ColumnSource::Input(*index as usize)
            }
            contract::ColumnSource::Nulled(index) => {
                check_nulled(field, *index, input)?;
                crossing.push(Field::new(field.name(), DataType::Boolean, false));
                ColumnSource::Nulled(*index as usize)
            }
            contract::ColumnSource::InputExcept(except) => {
                let source = check_nulled(field, except.column, input)?;
                if *source.data_type() != DataType::Utf8 {
                    let found = TypeName(source.data_type());
                    return Err(format!("column `{name}` is to be null where its text is one of some, and its input column is {found}"));
                }
                if except.texts.len() > MAX_EXCEPTS {
                    return Err(format!("column `{name}` has {} texts that mean null; {MAX_EXCEPTS} are allowed", except.texts.len()));
                }
                ColumnSource::InputExcept(except.column as usize, except.texts.clone())
            }
        });
    }
    let excepts = columns.iter().map(|source| match source {
        ColumnSource::InputExcept(_, texts) => Some(Except::new(texts)),
        _ => None,
    });
    let excepts = excepts.collect();
    Ok(Port { name: raw.name, schema: Arc::new(schema), columns, crossing: Arc::new(Schema::new(crossing)), excepts })
}

/// A column that is passed on with more nulls than it has.
fn check_nulled<'a>(field: &Field, index: u32, input: &'a Schema) -> Result<&'a Field, String> {
    if !field.is_nullable() {
        return Err(format!("column `{}` is set to null in places and allows no nulls", shown(field.name())));
    }
    passed_on(field, index, input)
}

fn passed_on<'a>(field: &Field, index: u32, input: &'a Schema) -> Result<&'a Field, String> {
    let name = shown(field.name());
    let source = input
        .fields()
        .get(index as usize)
        .ok_or_else(|| format!("column `{name}` comes from input column {index}, and there are {}", input.fields().len()))?;
    if !same_layout(source.data_type(), field.data_type()) {
        return Err(format!(
            "column `{name}` is {} and comes from an input column of type {}",
            TypeName(field.data_type()),
            TypeName(source.data_type())
        ));
    }
    Ok(source)
}
