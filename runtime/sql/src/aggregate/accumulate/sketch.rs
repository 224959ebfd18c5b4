//! About how many distinct values groups have.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Int64Array, LargeBinaryArray};
use arrow_schema::DataType;
use twox_hash::XxHash3_64;
use wasmill_engine::{Error, Result};

use super::registers::Registers;
use super::store::canonical;
use super::{CallAccumulator, CallState, one, typed};

/// A sketch per group. Its registers do not depend on an order.
#[derive(Default)]
pub(in crate::aggregate) struct Sketch {
    groups: Vec<Registers>,
    heap_bytes: usize,
}

/// The hash of each value that is not null. It is part of the state's version, like the bytes that it is of.
fn hashes(values: &ArrayRef, mut each: impl FnMut(usize, u64)) -> Result<()> {
    let mut add = |row: usize, bytes: &[u8]| each(row, XxHash3_64::oneshot(bytes));
    let rows = (0..values.len()).filter(|&row| values.is_valid(row));
    match values.data_type() {
        DataType::Int64 => rows.for_each(|row| add(row, &values.as_primitive::<Int64Type>().value(row).to_le_bytes())),
        DataType::UInt64 => rows.for_each(|row| add(row, &values.as_primitive::<UInt64Type>().value(row).to_le_bytes())),
        DataType::Float64 => rows.for_each(|row| add(row, &values.as_primitive::<Float64Type>().value(row).to_le_bytes())),
        DataType::Decimal128(..) => rows.for_each(|row| add(row, &values.as_primitive::<Decimal128Type>().value(row).to_le_bytes())),
        DataType::LargeUtf8 => rows.for_each(|row| add(row, values.as_string::<i64>().value(row).as_bytes())),
        DataType::LargeBinary => rows.for_each(|row| add(row, values.as_binary::<i64>().value(row))),
        other => return Err(Error::bug(format!("a sketch got values of type {other}"))),
    }
    Ok(())
}

impl Sketch {
    fn change(&mut self, group: u32, change: impl FnOnce(&mut Registers)) {
        let registers = &mut self.groups[group as usize];
        let before = registers.heap_bytes();
        change(registers);
        self.heap_bytes = self.heap_bytes + registers.heap_bytes() - before;
    }

    fn take(&mut self) -> Vec<Registers> {
        self.heap_bytes = 0;
        std::mem::take(&mut self.groups)
    }
}

impl CallAccumulator for Sketch {
    fn resize(&mut self, count: usize) {
        self.groups.resize(count, Registers::default());
    }

    fn update(&mut self, values: &[ArrayRef], groups: &[u32]) -> Result<()> {
        hashes(&canonical(one(values)?, true), |row, hash| self.change(groups[row], |registers| registers.add(hash)))
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[u32]) -> Result<()> {
        for (bytes, &group) in typed::<LargeBinaryArray>(one(states)?)?.iter().zip(groups) {
            let Some(bytes) = bytes else { continue };
            let other = Registers::from_bytes(bytes).ok_or_else(|| Error::bug("the state of `approx_distinct` holds no registers"))?;
            self.change(group, |registers| registers.merge(&other));
        }
        Ok(())
    }

    fn take_state(&mut self) -> Result<CallState> {
        let bytes: LargeBinaryArray = self.take().iter().map(|registers| Some(registers.to_bytes())).collect();
        Ok(CallState::per_group(vec![Arc::new(bytes)]))
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.take().iter().map(|registers| Some(registers.estimate())).collect::<Int64Array>()))
    }

    fn memory_bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Registers>() + self.heap_bytes
    }
}
