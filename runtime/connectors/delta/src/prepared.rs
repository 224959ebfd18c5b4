//! A prepared commit in a checkpoint: the one format that a later version of Wasmill must still
//! read.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmill_engine::Result;

use super::config::{SchemaEvolution, WriteMode};
use super::row_set::RowSet;
use wasmill_connect::prepared;
use wasmill_objects::Upload;

/// A written data file, and its entry in the table's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataFile {
    /// Its name in the staging folder.
    pub staged: String,
    /// Its path in the table, relative to its folder, as the file system has it.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Rows.
    pub rows: u64,
    /// When it was written, milliseconds since 1970.
    pub modified: i64,
    /// The values of the partition columns, as Delta writes them; null for none.
    pub partition_values: serde_json::Map<String, Value>,
    /// Delta's statistics, which are JSON inside of a text.
    pub stats: String,
    /// Its upload, where the table lies in a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
    /// The rows of it that later rows of its lane replace, which an upsert leaves out.
    #[serde(default, skip_serializing_if = "RowSet::is_empty")]
    pub superseded: RowSet,
}

/// What one lane's writer prepared.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// The lane.
    pub lane: usize,
    /// The lane's files.
    pub files: Vec<DataFile>,
}

/// What all lanes prepared together: a commit that needs nothing else.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prepared {
    /// The version of this format.
    pub format: u32,
    /// What happens to the rows that are there.
    pub write: WriteMode,
    /// The columns of an upsert's key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// The columns, as a table's log keeps them.
    pub schema: String,
    /// The partition columns.
    pub partition_by: Vec<String>,
    /// Whether the table may grow the columns that it lacks.
    #[serde(default, skip_serializing_if = "SchemaEvolution::is_refuse")]
    pub schema_evolution: SchemaEvolution,
    /// The files, by lane and then in the order in which the lane wrote those of a partition.
    pub files: Vec<DataFile>,
}

impl Prepared {
    /// The format that this version writes.
    pub(crate) const FORMAT: u32 = 1;

    /// Reads a prepared commit from a checkpoint.
    pub(crate) fn read(value: &Value) -> Result<Self> {
        prepared::read(value, Self::FORMAT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_commit_of_the_first_version_is_still_read() {
        let value = serde_json::json!({
            "format": 1, "write": "append", "schema": "{}", "partition_by": ["c"],
            "files": [{"staged": "s.parquet", "path": "c=x/s.parquet", "size": 10, "rows": 2, "modified": 5,
                "partition_values": {"c": "x"}, "stats": "{\"numRecords\":2}"}]
        });
        let read = Prepared::read(&value).unwrap();
        assert_eq!(prepared::write(&read).unwrap(), value);
        let newer = serde_json::json!({"format": 2, "write": "append", "schema": "{}", "partition_by": [], "files": []});
        assert!(Prepared::read(&newer).unwrap_err().message().contains("unknown format 2"));
    }

    #[test]
    fn an_upsert_keeps_its_key_and_which_rows_it_leaves_out() {
        let value = serde_json::json!({
            "format": 1, "write": "upsert", "key": ["a"], "schema": "{}", "partition_by": ["c"],
            "files": [{"staged": "s.parquet", "path": "c=x/s.parquet", "size": 10, "rows": 2, "modified": 5,
                "partition_values": {"c": "x"}, "stats": "{\"numRecords\":2}",
                "superseded": "OjAAAAEAAAAAAAAAEAAAAAEA"}]
        });
        let read = Prepared::read(&value).unwrap();
        assert_eq!((read.write, read.key.as_slice()), (WriteMode::Upsert, ["a".to_owned()].as_slice()));
        assert_eq!(read.files[0].superseded, RowSet::from_iter([1]));
        assert_eq!(prepared::write(&read).unwrap(), value);
    }
}
