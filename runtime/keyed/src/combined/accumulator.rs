//! The groups of several aggregates.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int8Type;
use arrow_array::{ArrayRef, BooleanArray, Int8Array, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;

use super::Part;
use crate::{Accumulator, Error, Grouped, Result, RowReject};

/// A part of one lane.
pub(super) struct OpenPart {
    pub accumulator: Box<dyn Accumulator>,
    /// Tells which rows it would refuse; empty between calls.
    pub probe: Option<Box<dyn Accumulator>>,
    pub part: Part,
    /// Its own state.
    pub state: SchemaRef,
    /// Where that lies among the columns of the whole state.
    pub states: Range<usize>,
}

pub(super) struct CombinedAccumulator {
    parts: Vec<OpenPart>,
    state: SchemaRef,
    output: SchemaRef,
}

impl CombinedAccumulator {
    pub(super) fn new(parts: Vec<OpenPart>, state: SchemaRef, output: SchemaRef) -> Self {
        Self { parts, state, output }
    }
}

/// Rows, and the places that they have in the batch of the caller.
struct Rows {
    records: RecordBatch,
    groups: Vec<u32>,
    places: Vec<u32>,
}

impl Rows {
    /// Without those that were refused, by their places in these rows.
    fn without(self, refused: &[RowReject]) -> Result<Self> {
        if refused.is_empty() {
            return Ok(self);
        }
        let mut stays = vec![true; self.groups.len()];
        for reject in refused {
            *stays.get_mut(reject.row as usize).ok_or_else(|| Error::bug("an aggregate refuses a row that it did not get"))? = false;
        }
        let kept = |values: &[u32]| values.iter().zip(&stays).filter(|(_, stays)| **stays).map(|(value, _)| *value).collect();
        let (groups, places) = (kept(&self.groups), kept(&self.places));
        let records = filter_record_batch(&self.records, &BooleanArray::from(stays)).map_err(not_built)?;
        Ok(Self { records, groups, places })
    }

    /// Those of one part.
    fn of(&self, part: &Part) -> Result<RecordBatch> {
        self.records.project(&part.columns).map_err(not_built)
    }
}

fn not_built(error: ArrowError) -> Error {
    Error::bug(format!("rows of several aggregates can't be built: {error}"))
}

impl Accumulator for CombinedAccumulator {
    fn update(&mut self, records: &RecordBatch, groups: &[u32], count: u32) -> Result<Vec<RowReject>> {
        let places = (0..u32::try_from(groups.len()).unwrap_or(u32::MAX)).collect();
        let mut rows = Rows { records: records.clone(), groups: groups.to_vec(), places };
        let mut refused = Vec::new();
        let mut refuse = |rows: Rows, rejects: Vec<RowReject>| {
            let in_batch = |reject: &RowReject| RowReject { row: rows.places[reject.row as usize], ..reject.clone() };
            let rejects_in_batch: Vec<RowReject> = rejects.iter().map(in_batch).collect();
            refused.extend(rejects_in_batch);
            rows.without(&rejects)
        };
        for open in &mut self.parts {
            if let Some(probe) = &mut open.probe {
                let rejects = probe.update(&rows.of(&open.part)?, &vec![0; rows.groups.len()], 1)?;
                probe.take_state()?;
                rows = refuse(rows, rejects)?;
            }
        }
        for (number, open) in self.parts.iter_mut().enumerate() {
            let rejects = open.accumulator.update(&rows.of(&open.part)?, &rows.groups, count)?;
            if number > 0 && !rejects.is_empty() {
                let name = &open.part.name;
                return Err(Error::bug(format!("`{name}` refuses a row that it took when it was asked first"))
                    .hint("whether a row is refused may depend on its values only, not on other rows"));
            }
            rows = refuse(rows, rejects)?;
        }
        refused.sort_by_key(|reject| reject.row);
        Ok(refused)
    }

    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        let numbers = states.column(0).as_primitive::<Int8Type>().values().to_vec();
        for (number, open) in self.parts.iter_mut().enumerate() {
            let own: Vec<bool> = numbers.iter().map(|&other| usize::try_from(other) == Ok(number)).collect();
            let own_groups: Vec<u32> = groups.iter().zip(&own).filter(|(_, own)| **own).map(|(group, _)| *group).collect();
            let columns = states.columns()[open.states.clone()].to_vec();
            let options = RecordBatchOptions::new().with_row_count(Some(states.num_rows()));
            let all = RecordBatch::try_new_with_options(nullable(&open.state), columns, &options).map_err(not_built)?;
            let own = filter_record_batch(&all, &BooleanArray::from(own)).map_err(not_built)?;
            let options = RecordBatchOptions::new().with_row_count(Some(own.num_rows()));
            let own = RecordBatch::try_new_with_options(Arc::clone(&open.state), own.columns().to_vec(), &options).map_err(not_built)?;
            open.accumulator.merge(&own, &own_groups, count)?;
        }
        Ok(())
    }

    fn take_state(&mut self) -> Result<Grouped> {
        let (mut wide, mut order) = (Vec::new(), Vec::new());
        for (number, open) in self.parts.iter_mut().enumerate() {
            let Grouped { records, groups } = open.accumulator.take_state()?;
            let count = u32::try_from(records.num_rows()).map_err(|_| Error::bug("too many state rows"))?;
            let offset = u32::try_from(order.len()).map_err(|_| Error::bug("too many state rows"))?;
            let groups = groups.unwrap_or_else(|| (0..count).collect());
            order.extend(groups.into_iter().zip(offset..));
            wide.push(widened(&self.state, number, open, &records)?);
        }
        let records = concat_batches(&self.state, &wide).map_err(not_built)?;
        // Of each group the rows of the first part, then those of the next one: each part's in their order.
        order.sort_unstable();
        let (groups, rows): (Vec<u32>, Vec<u32>) = order.into_iter().unzip();
        let records = take_record_batch(&records, &UInt32Array::from(rows)).map_err(not_built)?;
        Ok(Grouped { records, groups: Some(groups) })
    }

    fn finish(&mut self) -> Result<Grouped> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.output.fields().len());
        let mut count = None;
        for open in &mut self.parts {
            let finished = open.accumulator.finish()?;
            if !finished.has_row_per_group(*count.get_or_insert(finished.records.num_rows())) {
                let message = format!("`{}` gives several rows for a key, or none, beside other results of the same stage", open.part.name);
                return Err(Error::configuration(message).code(crate::codes::ROWS_PER_KEY).hint("give it a stage of its own"));
            }
            columns.extend_from_slice(finished.records.columns());
        }
        let options = RecordBatchOptions::new().with_row_count(count);
        let records = RecordBatch::try_new_with_options(Arc::clone(&self.output), columns, &options).map_err(not_built)?;
        Ok(Grouped { records, groups: None })
    }

    fn memory_bytes(&self) -> usize {
        self.parts.iter().map(|open| open.accumulator.memory_bytes()).sum()
    }
}

/// State rows of a part among the columns of all.
fn widened(state: &SchemaRef, number: usize, open: &OpenPart, records: &RecordBatch) -> Result<RecordBatch> {
    let count = records.num_rows();
    let number = i8::try_from(number).map_err(|_| Error::bug("too many aggregates in one stage"))?;
    let mut columns: Vec<ArrayRef> = vec![Arc::new(Int8Array::from_value(number, count))];
    for (index, field) in state.fields().iter().enumerate().skip(1) {
        columns.push(match index.checked_sub(open.states.start).filter(|_| open.states.contains(&index)) {
            Some(own) => Arc::clone(records.column(own)),
            None => new_null_array(field.data_type(), count),
        });
    }
    RecordBatch::try_new(Arc::clone(state), columns).map_err(not_built)
}

/// A schema whose columns may be null.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>()))
}
