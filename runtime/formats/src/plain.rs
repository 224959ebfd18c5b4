//! The short list of Arrow types that Wasmill moves, and the casts that lead to it.

use std::sync::Arc;

use crate::TypeName;
use crate::codes::{MISFIT, UNSUPPORTED_TYPE};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use wasmill_error::{Error, Result};

/// The type on the short list that holds every value of `data_type`. It is the type itself for
/// most, `Utf8` for views and dictionaries of text, and so on. `None` where there is none (unions,
/// intervals, 256-bit decimals).
pub fn plain_type(data_type: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match data_type {
        T::Null | T::Boolean | T::Utf8 | T::Binary | T::Date32 | T::Float32 | T::Float64 => data_type.clone(),
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => data_type.clone(),
        T::Timestamp(..) | T::Decimal128(..) => data_type.clone(),
        T::Float16 => T::Float32,
        T::LargeUtf8 | T::Utf8View => T::Utf8,
        T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::Date64 => T::Timestamp(TimeUnit::Millisecond, None),
        T::Time32(_) | T::Time64(_) => T::Utf8,
        T::Decimal32(precision, scale) | T::Decimal64(precision, scale) => T::Decimal128(*precision, *scale),
        T::Dictionary(_, values) => plain_type(values)?,
        T::RunEndEncoded(_, values) => plain_type(values.data_type())?,
        T::List(item) | T::LargeList(item) | T::ListView(item) | T::LargeListView(item) | T::FixedSizeList(item, _) => {
            T::List(plain_field(item)?)
        }
        T::Struct(fields) => T::Struct(fields.iter().map(plain_field).collect::<Option<Fields>>()?),
        T::Map(entries, sorted) => T::Map(plain_field(entries)?, *sorted),
        _ => return None,
    })
}

fn plain_field(field: &FieldRef) -> Option<FieldRef> {
    let data_type = plain_type(field.data_type())?;
    if data_type == *field.data_type() {
        return Some(Arc::clone(field));
    }
    Some(Arc::new(Field::new(field.name(), data_type, field.is_nullable())))
}

/// The schema with every type replaced by [`plain_type`]; fails with the column that has none.
pub fn plain_schema(schema: &Schema) -> Result<SchemaRef> {
    let field = |field: &FieldRef| {
        plain_field(field).ok_or_else(|| {
            Error::configuration(format!("column {}: the type {} is not supported", field.name(), TypeName(field.data_type())))
                .code(UNSUPPORTED_TYPE)
                .hint("leave the column out, or convert it to text or a number first")
        })
    };
    Ok(Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Result<Vec<_>>>()?)))
}

/// The same rows with the types of [`plain_type`]. Free where they have them already.
pub fn to_plain(records: &RecordBatch) -> Result<RecordBatch> {
    let schema = plain_schema(records.schema_ref())?;
    if schema.fields() == records.schema_ref().fields() {
        return Ok(records.clone());
    }
    let columns: Vec<ArrayRef> = records
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => arrow_cast::cast(column, field.data_type())
                .map_err(|error| Error::environment(format!("column {}: {error}", field.name())).code(MISFIT).caused_by(error)),
        })
        .collect::<Result<_>>()?;
    RecordBatch::try_new(schema, columns).map_err(|error| Error::bug(format!("converted columns do not fit: {error}")).caused_by(error))
}

#[cfg(test)]
mod tests {
    use arrow_array::{DictionaryArray, StringArray, types::Int8Type};

    use super::*;

    #[test]
    fn dictionaries_become_text() {
        let values: DictionaryArray<Int8Type> = ["a", "b", "a"].into_iter().collect();
        let records = RecordBatch::try_from_iter([("x", Arc::new(values) as ArrayRef)]).unwrap();
        let plain = to_plain(&records).unwrap();
        assert_eq!(plain.column(0).as_ref(), &StringArray::from(vec!["a", "b", "a"]) as &dyn arrow_array::Array);
    }

    #[test]
    fn a_type_without_a_plain_one_names_its_column() {
        let schema = Schema::new(vec![Field::new("pause", DataType::Duration(TimeUnit::Second), true)]);
        assert!(plain_schema(&schema).unwrap_err().to_string().contains("column pause"));
    }
}
