//! How a state holds the values of groups: as lists of a bounded length, of which a group has any number.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, LargeListArray};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};
use arrow_select::filter::filter;
use wasmill_engine::{Error, Result};

use super::{CallState, bug, typed};

/// The most values of a list: a block of a run holds few rows, and a row is never cut.
const MAX_VALUES: usize = 1_024;

/// The column of a state that holds values of a type.
pub(in crate::aggregate) fn list_type(values: &DataType) -> DataType {
    DataType::LargeList(Arc::new(Field::new("item", values.clone(), true)))
}

/// Values as lists: those of group `g` are from `offsets[g]` to `offsets[g + 1]`.
pub(super) fn list_state(offsets: &[usize], values: ArrayRef) -> Result<CallState> {
    let (mut ends, mut groups) = (vec![0_i64], Vec::new());
    for (number, group) in (0_u32..).zip(offsets.windows(2)) {
        for from in (group[0]..group[1]).step_by(MAX_VALUES) {
            ends.push(offset((from + MAX_VALUES).min(group[1]))?);
            groups.push(number);
        }
    }
    Ok(CallState { columns: vec![list(ends, values)?], groups: Some(groups) })
}

/// Lists that end at these offsets.
pub(super) fn list(offsets: Vec<i64>, values: ArrayRef) -> Result<ArrayRef> {
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    let list = LargeListArray::try_new(field, OffsetBuffer::new(ScalarBuffer::from(offsets)), values, None);
    Ok(Arc::new(list.map_err(bug)?))
}

pub(super) fn offset(index: usize) -> Result<i64> {
    i64::try_from(index).map_err(|_| Error::bug("a list has too many values"))
}

/// The values of lists, and the group of each.
pub(super) fn from_lists(lists: &ArrayRef, groups: &[u32]) -> Result<(ArrayRef, Vec<u32>)> {
    let (lists, groups) = match lists.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => (Arc::clone(lists), groups.to_vec()),
        Some(nulls) => {
            let valid = BooleanArray::new(nulls.inner().clone(), None);
            (filter(lists, &valid).map_err(bug)?, nulls.valid_indices().map(|row| groups[row]).collect())
        }
    };
    let lists = typed::<LargeListArray>(&lists)?;
    let offsets: Vec<usize> = lists.value_offsets().iter().filter_map(|offset| usize::try_from(*offset).ok()).collect();
    let (Some(&from), Some(&to)) = (offsets.first(), offsets.last()) else { return Err(Error::bug("lists have no offsets")) };
    let of_values = groups.iter().zip(offsets.windows(2)).flat_map(|(group, ends)| std::iter::repeat_n(*group, ends[1] - ends[0]));
    Ok((lists.values().slice(from, to - from), of_values.collect()))
}
