//! Times of 96 bits, the oldest form of Parquet's: a Julian day and nanoseconds of it, which hold more than 64 bits do.
//!
//! Nanoseconds in 64 bits reach from 1677 to 2262, and times outside wrap around silently. So such
//! columns are read in microseconds, and a second time in nanoseconds for the digits beyond them.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type;
use parquet::errors::ParquetError;
use parquet::schema::types::SchemaDescriptor;

/// The file with its 96-bit times in microseconds.
pub fn in_micros(metadata: ArrowReaderMetadata) -> Result<ArrowReaderMetadata, ParquetError> {
    match any(metadata.parquet_schema()) {
        true => with_unit(&metadata, TimeUnit::Microsecond),
        false => Ok(metadata),
    }
}

/// The file with its 96-bit times in nanoseconds, the wanted columns that hold such times, and
/// their types. `None` if there are none.
pub fn in_nanos(
    metadata: &ArrowReaderMetadata,
    wanted: &Schema,
) -> Result<Option<(ArrowReaderMetadata, ProjectionMask, SchemaRef)>, ParquetError> {
    let descriptor = metadata.parquet_schema();
    let is_int96 = |leaf: &usize| descriptor.column(*leaf).physical_type() == Type::INT96;
    let mut roots: Vec<usize> = (0..descriptor.num_columns()).filter(is_int96).map(|leaf| descriptor.get_column_root_idx(leaf)).collect();
    roots.dedup();
    roots.retain(|&root| metadata.schema().fields().get(root).is_some_and(|field| wanted.index_of(field.name()).is_ok()));
    if roots.is_empty() {
        return Ok(None);
    }
    let nanos = with_unit(metadata, TimeUnit::Nanosecond)?;
    let schema = nanos.schema().project(&roots)?;
    let mask = ProjectionMask::roots(nanos.parquet_schema(), roots);
    Ok(Some((nanos, mask, Arc::new(schema))))
}

fn any(descriptor: &SchemaDescriptor) -> bool {
    descriptor.columns().iter().any(|column| column.physical_type() == Type::INT96)
}

fn with_unit(metadata: &ArrowReaderMetadata, unit: TimeUnit) -> Result<ArrowReaderMetadata, ParquetError> {
    let mut leaves = metadata.parquet_schema().columns().iter().map(|column| column.physical_type());
    let fields: Fields = metadata.schema().fields().iter().map(|field| field_with(field, unit, &mut leaves)).collect();
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata.schema().metadata().clone()));
    ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), ArrowReaderOptions::new().with_schema(schema))
}

/// Leaves come in the order of the fields, depth first.
fn field_with(field: &FieldRef, unit: TimeUnit, leaves: &mut impl Iterator<Item = Type>) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| field_with(field, unit, leaves)).collect()),
        DataType::List(item) => DataType::List(field_with(item, unit, leaves)),
        DataType::LargeList(item) => DataType::LargeList(field_with(item, unit, leaves)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(field_with(item, unit, leaves), *length),
        DataType::Map(entries, sorted) => DataType::Map(field_with(entries, unit, leaves), *sorted),
        other => match (leaves.next(), other) {
            (Some(Type::INT96), DataType::Timestamp(_, zone)) => DataType::Timestamp(unit, zone.clone()),
            _ => other.clone(),
        },
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(field.metadata().clone()))
}
