//! The position in the log.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use wasmill_engine::codes::STATE_OF_OTHER_SOURCE;
use wasmill_engine::{Error, Result};

/// The position in the log of a source, as checkpoints keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Which log: another one in the same folder has another id.
    pub log: Uuid,
    /// The number of the next record to read.
    pub record: u64,
}

impl Position {
    pub(crate) fn read(value: &Value) -> Result<Self> {
        Self::deserialize(value).map_err(|error| {
            Error::environment(format!("the position {value} is not one of a log of requests: {error}")).code(STATE_OF_OTHER_SOURCE)
        })
    }

    pub(crate) fn to_value(self) -> Value {
        serde_json::json!({ "log": self.log, "record": self.record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_of_the_first_version_is_still_read() {
        let value = serde_json::json!({ "log": "67e55044-10b1-426f-9247-bb680e5fe0c8", "record": 7 });
        let position = Position::read(&value).unwrap();
        assert_eq!((position.record, position.to_value()), (7, value));
        assert!(Position::read(&serde_json::json!({ "offset": 7 })).is_err());
    }
}
