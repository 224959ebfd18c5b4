//! Counts of rows and of values.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array};
use wasmill_engine::{Error, Result};

use super::{CallAccumulator, CallState, one, typed};

/// Rows, or those whose value is not null.
#[derive(Default)]
pub(in crate::aggregate) struct Count {
    counts: Vec<i64>,
}

impl Count {
    fn take(&mut self) -> ArrayRef {
        Arc::new(Int64Array::from(std::mem::take(&mut self.counts)))
    }
}

impl CallAccumulator for Count {
    fn resize(&mut self, count: usize) {
        self.counts.resize(count, 0);
    }

    fn update(&mut self, values: &[ArrayRef], groups: &[u32]) -> Result<()> {
        match values.first().and_then(|values| values.logical_nulls()).filter(|nulls| nulls.null_count() > 0) {
            None => groups.iter().for_each(|&group| self.counts[group as usize] += 1),
            Some(nulls) => groups.iter().zip(nulls.iter()).for_each(|(&group, valid)| self.counts[group as usize] += i64::from(valid)),
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[u32]) -> Result<()> {
        for (more, &group) in typed::<Int64Array>(one(states)?)?.iter().zip(groups) {
            let count = &mut self.counts[group as usize];
            *count = count.checked_add(more.unwrap_or(0)).ok_or_else(|| Error::bug("a count leaves 64 bits"))?;
        }
        Ok(())
    }

    fn take_state(&mut self) -> Result<CallState> {
        Ok(CallState::per_group(vec![self.take()]))
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(self.take())
    }

    fn memory_bytes(&self) -> usize {
        self.counts.capacity() * size_of::<i64>()
    }
}
