//! The position in a shard, and the name of its split.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmill_engine::codes::STATE_OF_OTHER_SOURCE;
use wasmill_engine::{Error, Result, SplitId};

/// The position in a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// When the stream was created, milliseconds since 1970: another one of its name is another
    /// stream.
    pub stream: i64,
    /// Where to resume.
    pub at: Place,
    /// Everything that arrived until then has been read, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// The time at which all shards of the source begin that were not begun yet, where one was
    /// decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<i64>,
    /// The shard takes no more records, and all of them have been read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

/// Where to resume in a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// At its oldest record.
    TrimHorizon,
    /// At the first record that did not arrive before this, milliseconds since 1970.
    Timestamp(i64),
    /// At this record.
    At(String),
    /// Behind this record.
    Behind(String),
    /// Within this aggregate, behind its part of this number.
    Within(String, u64),
}

impl Position {
    pub(super) fn read(value: &Value) -> Result<Self> {
        Self::deserialize(value)
            .map_err(|error| Error::environment(format!("the position {value} is not one of Kinesis: {error}")).code(STATE_OF_OTHER_SOURCE))
    }

    pub(super) fn to_value(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|error| Error::bug(format!("a position is no JSON: {error}")))
    }
}

/// The split of a shard: `stream/shardId-000000000000`. A stream's name holds no slash.
pub(super) fn split_id(stream: &str, shard: &str) -> SplitId {
    format!("{stream}/{shard}").into()
}

/// The stream and the shard of a split.
pub(super) fn parse_split(id: &str) -> Option<(&str, &str)> {
    id.split_once('/').filter(|(stream, shard)| !stream.is_empty() && !shard.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_the_first_version_are_still_read() {
        let read = |text: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            let position = Position::read(&value).unwrap();
            assert_eq!(position.to_value().unwrap(), value);
            position
        };
        assert_eq!(read(r#"{"stream":5,"at":"trim_horizon"}"#).at, Place::TrimHorizon);
        assert_eq!(read(r#"{"stream":5,"at":{"timestamp":7},"start":7}"#).at, Place::Timestamp(7));
        assert_eq!(read(r#"{"stream":5,"at":{"at":"49"}}"#).at, Place::At("49".into()));
        assert_eq!(read(r#"{"stream":5,"at":{"behind":"49"},"until":9,"closed":true}"#).at, Place::Behind("49".into()));
        assert_eq!(read(r#"{"stream":5,"at":{"within":["49",3]}}"#).at, Place::Within("49".into(), 3));
        assert!(Position::read(&serde_json::json!({"offset": 3})).is_err());
    }

    #[test]
    fn a_split_is_named_by_stream_and_shard() {
        assert_eq!(parse_split(&split_id("a.b-c", "shardId-000000000001")), Some(("a.b-c", "shardId-000000000001")));
        assert_eq!((parse_split("a"), parse_split("/a"), parse_split("a/")), (None, None, None));
    }
}
