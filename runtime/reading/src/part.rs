//! The parts of files that are read by themselves.

/// Files that are read by lines are cut at the multiples of this. It may never change, for splits are known by where they begin.
/// Larger ones would leave lanes idle at the end of a file, smaller ones would cut batches short and make checkpoints long.
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
