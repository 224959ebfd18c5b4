//! Which columns a pipeline needs of a source.

use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Schema, SchemaRef};
use wasmill_engine::{Class, Error, Result};

use crate::codes::NO_COLUMNS;
use crate::columns::{Inferred, NothingToSample};

/// What a pipeline requests from a source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceColumns {
    /// The columns to which `schema` gives a type.
    pub declared: SchemaRef,
    /// The other columns that stages and sinks need, with the types that they need.
    pub needed: SchemaRef,
    /// Which columns are read.
    pub extent: Extent,
}

/// Which columns are read.
#[derive(Debug, Clone, PartialEq)]
pub enum Extent {
    /// Those that `columns` picks, in its order.
    Picked(Vec<String>),
    /// Only stages read it: those that they need, and those of `schema`.
    Needed,
    /// A sink takes all that there are.
    All,
}

impl SourceColumns {
    /// The columns whose types are settled: those of `schema`, then the others that are needed.
    pub fn typed(&self) -> SchemaRef {
        Arc::new(Schema::new(self.declared.fields().iter().chain(self.needed.fields()).cloned().collect::<Vec<_>>()))
    }

    /// A column whose type is settled.
    pub fn typed_field(&self, name: &str) -> Option<&FieldRef> {
        self.declared.fields().iter().chain(self.needed.fields()).find(|field| field.name() == name)
    }

    /// The columns that the file names, by `schema` or `columns`.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        let picked = match &self.extent {
            Extent::Picked(names) => names.as_slice(),
            Extent::Needed | Extent::All => &[],
        };
        let declared = self.declared.fields().iter().map(|field| field.name().as_str());
        let declared = declared.filter(|name| !picked.iter().any(|picked| picked == name));
        declared.chain(picked.iter().map(String::as_str))
    }

    /// Whether the source must declare its columns; `reserved` are those that it adds itself.
    pub fn needs_discovery(&self, reserved: &[Field]) -> bool {
        let is_reserved = |name: &str| reserved.iter().any(|field| field.name() == name);
        match &self.extent {
            Extent::Picked(names) => names.iter().any(|name| self.typed_field(name).is_none() && !is_reserved(name)),
            Extent::Needed => !self.needed.fields().is_empty() || self.declared.fields().is_empty(),
            Extent::All => true,
        }
    }
}

/// The columns of records that a check does not read: certain for raw values, and otherwise what is
/// requested.
///
/// # Errors
/// Configuration: all columns are asked for, by a sink or an expression, and nothing says which there are.
pub fn columns_of_records(known: Option<SchemaRef>, wanted: &SourceColumns, connector: &str) -> Result<Option<Inferred>> {
    if known.is_none() && wanted.extent == Extent::All && wanted.declared.fields().is_empty() {
        return Err(Error::configuration("all columns of these records are asked for, and nothing says which they have")
            .code(NO_COLUMNS)
            .hint(format!("list them: `schema: {{ index: int64, title: text }}`, next to `{connector}`")));
    }
    Ok(known.map(Inferred::from))
}

/// The columns of files or objects, where they are certain (Parquet and CSV name them) or must be
/// discovered because nothing else declares them.
///
/// # Errors
/// Those of `infer`, but where nothing has to be compared with what there is not yet.
pub fn columns_of_sample(wanted: &SourceColumns, is_certain: bool, infer: impl FnOnce() -> Result<Inferred>) -> Result<Option<Inferred>> {
    match &wanted.extent {
        Extent::Needed if !is_certain => Ok(None),
        Extent::Needed => match infer() {
            // Nothing there yet: nothing to compare with.
            Err(error) if error.class() == Class::Configuration => Ok(None),
            inferred => inferred.map(Some),
        },
        Extent::All => match infer() {
            // The run stops at the first record that has other columns.
            Err(error) if NothingToSample::caused(&error) && !wanted.declared.fields().is_empty() => Ok(None),
            inferred => inferred.map(Some),
        },
        Extent::Picked(_) => infer().map(Some),
    }
}
