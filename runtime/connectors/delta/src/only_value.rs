//! A table as the place of one value, such as a credential.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use arrow_select::concat::concat_batches;
use wasmill_engine::{Error, Result};
use wasmill_objects::{RetryTime, S3Config};

use crate::address::TableAddress;
use crate::codes::ONLY_VALUE;
use crate::rows::TableRows;

/// The text of a column in the only row of the latest version of a table. A bucket is reached as AWS's own tools reach it.
///
/// # Errors
/// Configuration: it is not an address. Environment: the table can't be read, or has no such text.
pub fn only_value(uri: &str, column: &str) -> Result<String> {
    let address = TableAddress { uri: uri.to_owned(), connection: S3Config::default() };
    let log = address.log(RetryTime::Check)?;
    if log.open(None)?.is_none() {
        return Err(address.no_table());
    }
    let version = TableRows::open(&log, None, None)?;
    let names = || version.schema().fields().iter().map(|field| format!("`{}`", field.name())).collect::<Vec<_>>().join(", ");
    let Ok(field) = version.schema().field_with_name(column) else {
        return Err(none(format!("{uri} has no column `{column}`"), format!("it has {}", names())));
    };
    if field.data_type() != &DataType::Utf8 {
        return Err(none(format!("the column `{column}` of {uri} does not hold texts"), "name a column of texts".to_owned()));
    }
    let rows = Arc::new(TableRows::open(&log, Some(version.version()), Some(&[column.to_owned()]))?);
    let mut found = RecordBatch::new_empty(Arc::clone(rows.schema()));
    rows.each(|records| {
        found = concat_batches(rows.schema(), [&found, &records]).map_err(|error| Error::bug(format!("rows can't be joined: {error}")))?;
        Ok(found.num_rows() < 2)
    })?;
    let texts = arrow_array::cast::as_string_array(found.column(0));
    match texts.len() {
        1 if texts.is_valid(0) => Ok(texts.value(0).to_owned()),
        1 => Err(none(format!("the column `{column}` of {uri} is null"), "write its value into the table".to_owned())),
        0 => Err(none(format!("{uri} has no row"), "write one row into it".to_owned())),
        _ => Err(none(format!("{uri} has more than one row"), "keep one row, so that it is certain which value is meant".to_owned())),
    }
}

fn none(message: String, hint: String) -> Error {
    Error::environment(message).code(ONLY_VALUE).hint(hint)
}
