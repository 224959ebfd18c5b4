//! What tables of files share, with any log: partitions, and rows gathered per partition.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod codes;
mod gather;
mod partition;

pub use gather::{Gather, PartitionFiles};
pub use partition::{Key, Limits, Partitioner, Split, check_partition_columns, without_partition_columns};
