//! Exact counts: all distinct values of each group.

use std::sync::Arc;

use typed_column::{Numbers, Order, Ordered};
use wasmill_plugin::prelude::*;

/// The distinct values of all groups.
pub(crate) struct Exact {
    ordered: Ordered,
    groups: Vec<HashSet<Box<[u8]>>>,
}

impl Exact {
    pub fn new(data_type: DataType) -> Result<Self, Refusal> {
        Ok(Self { ordered: Ordered::new([(data_type, Order::Ascending)])?, groups: Vec::new() })
    }

    pub fn grow(&mut self, count: usize) {
        self.groups.resize_with(self.groups.len().max(count), HashSet::default);
    }

    pub fn add(&mut self, values: &Numbers, groups: &Groups<'_>) -> Result<(), Refusal> {
        let ordered = self.ordered.rows(&[Arc::clone(values.values())])?;
        for (row, group) in groups.of_rows().enumerate().filter(|(row, _)| values.counts(*row)) {
            let value = ordered.row(row).data();
            if !self.groups[group].contains(value) {
                self.groups[group].insert(value.into());
            }
        }
        Ok(())
    }

    /// A row for each value: the same values in the same order, whatever order they came in.
    pub fn take_state(&mut self) -> Result<GroupedRows, Refusal> {
        let (mut groups, mut values) = (Vec::new(), Vec::new());
        for (group, distinct) in std::mem::take(&mut self.groups).into_iter().enumerate() {
            let start = values.len();
            values.extend(distinct);
            values[start..].sort_unstable();
            groups.resize(values.len(), group as u32);
        }
        Ok(GroupedRows::of(groups, vec![self.ordered.column(values.iter().map(AsRef::as_ref))?]))
    }

    pub fn counts(&mut self) -> Int64Array {
        std::mem::take(&mut self.groups).iter().map(|distinct| Some(distinct.len() as i64)).collect()
    }
}
