//! The position in a partition, and the name of its split.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmill_engine::codes::STATE_OF_OTHER_SOURCE;
use wasmill_engine::{Error, Result, SplitId};

/// The position in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The id of the topic: another one under the same name is another topic. Empty where the brokers give none.
    pub topic: String,
}

impl Position {
    pub(super) fn read(value: &Value) -> Result<Self> {
        Self::deserialize(value)
            .map_err(|error| Error::environment(format!("the position {value} is not one of Kafka: {error}")).code(STATE_OF_OTHER_SOURCE))
    }

    pub(super) fn to_value(&self) -> Value {
        serde_json::json!({ "offset": self.offset, "topic": self.topic })
    }
}

/// The split of a partition: `topic/3`. A topic's name holds no slash.
pub(super) fn split_id(topic: &str, partition: i32) -> SplitId {
    format!("{topic}/{partition}").into()
}

/// The topic and the partition of a split.
pub(super) fn parse_split(id: &str) -> Option<(&str, i32)> {
    let (topic, partition) = id.rsplit_once('/')?;
    let partition: i32 = partition.parse().ok()?;
    (!topic.is_empty() && partition >= 0).then_some((topic, partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_of_the_first_version_is_still_read() {
        let value = serde_json::json!({"offset": 7, "topic": "lxVTmCxNTYmMB1XEe8P0Yw"});
        let position = Position::read(&value).unwrap();
        assert_eq!(position, Position { offset: 7, topic: "lxVTmCxNTYmMB1XEe8P0Yw".into() });
        assert_eq!(position.to_value(), value);
    }

    #[test]
    fn a_split_is_named_by_topic_and_partition() {
        assert_eq!(parse_split(&split_id("a.b-c", 12)), Some(("a.b-c", 12)));
        assert_eq!((parse_split("a"), parse_split("a/-1"), parse_split("/1"), parse_split("a/b")), (None, None, None, None));
    }
}
