//! Checks what the calls of an aggregate returned: every group and row in range, every table of the declared schema.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use wasmill_boundary::Encoding;
use wasmill_boundary::budget::Budget;

use super::Grouped;
use crate::answer::{RowReject, check_rejects};
use crate::error::{Fault, FaultKind, Phase};
use crate::limits::Limits;
use crate::{contract, crossing, extra};

/// The rows that an update rejected, in increasing order.
pub(crate) fn check_updated(updated: contract::Updated, rows: usize) -> Result<Vec<RowReject>, Fault> {
    extra::check(Phase::Update, &updated.extra)?;
    check_rejects(Phase::Update, updated.rejects, rows)
}

/// What an answer with rows of groups is held against.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub phase: Phase,
    pub schema: &'a SchemaRef,
    /// How many groups there are.
    pub count: u32,
    pub encoding: Encoding,
    pub limits: &'a Limits,
}

/// The state or the results of all groups.
pub(crate) fn check_grouped(answer: contract::Grouped, asked: &Asked<'_>) -> Result<Grouped, Fault> {
    let Asked { phase, schema, count, encoding, limits } = *asked;
    let contract::Grouped { table, groups, extra } = answer;
    extra::check(phase, &extra)?;
    let rows = groups.as_ref().map_or(count as usize, Vec::len);
    if rows > limits.output_rows as usize {
        let message = format!("it returned {rows} rows in one call; {} are allowed", limits.output_rows);
        return Err(Fault::new(phase, FaultKind::Output, message));
    }
    let groups = groups.map(|groups| check_groups(groups, count)).transpose().map_err(|message| Fault::answer(phase, message))?;
    let budget = Budget::new(limits.output_bytes);
    let records = crossing::read_table(encoding, table, schema, rows, None, &budget).map_err(|error| {
        let kind = if budget.is_spent() { FaultKind::Output } else { FaultKind::Answer };
        Fault::new(phase, kind, error.to_string())
    })?;
    Ok(Grouped { records, groups: groups.flatten() })
}

/// The groups of rows; `None` where each has one row.
fn check_groups(groups: Vec<u32>, count: u32) -> Result<Option<Vec<u32>>, String> {
    let mut before = 0;
    for &group in &groups {
        if group >= count {
            return Err(format!("a row belongs to group {group}, and there are {count}"));
        }
        if group < before {
            return Err(format!("a row of group {group} comes after one of group {before}: groups must not decrease"));
        }
        before = group;
    }
    let is_plain = groups.len() == count as usize && groups.iter().zip(0..).all(|(&group, number)| group == number);
    Ok((!is_plain).then_some(groups))
}

/// Rows of no groups.
pub(crate) fn nothing(schema: &SchemaRef) -> Grouped {
    Grouped { records: RecordBatch::new_empty(SchemaRef::clone(schema)), groups: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever a plugin returned: what is accepted is in order and in range, and nothing that is would be refused.
        #[test]
        fn accepted_groups_are_in_order(groups in prop::collection::vec(0_u32..6, 0..6), sorted: bool, count in 0_u32..6) {
            let mut groups = groups;
            if sorted {
                groups.sort_unstable();
            }
            let is_fine = groups.is_sorted() && groups.iter().all(|&group| group < count);
            let accepted = check_groups(groups.clone(), count);
            prop_assert_eq!(accepted.is_ok(), is_fine);
            if let Ok(accepted) = accepted {
                let plain: Vec<u32> = (0..count).collect();
                prop_assert_eq!(accepted.is_none(), groups == plain);
                prop_assert_eq!(accepted.unwrap_or(plain), groups);
            }
        }
    }
}
