//! The reserved columns that hold a record's place in a log of topics, partitions and offsets.

/// The prefix of reserved columns.
pub const RESERVED: &str = "_source.";
/// The reserved column that holds a record's topic: text.
pub const TOPIC_COLUMN: &str = "_source.topic";
/// The reserved column that holds a record's partition: int32.
pub const PARTITION_COLUMN: &str = "_source.partition";
/// The reserved column that holds a record's offset: int64.
pub const OFFSET_COLUMN: &str = "_source.offset";
