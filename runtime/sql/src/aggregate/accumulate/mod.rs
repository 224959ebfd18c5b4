//! The accumulators of single calls, one per kind of state.
//!
//! They are our own: their states are part of checkpoints, so that they may not change with a library; integers never wrap; and what they hold
//! depends on no order but for the rounding of floats.

mod best;
mod count;
mod distinct;
mod fold;
mod lists;
mod moments;
mod pairs;
mod registers;
mod round;
mod sketch;
mod store;
mod sum;
mod values;

use std::borrow::Cow;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::filter::filter;
use wasmill_engine::{Error, Result};

pub(super) use best::Best;
pub(super) use count::Count;
pub(super) use distinct::Distinct;
pub(super) use fold::{Combine, fold};
pub(super) use lists::list_type;
pub(super) use moments::Variance;
pub(super) use pairs::{Pairs, Statistic};
pub(super) use sketch::Sketch;
pub(super) use store::stored_type;
pub(super) use sum::{Outcome, sums};
pub(super) use values::{Summary, Values};

/// The groups of one call. The contract is that of [`wasmill_keyed::Accumulator`], without rejects.
///
/// A row of a state is null in all its columns where it holds nothing of this call.
pub(super) trait CallAccumulator: Send {
    /// There are at least as many groups.
    fn resize(&mut self, count: usize);

    /// Adds values: an array per argument. Where one is null, the row is left out.
    fn update(&mut self, values: &[ArrayRef], groups: &[u32]) -> Result<()>;

    /// Adds states.
    fn merge(&mut self, states: &[ArrayRef], groups: &[u32]) -> Result<()>;

    /// The states of all groups, and empties the accumulator.
    fn take_state(&mut self) -> Result<CallState>;

    /// A value per group, and empties the accumulator.
    fn finish(&mut self) -> Result<ArrayRef>;

    /// The bytes that it holds.
    fn memory_bytes(&self) -> usize;
}

/// The states of one call.
pub(super) struct CallState {
    pub columns: Vec<ArrayRef>,
    /// For each row its group, never decreasing; `None`: one row per group.
    pub groups: Option<Vec<u32>>,
}

impl CallState {
    fn per_group(columns: Vec<ArrayRef>) -> Self {
        Self { columns, groups: None }
    }
}

/// Rows without those where some value is null.
fn without_nulls<'a>(values: &[ArrayRef], groups: &'a [u32]) -> Result<(Vec<ArrayRef>, Cow<'a, [u32]>)> {
    if values.iter().all(|values| values.null_count() == 0) {
        return Ok((values.to_vec(), Cow::Borrowed(groups)));
    }
    let mut kept = BooleanBufferBuilder::new(groups.len());
    (0..groups.len()).for_each(|row| kept.append(values.iter().all(|values| values.is_valid(row))));
    let kept = BooleanArray::new(kept.finish(), None);
    let values = values.iter().map(|values| filter(values, &kept)).collect::<Result<Vec<_>, _>>().map_err(bug)?;
    let groups = groups.iter().zip(kept.values().iter()).filter(|(_, kept)| *kept).map(|(group, _)| *group).collect();
    Ok((values, Cow::Owned(groups)))
}

/// The only array of a call.
fn one(values: &[ArrayRef]) -> Result<&ArrayRef> {
    values.first().ok_or_else(|| Error::bug("a call got no values"))
}

fn bug(error: ArrowError) -> Error {
    Error::bug(format!("an aggregate got other values than it was planned for: {error}"))
}

/// An array of the type that is expected.
fn typed<T: Array + 'static>(values: &ArrayRef) -> Result<&T> {
    values.as_any().downcast_ref::<T>().ok_or_else(|| Error::bug(format!("an aggregate got values of type {}", values.data_type())))
}

/// Groups as indices of arrow.
fn indices(groups: impl IntoIterator<Item = Option<u32>>) -> UInt32Array {
    groups.into_iter().collect()
}
