//! How far the rows have been read, as a checkpoint keeps it.

use serde_json::{Value, json};
use wasmill_engine::codes::STATE_OF_OTHER_SOURCE;
use wasmill_engine::{Error, Result};

use crate::codes::QUERY_CHANGED;

/// How far the rows have been read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// How many rows were read.
    pub rows: u64,
    /// The key of the last row, as texts; empty without a key or before the first row.
    pub key: Vec<String>,
    /// How many of the rows that were read have the cursor of the last one; 0 without a cursor.
    pub same: u64,
}

impl Position {
    pub(super) fn to_value(&self, statement: &str) -> Value {
        match self.same {
            0 => json!({ "rows": self.rows, "key": self.key, "statement": statement }),
            same => json!({ "rows": self.rows, "key": self.key, "same": same, "statement": statement }),
        }
    }

    pub(super) fn read(value: &Value, statement: &str) -> Result<Self> {
        let bad = || {
            Error::environment("the checkpoint's position of a query is not understood")
                .code(STATE_OF_OTHER_SOURCE)
                .hint("has the source been replaced by one of another kind? `wasmill state reset` drops the progress and starts over")
        };
        let of = value["statement"].as_str().ok_or_else(bad)?;
        if of != statement {
            return Err(Error::environment(
                "the query, the table, `order_by` or `cursor` are not those of which rows have been read already",
            )
            .code(QUERY_CHANGED)
            .hint("put them back, or start over with `wasmill state reset`"));
        }
        let texts = value["key"].as_array().ok_or_else(bad)?.iter().map(|text| text.as_str().map(str::to_owned));
        let key = texts.collect::<Option<Vec<_>>>().ok_or_else(bad)?;
        let same = if value["same"].is_null() { Some(0) } else { value["same"].as_u64() };
        Ok(Self { rows: value["rows"].as_u64().ok_or_else(bad)?, key, same: same.ok_or_else(bad)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        for position in [
            Position::default(),
            Position { rows: 5, key: vec!["5".into(), "ü".into()], same: 0 },
            Position { rows: 7, key: vec!["2022-07-07 00:00:00.000000".into()], same: 3 },
        ] {
            assert_eq!(Position::read(&position.to_value("s"), "s").unwrap(), position);
        }
        let value = Position::default().to_value("s");
        assert!(Position::read(&value, "other").unwrap_err().message().contains("are not those"));
        assert!(Position::read(&json!({ "offset": 7 }), "s").unwrap_err().message().contains("is not understood"));
    }
}
