//! Values as bytes that sort as the values do.

use arrow_array::ArrayRef;
use arrow_row::{Row, RowConverter, Rows, SortField};
use arrow_schema::DataType;
use wasmill_engine::Result;

use super::super::lists::list_state;
use super::super::{bug, indices, one};
use super::{CallState, GroupedValues, Placed, Ranked, Ranks, ValueStore};

/// A converter of values of some types, which are [stored](super::stored_type) ones.
pub(in crate::aggregate::accumulate) fn converter(types: &[DataType]) -> Result<RowConverter> {
    RowConverter::new(types.iter().map(|data_type| SortField::new(data_type.clone())).collect()).map_err(bug)
}

/// Values of any stored type, each of a group.
pub(in crate::aggregate::accumulate) struct RowStore {
    converter: RowConverter,
    rows: Rows,
    groups: Vec<u32>,
    count: usize,
}

impl RowStore {
    /// # Errors
    /// The type is no [stored](super::stored_type) one.
    pub fn new(data_type: &DataType) -> Result<Self> {
        let converter = converter(std::slice::from_ref(data_type))?;
        let rows = converter.empty_rows(0, 0);
        Ok(Self { converter, rows, groups: Vec::new(), count: 0 })
    }

    /// The groups, of which some may be empty.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The bytes of values, without adding them.
    pub fn convert(&self, values: &ArrayRef) -> Result<Rows> {
        self.converter.convert_columns(std::slice::from_ref(values)).map_err(bug)
    }

    /// Adds one converted value.
    pub fn push(&mut self, row: Row<'_>, group: u32) {
        self.rows.push(row);
        self.groups.push(group);
    }

    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// A value and its group.
    pub fn get(&self, index: usize) -> (u32, Row<'_>) {
        (self.groups[index], self.rows.row(index))
    }

    fn take(&mut self) -> RowGroups<'_> {
        let groups = std::mem::take(&mut self.groups);
        let rows = std::mem::replace(&mut self.rows, self.converter.empty_rows(0, 0));
        let mut order = vec![0; groups.len()];
        let placed = Placed::new(&groups, std::mem::take(&mut self.count), |index, place| order[place] = index);
        RowGroups { converter: &self.converter, rows, order, offsets: placed.offsets }
    }
}

impl ValueStore for RowStore {
    fn resize(&mut self, count: usize) {
        self.count = count.max(self.count);
    }

    fn add(&mut self, values: &ArrayRef, groups: &[u32]) -> Result<()> {
        self.converter.append(&mut self.rows, std::slice::from_ref(values)).map_err(bug)?;
        self.groups.extend_from_slice(groups);
        Ok(())
    }

    fn take_state(&mut self) -> Result<CallState> {
        let groups = self.take();
        list_state(&groups.offsets, groups.values(&groups.order)?)
    }

    fn take_groups(&mut self) -> Box<dyn GroupedValues + '_> {
        Box::new(self.take())
    }

    fn memory_bytes(&self) -> usize {
        self.rows.size() + self.groups.capacity() * size_of::<u32>()
    }
}

/// Rows by group.
struct RowGroups<'a> {
    converter: &'a RowConverter,
    rows: Rows,
    /// The indices of the rows, group by group.
    order: Vec<usize>,
    offsets: Vec<usize>,
}

impl RowGroups<'_> {
    fn sort(&mut self) {
        let rows = &self.rows;
        for group in self.offsets.windows(2) {
            self.order[group[0]..group[1]].sort_unstable_by(|&a, &b| rows.row(a).data().cmp(rows.row(b).data()));
        }
    }

    fn values(&self, order: &[usize]) -> Result<ArrayRef> {
        let columns = self.converter.convert_rows(order.iter().map(|&index| self.rows.row(index))).map_err(bug)?;
        one(&columns).cloned()
    }

    /// One value of each group that has some, among its sorted ones.
    fn chosen(&self, choose: impl Fn(&[usize]) -> usize) -> Result<ArrayRef> {
        let (mut chosen, mut places) = (Vec::new(), Vec::with_capacity(self.offsets.len()));
        for group in self.offsets.windows(2) {
            let of_group = &self.order[group[0]..group[1]];
            places.push((!of_group.is_empty()).then_some(chosen.len() as u32));
            if !of_group.is_empty() {
                chosen.push(of_group[choose(of_group)]);
            }
        }
        arrow_select::take::take(&self.values(&chosen)?, &indices(places), None).map_err(bug)
    }

    /// Where the longest run of equal values begins; the first of several.
    fn longest_run(&self, of_group: &[usize]) -> usize {
        let (mut best, mut longest, mut begin) = (0, 0, 0);
        for index in 0..of_group.len() {
            if self.rows.row(of_group[index]) != self.rows.row(of_group[begin]) {
                begin = index;
            }
            if index - begin + 1 > longest {
                (best, longest) = (begin, index - begin + 1);
            }
        }
        best
    }
}

impl GroupedValues for RowGroups<'_> {
    fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    fn ranked(&mut self, choose: &dyn Fn(usize) -> Ranks) -> Result<Ranked> {
        self.sort();
        let low = self.chosen(|of_group| choose(of_group.len()).low)?;
        let high = self.chosen(|of_group| choose(of_group.len()).high)?;
        Ok(Ranked { low, high })
    }

    fn most_frequent(&mut self) -> Result<ArrayRef> {
        self.sort();
        self.chosen(|of_group| self.longest_run(of_group))
    }

    fn sorted(mut self: Box<Self>) -> Result<ArrayRef> {
        self.sort();
        self.values(&self.order)
    }
}
