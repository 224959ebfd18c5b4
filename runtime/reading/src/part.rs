//! The parts of files that are read by themselves.

/// Files that are read by lines are cut at the multiples of this. It may never change, because
/// splits are identified by where they begin. Larger splits would leave lanes idle at the end of a
/// file. Smaller ones would shorten batches and lengthen checkpoints.
pub const SPLIT_BYTES: u64 = 16 << 20;

/// The part of a file that a split is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All of it.
    Whole,
    /// The records that start between this offset and the next multiple of [`SPLIT_BYTES`].
    From(u64),
    /// One row group of a Parquet file.
    RowGroup(u64),
}
