//! Which rows of a lane are superseded by later rows of it in another partition.
//!
//! Rows of a partition keep their order in its files. Rows of different partitions do not, because some
//! wait for their files and others do not. So every row gets its number in the lane until it is written,
//! where a key may come up in several partitions.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use wasmill_engine::{Error, Result};
use wasmill_lake::Key;

use super::row_set::RowSet;
use super::schema::TableSchema;
use super::upsert::KeyBytes;

/// The column of a row's number. No column of a table has such a name.
const NUMBER: &str = "=number";

/// The keys of a lane in one epoch, all of them in memory.
pub(crate) struct Moves {
    /// The rows with their numbers.
    schema: SchemaRef,
    /// The key's columns that files hold, and where they are; none where partitions name all of them.
    bytes: Option<KeyBytes>,
    columns: Vec<usize>,
    /// The key's columns that partitions name, by their places in a partition's values.
    partition_columns: Vec<usize>,
    next: i64,
    last: HashMap<Box<[u8]>, Last>,
    superseded: HashMap<u32, RowSet>,
}

/// The last row of a key so far.
struct Last {
    number: i64,
    file: u32,
    row: u32,
}

impl Moves {
    /// For a key whose rows may change their partition; `None`: they can't.
    pub(crate) fn new(table: &TableSchema, key: &[String]) -> Result<Option<Self>> {
        if key.is_empty() || table.partition_by.iter().all(|column| key.contains(column)) {
            return Ok(None);
        }
        let files = table.file_schema();
        let is_key = |index: &usize| key.contains(files.field(*index).name());
        let columns: Vec<usize> = (0..files.fields().len()).filter(is_key).collect();
        let partition_columns = (0..table.partition_by.len()).filter(|index| key.contains(&table.partition_by[*index])).collect();
        let projected = files.project(&columns).map_err(|error| Error::bug(format!("the key can't be projected: {error}")))?;
        let bytes = (!columns.is_empty()).then(|| KeyBytes::new(&projected)).transpose()?;
        let number = Arc::new(Field::new(NUMBER, DataType::Int64, false));
        let fields: Vec<_> = table.arrow.fields().iter().cloned().chain([number]).collect();
        let (schema, next, last, superseded) = (Arc::new(Schema::new(fields)), 0, HashMap::new(), HashMap::new());
        Ok(Some(Self { schema, bytes, columns, partition_columns, next, last, superseded }))
    }

    /// The columns of rows with their numbers.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows of the table's columns with their numbers.
    pub(crate) fn number(&mut self, records: &RecordBatch) -> Result<RecordBatch> {
        let end = self.next + records.num_rows() as i64;
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(self.next..end));
        self.next = end;
        let columns = records.columns().iter().cloned().chain([numbers]).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|error| Error::bug(format!("rows can't be numbered: {error}")))
    }

    /// Rows of one partition, as its file gets them, which begin at this row of the file.
    pub(crate) fn place(&mut self, partition: &Key, records: &RecordBatch, file: u32, first: u32) -> Result<RecordBatch> {
        let numbers = records.columns().last().and_then(|numbers| numbers.as_primitive_opt::<Int64Type>());
        let numbers = numbers.ok_or_else(|| Error::bug("rows without numbers came to an upsert"))?;
        let columns: Vec<ArrayRef> = self.columns.iter().map(|index| Arc::clone(records.column(*index))).collect();
        let keys = self.bytes.as_ref().map(|bytes| bytes.of(&columns)).transpose()?;
        let mut key = Vec::new();
        for column in &self.partition_columns {
            let value = partition.get(*column).and_then(Option::as_deref).unwrap_or_default();
            key.extend((value.len() as u64).to_be_bytes());
            key.extend(value.as_bytes());
        }
        let prefix = key.len();
        for (row, number) in numbers.values().iter().enumerate() {
            key.truncate(prefix);
            if let Some(keys) = &keys {
                key.extend(keys.row(row).as_ref());
            }
            self.see(&key, Last { number: *number, file, row: first + row as u32 });
        }
        let columns: Vec<usize> = (0..records.num_columns() - 1).collect();
        records.project(&columns).map_err(|error| Error::bug(format!("numbers can't be taken off: {error}")))
    }

    fn see(&mut self, key: &[u8], row: Last) {
        let earlier = match self.last.get_mut(key) {
            None => {
                self.last.insert(key.into(), row);
                return;
            }
            Some(last) if last.number < row.number => std::mem::replace(last, row),
            Some(_) => row,
        };
        self.superseded.entry(earlier.file).or_default().insert(earlier.row);
    }

    /// The superseded rows of a file.
    pub(crate) fn of_file(&mut self, file: u32) -> RowSet {
        self.superseded.remove(&file).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;

    use super::*;

    fn table(partition_by: &[&str]) -> TableSchema {
        let fields = ["id", "part", "other"].map(|name| Field::new(name, DataType::Utf8, false));
        let partition_by: Vec<String> = partition_by.iter().map(|name| (*name).to_owned()).collect();
        TableSchema::new(&Schema::new(fields.to_vec()), &partition_by).unwrap()
    }

    fn ids(ids: &[&str], numbers: &[i64]) -> RecordBatch {
        let columns: [(&str, ArrayRef); 2] =
            [("id", Arc::new(StringArray::from(ids.to_vec()))), (NUMBER, Arc::new(Int64Array::from(numbers.to_vec())))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn only_keys_that_may_move_are_followed() {
        let key = |columns: &[&str]| columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let follows = |partition_by: &[&str], columns: &[&str]| Moves::new(&table(partition_by), &key(columns)).unwrap().is_some();
        assert!(follows(&["part"], &["id"]) && follows(&["part", "other"], &["part"]));
        assert!(!follows(&[], &["id"]) && !follows(&["part"], &["id", "part"]) && !follows(&["part"], &[]));
    }

    #[test]
    fn the_later_row_counts_whichever_is_written_first() {
        let mut moves = Moves::new(&table(&["part", "other"]), &["id".to_owned(), "part".to_owned()]).unwrap().unwrap();
        let partition = |part: &str, other: &str| vec![Some(part.to_owned()), Some(other.to_owned())];
        let placed = moves.place(&partition("p", "x"), &ids(&["a", "b", "a"], &[5, 6, 7]), 0, 0).unwrap();
        assert_eq!((placed.num_columns(), placed.num_rows()), (1, 3));
        moves.place(&partition("p", "y"), &ids(&["b", "a", "c"], &[1, 9, 2]), 1, 100).unwrap();
        moves.place(&partition("q", "x"), &ids(&["a", "b"], &[0, 99]), 2, 0).unwrap();
        assert_eq!(moves.of_file(0), RowSet::from_iter([0, 2]));
        assert_eq!(moves.of_file(1), RowSet::from_iter([100]));
        assert_eq!(moves.of_file(2), RowSet::default(), "another partition of the key is another key");
    }
}
