//! The whole rows of some thousand keys, out of a merge.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::RowRef;
use crate::Result;
use crate::groups::to_places;
use crate::merge::{MergedKeys, Merger};
use crate::run::Place;

/// Keys and their rows; keys are in the order of places.
pub(crate) struct KeyedRows {
    pub keys: MergedKeys,
    pub batches: Vec<Arc<RecordBatch>>,
    /// The number of the key, and the row.
    pub rows: Vec<(u32, RowRef)>,
}

impl KeyedRows {
    /// The next keys of a merger; `None` when there are no more. The rows of a key are in the order of their runs.
    pub fn next(merger: &mut Merger) -> Result<Option<Self>> {
        let (mut batches, mut rows): (Vec<Arc<RecordBatch>>, Vec<(u32, RowRef)>) = (Vec::new(), Vec::new());
        let merged = merger.next_into(&mut |states, groups, _| {
            let batch = batches.len() as u32;
            batches.push(Arc::new(states.clone()));
            rows.extend(groups.iter().enumerate().map(|(row, &group)| (group, RowRef { batch, row: row as u32 })));
            Ok(())
        })?;
        let Some(keys) = merged else { return Ok(None) };
        let rows = to_places(&rows, keys.len(), |(key, _)| *key as usize);
        Ok(Some(Self { keys, batches, rows }))
    }

    /// The rows of each key that has some, and its place.
    pub fn by_key(&self) -> impl Iterator<Item = (Place<'_>, &[(u32, RowRef)])> {
        self.rows.chunk_by(|one, next| one.0 == next.0).map(|rows| {
            let key = rows[0].0 as usize;
            (Place { end: self.keys.ends[key], key_group: self.keys.key_groups[key], key: self.keys.keys.get(key) }, rows)
        })
    }

    /// The batch of a row.
    pub fn batch(&self, row: RowRef) -> &Arc<RecordBatch> {
        &self.batches[row.batch as usize]
    }
}
