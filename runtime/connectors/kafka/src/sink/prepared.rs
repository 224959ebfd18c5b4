//! A prepared commit in a checkpoint: a format that later versions of Wasmill must still read.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmill_engine::Result;

use wasmill_connect::prepared;
use wasmill_connect::spool::SpoolFile;

/// What all lanes prepared together: a commit that needs nothing else but the files that it names.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Prepared {
    /// The version of this format, and of the records in the files.
    pub format: u32,
    /// The topic.
    pub topic: String,
    /// The files, in the order of lanes.
    pub files: Vec<SpoolFile>,
}

impl Prepared {
    /// The format that this version writes.
    pub(super) const FORMAT: u32 = 1;

    /// Reads a prepared commit from a checkpoint.
    pub(super) fn read(value: &Value) -> Result<Self> {
        prepared::read(value, Self::FORMAT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_commit_of_the_first_version_is_still_read() {
        let value = serde_json::json!({
            "format": 1,
            "topic": "t",
            "files": [{"name": "0000000001-0-x.rows", "bytes": 10, "rows": 2, "sha256": "00"}]
        });
        let prepared = Prepared::read(&value).unwrap();
        assert_eq!((prepared.topic.as_str(), prepared.files[0].rows), ("t", 2));
        assert_eq!(prepared::write(&prepared).unwrap(), value);
        assert!(Prepared::read(&serde_json::json!({"format": 2})).unwrap_err().message().contains("unknown format 2"));
    }
}
