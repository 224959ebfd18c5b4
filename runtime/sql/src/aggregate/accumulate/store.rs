//! Values of groups, held as bytes that sort as the values do.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array};
use arrow_row::{Row, RowConverter, Rows, SortField};
use arrow_schema::DataType;
use std::sync::Arc;
use wasmill_engine::Result;

use super::bug;

/// The type in which values of a type are held; `None` for those that can't be compared. Texts and binaries have offsets of 64 bits: a lane
/// may hold more than 2 GiB of them.
pub(in crate::aggregate) fn stored_type(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Float16 | DataType::Float32 => DataType::Float64,
        DataType::Utf8 | DataType::Utf8View => DataType::LargeUtf8,
        DataType::Binary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::LargeBinary,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => DataType::Decimal128(*precision, *scale),
        DataType::Decimal256(..) | DataType::Null | DataType::Interval(_) => return None,
        other if other.is_nested() => return None,
        other => other.clone(),
    })
}

/// A converter of values of one type, which is a stored one.
pub(super) fn converter(types: &[DataType]) -> Result<RowConverter> {
    RowConverter::new(types.iter().map(|data_type| SortField::new(data_type.clone())).collect()).map_err(bug)
}

/// NaN has many bit patterns, of which some would sort below all numbers: one for all. Zero has a sign, which `=` does not see.
pub(super) fn canonical(values: &ArrayRef, one_zero: bool) -> ArrayRef {
    let Some(floats) = values.as_primitive_opt::<Float64Type>() else { return Arc::clone(values) };
    let is_other = |value: f64| value.is_nan() || one_zero && value == 0.0 && value.is_sign_negative();
    if !floats.values().iter().any(|&value| is_other(value)) {
        return Arc::clone(values);
    }
    let canonical: Float64Array = floats.unary(|value| match value {
        value if value.is_nan() => f64::NAN,
        value if one_zero && value == 0.0 => 0.0,
        value => value,
    });
    Arc::new(canonical)
}

/// Values of one stored type, each of a group.
pub(super) struct ValueStore {
    converter: RowConverter,
    rows: Rows,
    groups: Vec<u32>,
    count: usize,
}

/// The values of a store by group: those of group `g` are `order[offsets[g]..offsets[g + 1]]`.
pub(super) struct ByGroup {
    pub offsets: Vec<usize>,
    pub order: Vec<usize>,
}

impl ValueStore {
    pub fn new(data_type: &DataType) -> Result<Self> {
        let converter = converter(std::slice::from_ref(data_type))?;
        let rows = converter.empty_rows(0, 0);
        Ok(Self { converter, rows, groups: Vec::new(), count: 0 })
    }

    pub fn resize(&mut self, count: usize) {
        self.count = count.max(self.count);
    }

    /// The groups, of which some may be empty.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The bytes of values, without adding them.
    pub fn convert(&self, values: &ArrayRef) -> Result<Rows> {
        self.converter.convert_columns(std::slice::from_ref(values)).map_err(bug)
    }

    /// Adds values, of which none is null.
    pub fn add(&mut self, values: &ArrayRef, groups: &[u32]) -> Result<()> {
        self.converter.append(&mut self.rows, std::slice::from_ref(values)).map_err(bug)?;
        self.groups.extend_from_slice(groups);
        Ok(())
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

    /// The values by group, in the order in which they were added.
    pub fn by_group(&self) -> ByGroup {
        let mut offsets = vec![0; self.count + 1];
        self.groups.iter().for_each(|&group| offsets[group as usize + 1] += 1);
        (0..self.count).for_each(|group| offsets[group + 1] += offsets[group]);
        let (mut next, mut order) = (offsets.clone(), vec![0; self.groups.len()]);
        for (index, &group) in self.groups.iter().enumerate() {
            order[next[group as usize]] = index;
            next[group as usize] += 1;
        }
        ByGroup { offsets, order }
    }

    /// The values by group, each group's sorted.
    pub fn sorted(&self) -> ByGroup {
        let mut by_group = self.by_group();
        for group in by_group.offsets.windows(2) {
            by_group.order[group[0]..group[1]].sort_unstable_by(|&a, &b| self.rows.row(a).data().cmp(self.rows.row(b).data()));
        }
        by_group
    }

    /// Some of the values, as an array.
    pub fn values(&self, indices: impl IntoIterator<Item = usize>) -> Result<ArrayRef> {
        let columns = self.converter.convert_rows(indices.into_iter().map(|index| self.rows.row(index))).map_err(bug)?;
        super::one(&columns).cloned()
    }

    /// Forgets all values and groups.
    pub fn clear(&mut self) {
        self.rows = self.converter.empty_rows(0, 0);
        self.groups = Vec::new();
        self.count = 0;
    }

    pub fn memory_bytes(&self) -> usize {
        self.rows.size() + self.groups.capacity() * size_of::<u32>()
    }
}
