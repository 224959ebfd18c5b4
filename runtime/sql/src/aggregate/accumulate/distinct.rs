//! The distinct values of groups, of which another accumulator computes its result.

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use hashbrown::HashTable;
use twox_hash::XxHash3_64;
use wasmill_engine::Result;

use super::lists::from_lists;
use super::store::{RowStore, ValueStore, canonical};
use super::{CallAccumulator, CallState, one, without_nulls};

/// Holds each value of a group once.
pub(in crate::aggregate) struct Distinct {
    store: RowStore,
    /// Indices of the store.
    known: HashTable<usize>,
    of: Box<dyn CallAccumulator>,
}

impl Distinct {
    /// # Errors
    /// The type is no [stored](super::stored_type) one.
    pub fn new(data_type: &DataType, of: Box<dyn CallAccumulator>) -> Result<Self> {
        Ok(Self { store: RowStore::new(data_type)?, known: HashTable::new(), of })
    }
}

fn hash(group: u32, value: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(u64::from(group), value)
}

impl CallAccumulator for Distinct {
    fn resize(&mut self, count: usize) {
        self.store.resize(count);
    }

    fn update(&mut self, values: &[ArrayRef], groups: &[u32]) -> Result<()> {
        let (values, groups) = without_nulls(values, groups)?;
        let rows = self.store.convert(&canonical(one(&values)?, true))?;
        for (row, &group) in rows.iter().zip(groups.as_ref()) {
            let hash_of = |&index: &usize| {
                let (group, row) = self.store.get(index);
                hash(group, row.data())
            };
            let is_same = |&index: &usize| self.store.get(index) == (group, row);
            if let hashbrown::hash_table::Entry::Vacant(vacant) = self.known.entry(hash(group, row.data()), is_same, hash_of) {
                vacant.insert(self.store.len());
                self.store.push(row, group);
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[u32]) -> Result<()> {
        let (values, groups) = from_lists(one(states)?, groups)?;
        self.update(&[values], &groups)
    }

    fn take_state(&mut self) -> Result<CallState> {
        self.known = HashTable::new();
        self.store.take_state()
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        self.known = HashTable::new();
        self.of.resize(self.store.count());
        let by_group = self.store.take_groups();
        let ends = (0_u32..).zip(by_group.offsets().windows(2));
        let groups: Vec<u32> = ends.flat_map(|(number, group)| std::iter::repeat_n(number, group[1] - group[0])).collect();
        // Sorted, so that the result does not depend on an order.
        self.of.update(&[by_group.sorted()?], &groups)?;
        self.of.finish()
    }

    fn memory_bytes(&self) -> usize {
        self.store.memory_bytes() + self.known.allocation_size()
    }
}
