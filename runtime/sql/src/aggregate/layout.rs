//! The states of several calls as rows of one state: a call with fewer rows than another has nulls in the rest.

use arrow_array::{ArrayRef, UInt32Array};
use arrow_select::take::take;
use wasmill_engine::{Error, Result};

use super::accumulate::CallState;

/// Columns, and for each row its group; `None`: one row per group.
pub(super) struct Combined {
    pub columns: Vec<ArrayRef>,
    pub groups: Option<Vec<u32>>,
}

/// The states of calls over the groups `0..count`, side by side. Every group has a row.
pub(super) fn combine(states: Vec<CallState>, count: usize) -> Result<Combined> {
    if states.iter().all(|state| state.groups.is_none()) {
        return Ok(Combined { columns: states.into_iter().flat_map(|state| state.columns).collect(), groups: None });
    }
    let mut rows = vec![1_usize; count];
    for groups in states.iter().filter_map(|state| state.groups.as_ref()) {
        for of_group in groups.chunk_by(|a, b| a == b) {
            let most = &mut rows[of_group[0] as usize];
            *most = of_group.len().max(*most);
        }
    }
    let total = rows.iter().sum();
    let mut columns = Vec::new();
    for state in states {
        let indices = indices(state.groups.as_deref(), &rows, total);
        for column in &state.columns {
            columns.push(take(column, &indices, None).map_err(|error| Error::bug(format!("states can't be put side by side: {error}")))?);
        }
    }
    let is_one_each = total == count;
    let groups = (!is_one_each).then(|| (0_u32..).zip(&rows).flat_map(|(group, &rows)| std::iter::repeat_n(group, rows)).collect());
    Ok(Combined { columns, groups })
}

/// For each row of the state, that of the call.
fn indices(groups: Option<&[u32]>, rows: &[usize], total: usize) -> UInt32Array {
    let mut indices: Vec<Option<u32>> = Vec::with_capacity(total);
    let mut next = 0_u32;
    for (group, &rows) in (0_u32..).zip(rows) {
        let begin = indices.len();
        match groups {
            None => indices.push(Some(group)),
            Some(groups) => {
                while groups.get(next as usize) == Some(&group) {
                    indices.push(Some(next));
                    next += 1;
                }
            }
        }
        indices.resize(begin + rows, None);
    }
    UInt32Array::from(indices)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Int64Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    use super::*;

    fn state(values: &[i64], groups: Option<&[u32]>) -> CallState {
        CallState { columns: vec![Arc::new(Int64Array::from(values.to_vec()))], groups: groups.map(<[u32]>::to_vec) }
    }

    fn columns(combined: &Combined) -> Vec<Vec<Option<i64>>> {
        combined.columns.iter().map(|column| column.as_primitive::<Int64Type>().iter().collect()).collect()
    }

    #[test]
    fn states_lie_side_by_side_and_every_group_has_a_row() {
        let combined = combine(vec![state(&[7, 8, 9], None), state(&[1, 2, 3], Some(&[0, 2, 2])), state(&[5], Some(&[2]))], 3).unwrap();
        assert_eq!(combined.groups, Some(vec![0, 1, 2, 2]));
        assert_eq!(columns(&combined), [[Some(7), Some(8), Some(9), None], [Some(1), None, Some(2), Some(3)], [None, None, Some(5), None]]);
        let combined = combine(vec![state(&[1], Some(&[1]))], 2).unwrap();
        assert_eq!((columns(&combined), combined.groups), (vec![vec![None, Some(1)]], None));
    }
}
