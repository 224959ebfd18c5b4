//! The host's part in a native test of an aggregate: groups of rows, in any cut and merge.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::take::take_record_batch;
use serde_json::Value;
use wasmill_plugin_cases::{Answer, Case, CaseGroups, Reject, Rows, Trial, nullable, read_cases, run_aggregate_case, verdict};

use super::cases::refused;
use super::driver::{self, RowReject, fault};
use super::rows;
use crate::Refusal;
use crate::aggregate::{AggregateInstance, AggregatePlugin};
use crate::bindings::wasmill::plugin::types::{self, Crossing};

/// Rows that an aggregate returned for its groups.
#[derive(Debug, Clone)]
pub struct Accumulation {
    /// The rows.
    pub records: RecordBatch,
    /// For each row its group.
    pub groups: Vec<u32>,
    /// The rejected rows, in the order of the calls.
    pub rejects: Vec<RowReject>,
}

impl Accumulation {
    /// The rows as JSON objects with every null spelled out.
    ///
    /// # Panics
    /// If a column has no JSON form; the types that cross the boundary all have one.
    pub fn rows(&self) -> Vec<Value> {
        rows::to_json(&self.records).unwrap_or_else(|error| fault(&error))
    }
}

/// Runs an aggregate over rows, each with its group, in one instance and one call.
///
/// # Errors
/// The plugin's refusal.
///
/// # Panics
/// If the rows don't fit the columns that the plugin needs, or if it breaks the contract.
pub fn aggregate<T: AggregatePlugin>(config: &Value, input: &[Value], groups: &[u32]) -> Result<Accumulation, Refusal> {
    let schema = nullable(&needed::<T>(config)?.1);
    let input = rows::to_batch(input, &schema).unwrap_or_else(|error| fault(&error));
    accumulate::<T>(config, &input, groups, &Trial::plain(input.num_rows(), input.num_rows().max(1)))
}

/// Runs every case in the `.yaml`, `.yml` and `.jsonl` files of a folder, as [`cases`](super::cases()) does, and in random cuts, orders and
/// merges of its rows. Returns how many cases there were.
///
/// # Panics
/// If a case fails, with all that differs in all cases; if a file can't be read or is not a case file.
pub fn aggregate_cases<T: AggregatePlugin>(folder: impl AsRef<Path>) -> usize {
    let cases = read_cases(folder.as_ref()).unwrap_or_else(|error| fault(&error.to_string()));
    let reports: Vec<_> = cases.iter().map(|case| run_aggregate_case(case, |trial| answer::<T>(case, trial))).collect();
    verdict(&reports).unwrap_or_else(|wrong| fault(&wrong))
}

fn answer<T: AggregatePlugin>(case: &Case, trial: &Trial) -> Answer {
    let needs = match needed::<T>(&case.config) {
        Ok((_, schema)) => schema,
        Err(refusal) => return refused(&refusal),
    };
    let schema = case.input_schema(&nullable(&needs));
    let read = case.input(&schema).and_then(|input| Ok((input, CaseGroups::of(case, &schema)?)));
    let (input, groups) = match read {
        Ok(read) => read,
        Err(mistake) => return Answer::Mistaken(mistake),
    };
    let accumulated = match accumulate::<T>(&case.config, &input, &groups.of_rows, trial) {
        Ok(accumulated) => accumulated,
        Err(refusal) => return refused(&refusal),
    };
    rows_of(&groups, accumulated).map_or_else(Answer::failed, Answer::Rows)
}

fn rows_of(groups: &CaseGroups, found: Accumulation) -> Result<Rows, String> {
    let reject = |reject: RowReject| Reject { row: reject.row as usize, code: reject.code, column: reject.column, message: reject.message };
    let mut rejects: Vec<Reject> = found.rejects.into_iter().map(reject).collect();
    rejects.sort_by_key(|reject| reject.row);
    let rejected: Vec<usize> = rejects.iter().map(|reject| reject.row).collect();
    Ok(Rows { ports: vec![groups.results(&found.records, &found.groups, &rejected)?], rejects })
}

fn needed<T: AggregatePlugin>(config: &Value) -> Result<(types::Needs, arrow_schema::Schema), Refusal> {
    let needs = AggregateInstance::<T>::prepare(&config.to_string(), &Vec::new())?;
    let schema = driver::read_schema(&needs.columns).unwrap_or_else(|error| fault(&error));
    Ok((needs, schema))
}

/// Aggregates rows in one way.
fn accumulate<T: AggregatePlugin>(config: &Value, input: &RecordBatch, groups: &[u32], trial: &Trial) -> Result<Accumulation, Refusal> {
    let needs = needed::<T>(config)?.0;
    let crossing = driver::crossing_of(&needs, input.schema_ref());
    let mut rejects = Vec::new();
    let mut instances = Vec::new();
    for part in &trial.parts {
        let mut instance = Opened::<T>::new(config, input.schema_ref())?;
        for batch in part {
            instance.update(input, &crossing, groups, batch, &mut rejects)?;
        }
        instances.push(instance);
    }
    let mut last = match instances.pop() {
        Some(instance) if !trial.merged => instance,
        one => {
            instances.extend(one);
            let mut merged = Opened::new(config, input.schema_ref())?;
            for mut instance in instances {
                merged.take(&mut instance)?;
            }
            merged
        }
    };
    if trial.again {
        let mut again = Opened::new(config, input.schema_ref())?;
        again.take(&mut last)?;
        last = again;
    }
    // Groups that no row of the trial is in have no results.
    let in_trial = trial.rows().into_iter().map(|row| groups[row]).max().map_or(0, |group| group + 1);
    let count = last.count.max(in_trial).max(u32::from(groups.is_empty()));
    let (records, groups) = last.finish(count)?;
    Ok(Accumulation { records, groups, rejects })
}

/// An instance that was opened.
struct Opened<T> {
    instance: AggregateInstance<T>,
    state: SchemaRef,
    output: SchemaRef,
    count: u32,
}

impl<T: AggregatePlugin> Opened<T> {
    fn new(config: &Value, input: &SchemaRef) -> Result<Self, Refusal> {
        let mut instance = AggregateInstance::<T>::default();
        let schema = types::Schema::ArrowIpc(driver::schema_message(input));
        let opened = instance.open(&types::Opening { config: config.to_string(), input: schema, extra: Vec::new() })?;
        let read = |schema| Arc::new(driver::read_schema(schema).unwrap_or_else(|error| fault(&error)));
        Ok(Self { state: read(&opened.state), output: read(&opened.output), instance, count: 0 })
    }

    fn update(
        &mut self,
        input: &RecordBatch,
        crossing: &[(usize, &Crossing)],
        groups: &[u32],
        batch: &[usize],
        rejects: &mut Vec<RowReject>,
    ) -> Result<(), Refusal> {
        let rows = UInt32Array::from_iter_values(batch.iter().map(|&row| row as u32));
        let rows = take_record_batch(input, &rows).unwrap_or_else(|error| fault(&error.to_string()));
        let crossed = driver::crossed(&rows, crossing).unwrap_or_else(|error| fault(&error));
        let groups: Vec<u32> = batch.iter().map(|&row| groups[row]).collect();
        self.count = groups.iter().map(|group| group + 1).fold(self.count, u32::max);
        let table = types::Table::ArrowIpc(driver::batch_message(&crossed));
        let updated = self.instance.update(types::Batch { table, extra: Vec::new() }, &groups, self.count)?;
        for reject in updated.rejects {
            let row = batch.get(reject.row as usize).unwrap_or_else(|| fault("a row is rejected that does not exist"));
            rejects.push(RowReject { row: *row as u32, code: reject.code, column: reject.column, message: reject.message });
        }
        Ok(())
    }

    /// Takes the state of another instance and merges it into this one.
    fn take(&mut self, other: &mut Self) -> Result<(), Refusal> {
        self.count = self.count.max(other.count);
        if other.count == 0 {
            return Ok(());
        }
        let taken = other.instance.take_state(other.count)?;
        let (states, groups) = grouped(taken, &other.state, std::mem::take(&mut other.count));
        if states.num_rows() > 0 {
            self.instance.merge(types::Table::ArrowIpc(driver::batch_message(&states)), &groups, self.count)?;
        }
        Ok(())
    }

    fn finish(mut self, count: u32) -> Result<(RecordBatch, Vec<u32>), Refusal> {
        let finished = self.instance.finish(count)?;
        Ok(grouped(finished, &self.output, count))
    }
}

/// Rows of groups, checked as the host does.
fn grouped(grouped: types::Grouped, schema: &SchemaRef, count: u32) -> (RecordBatch, Vec<u32>) {
    let records = driver::read_table(&grouped.table, schema).unwrap_or_else(|error| fault(&error));
    let groups = grouped.groups.unwrap_or_else(|| (0..count).collect());
    if !groups.is_sorted() || groups.iter().any(|&group| group >= count) || groups.len() != records.num_rows() {
        fault(&format!("{} rows of {count} groups belong to the groups {groups:?}", records.num_rows()));
    }
    (records, groups)
}
