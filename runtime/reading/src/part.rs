//! The parts of files that are read by themselves.

use std::ops::Range;

/// Files that are read by lines are cut at the multiples of this. It may never change, because
/// splits are identified by where they begin. Smaller ones would shorten batches and lengthen
/// checkpoints.
pub const SPLIT_BYTES: u64 = 16 << 20;
/// What a batch reads last is cut at the multiples of this, so that lanes end at nearly the same
/// time. It may never change, either.
pub const PIECE_BYTES: u64 = 4 << 20;

/// The part of a file that a split is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All of it.
    Whole,
    /// The records that start between this offset and the next multiple of [`SPLIT_BYTES`].
    From(u64),
    /// The records that start between this offset and the next multiple of [`PIECE_BYTES`].
    Piece(u64),
    /// One row group of a Parquet file.
    RowGroup(u64),
}

impl Part {
    /// The bytes in which its records start, for a part that is read by lines. The file may end before.
    #[must_use]
    pub fn lines(self) -> Option<Range<u64>> {
        match self {
            Self::From(start) => Some(start..start + SPLIT_BYTES),
            Self::Piece(start) => Some(start..start + PIECE_BYTES),
            Self::Whole | Self::RowGroup(_) => None,
        }
    }
}
