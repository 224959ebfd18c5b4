//! The columns of a source: those that a pipeline requests, resolved against those that it has.

use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Schema, SchemaRef};
use wasmill_connect::registry::{Extent, SourceColumns};
use wasmill_connect::{Inferred, OddText};

/// The columns of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSchema {
    /// The columns that it returns.
    pub schema: SchemaRef,
    /// There was nothing to sample yet: it may have more columns than `schema` and stages name.
    pub is_partial: bool,
    /// Columns that are picked and whose type is not declared.
    pub untyped: Vec<String>,
    /// The names of the columns that the source has, where they are known.
    pub there: Option<Vec<String>>,
    /// Columns that are text in a sample because of one text.
    pub odd_texts: Vec<OddText>,
}

/// The columns that a source returns which has the `known` ones (`None`: unknown) and adds the
/// `reserved` ones on request.
pub fn resolve(columns: &SourceColumns, reserved: &[Field], known: Option<Inferred>) -> SourceSchema {
    let (known, odd_texts) = known.map_or((None, Vec::new()), |known| (Some(known.schema), known.odd_texts));
    let there = known.as_ref().map(|known| known.fields().iter().map(|field| field.name().clone()).collect());
    let is_partial = columns.extent == Extent::All && known.is_none();
    let mut untyped = Vec::new();
    let schema = match (&columns.extent, &known) {
        (Extent::Picked(names), known) => {
            let mut fields = Vec::with_capacity(names.len());
            for name in names {
                let known = || known.as_ref().and_then(|known| known.fields().iter().find(|field| field.name() == name).cloned());
                let reserved = || reserved.iter().find(|field| field.name() == name).cloned().map(Arc::new);
                match columns.typed_field(name).cloned().or_else(known).or_else(reserved) {
                    Some(field) => fields.push(field),
                    None => untyped.push(name.clone()),
                }
            }
            Arc::new(Schema::new(fields))
        }
        (Extent::Needed, Some(known)) if columns.needed.fields().iter().any(|field| lacks(known, field)) => retyped(columns, known),
        (Extent::Needed, _) | (Extent::All, None) => columns.typed(),
        (Extent::All, Some(known)) => {
            let schema = retyped(columns, known);
            let typed = columns.typed();
            let missing = typed.fields().iter().filter(|field| known.field_with_name(field.name()).is_err());
            Arc::new(Schema::new(schema.fields().iter().chain(missing).cloned().collect::<Vec<_>>()))
        }
    };
    SourceSchema { schema, is_partial, untyped, there, odd_texts }
}

/// The known columns, with the types that are settled.
fn retyped(columns: &SourceColumns, known: &Schema) -> SchemaRef {
    let of = |field: &FieldRef| Arc::clone(columns.typed_field(field.name()).unwrap_or(field));
    Arc::new(Schema::new(known.fields().iter().map(of).collect::<Vec<_>>()))
}

fn lacks(known: &Schema, field: &Field) -> bool {
    known.field_with_name(field.name()).is_err() && !is_reserved(field.name())
}

/// Columns that a source adds itself on request.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with("_source.")
}
